"""A mask of a large scan as the few cells of 16 x 16 x 16 voxels in which something is set.

Lesions far apart in a large scan fill a thousandth of the box around them all: what is done with masks then takes
milliseconds instead of a second.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from DiffuGTSSlicerLib.box_mask import BoxMask

CELL = 16
"""Voxels along each side of a cell; cells begin at voxel 0 of the grid along every axis."""

BITS = 20
"""Of a cell's number along one axis in its key."""

FIRST = -(1 << BITS - 1)
"""The lowest number of a cell: what was drawn outside the grid has numbers below 0."""


@dataclass(frozen=True)
class SparseMask:
    """Cells by key, ascending, and their voxels, bool (n, 16, 16, 16) in (k, j, i) order; no cell is empty."""

    keys: np.ndarray
    blocks: np.ndarray

    @classmethod
    def empty(cls) -> SparseMask:
        """A mask without a voxel."""
        return cls(np.zeros(0, np.int64), np.zeros((0, CELL, CELL, CELL), bool))

    @classmethod
    def of(cls, mask: BoxMask) -> SparseMask:
        """The same voxels."""
        return cls.of_voxels(mask.voxels.view(np.uint8), mask.corner)

    @classmethod
    def of_voxels(cls, voxels: np.ndarray, corner: tuple[int, int, int], label: int | None = None) -> SparseMask:
        """What is not 0 (or has the `label`) in a uint8 array (k, j, i) whose first voxel is `corner` of the grid."""
        if voxels.size == 0:
            return cls.empty()
        (start_k, start_j, start_i), (depth, height, width) = corner, voxels.shape
        edges_j, edges_i = _edges(start_j, height), _edges(start_i, width)
        cells, blocks = [], []
        for low in _edges(start_k, depth):
            high = min(depth, (start_k + low) // CELL * CELL + CELL - start_k)
            slab = voxels[low:high]
            slab = (slab == label).view(np.uint8) if label is not None else slab
            seen = np.bitwise_or.reduce(slab, axis=0)
            seen = np.bitwise_or.reduceat(np.bitwise_or.reduceat(seen, edges_j, 0), edges_i, 1)
            for row, column in np.argwhere(seen):
                top, left = edges_j[row], edges_i[column]
                place = np.array([start_k + low, start_j + top, start_i + left])
                cell, offset = place // CELL, place % CELL
                part = slab[:, top : top + CELL - offset[1], left : left + CELL - offset[2]]
                block = np.zeros((CELL, CELL, CELL), bool)
                k, j, i = offset
                block[k : k + part.shape[0], j : j + part.shape[1], i : i + part.shape[2]] = part
                cells.append(cell)
                blocks.append(block)
        return cls.of_cells(np.array(cells, int).reshape(-1, 3), np.array(blocks, bool).reshape(-1, CELL, CELL, CELL))

    @classmethod
    def of_cells(cls, cells: np.ndarray, blocks: np.ndarray) -> SparseMask:
        """From the numbers of cells (n, 3) along (k, j, i), each at most once, and their voxels."""
        cells = cells.astype(np.int64) - FIRST
        keys = (cells[:, 0] << 2 * BITS) | (cells[:, 1] << BITS) | cells[:, 2]
        order = np.argsort(keys)
        return cls(keys[order], blocks[order])._without_empty_cells()

    @property
    def count(self) -> int:
        """Voxels that are set."""
        return int(np.count_nonzero(self.blocks))

    @property
    def cells(self) -> np.ndarray:
        """The cells' numbers (n, 3) along (k, j, i)."""
        low = (1 << BITS) - 1
        return np.stack([self.keys >> 2 * BITS, (self.keys >> BITS) & low, self.keys & low], axis=1) + FIRST

    def items(self) -> Iterator[tuple[tuple[int, int, int], np.ndarray]]:
        """Every cell's first voxel in the grid and its voxels."""
        for cell, block in zip(self.cells * CELL, self.blocks):
            yield (int(cell[0]), int(cell[1]), int(cell[2])), block

    def box(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """First voxel and shape of the smallest box around what is set; of an empty mask, no voxel."""
        if len(self.keys) == 0:
            return (0, 0, 0), (0, 0, 0)
        low, high = [], []
        for axis, along in enumerate(self.cells.T):
            others = tuple(a for a in range(4) if a != axis + 1)
            first, last = int(along.min()), int(along.max())  # no cell is empty: nothing lies beyond what these hold
            low.append(first * CELL + int(np.flatnonzero(self.blocks[along == first].any(axis=others))[0]))
            high.append(last * CELL + int(np.flatnonzero(self.blocks[along == last].any(axis=others))[-1]) + 1)
        return (low[0], low[1], low[2]), (high[0] - low[0], high[1] - low[1], high[2] - low[2])

    def boxed(self) -> BoxMask:
        """The same voxels in the smallest box around them."""
        corner, shape = self.box()
        return BoxMask(corner, self.within(corner, shape))

    def within(self, corner: tuple[int, int, int], shape: tuple[int, ...]) -> np.ndarray:
        """The mask in a box of the grid, bool (k, j, i); what lies outside that box is cut off."""
        result = np.zeros(shape, bool)
        for start, block in self.items():
            mine, theirs = [], []
            for c, n, s in zip(corner, shape, start):
                low, high = max(c, s), min(c + n, s + CELL)
                mine.append(slice(low - s, max(high, low) - s))
                theirs.append(slice(low - c, max(high, low) - c))
            result[tuple(theirs)] = block[tuple(mine)]
        return result

    def blocks_of(self, keys: np.ndarray) -> np.ndarray:
        """The voxels of the cells with the given keys; all False where this mask has no such cell."""
        result = np.zeros((len(keys), CELL, CELL, CELL), bool)
        if len(self.keys) and len(keys):
            place = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
            known = self.keys[place] == keys
            result[known] = self.blocks[place[known]]
        return result

    def __or__(self, other: SparseMask) -> SparseMask:
        keys = np.union1d(self.keys, other.keys)
        return SparseMask(keys, self.blocks_of(keys) | other.blocks_of(keys))

    def __and__(self, other: SparseMask) -> SparseMask:
        keys = np.intersect1d(self.keys, other.keys, assume_unique=True)
        return SparseMask(keys, self.blocks_of(keys) & other.blocks_of(keys))._without_empty_cells()

    def __sub__(self, other: SparseMask) -> SparseMask:
        return SparseMask(self.keys, self.blocks & ~other.blocks_of(self.keys))._without_empty_cells()

    def _without_empty_cells(self) -> SparseMask:
        kept = filled(self.blocks)
        return self if kept.all() else SparseMask(self.keys[kept], self.blocks[kept])


def filled(blocks: np.ndarray) -> np.ndarray:
    """For every cell (n, 16, 16, 16) whether any of its voxels is set; eight voxels are looked at in one."""
    eights = np.ascontiguousarray(blocks).reshape(len(blocks), CELL**3).view(np.uint64)
    return np.asarray(eights.any(axis=1))


def _edges(start: int, size: int) -> list[int]:
    """Where cells begin in an array whose first voxel is `start` of the grid."""
    return [0, *range(CELL - start % CELL, size, CELL)]
