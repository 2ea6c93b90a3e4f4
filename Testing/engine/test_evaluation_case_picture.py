"""What the picture of a case shows: the right slices, on a grey scale that suits the place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.image import imread

from diffugts.evaluation.case_picture import draw_case, grey_scale, shown_slices
from diffugts.evaluation.methods import prediction_of_mask
from diffugts.findings.picture import LUNG_HU, SOFT_TISSUE_HU
from diffugts.scans.scan import Geometry, Scan


def with_blocks(*slices: tuple[int, int]) -> np.ndarray:
    """A mask with a square of the given side in each given slice."""
    mask = np.zeros((20, 24, 24), bool)
    for number, side in slices:
        mask[number, 2 : 2 + side, 2 : 2 + side] = True
    return mask


def scan(value: float) -> Scan:
    voxels = np.full((20, 24, 24), value, np.float32)
    voxels[:, :2] = -1000
    geometry = Geometry((24, 24, 20), (2.0, 2.0, 5.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    return Scan(voxels, geometry, "CT")


def test_the_truths_largest_slice_is_shown_and_a_mask_elsewhere_gets_a_row_of_its_own() -> None:
    truth = with_blocks((5, 3), (6, 5))
    assert shown_slices(truth, with_blocks((6, 4)), None) == [6]
    assert shown_slices(truth, with_blocks((6, 2), (15, 6)), None) == [6, 15]
    assert shown_slices(truth, with_blocks(), None) == [6], "nothing found: the truth alone"


def test_without_a_truth_the_false_alarm_is_shown_or_the_highest_score() -> None:
    nothing = with_blocks()
    assert shown_slices(nothing, with_blocks((12, 3)), None) == [12]
    score = np.zeros(nothing.shape, np.float32)
    score[7, 3, 3] = 0.4
    assert shown_slices(nothing, nothing, score) == [7]
    assert shown_slices(nothing, nothing, None) == [10]


def test_a_lesion_in_the_lung_is_shown_in_the_lungs_window() -> None:
    lesion = with_blocks((10, 5))
    assert grey_scale(scan(-800.0), lesion) == LUNG_HU
    assert grey_scale(scan(40.0), lesion) == SOFT_TISSUE_HU


def test_the_picture_is_drawn_with_and_without_a_score_map(tmp_path: Path) -> None:
    truth, mask = with_blocks((6, 5)), with_blocks((6, 4), (15, 6))
    for number, score in enumerate((None, mask * np.float32(0.8))):
        draw_case(scan(40.0), truth, prediction_of_mask(mask, 0.0, score), tmp_path / f"{number}.png")
    plain, mapped = (imread(tmp_path / f"{number}.png") for number in (0, 1))
    assert plain.shape == mapped.shape and plain.shape[1] > 2 * plain.shape[0], "five panes a row, two rows"
    assert np.abs(plain - mapped).max() > 0.3
