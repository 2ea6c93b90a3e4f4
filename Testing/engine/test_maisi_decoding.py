"""A part of a scan decoded by itself equals that part of the whole, at a fraction of the arithmetic."""

from __future__ import annotations

from contextlib import nullcontext
from math import prod

import pytest
import torch

from diffugts.foundation import decoding
from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.axes import box_to_network, from_network, to_network
from diffugts.foundation.decoding import decode_box
from diffugts.foundation.memory import BYTES_PER_CHANNEL_VOXEL, tile_voxels
from diffugts.foundation.tiles import tiles

SIZE = (26, 24, 30)
MIDDLE = (slice(11, 14), slice(10, 13), slice(12, 16))
CORNER = (slice(0, 3), slice(20, 24), slice(26, 30))
COMPACT = {"channels": (8, 8, 16), "norm_groups": 4}
MAISI = {**COMPACT, "residual_blocks": (2, 2, 2), "axes": "xyz", "shortcut": False}


@pytest.fixture(scope="module", params=[COMPACT, MAISI], ids=["compact", "maisi"])
def autoencoder(request: pytest.FixtureRequest) -> ScanAutoencoder:
    """Without normalisation, so that nothing but the decoder's reach decides what a voxel depends on."""
    torch.manual_seed(0)
    made = ScanAutoencoder(**request.param).eval()
    for layer in made.network.decoder.modules():
        if isinstance(layer, torch.nn.Conv3d):
            torch.nn.init.normal_(layer.weight, std=0.15)  # far cells must be felt
    return made


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return torch.randn(1, 4, *SIZE, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def whole(autoencoder: ScanAutoencoder, latents: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return autoencoder.decode(latents)


def voxels(part: tuple[slice, slice, slice]) -> tuple[slice, ...]:
    return (slice(None), slice(None), *(slice(4 * s.start, 4 * s.stop) for s in part))


@torch.no_grad()
def decoded_with_halo(autoencoder: ScanAutoencoder, latents: torch.Tensor, halo: int) -> torch.Tensor:
    wide = tuple(slice(max(0, s.start - halo), min(n, s.stop + halo)) for s, n in zip(MIDDLE, SIZE))
    inner = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(MIDDLE, wide))
    return autoencoder.decode_part(latents[(slice(None), slice(None)) + wide], inner)


@pytest.mark.parametrize("part", [MIDDLE, CORNER], ids=["middle", "corner"])
@torch.no_grad()
def test_a_part_equals_the_whole(autoencoder, latents, whole, part) -> None:
    inside = whole[voxels(part)]
    assert torch.allclose(autoencoder.decode_part(latents, part), inside, atol=1e-4 * float(whole.std()))


def test_the_reach_is_enough_and_not_more_than_enough(autoencoder, latents, whole) -> None:
    inside, spread = whole[voxels(MIDDLE)], float(whole.std())
    reach = autoencoder.decoder_reach
    assert float((decoded_with_halo(autoencoder, latents, reach) - inside).abs().max()) < 1e-4 * spread
    assert float((decoded_with_halo(autoencoder, latents, reach - 1) - inside).abs().max()) > 1e-4 * spread


@torch.no_grad()
def test_with_group_normalisation_nothing_is_cropped_whose_statistics_count(latents) -> None:
    torch.manual_seed(2)
    normalised = ScanAutoencoder(**{**MAISI, "normalisation": "group"}).eval()
    assert torch.equal(normalised.decode_part(latents, MIDDLE), normalised.decode(latents)[voxels(MIDDLE)])


def test_reaches_are_those_in_the_documents() -> None:
    assert ScanAutoencoder(**COMPACT).decoder_reach == 7 and ScanAutoencoder(**COMPACT).encoder_reach == 24
    assert ScanAutoencoder(**MAISI).decoder_reach == 10 and ScanAutoencoder(**MAISI).encoder_reach == 36


@torch.no_grad()
def test_tiles_of_a_box_equal_the_box_in_one(autoencoder, latents) -> None:
    box = (slice(2, 20), slice(3, 23), slice(0, 30))
    in_one, cut = decode_box(autoencoder, latents, box), decode_box(autoencoder, latents, box, tile_voxels=300_000)
    # bfloat16, whose rounding depends on the shape.
    assert abs(in_one - cut).max() < 0.05 * abs(in_one).max()


@torch.no_grad()
def test_no_tile_is_larger_than_its_bound_halo_included_and_all_equal_the_box_in_one(
    autoencoder: ScanAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = torch.randn(1, 4, 36, 36, 36, generator=torch.Generator().manual_seed(3))
    box, halo = (slice(12, 24), slice(12, 24), slice(12, 24)), autoencoder.decoder_reach
    seen: list[int] = []
    decode_part = autoencoder.decode_part

    def watched(wide: torch.Tensor, part: tuple[slice, slice, slice]) -> torch.Tensor:
        seen.append(wide[0, 0].numel() * CELL**3)
        return decode_part(wide, part)

    monkeypatch.setattr(autoencoder, "decode_part", watched)
    monkeypatch.setattr(decoding, "fast_arithmetic", lambda _: nullcontext())  # bfloat16 rounds by the shape
    in_one = decode_box(autoencoder, latents, box)
    assert seen == [((12 + 2 * halo) * CELL) ** 3]
    bound = int(0.6 * seen.pop())
    cut = decode_box(autoencoder, latents, box, tile_voxels=bound)
    assert len(seen) > 1 and max(seen) <= bound
    assert abs(in_one - cut).max() < 1e-4 * in_one.std()


def test_however_little_memory_there_is_not_all_of_the_arithmetic_goes_into_halos(
    autoencoder: ScanAutoencoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    cores: list[list[int]] = []

    def counted(_wide: torch.Tensor, part: tuple[slice, slice, slice]) -> torch.Tensor:
        cores.append([s.stop - s.start for s in part])
        return torch.zeros(1, 1, *(CELL * n for n in cores[-1]))

    monkeypatch.setattr(autoencoder, "decode_part", counted)
    decode_box(autoencoder, torch.zeros(1, 4, 36, 36, 36), (slice(12, 24),) * 3, tile_voxels=1)
    assert cores == [[4, 4, 4]] * 3**3


def test_in_low_memory_mode_a_region_of_100_mm_is_decoded_in_3_gigabytes() -> None:
    """At 1 mm, inside a larger scan, by the full-size decoder: in one part it would be 8.9 GB."""
    channels, halo, cells = 64, ScanAutoencoder(**MAISI).decoder_reach, 25
    bound = tile_voxels(channels, CELL * halo, 10**12, low_memory=True)
    cut = tiles((cells,) * 3, bound // CELL**3, halo, 1, ((50, 50),) * 3)
    largest = max(prod(w.stop - w.start for w in tile.wide) for tile in cut) * CELL**3
    assert largest * channels * BYTES_PER_CHANNEL_VOXEL < 3.3e9
    assert ((cells + 2 * halo) * CELL) ** 3 * channels * BYTES_PER_CHANNEL_VOXEL > 8.9e9


def test_a_box_goes_where_its_volume_goes() -> None:
    volume = torch.arange(4 * 5 * 6.0).view(1, 1, 4, 5, 6)
    box = (slice(1, 3), slice(0, 2), slice(4, 6))
    turned = to_network(volume, "xyz")
    part = turned[(slice(None), slice(None)) + box_to_network(box, (4, 5, 6), "xyz")]
    assert torch.equal(from_network(part, "xyz"), volume[(slice(None), slice(None)) + box])
