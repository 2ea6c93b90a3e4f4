"""A rough mask from a file: which formats are read, and the sentence for whatever is no mask on the scan's grid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dicom_writing import write_series
from diffugts.errors import RequestError
from diffugts.findings.segments import Segment, write_segments
from diffugts.protocol import Region
from diffugts.scans.region import marked_voxels, region_mask
from diffugts.scans.rough_mask import read_rough_mask
from diffugts.scans.scan import Geometry

TURN = np.deg2rad(17.0)
GRID = Geometry(
    (18, 14, 12),
    (1.5, 2.0, 2.5),
    (-120.123456789, 20.0, 30.5),
    (float(np.cos(TURN)), float(-np.sin(TURN)), 0.0, float(np.sin(TURN)), float(np.cos(TURN)), 0.0, 0.0, 0.0, 1.0),
)
"""Turned, and its origin no number that a file of single precision can hold."""

FORMATS = ["rough.nrrd", "rough.nhdr", "rough.nii", "rough.nii.gz", "rough.mha", "rough.mhd"]


def labels(value: float = 1, kind: type = np.uint8) -> np.ndarray:
    """A block of one label (k, j, i)."""
    array = np.zeros(GRID.shape, kind)
    array[3:7, 4:9, 5:11] = value
    return array


def written(path: Path, array: np.ndarray, geometry: Geometry = GRID) -> Path:
    sitk.WriteImage(geometry.image(array), str(path))
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_of_a_scan_is_read_in_spite_of_its_rounding(tmp_path: Path, name: str) -> None:
    mask = read_rough_mask(written(tmp_path / name, labels()), GRID)
    assert mask.dtype == bool and np.array_equal(mask, labels() == 1)


@pytest.mark.parametrize("value, kind", [(7, np.uint8), (-3, np.int16), (0.25, np.float32), (70_000, np.uint32)])
def test_any_label_but_0_is_inside(tmp_path: Path, value: float, kind: type) -> None:
    mixed = labels(value, kind)
    mixed[9, 9, 9] = 1
    assert np.array_equal(read_rough_mask(written(tmp_path / "rough.nrrd", mixed), GRID), mixed != 0)


def test_a_dicom_series_of_labels_is_a_mask(tmp_path: Path) -> None:
    axes = np.reshape(GRID.direction, (3, 3))
    write_series(
        tmp_path / "rough", labels(), spacing_mm=GRID.spacing_mm, origin_mm=GRID.origin_mm, axes=axes, intercept=0
    )
    assert np.array_equal(read_rough_mask(tmp_path / "rough", GRID), labels() == 1)


def test_a_segmentation_of_slicers_is_a_mask(tmp_path: Path) -> None:
    path = tmp_path / "rough.seg.nrrd"
    write_segments([Segment("one", "a lesion", (1.0, 0.0, 0.0), labels() == 1)], GRID, path)
    assert np.array_equal(read_rough_mask(path, GRID), labels() == 1)


def test_a_segmentation_in_layers_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "rough.seg.nrrd"
    write_segments([Segment(name, name, (1.0, 0.0, 0.0), labels() == 1) for name in ("one", "two")], GRID, path)
    with pytest.raises(RequestError, match="2 values per voxel"):
        read_rough_mask(path, GRID)


@pytest.mark.parametrize(
    "other, met, expected",
    [
        (replace(GRID, size=(18, 14, 11)), "18 x 14 x 11 voxels", "18 x 14 x 12 voxels"),
        (replace(GRID, spacing_mm=(1.5, 2.0, 2.55)), "spacing 1.5 x 2 x 2.55 mm", "spacing 1.5 x 2 x 2.5 mm"),
        (replace(GRID, origin_mm=(-120.1, 20.0, 30.5)), r"origin \(-120.1, 20, 30.5\)", r"origin \(-120.1235, 20, 30.5\)"),
        (replace(GRID, direction=(1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0)), r"axes \(1, 0, 0, 0, 1", r"axes \(0.956305, -0.29237"),
    ],
)  # fmt: skip
def test_another_grid_is_refused_with_what_was_met_and_what_was_expected(
    tmp_path: Path, other: Geometry, met: str, expected: str
) -> None:
    path = written(tmp_path / "rough.nrrd", np.ones(other.shape, np.uint8), other)
    with pytest.raises(RequestError, match=f"'rough.nrrd' does not lie on the scan's own grid.*{met}.*{expected}"):
        read_rough_mask(path, GRID)


def test_a_mask_that_marks_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="'rough.nrrd' marks nothing: every voxel is 0"):
        read_rough_mask(written(tmp_path / "rough.nrrd", labels(0)), GRID)


def test_a_value_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no finite numbers, expected labels"):
        read_rough_mask(written(tmp_path / "rough.nrrd", labels(float("nan"), np.float32)), GRID)


def test_what_is_not_there_or_no_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="mask 'rough.nrrd' does not exist"):
        read_rough_mask(tmp_path / "rough.nrrd", GRID)
    (tmp_path / "rough.nrrd").write_bytes(b"a letter")
    with pytest.raises(RequestError, match="mask 'rough.nrrd' is read as a scan is, and was refused"):
        read_rough_mask(tmp_path / "rough.nrrd", GRID)
    (tmp_path / "rough.png").write_bytes(b"a picture")
    with pytest.raises(RequestError, match="not in a format that is read here"):
        read_rough_mask(tmp_path / "rough.png", GRID)


def test_a_truncated_mask_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "rough.nrrd", labels())
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(RequestError, match="mask 'rough.nrrd' is read as a scan is, and was refused"):
        read_rough_mask(path, GRID)


def test_a_box_and_a_mask_mark_the_same_way() -> None:
    corners = GRID.ijk_to_ras @ np.array([[2, 9], [3, 8], [1, 6], [1, 1]])
    box = Region(tuple(corners[:3].min(1)), tuple(corners[:3].max(1)))
    mask = region_mask(GRID, box)
    assert mask.any() and np.array_equal(marked_voxels(GRID, box), marked_voxels(GRID, mask))
    assert np.array_equal(marked_voxels(GRID, mask * np.uint8(3)), mask)
    with pytest.raises(ValueError, match="does not lie on a grid of shape"):
        marked_voxels(GRID, mask[1:])
