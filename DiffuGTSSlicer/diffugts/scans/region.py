"""Regions of a scan, given as boxes in the patient or as masks."""

from __future__ import annotations

import numpy as np

from diffugts.protocol import Region
from diffugts.scans.interpolation import interpolated
from diffugts.scans.scan import Geometry
from diffugts.scans.working_grid import ScanOnGrid


def marked_voxels(geometry: Geometry, marked: Region | np.ndarray) -> np.ndarray:
    """Voxels (bool, k, j, i) of a box in RAS millimetres, or of a mask that lies on this grid already.

    Raises ValueError where the mask's shape is another one.
    """
    if isinstance(marked, Region):
        return region_mask(geometry, marked)
    if marked.shape != geometry.shape:
        raise ValueError(f"a mask of shape {marked.shape} does not lie on a grid of shape {geometry.shape}")
    return marked.astype(bool, copy=False)


def marked_working_voxels(grid: ScanOnGrid, marked: Region | np.ndarray) -> np.ndarray:
    """The same on a scan's working grid (bool, k, j, i); a mask, on the scan's own grid, is interpolated and cut at one half.

    Raises ValueError where the mask's shape is another one.
    """
    if isinstance(marked, Region):
        return region_mask(grid.geometry, marked)
    mask = marked_voxels(grid.scan_geometry, marked).astype(np.float32)
    return interpolated(mask, grid.scan_geometry, grid.geometry) > 0.5


def region_mask(geometry: Geometry, region: Region) -> np.ndarray:
    """Voxels (bool, k, j, i) whose centres lie inside a box in RAS millimetres."""
    matrix = geometry.ijk_to_ras
    k, j, i = np.ogrid[tuple(slice(0, n) for n in geometry.shape)]
    inside = np.ones(geometry.shape, bool)
    for axis in range(3):
        place = matrix[axis, 0] * i + matrix[axis, 1] * j + matrix[axis, 2] * k + matrix[axis, 3]
        inside &= (place >= region.minimum_ras_mm[axis]) & (place <= region.maximum_ras_mm[axis])
    return inside
