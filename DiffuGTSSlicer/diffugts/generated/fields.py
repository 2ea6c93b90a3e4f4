"""Random fields and boxes that generated lesions and bodies are made of; arrays are (k, j, i)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Box = tuple[slice, slice, slice]


def box_around(shape: Sequence[int], centre: Sequence[float], reach: float) -> Box:
    """Slices of the voxels of a grid of `shape` within `reach` voxels of `centre` along each axis; empty outside."""
    slices = []
    for n, c in zip(shape, centre, strict=True):
        start = min(n, max(0, int(np.floor(c - reach))))
        slices.append(slice(start, max(start, min(n, int(np.ceil(c + reach)) + 1))))
    return slices[0], slices[1], slices[2]


def offsets_mm(box: Box, centre: Sequence[float], spacing_mm: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances in mm of the box's voxels from `centre` (voxels) along k, j and i, shaped to broadcast."""
    k, j, i = (
        ((np.arange(s.start, s.stop) - c) * spacing_mm).astype(np.float32) for s, c in zip(box, centre, strict=True)
    )
    return k[:, None, None], j[None, :, None], i[None, None, :]


def smooth_noise(rng: np.random.Generator, shape: Sequence[int], scale: float, limit: float = 2.2) -> np.ndarray:
    """A smooth Gaussian random field, float32, mean 0 and variance 1 (before it is clipped to +-`limit`).

    White noise on knots `scale` voxels apart, joined by uniform cubic B-splines: as smooth as a Gaussian
    filter's result, at a cost that does not grow with the scale.
    """
    knots = [int(np.ceil((n - 1) / scale)) + 4 for n in shape]
    field = rng.standard_normal(knots).astype(np.float32)
    for axis, n in enumerate(shape):
        weights = _spline_weights(n, knots[axis], scale, rng.random())
        field = np.moveaxis(np.tensordot(weights, field, axes=(1, axis)), 0, axis)
    return np.clip(field, -limit, limit)


def _spline_weights(n: int, knots: int, scale: float, shift: float) -> np.ndarray:
    """Weights (n, knots) of `knots` coefficients at `n` voxels, each row scaled so that variance stays 1."""
    places = np.arange(n) / scale + 1.0 + shift * 0.999
    distance = np.abs(places[:, None] - np.arange(knots)[None, :])
    near, far = distance < 1, distance < 2
    weights = np.where(near, 2 / 3 - distance**2 + distance**3 / 2, np.where(far, (2 - distance) ** 3 / 6, 0.0))
    return (weights / np.sqrt((weights**2).sum(1, keepdims=True))).astype(np.float32)


def ramp(values: np.ndarray, zero_at: float, one_at: float) -> np.ndarray:
    """Linear from 0 at `zero_at` to 1 at `one_at` (either order), clipped."""
    return np.clip((values - zero_at) / (one_at - zero_at), 0.0, 1.0)
