"""`diffugts bench` on a published model of random weights, narrowed so that it runs in seconds."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from command_line import call
from diffugts.evaluation import equivalence
from diffugts.evaluation.foundation_speed import warm_up
from diffugts.foundation.memory import SMALLEST_TILE_VOXELS, in_tiles_that_fit, tile_voxels
from diffugts.foundation.tiles import tiles
from diffugts.maisi.assembly import with_random_weights
from diffugts.maisi.published import PUBLISHED, published_model
from diffugts.worker.device import slow_convolutions
from maisi_files import narrowed


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PUBLISHED, "maisi-ct", narrowed(published_model("maisi-ct")))


def test_every_stage_is_timed_with_its_memory(narrow: None) -> None:
    done = call("bench", "--model", "maisi-ct", "--random-weights", "--size", "40x32x48", "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["random_weights"] and facts["working_grid"] == "40x32x48"
    ours = {"grid", "encode", "attend", "score map", "measure", "body", "hole", "denoise", "decode", "results"}
    stages = ours | {"marked region", "plain encode", "plain steps", "plain decode"}
    assert set(facts["stages"]) == stages
    assert all(stage["s"] > 0 and stage["peak_mb"] > 0 for stage in facts["stages"].values())
    assert facts["first_description_s"] > facts["second_description_with_new_pseudo_healthy_scan_s"]
    assert facts["second_description_with_new_pseudo_healthy_scan_s"] > facts["second_description_s"] > 0
    assert facts["plain_loop_to_ours"] > 1 and facts["plain_loop_steps_timed"] == 50
    of_ours = max(stage["peak_mb"] for name, stage in facts["stages"].items() if not name.startswith("plain"))
    assert facts["peak_mb"] == of_ours, "the plain loop's memory is not ours"


def test_a_plain_loop_of_fewer_timed_steps_says_so_and_counts_them_all(narrow: None) -> None:
    asked = ("--model", "maisi-ct", "--random-weights", "--size", "32x32x32", "--plain-steps", "5", "--json")
    done = call("bench", *asked)
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    stages = facts["stages"]
    whole = stages["plain encode"]["s"] + 10 * stages["plain steps"]["s"] + stages["plain decode"]["s"]
    assert facts["plain_loop_s"] == pytest.approx(whole, abs=0.02)
    assert facts["plain_loop_steps_timed"] == 5 and any("50 steps 5 were timed" in note for note in facts["notes"])


def test_a_gpu_is_warmed_up_by_going_through_every_network() -> None:
    pipeline = with_random_weights(narrowed(published_model("maisi-ct")))
    seen: set[str] = set()
    networks = {
        "denoiser": pipeline.denoiser.network,
        "decoder": pipeline.autoencoder.network.decoder.blocks[-1],
        "encoder": pipeline.autoencoder.network.encoder.blocks[-1],
        "attention": pipeline.attention.pyramid,
    }
    for name, module in networks.items():
        module.register_forward_hook(lambda *_, name=name: seen.add(name))
    warm_up(pipeline)
    assert seen == set(networks)


def test_the_command_for_a_gpu_is_told(narrow: None) -> None:
    asked = ("bench", "--model", "maisi-ct", "--random-weights", "--size", "32x32x32", "--no-plain-loop")
    done = call(*asked)
    assert "--size 512x512x256 --device cuda --json" in done.err
    assert json.loads(done.out)["plain_loop_to_ours"] is None


def test_errors_of_every_shortcut_are_measured(narrow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(equivalence, "FEW", (2, 8))  # as many steps as are in use would take most of this file's time
    monkeypatch.setattr(equivalence, "MANY", 20)
    asked = ("bench", "--equivalence", "--model", "maisi-ct", "--random-weights", "--size", "64x64x64", "--json")
    done = call(*asked)
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["random_weights"]
    tiles_sigma = {int(halo): error["rms"] for halo, error in facts["tiles_sigma"].items()}
    assert tiles_sigma[0] > tiles_sigma[16] >= 0
    decoding = {int(halo): error["rms"] for halo, error in facts["decoding_hu"].items()}
    assert decoding[0] > decoding[4]
    assert 0 < facts["bfloat16_sigma"]["rms"] < 0.2
    assert facts["kept_score"]["largest"] == 0, "a description must not depend on what was asked before"
    assert facts["steps_hu"]["2"]["rms"] > facts["steps_hu"]["8"]["rms"] > 0


def test_random_weights_are_for_published_models_only() -> None:
    done = call("bench", "--model", "compact", "--random-weights")
    assert done.code == 4 and "'maisi-ct', 'maisi-ct-ddpm', 'maisi-mr-brain'" in done.err


@pytest.mark.parametrize(
    ("version", "slow"), [("2.9.1+cu128", True), ("2.9.0", True), ("2.8.0", False), ("2.13.0", False)]
)
def test_a_torch_with_slow_convolutions_is_known(version: str, slow: bool) -> None:
    assert bool(slow_convolutions(version)) is slow


@pytest.mark.parametrize("most", [8_000, 40_000, 10**9])
def test_tiles_cover_a_volume_once_and_see_their_halo(most: int) -> None:
    size, halo = (48, 64, 40), 8
    covered = torch.zeros(size)
    for tile in tiles(size, most, halo, 4):
        covered[tile.core] += 1
        for core, wide, n in zip(tile.core, tile.wide, size):
            assert wide.start == max(0, core.start - halo) and wide.stop == min(n, core.stop + halo)
        assert torch.zeros([w.stop - w.start for w in tile.wide])[tile.inner].shape == covered[tile.core].shape
    assert bool((covered == 1).all())


def test_of_all_ways_to_cut_the_one_with_the_least_to_compute_is_taken() -> None:
    cut = tiles((64, 64, 64), 64 * 64 * 50, 8, 4)
    assert len(cut) == 2


def test_short_memory_halves_the_tiles_until_they_fit() -> None:
    tried: list[int] = []

    def compute(most: int) -> str:
        tried.append(most)
        if most > 1_000_000:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return "done"

    assert in_tiles_that_fit(compute, 3_000_000) == ("done", 750_000)
    assert tried == [3_000_000, 1_500_000, 750_000]


def test_memory_that_is_short_even_for_the_smallest_tiles_is_an_error() -> None:
    def compute(most: int) -> None:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError):
        in_tiles_that_fit(compute, SMALLEST_TILE_VOXELS)


def test_other_errors_are_not_taken_for_short_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes"):
        in_tiles_that_fit(lambda most: (_ for _ in ()).throw(RuntimeError("shapes do not match")), 10**7)


def test_tiles_are_chosen_from_free_memory_in_halves() -> None:
    plenty, short = tile_voxels(64, 36, 10**12), tile_voxels(64, 36, 2 * 10**9)
    assert plenty == 3_000_000 and plenty % short == 0 and short < plenty
    assert tile_voxels(64, 36, 10**12, low_memory=True) < plenty < tile_voxels(64, 36, 10**12, gpu=True)


def test_smaller_tiles_than_usual_are_told_where_they_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    from diffugts.foundation import memory, tiled
    from diffugts.maisi.assembly import empty_foundation

    foundation = tiled.TiledFoundation(*empty_foundation(narrowed(published_model("maisi-ct"))))
    scan = np.random.default_rng(0).random((64, 64, 96), np.float32)
    assert foundation.latents(scan)[1] == ()
    monkeypatch.setattr(memory, "CHANNEL_VOXELS", 8 * 260_000)
    monkeypatch.setattr(memory, "LEAST_CORE_VOXELS", -48)
    monkeypatch.setattr(tiled, "free_memory", lambda device: 8 * 24 * 300_000)
    encode, asked = type(foundation.autoencoder).encode, []

    def short_of_memory(self, voxels, *arguments):
        asked.append(voxels.numel())
        if len(asked) == 1:
            raise RuntimeError("CUDA out of memory")
        return encode(self, voxels, *arguments)

    monkeypatch.setattr(type(foundation.autoencoder), "encode", short_of_memory)
    monkeypatch.setattr(memory, "SMALLEST_TILE_VOXELS", 1000)
    latents, notes = foundation.latents(scan)
    assert latents.shape == (1, 4, 16, 16, 24)
    assert "Memory was short" in notes[0] and "may differ a little" in notes[0]
