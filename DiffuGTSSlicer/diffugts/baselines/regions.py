"""Baselines that need no training: what a threshold, the odd one out, or knowing how scans are cropped comes to.

They read no description, and answer the same to every one. Each works on the compact model's working grid, so that
thresholds mean the same in every scan.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from diffugts.evaluation.measures import centred_ellipsoid
from diffugts.evaluation.methods import Prediction, prediction_of_mask
from diffugts.findings.lesions import TOUCHING
from diffugts.foundation.body import filled_body
from diffugts.scans.intensity import COMPACT_CT_CURVE
from diffugts.scans.scan import Scan
from diffugts.scans.working_grid import ScanOnGrid, to_working_grid

SPACING_MM = 2.0
CLASSES = 3
OUTLYING = 2.5
"""Robust standard deviations from the body's median beyond which tissue is odd."""

SOFT_TISSUE = {"CT": (0.2, 0.87), "MR": (0.05, 1.3)}
"""Model intensities of what may be tissue: CT from -160 to about 300 HU, without fat's dark end, air and bone."""

INSIDE_VOXELS = 3
"""Voxels of the working grid below the skin that are left out: coils and partial volume make them odd."""


def ellipsoid(scan: Scan) -> np.ndarray:
    """An ellipsoid 5 cm inside the scan's borders: right where scans were cut 5 cm around the tumour."""
    return centred_ellipsoid(scan.voxels.shape, tuple(reversed(scan.geometry.spacing_mm)))


def otsu(scan: Scan) -> np.ndarray:
    """The largest part of the brightest of three classes by Otsu's thresholds inside the body."""
    grid, body = _grid_and_body(scan)
    values = grid.intensities[body]
    if values.size == 0:
        return np.zeros(scan.voxels.shape, bool)
    column = sitk.GetImageFromArray(values.reshape(1, -1))
    classes = sitk.GetArrayFromImage(sitk.OtsuMultipleThresholds(column, CLASSES - 1)).ravel()
    bright = np.zeros(body.shape, bool)
    bright[body] = classes == CLASSES - 1
    return _on_scan(grid, largest_part(bright))


def outlier(scan: Scan) -> np.ndarray:
    """The largest part of soft tissue that is much brighter, or much darker, than the body's median."""
    grid, body = _grid_and_body(scan)
    low, high = SOFT_TISSUE[scan.modality]
    tissue = ndimage.binary_erosion(body, iterations=INSIDE_VOXELS)
    tissue &= (grid.intensities > low) & (grid.intensities < high)
    if not tissue.any():
        return np.zeros(scan.voxels.shape, bool)
    middle = float(np.median(grid.intensities[tissue]))
    spread = 1.4826 * float(np.median(np.abs(grid.intensities[tissue] - middle))) + 1e-6
    odd = (grid.intensities - middle) / spread
    sides = [largest_part(tissue & (odd > OUTLYING)), largest_part(tissue & (odd < -OUTLYING))]
    return _on_scan(grid, max(sides, key=np.count_nonzero))


REGION_BASELINES: dict[str, Callable[[Scan], np.ndarray]] = {"ellipsoid": ellipsoid, "otsu": otsu, "outlier": outlier}
"""By their names on the command line."""


class RegionBaseline:
    """One of `REGION_BASELINES` as a method that can be evaluated."""

    def __init__(self, name: str) -> None:
        self._name, self._rule = name, REGION_BASELINES[name]

    @property
    def name(self) -> str:
        return self._name

    @property
    def identity(self) -> dict[str, str]:
        return {"method": f"{self._name} (no training)"}

    def segment(self, scan: Scan, description: str) -> Prediction:
        """The same mask for every description. Raises ScanError for a scan that cannot be brought to the grid."""
        start = time.perf_counter()
        mask = self._rule(scan)
        return prediction_of_mask(mask, time.perf_counter() - start)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part (26-connectivity) after an opening by one voxel, without its holes."""
    labels, count = ndimage.label(ndimage.binary_opening(mask), TOUCHING)
    if count == 0:
        return np.zeros_like(mask)
    largest = labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    return ndimage.binary_fill_holes(largest)


def _grid_and_body(scan: Scan) -> tuple[ScanOnGrid, np.ndarray]:
    grid = to_working_grid(scan, SPACING_MM, COMPACT_CT_CURVE)
    return grid, filled_body(grid.intensities, grid.modality)


def _on_scan(grid: ScanOnGrid, mask: np.ndarray) -> np.ndarray:
    return grid.to_scan(mask) > 0.5
