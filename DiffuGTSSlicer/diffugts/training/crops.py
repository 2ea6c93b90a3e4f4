"""Random crops of packed volumes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


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
