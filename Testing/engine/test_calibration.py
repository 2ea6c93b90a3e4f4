"""Scaled scores: the same masks at the scaled threshold, and figures that say what they mean."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.calibration import Calibration
from diffugts.generated.phantom import draw_phantom
from diffugts.preset import ModelPreset
from diffugts.refinement import RefinementWeights
from small_model import small_pipeline

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"
TEXT = "soft tissue sarcoma"
SCALED = Calibration(0.3, 0.7, (0.2, 0.6), scale=0.6, bias=-2.0)


@given(st.floats(0.3, 2), st.floats(-3, 3), st.floats(0.05, 0.95), st.integers(0, 99))
def test_the_mask_at_a_threshold_is_that_of_the_scaled_map_at_the_scaled_threshold(
    scale, bias, threshold, seed
) -> None:
    score = np.random.default_rng(seed).uniform(size=(4, 5, 6))
    score[0, 0, :2] = 0, 1
    calibration = Calibration(0.5, 0.5, scale=scale, bias=bias)
    scaled = calibration.scaled(score)
    assert np.array_equal(score > threshold, scaled > calibration.scaled(np.array([threshold]))[0])
    assert np.array_equal(np.argsort(score, axis=None), np.argsort(scaled, axis=None))
    assert (scaled[0, 0, 0], scaled[0, 0, 1]) == (0, 1) and calibration.scaled(
        score.astype(np.float32)
    ).dtype == np.float32


def test_odds_are_scaled_as_stated_and_nothing_is_touched_where_nothing_was_measured() -> None:
    score = np.array([[0.2, 0.5], [0.8, 0.9]], np.float32)
    odds = (score / (1 - score)) ** 0.6 * np.exp(-2.0)
    assert SCALED.scaled(score) == pytest.approx(odds / (1 + odds), rel=1e-5)
    assert Calibration(0.5, 0.5).scaled(score) is score


def test_a_preset_without_calibration_is_read_as_before(tmp_path: Path) -> None:
    facts = json.loads((COMPACT / "preset.json").read_text(encoding="utf-8"))
    for level in facts["qualities"].values():
        level.pop("calibration", None)
    (tmp_path / "preset.json").write_text(json.dumps(facts), encoding="utf-8")
    preset = ModelPreset.load(tmp_path)
    for quality in ("fast", "standard", "thorough"):
        assert preset.calibration(quality) == Calibration(facts["threshold"], facts["least_anomaly_score"])


def test_a_preset_keeps_the_calibration_of_each_quality_level(tmp_path: Path) -> None:
    preset = with_calibration(ModelPreset("small", "A small model"), fast=SCALED)
    preset.save(tmp_path)
    assert ModelPreset.load(tmp_path) == preset
    assert preset.calibration("fast") == SCALED and preset.calibration("standard").threshold == preset.threshold


def with_calibration(preset: ModelPreset, **measured: Calibration) -> ModelPreset:
    levels = {name: replace(level, calibration=measured.get(name)) for name, level in preset.qualities.items()}
    return replace(preset, qualities=levels)


@pytest.fixture(scope="module")
def scan():
    return draw_phantom(0, "thigh", "CT", size=(48, 56, 64)).scan


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


@pytest.mark.parametrize("rejection", [0.0, 1e-9], ids=["attention alone", "through the refinement"])
@pytest.mark.parametrize("quality", ["fast", "standard"])
def test_a_calibration_changes_scores_and_no_mask(pipeline, scan, quality, rejection) -> None:
    plain = ModelPreset("small", "A small model", refinement=RefinementWeights(rejection=rejection))
    pipeline.preset = plain
    highest = pipeline(scan, [TEXT], quality).findings[0].score_map
    cut = float(np.percentile(highest, 99))
    scaled_cut = float(SCALED.scaled(np.array([cut]))[0])
    pipeline.preset = replace(plain, threshold=cut)
    before = pipeline(scan, [TEXT], quality, smallest_lesion_ml=0)
    pipeline.preset = with_calibration(plain, **{quality: replace(SCALED, threshold=scaled_cut)})
    after = pipeline(scan, [TEXT], quality, smallest_lesion_ml=0)
    one, other = before.findings[0], after.findings[0]
    # Untrained scores differ by less than 0.01, and single precision rounds: a voxel at the threshold may fall either way.
    assert one.mask.any() and (one.mask != other.mask).sum() <= 0.002 * one.mask.sum()
    assert other.threshold == scaled_cut and other.anomaly_score == one.anomaly_score
    assert np.allclose(other.score_map, SCALED.scaled(one.score_map), atol=1e-3)
    assert other.highest_score == other.score_map.max() and other.lesions[0].highest_score <= other.highest_score
    assert not np.allclose(other.score_map, one.score_map, atol=0.05)
    if quality == "standard":
        assert np.array_equal(before.hole, after.hole)


def test_each_quality_level_is_cut_by_its_own_threshold_unless_the_user_gives_one(pipeline, scan) -> None:
    own = {"fast": replace(SCALED, threshold=0.31), "standard": replace(SCALED, threshold=0.27)}
    pipeline.preset = with_calibration(ModelPreset("small", "A small model"), **own)
    encoded = pipeline.encode(scan)
    assert pipeline(encoded, [TEXT], "fast").findings[0].threshold == 0.31
    assert pipeline(encoded, [TEXT], "standard").findings[0].threshold == 0.27
    assert pipeline(encoded, [TEXT], "thorough").findings[0].threshold == pipeline.preset.threshold
    assert pipeline(encoded, [TEXT], "fast", threshold=0.9).findings[0].threshold == 0.9
