"""The frozen foundation: what the encoder sees, and that tiles equal the whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.apps.generation.maisi.networks.autoencoderkl_maisi import MaisiGroupNorm3D
from scipy import ndimage

from diffugts.errors import Cancelled
from diffugts.foundation import autoencoder
from diffugts.foundation.autoencoder import ScanAutoencoder, WholeGroupNorm
from diffugts.foundation.body import filled_body
from diffugts.foundation.denoiser import HoleDenoiser, modality_class
from diffugts.foundation.features import encode_tiles, interruptible, noise_field, pad_to_multiple, read_features
from small_model import small_pipeline


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


def test_tiles_with_the_encoders_reach_as_halo_equal_the_whole(pipeline) -> None:
    scan = torch.rand(1, 1, 160, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, levels = encode_tiles(pipeline.autoencoder, scan, 10**9)
        tiled, tiled_levels = encode_tiles(pipeline.autoencoder, scan, 32 * 32 * 96)
    assert tiled.shape == whole.shape
    assert torch.allclose(tiled, whole, atol=1e-4)
    for stride, level in levels.items():
        assert torch.allclose(tiled_levels[stride], level, atol=1e-4)


def test_tiles_without_a_halo_differ(pipeline) -> None:
    """Otherwise the test above could not fail."""
    scan = torch.rand(1, 1, 160, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, _ = encode_tiles(pipeline.autoencoder, scan, 10**9)
        tiled, _ = encode_tiles(pipeline.autoencoder, scan, 32 * 32 * 32, halo=0)
    assert (tiled - whole).abs().max() > 1e-3


def test_the_shortcut_carries_cell_means_both_ways() -> None:
    torch.manual_seed(0)
    autoencoder = ScanAutoencoder().eval()
    scan = torch.full((1, 1, 16, 16, 16), 0.5)
    with torch.no_grad():
        zero_detail = autoencoder.decode_unnormalised(
            torch.cat([torch.full((1, 1, 4, 4, 4), 4 * (0.5 - 0.3)), torch.zeros(1, 3, 4, 4, 4)], dim=1)
        )
        means = autoencoder.posterior(scan)[0] - autoencoder.network.encode(scan)[0]
    assert torch.allclose(means[:, 0], torch.tensor(0.8), atol=1e-5)
    assert torch.allclose(zero_detail, scan, atol=1e-5), "an untrained decoder adds nothing to the shortcut"


def test_a_normalised_maisi_autoencoder_has_its_group_norms() -> None:
    plain = ScanAutoencoder(channels=(8, 8, 16), norm_groups=4, normalisation="group", shortcut=False)
    assert sum("norm1.weight" in name for name in plain.state_dict()) > 0
    assert not any("norm1.weight" in name for name in ScanAutoencoder(channels=(8, 8, 16)).state_dict())


def test_the_denoiser_does_not_look_at_the_noise_at_the_highest_level() -> None:
    torch.manual_seed(0)
    denoiser = HoleDenoiser(channels=(8, 16, 32), head_channels=(0, 0, 8), norm_groups=4).eval()
    torch.nn.init.normal_(denoiser.network.out[2].conv.weight)  # it starts at zero, which would hide everything
    known, hole = torch.randn(1, 4, 8, 8, 8), torch.zeros(1, 1, 8, 8, 8)
    hole[..., 2:6, 2:6, 2:6] = 1
    with torch.no_grad():
        at_one = [denoiser(torch.randn(1, 4, 8, 8, 8), torch.ones(1), known, hole, torch.tensor([1])) for _ in range(2)]
        below = [
            denoiser(torch.randn(1, 4, 8, 8, 8), torch.full((1,), 0.5), known, hole, torch.tensor([1]))
            for _ in range(2)
        ]
    assert torch.equal(at_one[0], at_one[1])
    assert not torch.allclose(below[0], below[1])


def test_a_velocity_is_turned_into_clean_latents() -> None:
    """x_s = (1 - s) z + s e and v = z - e give z = x_s + s v."""
    denoiser = HoleDenoiser(
        channels=(8, 16, 32), head_channels=(0, 0, 8), norm_groups=4, conditioned=False, prediction="velocity"
    )
    clean, noise, level = torch.randn(1, 4, 8, 8, 8), torch.randn(1, 4, 8, 8, 8), 0.3
    denoiser.network.forward = lambda x, timesteps, class_labels: clean - noise
    found = denoiser((1 - level) * clean + level * noise, torch.tensor([level]), clean, clean[:, :1], torch.tensor([1]))
    assert torch.allclose(found, clean, atol=1e-5)


def test_noise_depends_on_place_alone() -> None:
    assert torch.equal(noise_field((40, 9, 33), 4)[..., :20, :9, :30], noise_field((20, 9, 30), 4))


@pytest.mark.parametrize(
    ("modality", "sequence", "number"),
    [("CT", None, 1), ("MR", None, 8), ("MR", "T1", 9), ("MR", "T2", 10), ("MR", "FLAIR", 11), ("MR", "T1c", 17)],
)
def test_modalities_have_maisis_numbers(modality, sequence, number) -> None:
    assert modality_class(modality, sequence) == number


def test_features_have_the_strides_they_are_named_by(pipeline) -> None:
    features = read_features(pipeline.autoencoder, pipeline.denoiser, np.random.rand(30, 45, 17).astype(np.float32), 1)
    assert tuple(features.latents.shape[2:]) == (8, 12, 8)
    for stride, level in features.levels.items():
        assert tuple(level.shape[2:]) == tuple(n // stride for n in (32, 48, 32))


def test_a_forward_pass_can_be_stopped_in_its_middle(pipeline) -> None:
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        read_features(pipeline.autoencoder, pipeline.denoiser, np.zeros((32, 32, 32), np.float32), 1, check=check)
    assert calls == 5
    with interruptible(pipeline.autoencoder, None):
        assert not any(module._forward_pre_hooks for module in pipeline.autoencoder.modules()), "hooks stayed behind"


def test_padding_adds_air_at_the_far_ends() -> None:
    padded = pad_to_multiple(torch.ones(1, 1, 5, 16, 17), 16)
    assert tuple(padded.shape[2:]) == (16, 16, 32)
    assert padded.sum() == 5 * 16 * 17


def test_lungs_are_inside_the_body_and_the_table_is_not() -> None:
    scan = np.zeros((6, 60, 60), np.float32)
    scan[:, 10:45, 10:50] = 0.5
    scan[:, 20:35, 20:40] = 0.03
    scan[:, 55:57, 5:55] = 0.5
    body = filled_body(scan, "CT")
    assert body[3, 27, 30] and not body[3, 56, 30] and not body[3, 2, 2]


@pytest.mark.parametrize("at_once", [1, 3 * 4 * 2 * 420, autoencoder.NORMALISED_AT_ONCE])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_group_normalisation_at_once_is_that_of_monai_group_by_group(
    precision: torch.dtype, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(autoencoder, "NORMALISED_AT_ONCE", at_once)
    generator = torch.Generator().manual_seed(0)
    theirs = MaisiGroupNorm3D(8, 32, 1e-6, save_mem=False)
    torch.nn.init.normal_(theirs.weight, generator=generator)
    torch.nn.init.normal_(theirs.bias, generator=generator)
    ours = WholeGroupNorm(8, 32, 1e-6)
    ours.load_state_dict(theirs.state_dict())
    hidden = (5 + 3 * torch.randn(2, 32, 6, 10, 7, generator=generator)).to(precision)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision is torch.bfloat16):
        said = ours(hidden)
        assert said.dtype == precision
        rounded = theirs(hidden).to(precision)
        last_place = 0.0 if precision is torch.float32 else 2**-7
        torch.testing.assert_close(said, rounded, rtol=last_place, atol=2e-5)


@pytest.mark.parametrize("smoothing", [0.7, 1.5, 3.0])
def test_the_body_is_opened_and_filled_as_by_the_usual_filters(smoothing: float) -> None:
    noise = ndimage.gaussian_filter(np.random.default_rng(2).random((9, 40, 33)).astype(np.float32), smoothing)
    level = float(np.quantile(noise, 0.4))
    opened = ndimage.binary_opening(noise > level, iterations=1)
    parts, _ = ndimage.label(opened)
    largest = parts == 1 + np.argmax(np.bincount(parts.ravel())[1:])
    expected = np.stack([ndimage.binary_fill_holes(section) for section in largest])
    assert expected.sum() > largest.sum() > 0, "there is something to fill"
    assert np.array_equal(filled_body(noise, "CT", level), expected)
