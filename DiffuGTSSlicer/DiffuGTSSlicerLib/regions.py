"""The connected regions of a mask: lesions, before they are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.sparse_mask import CELL, SparseMask, filled

SEVERAL = -1
"""In place of a cell's region where it holds parts of more than one."""

NEIGHBOURS = ((0, 1), (1, -1), (1, 0), (1, 1))
"""Rows (k, j) that a voxel's region may go on in, 26-connected; the other half of them look back at it."""


@dataclass
class Regions:
    """The connected regions of a mask, numbered from 0 in the order of their first voxels; `sizes` are their voxels.

    `of_cell` is the region of each of the mask's cells, `SEVERAL` where there is more than one; for those cells, whose places
    among all are `shared`, `labels` (m, 16, 16, 16) has the region of every voxel, from 1, and `parts` (2, p) the regions that
    have a part there, ascending, and in which of the m.
    """

    mask: SparseMask
    sizes: np.ndarray
    of_cell: np.ndarray
    shared: np.ndarray
    labels: np.ndarray
    parts: np.ndarray

    @classmethod
    def of(cls, mask: SparseMask) -> Regions:
        """The regions of a mask, 26-connected. scipy comes with Slicer.

        By runs: set voxels side by side in a row are one, and what is joined are runs that touch in neighbouring rows. A lesion
        of a million voxels has some ten thousand of them; `scipy.ndimage.label` looks at every voxel, set or not, and at all
        that lies between two lesions.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        if len(mask.keys) == 0:
            nothing = np.zeros(0, int)
            labels = np.zeros((0, CELL, CELL, CELL), np.int32)
            return cls(mask, nothing, nothing, nothing, labels, np.zeros((2, 0), int))
        pieces = _Pieces.of(mask)
        firsts, ends, run_of_piece = pieces.joined()
        links = np.concatenate([pieces.touching(firsts, ends, step) for step in NEIGHBOURS], axis=1)
        graph = coo_array((np.ones(links.shape[1], bool), (links[0], links[1])), shape=(len(firsts),) * 2)
        count, region = connected_components(graph, directed=False)
        sizes = np.bincount(region, weights=ends - firsts, minlength=count).astype(np.int64)
        of_piece = region[run_of_piece]
        starts = np.searchsorted(pieces.cell, np.arange(len(mask.keys)))
        lowest, highest = (extreme.reduceat(of_piece, starts) for extreme in (np.minimum, np.maximum))
        of_cell = np.where(lowest == highest, lowest, SEVERAL)
        shared = np.flatnonzero(of_cell == SEVERAL)
        in_shared = of_cell[pieces.cell] == SEVERAL
        slots = np.searchsorted(shared, pieces.cell[in_shared])
        parts = np.stack(np.divmod(np.unique(of_piece[in_shared] * max(len(shared), 1) + slots), max(len(shared), 1)))
        return cls(mask, sizes, of_cell, shared, pieces.drawn(in_shared, slots, of_piece + 1, len(shared)), parts)

    def union(self, chosen: np.ndarray) -> SparseMask:
        """The mask of the regions for which `chosen` is True."""
        if chosen.all():
            return self.mask
        kept = np.flatnonzero(np.append(chosen, True)[self.of_cell])
        blocks = self.mask.blocks[kept]
        among = np.searchsorted(kept, self.shared)
        blocks[among] = np.append(False, chosen)[self.labels]
        return SparseMask.of_cells(self.mask.cells[kept], blocks)

    def touched_by(self, mask: SparseMask) -> np.ndarray:
        """For every region whether it shares a voxel with another mask."""
        both = mask.blocks_of(self.mask.keys) & self.mask.blocks
        touched = np.zeros(len(self.sizes) + 1, bool)
        touched[self.of_cell[filled(both)]] = True  # SEVERAL falls behind the last
        touched[self.labels[both[self.shared]] - 1] = True
        return touched[:-1]

    def highest(self, most: int, scores: np.ndarray) -> list[BoxMask]:
        """The `most` regions with the highest score as masks, that one first; `scores` of the whole grid (k, j, i)."""
        maxima = np.zeros(len(self.sizes) + 1, scores.dtype)
        places = np.flatnonzero(self.mask.blocks)
        inside = scores[tuple(_voxels(self.mask.cells, places))]
        starts = np.searchsorted(places, np.arange(len(self.mask.keys)) * CELL**3)
        np.maximum.at(maxima, self.of_cell, np.maximum.reduceat(inside, starts))
        shared = np.zeros(len(self.mask.keys), bool)
        shared[self.shared] = True
        within = shared[places // CELL**3]
        np.maximum.at(maxima, self.labels[self.mask.blocks[self.shared]] - 1, inside[within])
        return self.masks(np.argsort(-maxima[:-1], kind="stable")[:most])

    def masks(self, numbers: np.ndarray | None = None) -> list[BoxMask]:
        """Regions as masks of their own, in the order of their numbers; all where none are given."""
        order = np.argsort(self.of_cell, kind="stable")
        sorted_regions = self.of_cell[order]
        result = []
        for number in range(len(self.sizes)) if numbers is None else numbers:
            low, high = np.searchsorted(sorted_regions, (number, number + 1))
            low_part, high_part = np.searchsorted(self.parts[0], (number, number + 1))
            whole, parts = order[low:high], self.parts[1, low_part:high_part]
            members = np.concatenate([whole, self.shared[parts]]).astype(int)
            blocks = np.concatenate([self.mask.blocks[whole], self.labels[parts] == number + 1])
            result.append(_boxed(self.mask.cells[members], blocks))
        return result


@dataclass
class _Pieces:
    """Runs of set voxels within the rows of cells, cell by cell.

    `first` and `end` (behind the last voxel) count through all rows of the box of `shape` (k, j, i) around the cells, with a gap
    behind each row; `place` is the first voxel in the blocks, taken as one row.
    """

    cell: np.ndarray
    first: np.ndarray
    end: np.ndarray
    place: np.ndarray
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, mask: SparseMask) -> _Pieces:
        cells = mask.cells - mask.cells.min(0)
        depth, height, width = (int(n) for n in (cells.max(0) + 1) * CELL)
        rows = np.zeros((len(cells) * CELL * CELL, CELL + 1), bool)
        rows[:, :-1] = mask.blocks.reshape(-1, CELL)
        line = rows.ravel()
        changes = np.flatnonzero(line[1:] != line[:-1]) + 1
        if line[0]:
            changes = np.append(0, changes)
        row, i = np.divmod(changes[::2], CELL + 1)
        cell, within = np.divmod(row, CELL * CELL)
        k, j = np.divmod(within, CELL)
        of_cell = (cells[:, 0] * CELL * height + cells[:, 1] * CELL) * (width + 1) + cells[:, 2] * CELL
        first = of_cell[cell] + (k * height + j) * (width + 1) + i
        return cls(cell, first, first + changes[1::2] - changes[::2], row * CELL + i, (depth, height, width))

    def joined(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Firsts and ends of whole runs, across the borders of cells, in order; the run that each piece belongs to."""
        order = np.argsort(self.first)
        first, end = self.first[order], self.end[order]
        begins = np.append(True, first[1:] != end[:-1])
        run_of_piece = np.empty(len(order), int)
        run_of_piece[order] = np.cumsum(begins) - 1
        return first[begins], end[np.append(begins[1:], True)], run_of_piece

    def touching(self, firsts: np.ndarray, ends: np.ndarray, step: tuple[int, int]) -> np.ndarray:
        """Pairs (2, n) of whole runs that touch, the second of them `step` (k, j) rows away from the first."""
        depth, height, width = self.shape
        k, j = np.divmod(firsts // (width + 1), height)
        inside = np.flatnonzero((k + step[0] < depth) & (j + step[1] >= 0) & (j + step[1] < height))
        shift = (step[0] * height + step[1]) * (width + 1)
        low = np.searchsorted(ends, firsts[inside] + shift)  # ends behind its last voxel: a corner is enough
        high = np.searchsorted(firsts, ends[inside] + shift, side="right")
        counts = np.maximum(high - low, 0)
        place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        return np.stack([np.repeat(inside, counts), np.repeat(low, counts) + place])

    def drawn(self, chosen: np.ndarray, slots: np.ndarray, labels: np.ndarray, count: int) -> np.ndarray:
        """Blocks int32 (count, 16, 16, 16) with the labels of the `chosen` pieces, which lie in these `slots`; 0 elsewhere."""
        blocks = np.zeros(count * CELL**3, np.int32)
        lengths = (self.end - self.first)[chosen]
        start = slots * CELL**3 + self.place[chosen] % CELL**3
        steps = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        blocks[np.repeat(start, lengths) + steps] = np.repeat(labels[chosen], lengths)
        return blocks.reshape(-1, CELL, CELL, CELL)


def load_scipy() -> None:
    """Load what regions are found with; it takes a third of a second once, which is not to fall into a user's first cut.

    Meant to be done beside the main thread; regions that are asked for earlier wait until it is loaded, as for any import.
    """
    import scipy.sparse.csgraph  # noqa: F401


def _boxed(cells: np.ndarray, blocks: np.ndarray) -> BoxMask:
    """What is set in cells, in the smallest box around it."""
    corner = cells.min(0)
    box = np.zeros(CELL * (cells.max(0) - corner + 1), bool)
    k, j, i = (size // CELL for size in box.shape)
    by_cell = box.reshape(k, CELL, j, CELL, i, CELL).transpose(0, 2, 4, 1, 3, 5)
    by_cell[tuple((cells - corner).T)] = blocks
    k, j, i = (int(n) * CELL for n in corner)
    return BoxMask.of(box, (k, j, i))


def _voxels(cells: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places in the blocks of cells as voxels (3, n) of the grid that the cells are numbered in."""
    cell, within = np.divmod(places.astype(np.int64), CELL**3)
    voxels = np.empty((3, len(places)), np.int32)
    for axis, step in enumerate((CELL * CELL, CELL, 1)):
        voxels[axis] = (cells[:, axis] * CELL).astype(np.int32)[cell] + (within // step % CELL)
    return voxels
