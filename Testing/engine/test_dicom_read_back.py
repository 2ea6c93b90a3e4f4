"""The check of a segmentation that was written: it finds what a reader would only see by looking closely."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_results import Made, made_result
from diffugts.dicom.export import SEGMENTATION_FILE, export_result
from diffugts.dicom.read_back import require_same_voxels
from diffugts.dicom.source import read_source
from diffugts.errors import ResultError


def check(made: Made, path: Path) -> None:
    require_same_voxels(path, read_source(made.series), lambda n: made.segmentation.findings[n].mask)


def moved_by_a_slice(dataset: Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence
    places = [group.PlanePositionSequence[0].ImagePositionPatient for group in groups]
    for group, place in zip(groups[:-1], places[1:]):
        group.PlanePositionSequence[0].ImagePositionPatient = place


def moved_within_the_slice(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0].ImagePositionPatient
        group.PlanePositionSequence[0].ImagePositionPatient = [float(place[0]) + 0.8, float(place[1]), float(place[2])]


def one_voxel_more(dataset: Dataset) -> None:
    dataset.PixelData = bytes([dataset.PixelData[0] ^ 1]) + dataset.PixelData[1:]


def segments_exchanged(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        item = group.SegmentIdentificationSequence[0]
        item.ReferencedSegmentNumber = 3 - item.ReferencedSegmentNumber


def a_frame_less(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[-1]
    pixels = dataset.Rows * dataset.Columns // 8
    dataset.NumberOfFrames -= 1
    dataset.PixelData = dataset.PixelData[: dataset.NumberOfFrames * pixels]


@pytest.mark.parametrize(
    "damage",
    [moved_by_a_slice, moved_within_the_slice, one_voxel_more, segments_exchanged, a_frame_less],
    ids=lambda damage: damage.__name__,
)
def test_a_segmentation_that_differs_from_the_result_is_found_out(
    tmp_path: Path, damage: Callable[[Dataset], None]
) -> None:
    made = made_result(tmp_path)
    path = export_result(made.result, made.series, tmp_path / "out").folder / SEGMENTATION_FILE
    check(made, path)
    dataset = pydicom.dcmread(path)
    damage(dataset)
    dataset.save_as(path)
    with pytest.raises(ResultError, match="does not mark the voxels of the result"):
        check(made, path)


def test_rounded_and_slightly_uneven_slices_are_no_difference(tmp_path: Path) -> None:
    def uneven(dataset: Dataset, k: int) -> None:
        dataset.ImagePositionPatient = [0, 0, 3.0 * k + (0.5 if k == 5 else 0)]

    made = made_result(tmp_path, axes=np.eye(3), change=uneven)
    assert export_result(made.result, made.series, tmp_path / "out").files
