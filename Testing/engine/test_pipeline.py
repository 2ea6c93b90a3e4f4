"""The pipeline's machinery, on a small model with random weights; accuracy is judged in test_compact_model.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffugts.calibration import Calibration
from diffugts.described_search import suspicion
from diffugts.errors import Cancelled, ModelError
from diffugts.findings.lesions import cut
from diffugts.generated.phantom import draw_phantom
from diffugts.inpainting import painted_voxels
from diffugts.models import describe_model, find_model, load_pipeline
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.preset import TWO_LOOKS
from diffugts.protocol import Region, Stage
from diffugts.refinement import RefinementWeights
from diffugts.scans.region import region_mask
from small_model import small_pipeline

TEXTS = ["soft tissue sarcoma", "liver tumour"]


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


@pytest.fixture(scope="module")
def scan():
    return draw_phantom(0, "thigh", "CT", size=(48, 56, 64)).scan


@pytest.fixture(scope="module")
def low_threshold(pipeline, scan) -> float:
    """A threshold below random weights' scores, so that every stage has something to do."""
    ways = [pipeline.encode(scan, views=way) for way in pipeline.preset.ways_of_looking]
    scores = [pipeline.attend(encoded, TEXTS)[0].score for encoded in ways]
    return min(float(np.percentile(score, 99)) for score in scores)


def test_saving_and_loading_gives_the_same_weights_preset_and_result(pipeline, scan, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    again = DiffuGTSPipeline.from_pretrained(tmp_path / "model")
    for part in ("autoencoder", "denoiser", "attention"):
        before, after = getattr(pipeline, part).state_dict(), getattr(again, part).state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
    assert again.preset == pipeline.preset
    assert again.identity.weights_sha256 == describe_model(tmp_path / "model").weights_sha256
    first = pipeline(scan, TEXTS, "fast").findings[0].score_map
    assert np.array_equal(first, again(scan, TEXTS, "fast").findings[0].score_map)


@pytest.mark.parametrize("quality", ["fast", "standard", "thorough"])
def test_results_lie_on_the_scans_grid_and_repeat_exactly(pipeline, scan, low_threshold, quality) -> None:
    one, two = (pipeline(scan, TEXTS, quality, threshold=low_threshold, seed=3) for _ in range(2))
    assert len(one.findings) == 2
    for a, b in zip(one.findings, two.findings, strict=True):
        assert a.score_map.shape == a.mask.shape == scan.voxels.shape
        assert a.score_map.min() >= 0 and a.score_map.max() <= 1
        assert np.array_equal(a.score_map, b.score_map)
        assert np.array_equal(a.mask, b.mask)
    if quality == "fast":
        assert one.pseudo_healthy is None
    else:
        assert np.array_equal(one.pseudo_healthy, two.pseudo_healthy)
        assert np.allclose(scan.voxels - one.pseudo_healthy, one.residual, atol=1e-3)
        far = one.residual[~np.isclose(one.residual, 0)]
        assert far.size, "something was inpainted"


def test_a_kept_scan_gives_what_a_fresh_one_does(pipeline, scan) -> None:
    encoded = pipeline.encode(scan)
    assert encoded.nbytes > scan.voxels.nbytes
    kept = pipeline(encoded, TEXTS, "fast").findings[1].score_map
    assert np.array_equal(kept, pipeline(scan, TEXTS, "fast").findings[1].score_map)


def test_nothing_changes_outside_the_inpainted_hole(pipeline, scan, low_threshold) -> None:
    result = pipeline(scan, TEXTS[:1], "standard", threshold=low_threshold)
    near = ndimage.binary_dilation(result.hole, iterations=6)
    assert np.array_equal(result.pseudo_healthy[~near], scan.voxels[~near])


def test_a_scan_without_a_finding_has_no_pseudo_healthy_volume(pipeline, scan) -> None:
    result = pipeline(scan, TEXTS[:1], "standard", threshold=0.9999)
    assert result.pseudo_healthy is None
    assert result.findings[0].verdict.value == "not found"
    assert "Nothing above" in result.findings[0].notes[-1]


def test_regions_that_are_uncertain_alone_are_left_out_at_the_models_own_threshold_only(pipeline, scan) -> None:
    """The mask can be cut from the map again, and a run that is made again, given the threshold it had, gives the same."""
    attention = pipeline.attend(pipeline.encode(scan), TEXTS[:1])[0]
    scores = pipeline.score_map(pipeline.encode(scan), attention.score)
    low = float(np.percentile(scores, 99))
    peaks = sorted(
        lesion.highest_score for lesion in pipeline(scan, TEXTS[:1], "fast", threshold=low).findings[0].lesions
    )
    assert len(peaks) > 2, "the test needs several regions"
    calibration = Calibration(low, 0.0, uncertain_range=(low, (peaks[0] + peaks[-1]) / 2))
    levels = {name: replace(level, calibration=calibration) for name, level in pipeline.preset.qualities.items()}
    before, pipeline.preset = pipeline.preset, replace(pipeline.preset, qualities=levels)
    try:
        own, again, lower = (
            pipeline(scan, TEXTS[:1], "fast", threshold=t).findings[0] for t in (None, low, low - 2e-6)
        )
    finally:
        pipeline.preset = before
    assert 0 < len(own.lesions) < len(peaks) <= len(lower.lesions)
    assert np.array_equal(own.mask, again.mask) and np.array_equal(own.score_map, again.score_map)
    assert np.array_equal(own.mask, cut(own.score_map, low, 0.1, scan.geometry))
    assert any("left out" in note for note in own.notes) and not any("left out" in note for note in lower.notes)


def test_a_region_limits_findings(pipeline, scan, low_threshold) -> None:
    corner = scan.geometry.ijk_to_ras @ np.array([[0, 63], [0, 55], [0, 47], [1, 1]])
    low, high = corner[:3].min(1), corner[:3].max(1)
    middle = (low[0] + high[0]) / 2
    region = Region(tuple(low), (middle, high[1], high[2]))
    mask = (
        pipeline(scan, TEXTS[:1], "fast", region=region, threshold=low_threshold, smallest_lesion_ml=0).findings[0].mask
    )
    places = np.argwhere(mask)[:, ::-1]
    assert len(places)
    ras = (scan.geometry.ijk_to_ras @ np.c_[places, np.ones(len(places))].T)[0]
    assert ras.max() <= middle + 1e-6


def test_a_rough_mask_limits_findings_as_a_region_does(pipeline, scan, low_threshold) -> None:
    """The attention sees the whole scan as before; what it says outside the mask is left out."""
    options = {"threshold": low_threshold, "smallest_lesion_ml": 0}
    free = pipeline(scan, TEXTS[:1], "fast", **options)
    rough = np.zeros(scan.geometry.shape, bool)
    rough[..., : int(np.median(np.nonzero(free.findings[0].mask)[2])) + 1] = True
    limited = pipeline(scan, TEXTS[:1], "fast", region=rough, **options)
    assert free.findings[0].mask[~rough].any() and limited.findings[0].mask.any()
    assert np.array_equal(limited.findings[0].score_map, np.where(rough, free.findings[0].score_map, 0))
    assert limited.findings[0].anomaly_score == free.findings[0].anomaly_score
    assert free.rough_mask is None and np.array_equal(limited.rough_mask, rough)


@pytest.mark.parametrize("kind", ["box", "mask"])
def test_a_region_limits_what_is_painted(pipeline, scan, low_threshold, kind) -> None:
    corners = scan.geometry.ijk_to_ras @ np.array([[0, 31], [0, 55], [0, 47], [1, 1]])
    box = Region(tuple(corners[:3].min(1)), tuple(corners[:3].max(1)))
    inside = region_mask(scan.geometry, box)
    options = {"quality": "standard", "threshold": low_threshold}
    free = pipeline(scan, TEXTS[:1], **options)
    limited = pipeline(scan, TEXTS[:1], region=box if kind == "box" else inside, **options)
    assert free.residual[~inside].any() and limited.residual[inside].any()
    assert not limited.residual[~inside].any() and not limited.hole[~inside].any()
    assert np.array_equal(limited.pseudo_healthy[~inside], scan.voxels[~inside])


def test_what_is_suspected_outside_the_region_alone_is_not_painted(pipeline, scan, low_threshold) -> None:
    free = pipeline(scan, TEXTS, "standard", threshold=low_threshold, smallest_lesion_ml=0)
    suspected = np.any([finding.mask for finding in free.findings], axis=0)
    elsewhere = ~ndimage.binary_dilation(suspected, iterations=3)
    limited = pipeline(scan, TEXTS, "standard", region=elsewhere, threshold=low_threshold)
    assert free.pseudo_healthy is not None and elsewhere.any()
    assert limited.pseudo_healthy is None and limited.residual is None and limited.hole is None


class Stop:
    """A progress callback that cancels at a step of a stage."""

    def __init__(self, stage: Stage, done: int = 0) -> None:
        self.stage, self.done = stage, done
        self.seen: list[tuple[Stage, int, int]] = []

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        self.seen.append((stage, done, total))
        assert 0 <= done <= total
        if stage is self.stage and done >= self.done:
            raise Cancelled("stop")


@pytest.mark.parametrize("stage", [Stage.ENCODING, Stage.ATTENDING])
def test_cancelled_before_the_first_description_is_finished_there_is_nothing(
    pipeline, scan, low_threshold, stage
) -> None:
    stop = Stop(stage)
    with pytest.raises(Cancelled):
        pipeline(scan, TEXTS, "standard", threshold=low_threshold, progress=stop)
    assert stop.seen[-1][0] is stage


def test_cancelled_between_descriptions_the_finished_one_is_as_in_a_whole_run(pipeline, scan, low_threshold) -> None:
    whole = pipeline(scan, TEXTS, "fast", threshold=low_threshold)
    part = pipeline(scan, TEXTS, "fast", threshold=low_threshold, progress=Stop(Stage.ATTENDING, 1))
    assert part.cancelled and part.unfinished == (TEXTS[1],) and not whole.cancelled and whole.unfinished == ()
    (kept,) = part.findings
    assert np.array_equal(kept.score_map, whole.findings[0].score_map)
    assert np.array_equal(kept.mask, whole.findings[0].mask) and kept.lesions == whole.findings[0].lesions


@pytest.mark.parametrize("stage", [Stage.INPAINTING, Stage.REFINING])
def test_cancelled_while_tissue_is_painted_every_description_is_there_if_nothing_changes_it(
    pipeline, scan, low_threshold, stage
) -> None:
    assert not pipeline.preset.refinement.changes_mask
    part = pipeline(scan, TEXTS, "standard", threshold=low_threshold, progress=Stop(stage))
    assert part.cancelled and len(part.findings) == 2 and part.unfinished == ()
    assert part.pseudo_healthy is None


def test_where_refining_changes_findings_those_not_refined_yet_are_not_finished(pipeline, scan, low_threshold) -> None:
    before = pipeline.preset
    pipeline.preset = replace(before, refinement=replace(before.refinement, pixel=1.0))
    try:
        assert pipeline.preset.refinement.changes_mask
        with pytest.raises(Cancelled):
            pipeline(scan, TEXTS, "standard", threshold=low_threshold, progress=Stop(Stage.INPAINTING))
        part = pipeline(scan, TEXTS, "standard", threshold=low_threshold, progress=Stop(Stage.REFINING, 2))
        whole = pipeline(scan, TEXTS, "standard", threshold=low_threshold)
    finally:
        pipeline.preset = before
    assert part.unfinished == (TEXTS[1],) and part.pseudo_healthy is not None
    assert np.array_equal(part.findings[0].score_map, whole.findings[0].score_map)
    assert [finding.description for finding in whole.findings] == TEXTS


@pytest.mark.parametrize("weights", [RefinementWeights(), RefinementWeights(0.8, 0.6, 0.4, -0.3, rejection=0.2)])
def test_the_four_stages_called_one_by_one_give_what_all_of_it_gives(pipeline, scan, low_threshold, weights) -> None:
    before = pipeline.preset
    pipeline.preset = replace(before, threshold=low_threshold, refinement=weights)
    steps: list[tuple[Stage, int, int]] = []
    try:
        encoded = pipeline.encode(scan, views=TWO_LOOKS)
        (attention,) = pipeline.attend(encoded, TEXTS[:1])
        calibration, steps_taken = pipeline.preset.calibration("standard"), before.qualities["standard"].steps
        suspected, silent = suspicion(
            pipeline, encoded, [attention], calibration, pipeline.rule(calibration, low_threshold), 0.1
        )
        hole = pipeline.hole(encoded, suspected)
        painted = painted_voxels(suspected, hole)
        healthy = pipeline.inpaint(encoded, hole, steps_taken, painted=painted, healthy=silent)
        score = pipeline.refine(encoded, attention, healthy, progress=lambda *step: steps.append(step))
        whole = pipeline(scan, TEXTS[:1], "standard", smallest_lesion_ml=0)
    finally:
        pipeline.preset = before
    assert np.array_equal(score, whole.findings[0].score_map)
    assert np.array_equal(score > low_threshold, whole.findings[0].mask) and whole.findings[0].mask.any()
    assert bool(steps) is weights.changes_mask and all(0 <= done <= total for _, done, total in steps)


def test_a_folder_that_is_no_model_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model 'nowhere'"):
        find_model("nowhere")
    with pytest.raises(ModelError, match="preset.json"):
        load_pipeline(tmp_path)


def test_pickled_weights_are_never_loaded(pipeline, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    pipeline.save_pretrained(folder)
    weights = next((folder / "denoiser").glob("*.safetensors"))
    torch.save(pipeline.denoiser.state_dict(), weights.with_suffix(".bin"))
    weights.unlink()
    with pytest.raises(ModelError, match="missing or damaged"):
        load_pipeline(folder)


@pytest.mark.parametrize("damage", ["truncate", "remove", "preset"])
def test_a_damaged_model_is_refused_with_a_sentence(pipeline, tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "model"
    pipeline.save_pretrained(folder)
    weights = next((folder / "denoiser").glob("*.safetensors"))
    if damage == "truncate":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif damage == "remove":
        weights.unlink()
    else:
        (folder / "preset.json").write_text('{"name": "x"}')
    with pytest.raises(ModelError, match="damaged|install|Install"):
        load_pipeline(folder)
