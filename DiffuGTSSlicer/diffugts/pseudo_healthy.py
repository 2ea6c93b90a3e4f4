"""The pseudo-healthy scan: decoded healthy tissue pasted into the scan, and how the two differ.

The hole is larger than what is painted in it, and in that margin the tissue is known twice: as the denoiser guessed it and
as the scan has it. Where the guess is too bright or too dark there, it is so inside as well: the difference is carried
inwards by normalised convolution (Knutsson and Westin, "Normalized and differential convolution", CVPR 1993). What is far from
the margin is still the guess's; its level is held to what the margin holds (`levelled`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import ndimage

from diffugts.encoded import EncodedScan
from diffugts.foundation.autoencoder import CELL
from diffugts.inpainting import Inpainting, blended, bounding_box, decoded_box, hole_voxels
from diffugts.refinement import pixel_residual

EDGE_MARGIN = 3
"""Voxels of the working grid around what is painted within which its soft edge has come to nothing."""

REACHES_VOXELS = (3.0, 6.0, 12.0, 24.0)
"""Sigmas by which a difference is carried on, the narrowest first that reaches a place."""

LEAST_KNOWN = 0.02
"""Share of what a Gaussian covers that must be known for it to say anything."""

DENSE_BONE_HU = 240.0
"""Denser than this is a structure beside what is painted, and nothing that its level could be taken from."""

LEVEL_QUANTILES = (0.2, 0.8)
"""Of the intensities known beside what is painted: no brighter and no darker is its level (docs/decisions.md)."""

LEVEL_VOXELS = 3.0
"""Sigma by which what is painted is smoothed to its level; finer than that is texture, and kept."""

MEAN_SHARE = 0.5
"""Of the way from the mean of what is painted to the mean of what is known beside it that it goes (docs/decisions.md)."""

COARSE = 2
"""Voxels to a side of those that are computed with: what is carried on is smooth."""


@dataclass(frozen=True)
class DecodedDifference:
    """Decoded scan against decoded pseudo-healthy scan, model intensities (k, j, i): their distance, smoothed, and with its sign."""

    smoothed: np.ndarray
    signed: np.ndarray


@dataclass(frozen=True)
class PseudoHealthy:
    """A pseudo-healthy scan on the working grid, model intensities (k, j, i).

    `intensities` the scan with healthy tissue where it is `painted`, bool, voxels; `hole` bool, voxels, at least as large as
    what is painted; `inpainting` what it was decoded from; `difference` between the decoded scan and the decoded
    pseudo-healthy scan, None where the scan itself was not decoded.
    """

    intensities: np.ndarray
    hole: np.ndarray
    painted: np.ndarray
    inpainting: Inpainting
    difference: DecodedDifference | None = None

    @property
    def pixel_residual(self) -> np.ndarray:
        """How far the two lie apart, 0 outside the hole's surroundings. Raises ValueError where the scan was not decoded."""
        return self._known_difference.smoothed

    @property
    def signed(self) -> np.ndarray:
        """The same with its sign, unsmoothed."""
        return self._known_difference.signed

    @property
    def _known_difference(self) -> DecodedDifference:
        if self.difference is None:
            raise ValueError("the scan itself was not decoded: inpaint with compare=True where residuals are wanted")
        return self.difference


def pseudo_healthy_scan(
    encoded: EncodedScan,
    hole: np.ndarray,
    result: Inpainting,
    before: np.ndarray | None,
    after: np.ndarray,
    painted: np.ndarray | None = None,
    healthy: np.ndarray | None = None,
) -> PseudoHealthy:
    """Put together what was decoded around the hole: `before` the scan itself, if it was, `after` with healthy tissue.

    `hole` is bool in latent cells of the whole scan; `before` and `after` are model intensities of its `decoded_box`;
    `painted` is bool in voxels (the whole hole where it is not given); `healthy`, bool in voxels, is where the rest of the
    hole may be taken for healthy and the level of what is painted from it (all of it where it is not given).
    """
    shape = encoded.grid.geometry.shape
    box = decoded_box(hole)
    voxels = tuple(slice(s.start * CELL, min(s.stop * CELL, n)) for s, n in zip(box, shape))
    part = tuple(slice(0, v.stop - v.start) for v in voxels)
    difference = None
    if before is not None:
        difference = DecodedDifference(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
        difference.signed[voxels] = (before - after)[part]
        difference.smoothed[voxels] = pixel_residual(before, after)[part]
    wide = hole_voxels(hole, shape)
    shown = wide if painted is None else painted
    scan = encoded.grid.intensities
    known = wide[voxels] & ~shown[voxels] & encoded.body[voxels]
    if healthy is not None:
        known &= healthy[voxels]
    if encoded.grid.modality == "CT":
        known &= encoded.grid.curve.inverse(scan[voxels]) < DENSE_BONE_HU
    after = after.astype(np.float32)
    if known.any():
        after[part] += carried_on(scan[voxels] - after[part], known)
        after[part] = levelled(after[part], shown[voxels], scan[voxels][known])
    intensities = blended(scan, after, box, shown)
    return PseudoHealthy(intensities, wide, shown, result, difference)


def carried_on(difference: np.ndarray, known: np.ndarray) -> np.ndarray:
    """A `difference`, float32 (k, j, i), smoothed where it is `known`, bool, and carried to everywhere else.

    0 where nothing known lies within reach.
    """
    values, weights = (_coarse(a) for a in (np.where(known, difference, np.float32(0)), known.astype(np.float32)))
    result, reached = np.zeros_like(values), np.zeros(values.shape, bool)
    for reach in REACHES_VOXELS:
        share = ndimage.gaussian_filter(weights, reach / COARSE)
        new = (share > LEAST_KNOWN) & ~reached
        result[new] = ndimage.gaussian_filter(values, reach / COARSE)[new] / share[new]
        reached |= new
    return _fine(result, difference.shape)


def levelled(tissue: np.ndarray, painted: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """`tissue`, float32 (k, j, i), brought nearer to the level of what is known `beside` it where it is `painted`, bool.

    The level, the tissue smoothed within what is painted, is brought between quantiles of `beside` (n,); then all of it moves by
    a share of what its mean still differs by.
    """
    values, weights = (_coarse(a) for a in (np.where(painted, tissue, np.float32(0)), painted.astype(np.float32)))
    share = ndimage.gaussian_filter(weights, LEVEL_VOXELS / COARSE)
    level = ndimage.gaussian_filter(values, LEVEL_VOXELS / COARSE) / np.maximum(share, np.float32(LEAST_KNOWN))
    low, high = np.quantile(beside, LEVEL_QUANTILES)
    shift = np.where(weights > 0, np.clip(level, low, high) - level, 0).astype(np.float32)
    limited = tissue + _fine(shift, tissue.shape)
    if painted.any():
        limited += np.float32(MEAN_SHARE * (beside.mean() - limited[painted].mean()))
    return np.where(painted, limited, tissue)


def _fine(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What `_coarse` made smaller, interpolated to the `shape` it was."""
    fine = torch.nn.functional.interpolate(torch.from_numpy(array)[None, None], scale_factor=COARSE, mode="trilinear")
    return fine[0, 0].numpy()[tuple(slice(0, n) for n in shape)]


def _coarse(array: np.ndarray) -> np.ndarray:
    """Means of blocks of COARSE voxels to a side; beyond the end there is nothing."""
    k, j, i = (-(-n // COARSE) for n in array.shape)
    filled = np.pad(array, [(0, n * COARSE - a) for n, a in zip((k, j, i), array.shape)])
    return filled.reshape(k, COARSE, j, COARSE, i, COARSE).mean((1, 3, 5), dtype=np.float32)


def on_scan_grid(encoded: EncodedScan, healthy: PseudoHealthy) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pseudo-healthy volume, residual (scan minus pseudo-healthy) and what is painted, on the scan's own grid, in its own unit.

    The scan's own voxels are kept wherever nothing was painted; only the difference is interpolated, and only where it is.
    """
    volume = encoded.scan.voxels.astype(np.float32)
    residual, hole = np.zeros(volume.shape, np.float32), np.zeros(volume.shape, bool)
    near = bounding_box(healthy.painted, EDGE_MARGIN)
    if near is None:
        return volume, residual, hole
    grid, within = encoded.grid.part(near), healthy.painted[near].astype(np.float32)
    soft = np.clip(2 * ndimage.uniform_filter(within, 3), 0, 1)
    box = grid.box_on_scan(soft > 0)
    if box is not None:
        share = grid.to_scan(soft, box=box)
        replaced = grid.to_scan(grid.curve.inverse(healthy.intensities[near]), box=box)
        part = volume[box]
        volume[box] = np.where(share > 0, (1 - share) * part + share * replaced, part)
        residual[box] = encoded.scan.voxels[box] - volume[box]
        hole[box] = grid.to_scan(within, box=box) > 0.5
    return volume, residual, hole
