"""A foundation without a trained attention examines a region it is given, and says what it did not do."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from command_line import call
from diffugts.errors import ModelError, RequestError, ScanError
from diffugts.maisi.assembly import assembled, empty_foundation
from diffugts.maisi.published import PUBLISHED, published_model
from diffugts.marked_region import difference_score, examine_marked_region, surroundings
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.protocol import Region, ResultManifest
from diffugts.scans.region import region_mask
from diffugts.scans.scan import Geometry, Scan
from maisi_files import narrowed, write_published_files

SIZE = (60, 48, 52)
"""Voxels x, y, z of 1.5 mm: the working grid of maisi-ct, so that what is interpolated is seen exactly."""

CENTRE, TUMOUR_MM = np.array([44.0, 36.0, 38.0]), 9.0


def bright_ball_in_soft_tissue(modality: str = "CT") -> Scan:
    geometry = Geometry(SIZE, (1.5,) * 3, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    z, y, x = np.meshgrid(*(np.arange(n) * 1.5 for n in reversed(SIZE)), indexing="ij")
    voxels = np.random.default_rng(0).normal(40, 4, geometry.shape)
    voxels[(x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2 + (z - CENTRE[2]) ** 2 < TUMOUR_MM**2] = 300
    return Scan(voxels.astype(np.float32), geometry, modality)


def around_the_ball(margin_mm: float = 15.0) -> Region:
    middle = CENTRE * [-1, -1, 1]  # LPS to RAS
    return Region(tuple(middle - margin_mm), tuple(middle + margin_mm))


class HealthyDenoiser(torch.nn.Module):
    """Stands for a well-trained denoiser: it knows that healthy tissue is the median of the known latents."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def __call__(self, noisy, sigma, known, hole, modality):
        outside = known[0, :, hole[0, 0] == 0]
        # The scan is filled up with air, which would pull a mean.
        usual = outside.median(1).values.view(1, -1, 1, 1, 1)
        return usual.expand_as(noisy).float()

    def __getattr__(self, name: str):
        return super().__getattr__("network") if name == "network" else getattr(super().__getattr__("network"), name)


@pytest.fixture(scope="module")
def pipeline() -> DiffuGTSPipeline:
    """The small networks of maisi-ct, random but for an autoencoder whose latents hold the scan's mean, as compact's do."""
    torch.manual_seed(0)
    model = narrowed(published_model("maisi-ct"))
    autoencoder, denoiser = empty_foundation(
        type(model)(**{**vars(model), "autoencoder": {**model.autoencoder, "shortcut": True, "normalisation": "none"}})
    )
    made = assembled(model, autoencoder, denoiser)
    made.denoiser.forward = HealthyDenoiser(denoiser).__call__
    return made


def test_a_tumour_in_the_marked_box_is_found_and_painted_away(pipeline: DiffuGTSPipeline) -> None:
    scan = bright_ball_in_soft_tissue()
    result = pipeline(scan, ["anything at all"], region=around_the_ball())
    finding = result.findings[0]
    truth = scan.voxels > 200
    overlap = 2 * (finding.mask & truth).sum() / (finding.mask.sum() + truth.sum())
    assert overlap > 0.6, overlap
    assert result.pseudo_healthy is not None and result.residual is not None and result.hole is not None
    assert result.pseudo_healthy[truth].mean() < 200 < scan.voxels[truth].mean()
    assert np.array_equal(result.pseudo_healthy[0], scan.voxels[0]), "far from the hole nothing changes"
    assert np.allclose(scan.voxels - result.pseudo_healthy, result.residual, atol=1e-3)


def test_nothing_outside_the_box_is_marked(pipeline: DiffuGTSPipeline) -> None:
    scan = bright_ball_in_soft_tissue()
    result = pipeline(scan, ["tumour"], region=around_the_ball(6.0))
    i, j, k = (CENTRE / 1.5).round().astype(int)
    outside = np.ones(scan.voxels.shape, bool)
    outside[k - 4 : k + 5, j - 4 : j + 5, i - 4 : i + 5] = False
    assert not result.findings[0].score_map[outside].any() and result.findings[0].mask.any()


def test_the_result_says_what_is_trained_and_that_the_words_were_not_used(pipeline: DiffuGTSPipeline) -> None:
    result = pipeline(bright_ball_in_soft_tissue(), ["tumour", "cyst"], region=around_the_ball())
    notes = " ".join(result.notes)
    assert "words were not used" in notes and "no trained attention" in notes and "may paint a tumour again" in notes
    assert "On the CPU the foundation saw about 192 mm" in notes
    first, second = result.findings
    assert np.array_equal(first.score_map, second.score_map)
    assert any("has none of its own" in note for note in first.notes)


def test_a_region_of_even_tissue_gives_no_finding(pipeline: DiffuGTSPipeline) -> None:
    region = Region((-80.0, -60.0, 8.0), (-66.0, -46.0, 22.0))
    result = pipeline(bright_ball_in_soft_tissue(), ["tumour"], region=region)
    assert not result.findings[0].mask.any() and result.findings[0].verdict.value != "found"


def test_a_rough_mask_does_what_a_box_does(pipeline: DiffuGTSPipeline) -> None:
    scan = bright_ball_in_soft_tissue()
    rough = np.zeros(scan.voxels.shape, bool)
    i, j, k = (CENTRE / 1.5).round().astype(int)
    rough[k - 9 : k + 10, j - 9 : j + 10, i - 9 : i + 10] = True
    found = examine_marked_region(pipeline, pipeline.encode(scan), rough, pipeline.preset.qualities["standard"])
    assert not found.score[~rough].any()
    assert (found.score > 0.5)[scan.voxels > 200].mean() > 0.6


def test_the_mask_of_a_box_gives_what_the_box_gives(pipeline: DiffuGTSPipeline) -> None:
    scan = bright_ball_in_soft_tissue()
    rough = region_mask(scan.geometry, around_the_ball())
    by_box, by_mask = (pipeline(scan, ["tumour"], region=marked) for marked in (around_the_ball(), rough))
    assert by_box.findings[0].mask.any()
    assert np.array_equal(by_box.findings[0].score_map, by_mask.findings[0].score_map)
    assert np.array_equal(by_box.pseudo_healthy, by_mask.pseudo_healthy)
    assert by_box.rough_mask is None and np.array_equal(by_mask.rough_mask, rough)


def test_without_a_region_the_way_on_is_told(pipeline: DiffuGTSPipeline) -> None:
    with pytest.raises(ModelError, match="has no trained attention.*Mark a region"):
        pipeline(bright_ball_in_soft_tissue(), ["tumour"])


def test_a_region_outside_the_patient_is_refused(pipeline: DiffuGTSPipeline) -> None:
    with pytest.raises(RequestError, match="outside the part of the scan"):
        pipeline(bright_ball_in_soft_tissue(), ["tumour"], region=Region((500.0, 500.0, 500.0), (520.0, 520.0, 520.0)))


def test_a_scan_of_another_modality_is_refused(pipeline: DiffuGTSPipeline) -> None:
    with pytest.raises(ScanError, match="is MR, and the model 'maisi-ct' knows only CT"):
        pipeline.encode(bright_ball_in_soft_tissue("MR"))


@pytest.mark.parametrize("name", list(PUBLISHED))
def test_every_published_model_goes_all_the_way_by_command(name: str, tmp_path: Path, monkeypatch) -> None:
    """Convert, load, examine, write: with random weights, which only a test may let through."""
    files = write_published_files(tmp_path / "published", name)
    monkeypatch.setitem(PUBLISHED, name, files.model)
    model = tmp_path / "model"
    converted = call("models", "convert", files.folder, "--preset", name, "--output", model)
    assert converted.code == 0 and "examines a region that you mark" in converted.out
    modality = files.model.preset.modalities[0]
    scan = tmp_path / "scan.nrrd"
    sitk.WriteImage(bright_ball_in_soft_tissue(modality).image(), str(scan))
    corners = [*around_the_ball().minimum_ras_mm, *around_the_ball().maximum_ras_mm]
    asked = ("segment", scan, "--prompt", "tumour", "--model", model, "--modality", modality, "--quality", "fast")
    asked += ("--roi", ",".join(f"{c:g}" for c in corners), "--output", tmp_path / "result", "--no-picture")
    refused = call(*asked)
    assert refused.code == 4 and "has random weights" in refused.err
    preset = model / "preset.json"
    preset.write_text(preset.read_text().replace('"random_weights": true', '"random_weights": false'))
    done = call(*asked)
    assert done.code == 0, done.err
    assert "words were not used" in (tmp_path / "result" / "result.json").read_text()


def test_a_rough_mask_goes_all_the_way_by_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read, examine, write: pseudo-healthy scan, residual and a mask inside the rough one, of which no path is kept."""
    files = write_published_files(tmp_path / "published", "maisi-ct")
    monkeypatch.setitem(PUBLISHED, "maisi-ct", files.model)
    model = tmp_path / "model"
    converted = call("models", "convert", files.folder, "--preset", "maisi-ct", "--output", model)
    assert converted.code == 0 and "--mask" in converted.out
    preset = model / "preset.json"
    preset.write_text(preset.read_text().replace('"random_weights": true', '"random_weights": false'))
    scan = bright_ball_in_soft_tissue()
    sitk.WriteImage(scan.image(), str(tmp_path / "scan.nrrd"))
    rough = region_mask(scan.geometry, around_the_ball())
    rough[:, :, : int(CENTRE[0] / 1.5)] = False
    sitk.WriteImage(scan.geometry.image(rough * np.uint8(5)), str(tmp_path / "mary-4711.nii.gz"))
    done = call("segment", tmp_path / "scan.nrrd", "--prompt", "tumour", "--model", model, "--modality", "CT", "--quality",
                "fast", "--mask", tmp_path / "mary-4711.nii.gz", "--output", tmp_path / "result", "--format", "nifti",
                "--no-picture")  # fmt: skip
    assert done.code == 0, done.err
    manifest = ResultManifest.load(tmp_path / "result")
    volumes = {
        role: sitk.GetArrayFromImage(sitk.ReadImage(str(manifest.file(role, number))))
        for role, number in (("score map", 0), ("label", 0), ("pseudo-healthy", None), ("residual", None))
    }
    assert volumes["score map"].any() and not volumes["score map"][~rough].any()
    assert not volumes["label"][~rough].any()
    assert volumes["residual"].any() and not volumes["residual"][:, :, 0].any(), "random weights paint, but not far off"
    record = manifest.provenance.mask
    assert record is not None and record.sha256 == sha256(rough.astype(np.uint8).tobytes()).hexdigest()
    assert record.volume_ml == pytest.approx(rough.sum() * 1.5**3 / 1000)
    assert "mary" not in (tmp_path / "result" / "result.json").read_text()


def test_surroundings_are_as_large_as_asked_and_stay_within_the_volume() -> None:
    mask = np.zeros((40, 200, 300), bool)
    mask[5, 3:6, 290:295] = True
    k, j, i = surroundings(mask, 128)
    assert (k.start, k.stop) == (0, 40) and (j.start, j.stop) == (0, 128) and (i.start, i.stop) == (172, 300)


def test_differences_that_are_noise_never_reach_the_cut() -> None:
    from types import SimpleNamespace

    from diffugts.scans.intensity import IntensityCurve

    grid = SimpleNamespace(modality="CT", curve=IntensityCurve((-1000.0, 1000.0), (0.0, 1.0)))
    marked = np.ones((4, 4, 4), bool)
    five_hu = np.random.default_rng(0).uniform(0, 5 / 2000, marked.shape).astype(np.float32)
    score = difference_score(grid, SimpleNamespace(pixel_residual=five_hu, hole=marked), marked)
    assert float(score.max()) < 0.5
