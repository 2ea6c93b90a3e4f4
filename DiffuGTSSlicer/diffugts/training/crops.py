"""Random crops of packed volumes, with the augmentations all trainings share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffugts.generated.fields import smooth_noise
from diffugts.scans.intensity import MR_CEILING


def crop_box(shape: Sequence[int], size: Sequence[int], rng: np.random.Generator) -> tuple[slice, ...]:
    """A random box of `size` voxels within `shape`; shorter where the volume is."""
    starts = [int(rng.integers(0, max(1, n - s + 1))) for n, s in zip(shape, size)]
    return tuple(slice(a, min(a + s, n)) for a, s, n in zip(starts, size, shape))


def crop_box_around(
    shape: Sequence[int], size: Sequence[int], centre: Sequence[int], rng: np.random.Generator
) -> tuple[slice, ...]:
    """A box of `size` voxels that holds `centre`, at a random place within the box."""
    slices = []
    for n, s, c in zip(shape, size, centre):
        s = min(n, s)
        low, high = max(0, int(c) - s + 1 + s // 8), min(n - s, int(c) - s // 8)
        start = int(rng.integers(low, high + 1)) if high > low else min(max(0, int(c) - s // 2), n - s)
        slices.append(slice(start, start + s))
    return tuple(slices)


def padded(array: np.ndarray, size: Sequence[int]) -> np.ndarray:
    """`array` filled up with zeros at its far ends to `size`."""
    return np.pad(array, [(0, s - n) for s, n in zip(size, array.shape)])


def vary_intensities(
    intensities: np.ndarray, modality: str, rng: np.random.Generator, mr_ceiling: float = MR_CEILING
) -> np.ndarray:
    """Scale, gamma and offset within what scanners differ: CT a few HU, MR by tens of per cent and up to `mr_ceiling`."""
    if modality == "CT":
        varied = intensities * rng.uniform(0.98, 1.02) + np.float32(rng.uniform(-0.015, 0.015)) * (intensities > 0.02)
        return np.clip(varied, 0.0, 1.0).astype(np.float32)
    varied = np.clip(intensities * rng.uniform(0.7, 1.2), 0.0, mr_ceiling)
    if rng.random() < 0.5:
        varied = varied ** rng.uniform(0.8, 1.25)
    if rng.random() < 0.3:  # a coil's bias field
        varied = varied * np.exp(0.12 * smooth_noise(rng, varied.shape, 24.0))
    if rng.random() < 0.25:
        varied = np.maximum(varied + rng.normal(0, 0.02, varied.shape) * (varied > 0.02), 0.0)
    return np.minimum(varied, mr_ceiling).astype(np.float32)
