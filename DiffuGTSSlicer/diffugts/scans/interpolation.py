"""Linear interpolation from one grid onto another.

A working grid has the scan's own axes, permuted and flipped, never rotated. Between such parallel grids linear interpolation
is one matrix product an axis, with two weights to a row: some five times as fast as a resampling that computes every voxel's
place (docs/decisions.md). Other grids are left to SimpleITK, whose results these are but for rounding.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from diffugts.scans.scan import Geometry

PARALLEL_VOXELS = 1e-3
"""Voxels by which a grid may run away from another along its whole length and still be parallel to it."""

SAME_PLACE_VOXELS = 1e-5
"""A place as near to a voxel's centre, or to a border, lies there: what is off by less is rounding."""


def interpolated(array: np.ndarray, source: Geometry, target: Geometry, outside: float = 0.0) -> np.ndarray:
    """`array` (k, j, i) on the grid `source`, linearly interpolated on `target`, float32 (k, j, i).

    Places half a voxel or more beyond the last centres get `outside`; a whole-voxel identity is exact. All of `array` must be
    finite.
    """
    if array.shape != source.shape:
        raise ValueError(f"array of shape {array.shape} does not lie on a grid of shape {source.shape}")
    axes = _parallel(source, target)
    if axes is None:
        return _resampled(array, source, target, outside)
    # In the order (k, j, i) of the source: which axis of the target runs along it, and the target's places on it.
    along = [2 - axes[2 - axis][0] for axis in range(3)]
    places = [axes[2 - axis][1] for axis in range(3)]
    result = np.asarray(array, np.float32)
    growth = [len(places[axis]) / array.shape[axis] for axis in range(3)]
    inside: dict[int, np.ndarray] = {}
    for axis in sorted(range(3), key=lambda axis: growth[axis]):  # what grows most comes last: the rest is done on less
        weights, inside[along[axis]] = _weights(places[axis], array.shape[axis])
        moved = np.moveaxis(result, axis, -1)
        result = np.moveaxis((moved.reshape(-1, moved.shape[-1]) @ weights).reshape(*moved.shape[:-1], -1), -1, axis)
    result = np.ascontiguousarray(result.transpose([along.index(axis) for axis in range(3)]))
    if outside:
        for axis, seen in inside.items():
            np.moveaxis(result, axis, 0)[~seen] = outside
    return result


def _parallel(source: Geometry, target: Geometry) -> list[tuple[int, np.ndarray]] | None:
    """For each axis (x, y, z) of the source the target's axis that runs along it, and where its voxels lie, in the source's voxels.

    None where the grids are not parallel.
    """
    matrix = np.linalg.inv(source.ijk_to_lps) @ target.ijk_to_lps
    reach = np.abs(matrix[:3, :3]) * (np.array(target.size) - 1)
    chosen = [int(axis) for axis in np.abs(matrix[:3, :3]).argmax(axis=1)]
    if sorted(chosen) != [0, 1, 2]:
        return None
    if any(reach[row, column] > PARALLEL_VOXELS for row in range(3) for column in range(3) if column != chosen[row]):
        return None
    return [
        (column, matrix[row, column] * np.arange(target.size[column]) + matrix[row, 3])
        for row, column in enumerate(chosen)
    ]


def _weights(places: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights (count, places), two a column, that interpolate at `places`, and which of these lie inside; outside they are 0."""
    nearest = np.round(2 * places) / 2
    places = np.where(np.abs(places - nearest) < SAME_PLACE_VOXELS, nearest, places)
    inside = (places >= -0.5) & (places < count - 0.5)
    places = np.clip(places, 0, count - 1)
    low = np.floor(places).astype(int)
    share = (places - low).astype(np.float32)
    weights = np.zeros((count, len(places)), np.float32)
    columns = np.arange(len(places))
    weights[low, columns] = np.where(inside, 1 - share, 0)
    weights[np.minimum(low + 1, count - 1), columns] += np.where(inside, share, 0)
    return weights, inside


def _resampled(array: np.ndarray, source: Geometry, target: Geometry, outside: float) -> np.ndarray:
    resample = sitk.ResampleImageFilter()
    resample.SetSize(target.size)
    resample.SetOutputSpacing(target.spacing_mm)
    resample.SetOutputOrigin(target.origin_mm)
    resample.SetOutputDirection(target.direction)
    resample.SetInterpolator(sitk.sitkLinear)
    resample.SetDefaultPixelValue(outside)
    return sitk.GetArrayFromImage(resample.Execute(source.image(np.ascontiguousarray(array, dtype=np.float32))))
