"""A result brought onto the slices of the series that it was made from, voxel by voxel; nothing is interpolated.

A scan that was converted (NIfTI, NRRD) before it was segmented may have its axes flipped or in another order. Its voxels
are the series' all the same, and go back exactly. Any other grid is refused, and so is another scan on the same grid:
the phases of a study share one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffugts.dicom.result_volumes import ResultVolumes
from diffugts.dicom.source import SourceSeries
from diffugts.errors import ResultError
from diffugts.scans.scan import Geometry

FARTHEST = 0.02
"""Largest distance of a voxel from its place in the series, in voxels: coordinates are rounded in headers."""

SAME_VALUE = 0.01
"""Largest difference of a voxel's value that is rounding, as a part of the values' spread."""

SAME_SHARE = 0.999
"""Part of the voxels that have to agree: fillings of a converter may differ."""

UNCHECKED = (
    "That the result was made from this very series could not be checked: nothing was marked or painted. Its grid is the "
    "series'."
)


@dataclass(frozen=True)
class Placement:
    """How the axes of a result (k, j, i) become those of a series: reordered as `order`, then flipped along `flipped`."""

    order: tuple[int, ...]
    flipped: tuple[int, ...]

    def onto_series(self, array: np.ndarray) -> np.ndarray:
        """An array of the result, (k, j, i) of the series."""
        return np.flip(array.transpose(self.order), self.flipped) if self.flipped else array.transpose(self.order)


def placement(result: Geometry, series: Geometry) -> Placement:
    """How a result lies on a series. Raises ResultError where its voxels are not those of the series."""
    other = ResultError(
        f"The result does not lie on this series' grid: it has {_size(result)} voxels and the series {_size(series)}, or "
        "they lie elsewhere in the patient. Give the series that was segmented, as it came from the scanner."
    )
    steps = np.linalg.inv(series.ijk_to_lps) @ result.ijk_to_lps  # result's (i, j, k) in the series' voxels
    turned = np.rint(steps[:3, :3])
    if not (np.abs(turned).sum(0) == 1).all() or not (np.abs(turned).sum(1) == 1).all():
        raise other
    axes = np.abs(turned).argmax(1)  # for each axis of the series, which one of the result runs along it
    if [result.size[axis] for axis in axes] != list(series.size):
        raise other
    ends = [[0, n - 1] for n in result.size]
    corners = np.array([[i, j, k, 1.0] for i in ends[0] for j in ends[1] for k in ends[2]])
    signs = turned[range(3), axes]
    start = [0 if sign > 0 else n - 1 for sign, n in zip(signs, series.size)]
    expected = corners[:, :3] @ turned.T + start
    if np.abs((corners @ steps.T)[:, :3] - expected).max() > FARTHEST:
        raise other
    order = tuple(int(2 - axes[2 - axis]) for axis in range(3))
    return Placement(order, tuple(axis for axis in range(3) if signs[2 - axis] < 0))


def require_same_scan(volumes: ResultVolumes, placed: Placement, source: SourceSeries) -> tuple[str, ...]:
    """Notes, if any, on what could not be checked. Raises ResultError where the values are not those of this series."""
    healthy, residual = volumes.pseudo_healthy(), volumes.residual()
    if healthy is not None and residual is not None:
        near = np.abs(placed.onto_series(healthy + residual) - source.voxels) <= SAME_VALUE * float(source.voxels.std())
        if float(near.mean()) < SAME_SHARE:
            raise _another_scan()
        return ()
    marked = False
    for number, finding in enumerate(volumes.manifest.findings):
        if not finding.lesions:
            continue
        marked = True
        inside = source.voxels[placed.onto_series(volumes.mask(number))]
        weights = [lesion.volume_ml for lesion in finding.lesions]
        stated = float(np.average([lesion.mean_intensity for lesion in finding.lesions], weights=weights))
        spread = float(source.voxels.std())
        if not inside.size or abs(float(inside.mean(dtype=np.float64)) - stated) > SAME_VALUE * spread:
            raise _another_scan()
    return () if marked else (UNCHECKED,)


def _another_scan() -> ResultError:
    return ResultError(
        "The result was made from another scan that lies on the same grid, such as another phase or sequence of the "
        "study: its values are not those of this series. Give the series that was segmented."
    )


def _size(geometry: Geometry) -> str:
    return " x ".join(str(n) for n in geometry.size)
