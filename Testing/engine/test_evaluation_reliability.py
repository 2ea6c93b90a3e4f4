"""Reliability of scores and the worth of verdicts, on maps whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from diffugts.evaluation.reliability import ScoredTissue, VerdictWorth, calibration_error, reliability
from diffugts.evaluation.reliability_diagram import reliability_diagram


def drawn(exponent: float, seed: int = 0) -> ScoredTissue:
    """Scores that come true with probability score ** exponent: 1 is honest, more is boastful."""
    rng = np.random.default_rng(seed)
    scores = rng.uniform(size=(40, 50, 60)).astype(np.float32)
    return ScoredTissue.of(scores, rng.uniform(size=scores.shape) < scores**exponent, voxel_ml=0.008)


def test_scores_that_come_true_as_often_as_they_say_have_no_calibration_error() -> None:
    rows = reliability([drawn(1.0), drawn(1.0, seed=1)])
    assert [row.low for row in rows] == pytest.approx([n / 10 for n in range(10)])
    assert all(abs(row.share - row.score) < 0.02 for row in rows) and calibration_error(rows) < 0.01


def test_scores_that_promise_too_much_show_it() -> None:
    rows = reliability([drawn(3.0)])
    assert calibration_error(rows) == pytest.approx(np.mean([s - s**3 for s in np.linspace(0.1, 1, 1000)]), abs=0.01)
    assert all(row.share < row.score for row in rows)


def test_volumes_are_in_ml_and_cases_of_other_voxels_weigh_by_their_tissue() -> None:
    truth = np.zeros((4, 5, 6), bool)
    small = ScoredTissue.of(np.full(truth.shape, 0.55), ~truth, voxel_ml=0.001)
    large = ScoredTissue.of(np.full(truth.shape, 0.55), truth, voxel_ml=0.003)
    (row,) = reliability([small, large])
    assert row.tissue_ml == pytest.approx(0.48) and row.share == pytest.approx(0.25)
    assert row.score == pytest.approx(0.55)


def test_the_easy_background_does_not_hide_the_error() -> None:
    scores = np.zeros((10, 10, 10))
    scores[0] = 0.95
    rows = reliability([ScoredTissue.of(scores, scores > 1, 0.008)])
    assert calibration_error(rows) == pytest.approx(0.95)
    silent = reliability([ScoredTissue.of(np.zeros((5, 5, 5)), np.zeros((5, 5, 5), bool), 0.008)])
    assert np.isnan(calibration_error(silent)) and "No tissue scores" in reliability_diagram(silent)


def test_a_score_of_one_lies_in_the_last_bin_and_the_diagram_tells_every_bin() -> None:
    rows = reliability([ScoredTissue.of(np.array([[[0.0, 0.5, 1.0]]]), np.array([[[False, True, True]]]), 1.0)])
    assert [row.high for row in rows] == pytest.approx([0.1, 0.6, 1.0]) and rows[-1].share == 1
    picture = reliability_diagram(rows)
    assert picture.count("<circle") == 3 and "score 0.9 to 1.0: 1 ml, 100 % of it tumour" in picture


def test_not_found_is_right_where_nothing_is_and_found_where_the_mask_meets_a_tumour() -> None:
    assert VerdictWorth("found", 8, 1, 2).right == 8
    assert VerdictWorth("not found", 0, 3, 5).right == 5
    assert VerdictWorth("uncertain", 4, 3, 2).cases == 9
