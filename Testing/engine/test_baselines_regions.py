"""Baselines without training, on phantoms where the right answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from diffugts.baselines.catalogue import find_baseline
from diffugts.baselines.regions import REGION_BASELINES, RegionBaseline, largest_part
from diffugts.errors import ModelError, RequestError
from diffugts.evaluation.overlap import dice
from diffugts.scans.scan import Geometry, Scan


def brain(contrast: float, oblique: bool = False) -> tuple[Scan, np.ndarray]:
    """A ball of noisy tissue with a smaller ball of another brightness in it, an MR of 3 mm voxels."""
    axes = np.mgrid[:48, :48, :48]
    head = ((axes - 24) ** 2).sum(0) < 20**2
    lesion = ((axes - np.array([24, 30, 24])[:, None, None, None]) ** 2).sum(0) < 6**2
    noise = np.random.default_rng(0).normal(0, 12, head.shape)
    voxels = np.where(lesion, 300 + contrast, np.where(head, 300 + noise, 0)).astype(np.float32)
    angle = np.deg2rad(20 if oblique else 0)
    direction = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
    geometry = Geometry((48, 48, 48), (3.0, 3.0, 3.0), (10.0, -5.0, 7.0), tuple(float(d) for d in direction))
    return Scan(voxels, geometry, "MR", "FLAIR"), lesion


@pytest.mark.parametrize("contrast", [200.0, -150.0])
def test_the_outlier_is_found_whether_bright_or_dark(contrast: float) -> None:
    scan, lesion = brain(contrast)
    assert dice(RegionBaseline("outlier").segment(scan, "glioma").mask, lesion) > 0.8


def test_otsu_takes_the_largest_bright_part() -> None:
    scan, lesion = brain(200.0)
    assert dice(RegionBaseline("otsu").segment(scan, "glioma").mask, lesion) > 0.8


@pytest.mark.parametrize("name", sorted(REGION_BASELINES))
def test_every_baseline_answers_on_the_scans_own_grid_and_the_same_to_every_description(name: str) -> None:
    scan, _ = brain(200.0, oblique=True)
    method = RegionBaseline(name)
    first, second = method.segment(scan, "glioma"), method.segment(scan, "liver tumour")
    assert first.mask.shape == scan.voxels.shape and first.mask.dtype == bool
    assert np.array_equal(first.mask, second.mask)
    assert first.verdict == "found" and first.score_map is None


def test_nothing_is_found_where_nothing_stands_out() -> None:
    scan, _ = brain(0.0)
    prediction = RegionBaseline("outlier").segment(scan, "glioma")
    assert not prediction.mask.any() and prediction.verdict == "not found"


def test_the_largest_part_is_kept_without_specks_and_holes() -> None:
    mask = np.zeros((20, 20, 20), bool)
    mask[2:10, 2:10, 2:10], mask[5:6, 5:6, 5:6], mask[14:17, 14:17, 14:17], mask[18, 18, 18] = True, False, True, True
    kept = largest_part(mask)
    assert kept[5, 5, 5] and not kept[12:].any()


def test_baselines_are_found_by_name_and_others_are_refused(tmp_path) -> None:
    assert find_baseline("otsu").name == "otsu"
    with pytest.raises(RequestError, match="There are diffugts, ellipsoid, otsu, outlier"):
        find_baseline("magic")
    with pytest.raises(ModelError, match="no trained baseline"):
        find_baseline(str(tmp_path))
