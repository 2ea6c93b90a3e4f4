"""Measures beyond the mask: how well a hole was filled, and the answer that knows only how scans were cropped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from diffugts.evaluation.overlap import dice

__all__ = ["HoleEffect", "centred_ellipsoid", "dice", "hole_effect", "psnr", "smooth_fill"]

RING_VOXELS = 3
CROP_MARGIN_MM = 50.0


def centred_ellipsoid(shape: tuple[int, ...], spacing_kji_mm: tuple[float, ...]) -> np.ndarray:
    """The answer that knows nothing but that scans were cropped 5 cm around the tumour: an ellipsoid that far inside."""
    radii = [max(n * s / 2 - CROP_MARGIN_MM, 2 * s) for n, s in zip(shape, spacing_kji_mm)]
    axes = np.ogrid[tuple(slice(0, n) for n in shape)]
    distance = np.zeros(shape)
    for axis, n, s, r in zip(axes, shape, spacing_kji_mm, radii):
        distance = distance + ((axis - (n - 1) / 2) * s / r) ** 2
    return distance <= 1


@dataclass(frozen=True)
class HoleEffect:
    """Intensities in a tumour before and after inpainting, against the tissue around the hole (all in the scan's unit).

    `ring_*` are of the ring around the hole, inside the body; `sd_ratio` is the standard deviation in the hole after,
    over the ring's; `nearer` says whether the mean came nearer to the ring's than the tumour was.
    """

    before_mean: float
    after_mean: float
    ring_mean: float
    before_sd: float
    after_sd: float
    ring_sd: float

    @property
    def sd_ratio(self) -> float:
        return self.after_sd / max(self.ring_sd, 1e-6)

    @property
    def nearer(self) -> bool:
        return abs(self.after_mean - self.ring_mean) < abs(self.before_mean - self.ring_mean)


def hole_effect(
    scan: np.ndarray, healthy: np.ndarray, tumour: np.ndarray, hole: np.ndarray, body: np.ndarray
) -> HoleEffect:
    """The effect of inpainting `tumour` within `hole`, all (k, j, i)."""
    ring = ndimage.binary_dilation(hole, iterations=RING_VOXELS) & ~hole & body
    if not ring.any():
        ring = ~hole & body
    inside = tumour & hole if (tumour & hole).any() else tumour
    return HoleEffect(
        float(scan[inside].mean()),
        float(healthy[inside].mean()),
        float(scan[ring].mean()),
        float(scan[inside].std()),
        float(healthy[inside].std()),
        float(scan[ring].std()),
    )


def psnr(estimate: np.ndarray, truth: np.ndarray, where: np.ndarray, peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB over the voxels `where`."""
    error = float(np.square(estimate[where] - truth[where]).mean())
    return 10 * float(np.log10(peak**2 / max(error, 1e-12)))


def smooth_fill(intensities: np.ndarray, hole: np.ndarray, body: np.ndarray, sigma_voxels: float = 4.0) -> np.ndarray:
    """The simplest pseudo-healthy scan: the hole filled with a Gaussian-weighted mean of the body around it."""
    known = (~hole & body).astype(np.float32)
    total, share = np.zeros_like(intensities), np.zeros_like(intensities)
    for sigma in (sigma_voxels, 2 * sigma_voxels, 4 * sigma_voxels):
        weight = ndimage.gaussian_filter(known, sigma)
        mean = ndimage.gaussian_filter(intensities * known, sigma) / np.maximum(weight, 1e-8)
        usable = (weight > 1e-3) & (share == 0)
        total[usable], share[usable] = mean[usable], 1
    total[share == 0] = float(intensities[~hole & body].mean()) if (~hole & body).any() else 0.0
    return np.where(hole, total, intensities)
