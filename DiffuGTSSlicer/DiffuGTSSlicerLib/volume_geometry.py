"""Where a voxel grid lies in the patient, in Slicer's terms: RAS millimetres, (i, j, k) order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from slicer.i18n import tr as _

from diffugts.protocol import Grid

TOLERANCE = 1e-6
"""Largest difference, per entry of the matrix in millimetres, between grids that are the same."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class VolumeGeometry:
    """A grid of `dimensions` (i, j, k) voxels; `rows` are the 4x4 matrix from voxel indices to RAS mm, row by row."""

    dimensions: tuple[int, int, int]
    rows: tuple[float, ...]

    @classmethod
    def of(cls, dimensions: tuple[int, int, int], ijk_to_ras: np.ndarray) -> VolumeGeometry:
        """The geometry of a grid with a 4x4 matrix."""
        i, j, k = (int(n) for n in dimensions)
        return cls((i, j, k), tuple(float(x) for x in np.asarray(ijk_to_ras, float).ravel()))

    @classmethod
    def of_grid(cls, grid: Grid) -> VolumeGeometry:
        """The geometry that a manifest states in LPS."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(grid.direction, (3, 3)) * np.asarray(grid.spacing_mm)
        matrix[:3, 3] = grid.origin_mm
        return cls.of(grid.size, LPS_TO_RAS @ matrix)

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """4x4 matrix from voxel indices (i, j, k, 1) to RAS mm."""
        return np.reshape(self.rows, (4, 4))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, (k, j, i)."""
        return self.dimensions[2], self.dimensions[1], self.dimensions[0]

    @property
    def spacing_mm(self) -> np.ndarray:
        """Voxel spacing along (i, j, k)."""
        return np.linalg.norm(self.ijk_to_ras[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def axial_axis(self) -> int:
        """The array axis (0 = k, 1 = j, 2 = i) nearest to the patient's superior-inferior axis."""
        return 2 - int(np.argmax(np.abs(self.ijk_to_ras[2, :3] / self.spacing_mm)))

    def ras_of(self, kji: np.ndarray) -> tuple[float, float, float]:
        """RAS millimetres of a place given in array indices (k, j, i), fractions allowed."""
        k, j, i = (float(x) for x in kji)
        r, a, s, _one = self.ijk_to_ras @ [i, j, k, 1.0]
        return float(r), float(a), float(s)

    def difference_from(self, other: VolumeGeometry) -> str:
        """In words, how another grid differs; empty where both are the same within `TOLERANCE`."""
        if self.dimensions != other.dimensions:
            mine, theirs = (" x ".join(str(n) for n in g.dimensions) for g in (self, other))
            return _("{met} voxels instead of {expected}").format(met=theirs, expected=mine)
        farthest = float(np.abs(np.subtract(self.rows, other.rows)).max())
        if not farthest <= TOLERANCE:
            text = _("position, spacing or direction off by {distance:.3g} (at most {tolerance:g} is rounding)")
            return text.format(distance=farthest, tolerance=TOLERANCE)
        return ""
