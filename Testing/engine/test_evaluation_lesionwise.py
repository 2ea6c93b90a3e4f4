"""The rules of BraTS 2023, one by one, on lesions placed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from diffugts.evaluation.lesionwise import METASTASIS_RULES, dilation_voxels, score_lesions
from diffugts.evaluation.overlap import ABSENT_MM

ONE_MM = (1.0, 1.0, 1.0)


def cubes(*places: tuple[int, int, int], side: int = 5, size: int = 60) -> np.ndarray:
    mask = np.zeros((size,) * 3, bool)
    for k, j, i in places:
        mask[k : k + side, j : j + side, i : i + side] = True
    return mask


def test_each_lesion_counts_the_same_however_large() -> None:
    truth = cubes((5, 5, 5), side=20) | cubes((45, 45, 45))
    scores = score_lesions(cubes((5, 5, 5), side=20), truth, ONE_MM)
    assert [lesion.detected for lesion in scores.lesions] == [True, False]
    assert scores.dsc == pytest.approx(0.5), "the small one is missed, and is half of the mean"
    assert (scores.recall, scores.precision, scores.f1) == (0.5, 1.0, pytest.approx(2 / 3))


def test_a_false_lesion_counts_with_nought_and_the_longest_distance() -> None:
    truth = cubes((5, 5, 5))
    scores = score_lesions(truth | cubes((40, 40, 40)), truth, ONE_MM)
    assert scores.false_positives == 1
    assert scores.dsc == pytest.approx(0.5)
    assert scores.hd95_mm == pytest.approx(ABSENT_MM / 2)


def test_parts_that_touch_after_dilation_are_one_lesion() -> None:
    near, far = cubes((5, 5, 5), (5, 5, 15)), cubes((5, 5, 5), (5, 5, 25))
    assert len(score_lesions(near, near, ONE_MM).lesions) == 1, "a gap of 5 mm is closed by 3 mm from each side"
    assert len(score_lesions(far, far, ONE_MM).lesions) == 2
    assert len(score_lesions(near, near, ONE_MM, METASTASIS_RULES).lesions) == 2, "metastases reach 1 mm"


def test_what_touches_the_dilated_lesion_belongs_to_it() -> None:
    truth = cubes((5, 5, 5))
    beside = score_lesions(cubes((5, 5, 12)), truth, ONE_MM)
    assert (beside.detected, beside.false_positives, beside.dsc) == (1, 0, 0.0), "found 2 mm beside it, without overlap"
    away = score_lesions(cubes((5, 5, 20)), truth, ONE_MM)
    assert (away.detected, away.false_positives) == (0, 1)


def test_one_mask_over_two_lesions_is_held_against_each() -> None:
    truth = cubes((5, 5, 5), (5, 5, 30))
    joined = np.zeros_like(truth)
    joined[5:10, 5:10, 5:35] = True
    scores = score_lesions(joined, truth, ONE_MM)
    assert scores.detected == 2 and scores.false_positives == 0
    assert [lesion.dsc for lesion in scores.lesions] == [pytest.approx(2 * 125 / (750 + 125))] * 2


def test_specks_of_the_truth_are_left_out_but_what_lies_on_them_is_no_false_lesion() -> None:
    truth = cubes((5, 5, 5)) | cubes((40, 40, 40), side=3)
    scores = score_lesions(truth, truth, ONE_MM)
    assert len(scores.lesions) == 1 and scores.false_positives == 0
    assert len(score_lesions(truth, truth, ONE_MM, METASTASIS_RULES).lesions) == 2, "27 mm³ is more than 2"


def test_nothing_where_nothing_is_has_full_marks() -> None:
    nothing = cubes()
    scores = score_lesions(nothing, nothing, ONE_MM)
    assert (scores.dsc, scores.hd95_mm, scores.f1) == (1.0, 0.0, 1.0)
    alarm = score_lesions(cubes((5, 5, 5)), nothing, ONE_MM)
    assert (alarm.dsc, alarm.hd95_mm, alarm.precision) == (0.0, ABSENT_MM, 0.0)


def test_the_reach_is_the_same_in_millimetres_on_thick_slices() -> None:
    assert dilation_voxels(ONE_MM, 3.0) == (3, 3, 3)
    assert dilation_voxels((5.0, 0.75, 0.75), 3.0) == (1, 4, 4)
    apart = cubes((5, 5, 5), (15, 5, 5))
    assert len(score_lesions(apart, apart, (1.0, 1.0, 1.0)).lesions) == 1
    assert len(score_lesions(apart, apart, (5.0, 1.0, 1.0)).lesions) == 2, "five slices of 5 mm lie between them"
