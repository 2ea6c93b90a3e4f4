"""Scale, uncertain scores and bound of the anomaly score, from scores whose kind and truth are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.evaluation.measures import dice
from diffugts.training.calibration import (
    HIGHEST_BOUND,
    LOWEST_BOUND,
    calibrate,
    fitted_scale,
    least_anomaly_score,
    score_scale,
    uncertain_range,
)
from diffugts.training.looks import Look, WholeScan

scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_where_the_two_kinds_part_the_bound_lies_between_them() -> None:
    assert least_anomaly_score([0.9] * 10, [0.4] * 10) == pytest.approx(0.65)


def test_where_they_overlap_found_stays_believable() -> None:
    absent = [n / 20 for n in range(20)]
    bound = least_anomaly_score([0.2, 0.5, 0.9, 0.95], absent)
    assert sum(score >= bound for score in absent) <= 2


@given(scores, scores)
def test_one_scan_in_ten_without_a_tumour_reaches_it_at_most_unless_no_bound_may_be_that_high(present, absent) -> None:
    bound = least_anomaly_score(present, absent)
    assert LOWEST_BOUND <= bound <= HIGHEST_BOUND
    above = sum(score > bound + 0.005 for score in absent)
    assert above <= 0.1 * (len(absent) - 1) + 1 or bound == HIGHEST_BOUND


def test_a_bound_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="needs scans"):
        least_anomaly_score([], [0.5])


def scan_scores(patient: str, scale: float, bias: float, seed: int = 0, ill: bool = True) -> Look:
    """A scan whose tissue of score s is tumour with odds exp(bias) (s / (1 - s)) ** scale; without a tumour, none is."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(size=(20, 30, 40)).astype(np.float32)
    logit = np.log(score / (1 - score))
    truth = rng.uniform(size=score.shape) < 1 / (1 + np.exp(-(scale * logit + bias)))
    return Look(f"{patient} {seed}", patient, score, truth & ill, 0.5)


BOASTFUL = [scan_scores(patient, 0.6, -1.2, seed) for seed, patient in enumerate("AABC")]


def test_scores_that_promise_too_much_are_scaled_to_what_they_keep() -> None:
    assert fitted_scale(BOASTFUL) == pytest.approx((0.6, -1.2), abs=0.05)
    scale, bias, errors = score_scale(BOASTFUL, [])
    assert (scale, bias) == pytest.approx((0.6, -1.2), abs=0.05)
    assert errors["calibration_error"] > 0.15 and errors["calibration_error_scaled_by_other_patients"] < 0.02


def test_scores_stay_as_they_are_where_other_patients_teach_the_opposite() -> None:
    apart = [scan_scores("A", 1, -2), scan_scores("B", 1, 2, seed=1)]
    scale, bias, errors = score_scale(apart, [])
    assert errors["calibration_error_scaled_by_other_patients"] >= errors["calibration_error"]
    assert (scale, bias) == (1, 0)


def test_a_patient_is_never_scaled_by_a_scan_of_its_own() -> None:
    two_scans_of_one = [scan_scores("A", 0.6, -1.2, seed) for seed in range(2)]
    scale, bias, errors = score_scale(two_scans_of_one, [])
    assert (scale, bias) == (1, 0) and np.isnan(errors["calibration_error_scaled_by_other_patients"])


def test_tumour_free_scans_count_in_the_error_and_teach_nothing() -> None:
    free = [scan_scores(f"free {n}", 1, 0, n, ill=False) for n in range(3)]
    assert score_scale(BOASTFUL, free)[:2] == score_scale(BOASTFUL, [])[:2]
    errors = score_scale(BOASTFUL, free)[2]
    assert errors["calibration_error"] > errors["calibration_error_with_tumour"]
    assert (
        errors["calibration_error_scaled_by_other_patients"]
        > errors["calibration_error_with_tumour_scaled_by_other_patients"]
    )


def test_a_large_tumour_does_not_decide_alone() -> None:
    small = [replace(look, score=look.score[:2], truth=look.truth[:2]) for look in BOASTFUL[:2]]
    large = [scan_scores("C", 1, 1, seed) for seed in (7, 8)]
    scale, bias = fitted_scale([*small, *large])
    assert bias == pytest.approx(-0.1, abs=0.2), "half-way, though C has ten times the tissue"
    assert 0.6 < scale < 1


def test_nothing_is_scaled_without_both_kinds_of_tissue_or_where_scores_mean_the_opposite() -> None:
    assert fitted_scale([scan_scores("A", 1, 0, ill=False)]) == (1, 0)
    assert fitted_scale([scan_scores("A", -1, 0)]) == (1, 0)


scaled_scores = st.lists(st.floats(0, 1), min_size=10, max_size=40)


@given(scaled_scores, scaled_scores, st.floats(0.2, 0.8))
def test_one_in_ten_lies_on_the_wrong_side_of_the_uncertain_scores_at_most(present, absent, threshold) -> None:
    threshold = round(threshold, 4)
    low, high = uncertain_range(present, absent, threshold, threshold - 0.1)
    assert low <= threshold <= high
    assert sum(score > high + 1e-4 for score in absent) <= 0.1 * (len(absent) - 1) + 1 or high == HIGHEST_BOUND
    missed = sum(score < low - 1e-4 for score in present)
    unknown = np.quantile(present, 0.1) < np.median(absent)
    assert missed <= 0.1 * (len(present) - 1) + 1 or (unknown and low == pytest.approx(threshold - 0.1, abs=1e-4))


def test_tumours_that_score_like_healthy_tissue_leave_the_lower_end_to_the_margin() -> None:
    absent = [n / 20 for n in range(10)]
    assert uncertain_range([0.3] * 4 + [0.9] * 20, absent, 0.5, 0.4)[0] == pytest.approx(0.3)
    assert uncertain_range([0.05] * 4 + [0.9] * 20, absent, 0.5, 0.4)[0] == pytest.approx(0.4)


def test_too_few_scans_measure_no_range() -> None:
    assert uncertain_range([0.9] * 9, [0.1] * 30, 0.5, 0.4) is None
    assert uncertain_range([0.9] * 30, [0.1] * 9, 0.5, 0.4) is None


def test_a_calibration_keeps_the_masks_and_counts_its_verdicts() -> None:
    free = [scan_scores(f"free {n}", 1, 0, n, ill=False) for n in range(2)]
    free = [replace(look, score=look.score / 2, anomaly_score=0.1) for look in free]
    present = {f"p{n}": WholeScan(0.99, 0.9) for n in range(20)}
    absent = {f"a{n}": WholeScan(0.4, 0.1) for n in range(20)}
    ill = [replace(look, anomaly_score=0.9) for look in BOASTFUL]
    calibration, figures = calibrate(0.7, ill, free, present, absent, 0.15)
    for look in ill:
        assert dice(calibration.scaled(look.score) > calibration.threshold, look.truth) == pytest.approx(
            dice(look.score > 0.7, look.truth), abs=1e-3
        )
    assert calibration.threshold == pytest.approx(float(calibration.scaled(np.array([0.7]))[0]), abs=1e-4)
    assert {k: figures["scans_with_tumour"][k] for k in ("found", "not found")} == {"found": 24, "not found": 0}
    assert figures["scans_without"]["found"] == 0 and figures["scans_without"]["not found"] == 20 + 2
    assert figures["scans_with_tumour"]["each"]["p0"]["anomaly_score"] == 0.9
