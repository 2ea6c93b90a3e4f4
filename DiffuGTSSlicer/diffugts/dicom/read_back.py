"""A segmentation read again from its file before anybody gets it: is every voxel where it was marked?

By pydicom and the places that the frames state, not by what wrote the file: a mask that lies one slice off looks right.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom import Dataset, dcmread

from diffugts.dicom.source import SourceSeries
from diffugts.errors import ResultError


def require_same_voxels(path: Path, source: SourceSeries, masks: Callable[[int], np.ndarray]) -> None:
    """Raise ResultError unless the binary segmentation `path` marks exactly `masks(n)` (bool, k, j, i) in segment n + 1."""
    dataset = dcmread(path)
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns).astype(bool)
    groups = dataset.PerFrameFunctionalGroupsSequence
    shared = dataset.SharedFunctionalGroupsSequence[0]
    segment_of = [int(_of(group, shared, "SegmentIdentification").ReferencedSegmentNumber) for group in groups]
    slice_of = [_slice(source, group, shared) for group in groups]
    for number in range(len(dataset.SegmentSequence)):
        expected = masks(number)
        held = [at for at, segment in enumerate(segment_of) if segment == number + 1]
        marked = {slice_of[at] for at in held}
        if (
            len(marked) != len(held)
            or not all(np.array_equal(frames[at], expected[slice_of[at]]) for at in held)
            or any(expected[k].any() for k in range(len(expected)) if k not in marked)
        ):
            raise ResultError(
                "The DICOM segmentation that was written does not mark the voxels of the result, so nothing was kept of it. "
                "Please report this with the scanner's maker and model."
            )


def _slice(source: SourceSeries, group: Dataset, shared: Dataset) -> int:
    """The slice of the series that lies where a frame says it lies; -1 where there is none."""
    place = np.array(_of(group, shared, "PlanePosition").ImagePositionPatient, float)
    index = np.linalg.inv(source.geometry.ijk_to_lps) @ [*place, 1.0]
    k = round(float(index[2]))
    far = np.abs(index[:3] - (0, 0, k)).max() > 0.3  # uneven slices lie up to a quarter off their even place
    return -1 if far or not 0 <= k < len(source.slices) else k


def _of(group: Dataset, shared: Dataset, name: str) -> Dataset:
    """A functional group of a frame, or else the one that all frames share."""
    keyword = f"{name}Sequence"
    item: Dataset = (group if keyword in group else shared)[keyword].value[0]
    return item
