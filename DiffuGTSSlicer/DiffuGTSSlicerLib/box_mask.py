"""A small mask of a large grid: only the box that holds something."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BoxMask:
    """A mask of which only a box is kept: `corner` (k, j, i) of the first voxel, `voxels` bool (k, j, i).

    The box may be larger than what is set in it; `of` makes the smallest.
    """

    corner: tuple[int, int, int]
    voxels: np.ndarray

    @classmethod
    def empty(cls) -> BoxMask:
        """A mask without a voxel."""
        return cls((0, 0, 0), np.zeros((0, 0, 0), bool))

    @classmethod
    def of(cls, mask: np.ndarray, corner: tuple[int, int, int] = (0, 0, 0)) -> BoxMask:
        """The box around what is set in a mask (k, j, i) whose first voxel is `corner`."""
        box = []
        for axis in range(3):
            seen = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
            if seen.size == 0:
                return cls.empty()
            box.append(slice(int(seen[0]), int(seen[-1]) + 1))
        start = tuple(c + s.start for c, s in zip(corner, box))
        return cls((start[0], start[1], start[2]), np.ascontiguousarray(mask[tuple(box)] > 0))

    @property
    def count(self) -> int:
        """Voxels that are set."""
        return int(np.count_nonzero(self.voxels))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """The box in an array of the whole grid."""
        k, j, i = (slice(c, c + n) for c, n in zip(self.corner, self.voxels.shape))
        return k, j, i

    def within(self, corner: tuple[int, int, int], shape: tuple[int, ...]) -> np.ndarray:
        """The mask in another box, bool (k, j, i); what lies outside that box is cut off."""
        result = np.zeros(shape, bool)
        mine, theirs = [], []
        for c, n, other_c, other_n in zip(self.corner, self.voxels.shape, corner, shape):
            low, high = max(c, other_c), min(c + n, other_c + other_n)
            if low >= high:
                return result
            mine.append(slice(low - c, high - c))
            theirs.append(slice(low - other_c, high - other_c))
        result[tuple(theirs)] = self.voxels[tuple(mine)]
        return result

    def meets(self, other: BoxMask) -> bool:
        """Whether a voxel is set in both."""
        mine, theirs = [], []
        for c, n, other_c, other_n in zip(self.corner, self.voxels.shape, other.corner, other.voxels.shape):
            low, high = max(c, other_c), min(c + n, other_c + other_n)
            if low >= high:
                return False
            mine.append(slice(low - c, high - c))
            theirs.append(slice(low - other_c, high - other_c))
        return bool((self.voxels[tuple(mine)] & other.voxels[tuple(theirs)]).any())

    def _combined(self, other: BoxMask, rule: np.ufunc) -> BoxMask:
        corner, shape = joint_box([self, other])
        return BoxMask(corner, rule(self.within(corner, shape), other.within(corner, shape)))

    def __or__(self, other: BoxMask) -> BoxMask:
        return self._combined(other, np.logical_or)

    def __sub__(self, other: BoxMask) -> BoxMask:
        return self._combined(other, np.greater)


def joint_box(masks: list[BoxMask]) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Corner and shape (k, j, i) of the smallest box that holds the boxes of all masks."""
    full = [mask for mask in masks if mask.voxels.size]
    if not full:
        return (0, 0, 0), (0, 0, 0)
    low = np.min([mask.corner for mask in full], axis=0)
    high = np.max([np.add(mask.corner, mask.voxels.shape) for mask in full], axis=0)
    k, j, i = (int(n) for n in low)
    depth, height, width = (int(n) for n in high - low)
    return (k, j, i), (depth, height, width)
