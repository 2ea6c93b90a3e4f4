"""A scan's voxels as a radiologist looks at them: axial slices, the patient's right on the left, the front on top.

Axes are permuted and flipped, never rotated: an oblique scan is shown in its own planes. Views, not copies.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from diffugts.scans.scan import Geometry


@dataclass(frozen=True)
class AxialView:
    """How a grid's arrays are turned to (slice from feet to head, row from front to back, column from right to left).

    `order` are the array axes (0 = k, 1 = j, 2 = i) that become slices, rows and columns; `flipped` tells which of the
    three run the other way; `spacing_mm` of slices, rows and columns.
    """

    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    spacing_mm: tuple[float, float, float]

    @classmethod
    def of(cls, geometry: Geometry) -> AxialView:
        """The view of a grid: each of its axes is taken for the patient's axis that all three together lie nearest to."""
        toward = np.reshape(geometry.direction, (3, 3))[::-1, ::-1]  # rows S, P, L; columns k, j, i
        slices, rows, columns = max(permutations(range(3)), key=lambda axes: np.abs(toward[range(3), axes]).sum())
        spacing = geometry.spacing_mm[::-1]
        return cls(
            (slices, rows, columns),
            (bool(toward[0, slices] < 0), bool(toward[1, rows] < 0), bool(toward[2, columns] < 0)),
            (spacing[slices], spacing[rows], spacing[columns]),
        )

    def slice_at(self, point_ras_mm: tuple[float, float, float], geometry: Geometry) -> int:
        """The number of the slice that a point of the grid's volume lies in, or nearest to."""
        x, y, z = point_ras_mm
        ijk = np.linalg.solve(geometry.ijk_to_lps, [-x, -y, z, 1.0])
        axis, last = self.order[0], geometry.shape[self.order[0]] - 1
        number = int(np.clip(np.rint(ijk[2 - axis]), 0, last))
        return last - number if self.flipped[0] else number

    def turned(self, array: np.ndarray) -> np.ndarray:
        """The array (k, j, i) in this view."""
        steps = tuple(slice(None, None, -1 if flipped else 1) for flipped in self.flipped)
        return array.transpose(self.order)[steps]
