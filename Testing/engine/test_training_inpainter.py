"""The inpainter: a denoiser trained further for holes alone, beside the one whose features the attention reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.generated.phantom import draw_phantom
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.training import denoiser as training
from diffugts.training.decoded_tissue import WINDOW_CELLS, decoded_error
from small_model import small_pipeline


@pytest.fixture(scope="module")
def autoencoder() -> ScanAutoencoder:
    torch.manual_seed(0)
    return ScanAutoencoder(channels=(8, 8, 16), norm_groups=4).eval().requires_grad_(False)


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn((1, 4, 14, 14, 14), generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def pipelines() -> tuple[DiffuGTSPipeline, DiffuGTSPipeline]:
    """Without and with an inpainter, alike in everything else."""
    plain, other = small_pipeline(0), small_pipeline(0)
    painter = small_pipeline(5).denoiser
    components = {name: getattr(other, name) for name in ("autoencoder", "denoiser", "scheduler", "attention")}
    return plain, DiffuGTSPipeline(**components, preset=other.preset, inpainter=painter)


def test_the_error_of_decoded_tissue_is_that_of_the_intensities_in_the_hole(autoencoder, latents) -> None:
    hole = torch.zeros((1, 1, 14, 14, 14))
    hole[..., 5:8, 5:8, 5:8] = 1
    found = latents + 1
    rng = np.random.default_rng(0)
    error = decoded_error(autoencoder, found, latents, hole, rng)
    mixed = torch.where(hole > 0, found, latents)
    voxels = hole.repeat_interleave(CELL, 2).repeat_interleave(CELL, 3).repeat_interleave(CELL, 4) > 0
    exact = (autoencoder.decode(mixed) - autoencoder.decode(latents)).abs()[voxels].mean()
    assert WINDOW_CELLS < 14, "only a part was decoded"
    torch.testing.assert_close(error, exact, rtol=1e-4, atol=1e-6)
    assert decoded_error(autoencoder, latents, latents, hole, rng) == 0


def test_only_cells_of_the_hole_are_taught_by_decoded_tissue(autoencoder, latents) -> None:
    hole = torch.zeros((1, 1, 14, 14, 14))
    hole[..., 6:9, 5:8, 4:8] = 1
    found = (latents + 0.5).requires_grad_(True)
    decoded_error(autoencoder, found, latents, hole, np.random.default_rng(0)).backward()
    moved = found.grad.abs().sum(1, keepdim=True) > 0
    assert moved.any() and not moved[hole == 0].any()


def test_without_a_hole_nothing_is_decoded(autoencoder, latents) -> None:
    nothing = torch.zeros((1, 1, 14, 14, 14))
    assert decoded_error(autoencoder, latents + 1, latents, nothing, np.random.default_rng(0)) == 0


def test_an_inpainter_is_never_asked_about_whole_scans(autoencoder, latents, monkeypatch) -> None:
    """Every crop keeps a hole of its own: what lies outside is known to the network, at every noise level."""
    monkeypatch.setattr(training, "DECODED_SHARE", 1.0)
    asked: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Recorded(torch.nn.Module):
        def forward(self, noisy, sigma, known, hole, modality):
            asked.append((sigma, hole))
            return known

    holes = torch.zeros((6, 1, 14, 14, 14))
    holes[:, :, 5:8, 5:8, 5:8] = 1
    rng = np.random.default_rng(3)
    many = latents.expand(6, -1, -1, -1, -1)
    for _ in range(8):
        loss = training.denoising_loss(
            Recorded(), autoencoder, many, holes, holes, torch.ones(6).long(), training.FILLING_SHARES, rng
        )
        assert loss == 0, "what is right costs nothing, in latents or decoded"
    assert all(torch.equal(hole, holes) for _, hole in asked)
    shares = torch.cat([sigma for sigma, _ in asked])
    assert 0.4 < (shares == 1).float().mean() < 0.9 and (shares < 1).any()


def test_an_inpainter_changes_what_is_painted_and_not_what_is_found(pipelines) -> None:
    scan = draw_phantom(0, "thigh", "CT", size=(48, 56, 64)).scan
    (first, second), texts = pipelines, ["soft tissue sarcoma"]
    encoded = first.encode(scan)
    threshold = float(np.percentile(first.attend(encoded, texts)[0].score, 99))
    without, within = (p(scan, texts, "standard", threshold=threshold) for p in (first, second))
    assert np.array_equal(without.findings[0].score_map, within.findings[0].score_map)
    assert np.array_equal(without.findings[0].mask, within.findings[0].mask)
    assert not np.array_equal(without.pseudo_healthy, within.pseudo_healthy)


def test_a_model_is_saved_and_loaded_with_its_inpainter(pipelines, tmp_path: Path) -> None:
    for number, pipeline in enumerate(pipelines):
        pipeline.save_pretrained(tmp_path / str(number))
        again = DiffuGTSPipeline.from_pretrained(tmp_path / str(number))
        wanted, got = pipeline.painter.state_dict(), again.painter.state_dict()
        assert all(torch.equal(wanted[name], got[name]) for name in wanted)
        assert (again.inpainter is None) == (number == 0)
        assert isinstance(again.painter, HoleDenoiser)
