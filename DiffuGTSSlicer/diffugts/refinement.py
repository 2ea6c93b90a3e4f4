"""Residual refinement: does the finding differ from the healthy tissue expected in its place?

The second stage of Jiang et al. (CVPR 2025, arXiv 2505.02753), whose abstract has pixel-level and feature-level residuals refine
the mask; the paper's own equations were not at hand, and these are ours. Two residuals between the scan and its pseudo-healthy
counterpart, both taken behind the autoencoder, which cancels its own error:

- pixel level    R_p = | D(z0) - D(z) |, smoothed;
- feature level  R_f = (Q(F) - Q(F')) . (k_abnormal - k_normal): how much of the attention to the abnormal text
  goes away when the finding does, F' being the features of the pseudo-healthy scan.

Fused with the attention's own logit by weights fitted on training patients,

    refined = sigmoid(w_a logit + w_p R_p / sigma_p + w_f R_f + w_0),

inside the hole only. A model whose validation showed no gain ships with (1, 0, 0, 0): its mask is the attention's
and the residual explains it. A region can be rejected when it differs no more from its pseudo-healthy counterpart
than the tissue around it does (two-sample comparison after R2-Seg, arXiv 2511.12691).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

RESIDUAL_SMOOTHING_VOXELS = 1.0
SHELL_VOXELS = 3


@dataclass(frozen=True)
class RefinementWeights:
    """Weights of the fusion; `pixel_scale` is sigma_p, the typical residual of healthy tissue in model intensities.

    `rejection` is the smallest contrast (see `contrast_to_shell`) a region must have; 0 rejects nothing.
    """

    attention: float = 1.0
    pixel: float = 0.0
    feature: float = 0.0
    bias: float = 0.0
    pixel_scale: float = 0.05
    rejection: float = 0.0

    @property
    def changes_mask(self) -> bool:
        """Whether these weights do anything but pass the attention through."""
        return (self.attention, self.pixel, self.feature, self.bias) != (1.0, 0.0, 0.0, 0.0) or self.rejection > 0


def pixel_residual(scan: np.ndarray, healthy: np.ndarray) -> np.ndarray:
    """R_p of two decoded volumes (k, j, i), model intensities: zero where they are identical."""
    return ndimage.gaussian_filter(np.abs(scan - healthy), RESIDUAL_SMOOTHING_VOXELS)


def refined_score(
    score: np.ndarray, pixel: np.ndarray, feature: np.ndarray, hole: np.ndarray, weights: RefinementWeights
) -> np.ndarray:
    """The refined score map (k, j, i): fused inside `hole`, the attention's own outside it.

    `score` 0..1, `pixel` model intensities, `feature` logits, `hole` bool, all on the working grid.
    """
    clipped = np.clip(score, 1e-4, 1 - 1e-4)
    logit = np.log(clipped / (1 - clipped))
    fused = (
        weights.attention * logit
        + weights.pixel * pixel / weights.pixel_scale
        + weights.feature * feature
        + weights.bias
    )
    return np.where(hole, 1 / (1 + np.exp(-fused)), score).astype(np.float32)


def contrast_to_shell(mask: np.ndarray, residual: np.ndarray) -> float:
    """How far a region stands out of its shell in the signed `residual` (k, j, i): a difference of means in pooled deviations."""
    shell = ndimage.binary_dilation(mask, iterations=SHELL_VOXELS) & ~mask
    if not mask.any() or not shell.any():
        return 0.0
    inside, around = residual[mask], residual[shell]
    spread = float(np.sqrt(0.5 * (inside.var() + around.var())))
    return abs(float(inside.mean() - around.mean())) / (spread + 1e-6)


def without_indifferent_regions(mask: np.ndarray, residual: np.ndarray, least_contrast: float) -> np.ndarray:
    """The mask (k, j, i) without the regions whose contrast is below `least_contrast`."""
    if least_contrast <= 0:
        return mask
    regions, count = ndimage.label(mask, np.ones((3, 3, 3)))
    kept = np.zeros_like(mask)
    for number, box in enumerate(ndimage.find_objects(regions), start=1):
        wide = tuple(slice(max(0, s.start - SHELL_VOXELS - 1), s.stop + SHELL_VOXELS + 1) for s in box)
        region = regions[wide] == number
        if contrast_to_shell(region, residual[wide]) >= least_contrast:
            kept[wide] |= region
    return kept
