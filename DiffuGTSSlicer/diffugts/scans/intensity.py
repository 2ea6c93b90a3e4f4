"""Intensities: from HU or a scanner's unit to what a network reads, and back.

CT passes through a monotone piecewise-linear curve that gives soft tissue most of the range: with the
compact preset 50 HU are 0.08, with MAISI's linear -1000..1000 HU only 0.025. MR is scaled by percentiles
of its own foreground. Both are invertible, so that a pseudo-healthy volume comes back in the scan's unit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffugts.errors import ScanError
from diffugts.scans.scan import Scan

COMPACT_CT_CURVE = ((-1000.0, -160.0, 240.0, 1000.0), (0.0, 0.2, 0.85, 1.0))
"""HU knots and their model intensities for the compact preset (docs/decisions.md)."""

MAISI_CT_CURVE = ((-1000.0, 1000.0), (0.0, 1.0))
"""HU knots of NVIDIA's MAISI models: linear, clipped (NV-Generate-CTMR, scripts/transforms.py)."""

MR_RANGES = ("foreground", "all voxels")
"""How MR is scaled: by percentiles of its foreground and clipped (compact), or as MAISI was trained, by the 0th and 99.5th
percentile of all voxels, background included, and not clipped (NV-Generate-CTMR, scripts/transforms.py)."""

MR_CEILING = 1.3
"""MR model intensities above this are clipped: a few coil-near voxels would rule every convolution."""

CT_AIR = -1024.0
"""HU below this are no tissue but what a scanner writes outside its field of view (-2000, -3024, -32768)."""


@dataclass(frozen=True)
class IntensityCurve:
    """A monotone piecewise-linear map: `units` (HU or scanner unit) to `model` intensities."""

    units: tuple[float, ...]
    model: tuple[float, ...]

    def forward(self, voxels: np.ndarray) -> np.ndarray:
        """Model intensities, float32; values beyond the last knots are clipped."""
        return np.interp(voxels, self.units, self.model).astype(np.float32)

    def inverse(self, intensities: np.ndarray) -> np.ndarray:
        """HU or scanner units, float32, of model intensities."""
        return np.interp(intensities, self.model, self.units).astype(np.float32)


def intensity_curve(
    scan: Scan, ct_curve: tuple[tuple[float, ...], tuple[float, ...]], mr_range: str = "foreground"
) -> IntensityCurve:
    """The curve for one scan: `ct_curve` for CT; for MR the scan's own percentiles, see `MR_RANGES`.

    MR by its foreground: 0 stays 0 and the 99.5th percentile of the non-zero voxels becomes 1. Scans with negative
    values (z-scored, already normalised) take their 0.5th percentile as 0 instead; their background is
    the value of the first voxel. Raises ScanError for a constant image.
    """
    if scan.modality == "CT":
        return IntensityCurve(*map(tuple, ct_curve))
    if mr_range == "all voxels":
        return _curve_of_all_voxels(scan)
    sample = scan.voxels[::2, ::2, ::2] if min(scan.voxels.shape) >= 16 else scan.voxels
    if float(sample.min()) < 0:
        foreground = sample[np.abs(sample - scan.voxels.flat[0]) > 1e-6]
        low_percentile = 0.5
    else:
        foreground = sample[sample > 0]
        low_percentile = None
    if foreground.size == 0 or float(foreground.max()) == float(foreground.min()):
        raise ScanError("The scan is empty: every voxel has the same value. Choose a volume with an image in it.")
    low = float(np.percentile(foreground, low_percentile)) if low_percentile is not None else 0.0
    high = float(np.percentile(foreground, 99.5))
    if high <= low:
        raise ScanError(
            "The scan has almost no contrast: its foreground is constant. Choose a volume with an image in it."
        )
    return IntensityCurve((low, low + MR_CEILING * (high - low)), (0.0, MR_CEILING))


def _curve_of_all_voxels(scan: Scan) -> IntensityCurve:
    lowest, highest = float(scan.voxels.min()), float(scan.voxels.max())
    one = float(np.percentile(scan.voxels, 99.5))
    if one <= lowest:
        raise ScanError(
            "The scan is empty or almost so: 99.5 % of its voxels have the same value. Choose a volume with an image in it."
        )
    return IntensityCurve((lowest, highest), (0.0, (highest - lowest) / (one - lowest)))


def without_padding(scan: Scan, curve: IntensityCurve) -> np.ndarray:
    """The scan's voxels with what is no image set to its darkest, before any smoothing spreads it into the body.

    CT: values below -1024 HU become -1024. MR with negative values: a background of one value (that of the
    first voxel, held by at least 5 % of all) which lies within the tissue's range, as after z-scoring inside a
    brain mask, becomes the curve's lowest unit. Other scans come back as they are, not copied.
    """
    if scan.modality == "CT":
        return np.maximum(scan.voxels, np.float32(CT_AIR)) if float(scan.voxels.min()) < CT_AIR else scan.voxels
    background = scan.voxels.flat[0]
    if float(scan.voxels.min()) >= 0 or float(background) <= curve.units[0]:
        return scan.voxels
    padding = scan.voxels == background
    if float(padding.mean()) < 0.05:
        return scan.voxels
    return np.where(padding, np.float32(curve.units[0]), scan.voxels)
