"""Agreement of masks whose overlap and distance are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from diffugts.evaluation.overlap import ABSENT_MM, dice, hausdorff95_mm, measure_overlap, surface_dice


def block(low: int, high: int, size: int = 20) -> np.ndarray:
    mask = np.zeros((size,) * 3, bool)
    mask[low:high, low:high, low:high] = True
    return mask


def test_dice_of_known_overlaps() -> None:
    assert dice(block(5, 10), block(5, 10)) == 1
    assert dice(block(0, 5), block(10, 15)) == 0
    assert dice(block(4, 8), block(6, 10)) == pytest.approx(2 * 8 / (64 + 64))
    assert dice(block(0, 0), block(0, 0)) == 1, "nothing found where nothing is, is right"
    assert dice(block(0, 0), block(5, 10)) == 0


def test_outlines_agree_within_the_tolerance_and_not_beyond_it() -> None:
    truth = block(5, 15, 30)
    shifted = np.roll(truth, 1, 0)
    assert surface_dice(shifted, truth, (1.0, 1.0, 1.0)) == 1.0
    ends = 2 * 10 * 10 / (2 * 10 * 10 + 4 * 10 * 50)  # share of the box's surface that lies across the shift
    thick = surface_dice(shifted, truth, (5.0, 1.0, 1.0))
    assert thick == pytest.approx(1 - ends, abs=0.01), "the same shift on thick slices is 5 mm"


def test_distances_are_in_millimetres_along_each_axis() -> None:
    truth = block(5, 15, 30)
    for axis, spacing in enumerate((3.0, 2.0, 1.0)):
        assert hausdorff95_mm(np.roll(truth, 4, axis), truth, (3.0, 2.0, 1.0)) == pytest.approx(4 * spacing)


def test_an_empty_mask_is_right_only_where_nothing_is() -> None:
    nothing, something = block(0, 0), block(5, 10)
    right = measure_overlap(nothing, nothing, (1.0, 1.0, 1.0))
    assert (right.dsc, right.nsd, right.hd95_mm, right.found_ml) == (1, 1, 0, 0)
    missed, made_up = (measure_overlap(a, b, (1.0, 1.0, 1.0)) for a, b in ((nothing, something), (something, nothing)))
    for wrong in (missed, made_up):
        assert (wrong.dsc, wrong.nsd, wrong.hd95_mm) == (0, 0, ABSENT_MM)
    assert made_up.false_positive_ml == pytest.approx(0.125) and missed.false_positive_ml == 0


def test_volumes_follow_the_spacing() -> None:
    figures = measure_overlap(block(4, 8), block(6, 10), (2.0, 1.0, 0.5))
    assert (figures.truth_ml, figures.found_ml) == pytest.approx((0.064, 0.064))
    assert figures.false_positive_ml == pytest.approx(0.056)


def test_a_mask_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        measure_overlap(block(2, 4, 10), block(2, 4, 12), (1.0, 1.0, 1.0))
