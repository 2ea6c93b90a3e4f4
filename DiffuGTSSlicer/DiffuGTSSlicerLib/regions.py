"""The connected regions of a mask: lesions, before they are measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.sparse_mask import CELL, SparseMask

TOUCHING = np.ones((3, 3, 3))
"""26-connectivity: voxels that share a corner are one lesion."""


@dataclass(frozen=True)
class _Group:
    """Cells that touch one another, by their number in the mask (`members`) and their place in the box around them (`inside`).

    `labels` of that box, from 1, for regions numbered from `first`; None where all of it is one region.
    """

    members: np.ndarray
    inside: np.ndarray
    first: int
    labels: np.ndarray | None


@dataclass
class Regions:
    """The connected regions of a mask, numbered from 0; `sizes` are their voxels.

    For every set voxel, once somebody asks: its flat `places` in the mask's blocks, and `labels`, its region.
    """

    mask: SparseMask
    sizes: np.ndarray
    groups: list[_Group]

    @classmethod
    def of(cls, mask: SparseMask) -> Regions:
        """The regions of a mask, 26-connected. scipy comes with Slicer.

        Voxels that touch lie in cells that are the same or touch, so that each group of touching cells is labelled by
        itself: two small lesions far apart cost what two small boxes cost, not what the box around both does.
        """
        from scipy import ndimage

        if len(mask.keys) == 0:
            return cls(mask, np.zeros(0, int), [])
        cells = mask.cells - mask.cells.min(0)
        present = np.zeros(cells.max(0) + 1, bool)
        present[tuple(cells.T)] = True
        numbers, count = ndimage.label(present, TOUCHING)
        number = numbers[tuple(cells.T)] - 1
        by_group = np.split(np.argsort(number, kind="stable"), np.cumsum(np.bincount(number, minlength=count))[:-1])
        insides = [cells[members] - cells[members].min(0) for members in by_group]
        boxes = [_box_of(inside, mask.blocks[members]) for inside, members in zip(insides, by_group)]
        found, sizes = _labelled(boxes)
        groups, first = [], 0
        for members, inside, box, (region, lengths) in zip(by_group, insides, boxes, found):
            regions = int(region.max()) + 1
            labels = None
            if regions > 1:
                labels = np.zeros(box.shape, np.int32)
                labels[box] = np.repeat(region + 1, lengths)
            groups.append(_Group(members, inside, first, labels))
            first += regions
        return cls(mask, sizes, groups)

    @cached_property
    def places(self) -> np.ndarray:
        """Where voxels are set in the mask's blocks, taken as one row."""
        return np.flatnonzero(self.mask.blocks)

    @cached_property
    def labels(self) -> np.ndarray:
        """The region of the voxel at each of the `places`."""
        labels = np.empty(self.mask.blocks.shape, np.int32)
        for group in self.groups:
            if group.labels is None:
                labels[group.members] = group.first
            else:
                labels[group.members] = _cells_of(group.labels)[tuple(group.inside.T)].astype(np.int32) + (
                    group.first - 1
                )
        return labels.ravel()[self.places]

    def union(self, chosen: np.ndarray) -> SparseMask:
        """The mask of the regions for which `chosen` is True."""
        if chosen.all():
            return self.mask
        blocks = np.zeros_like(self.mask.blocks)
        for group in self.groups:
            if group.labels is None:
                if chosen[group.first]:
                    blocks[group.members] = self.mask.blocks[group.members]
            else:
                among = chosen[group.first : group.first + int(group.labels.max())]
                if among.any():
                    blocks[group.members] = _cells_of(np.append(False, among)[group.labels])[tuple(group.inside.T)]
        return SparseMask.of_cells(self.mask.cells, blocks)

    def touched_by(self, mask: SparseMask) -> np.ndarray:
        """For every region whether it shares a voxel with another mask."""
        touched = np.zeros(len(self.sizes), bool)
        for group in self.groups:
            shared = mask.blocks_of(self.mask.keys[group.members]) & self.mask.blocks[group.members]
            if group.labels is None:
                touched[group.first] = shared.any()
            else:
                touched[group.first + _cells_of(group.labels)[tuple(group.inside.T)][shared] - 1] = True
        return touched

    def highest(self, most: int | None, scores: np.ndarray) -> list[BoxMask]:
        """The `most` regions with the highest score as masks, None for all, that one first; `scores` of the whole grid (k, j, i)."""
        maxima = np.zeros(len(self.sizes), scores.dtype)
        np.maximum.at(maxima, self.labels, scores[tuple(_voxels(self.mask.cells, self.places))])
        chosen = np.argsort(-maxima, kind="stable")[:most]
        number = np.full(len(self.sizes), -1)
        number[chosen] = np.arange(len(chosen))
        labels = number[self.labels]
        return _masks(self.mask.cells, self.places[labels >= 0], labels[labels >= 0], self.sizes[chosen])

    def masks(self) -> list[BoxMask]:
        """Every region as a mask of its own, in order of its number."""
        from scipy import ndimage

        result = []
        for group in self.groups:
            corner = self.mask.cells[group.members].min(0) * CELL
            if group.labels is None:
                result.append(_trimmed(_box_of(group.inside, self.mask.blocks[group.members]), corner))
            else:
                for number, slices in enumerate(ndimage.find_objects(group.labels), start=1):
                    first = corner + [s.start for s in slices]
                    result.append(BoxMask(_place(first), group.labels[slices] == number))
        return result


def load_scipy() -> None:
    """Load what regions are found with; it takes a third of a second once, which is not to fall into a user's first cut.

    Meant to be done beside the main thread; regions that are asked for earlier wait until it is loaded, as for any import.
    """
    import scipy.ndimage
    import scipy.sparse.csgraph  # noqa: F401


def _box_of(inside: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    """Cells at their places `inside` (n, 3) the box around them, bool (k, j, i)."""
    box = np.zeros(CELL * (inside.max(0) + 1), bool)
    _cells_of(box)[tuple(inside.T)] = blocks
    return box


def _labelled(boxes: list[np.ndarray]) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """The regions of boxes, 26-connected: of each box the region of every run, from 0, and the runs' lengths; all regions' voxels.

    By runs: set voxels side by side in a row are one, and what is joined are runs that touch in neighbouring rows. A lesion
    of a million voxels has some ten thousand of them; `scipy.ndimage.label` looks at every voxel, set or not. All boxes are
    joined at once, one behind the other: for thousands of specks, scipy's own overhead of a call would be the most of it.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    parts = [box[_bounds(box)] for box in boxes]
    each = [_runs(part) for part in parts]
    counts = np.array([len(firsts) for firsts, _ends, _rows in each])
    starts = np.cumsum([0, *((part.shape[0] * part.shape[1]) * (part.shape[2] + 1) for part in parts[:-1])])
    firsts, ends = (np.concatenate([runs[end] + start for runs, start in zip(each, starts)]) for end in (0, 1))
    rows = np.concatenate([runs[2] for runs in each])
    shapes = np.repeat([part.shape for part in parts], counts, axis=0)
    joined = [_touching(firsts, ends, rows, shapes.T, step) for step in ((0, 1), (1, -1), (1, 0), (1, 1))]
    one, other = np.concatenate(joined, axis=1)
    links = coo_array((np.ones(len(one), bool), (one, other)), shape=(len(firsts),) * 2)
    count, region = connected_components(links, directed=False)
    lengths = ends - firsts
    sizes = np.bincount(region, weights=lengths, minlength=count).astype(np.int64)
    cuts = np.cumsum(counts)[:-1]
    # Numbered in the order of their first runs, so that those of a box follow one another.
    found = [(of_box - of_box[0], long) for of_box, long in zip(np.split(region, cuts), np.split(lengths, cuts))]
    return found, sizes


def _runs(box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where runs of set voxels begin and end (behind the last), counted through rows with a gap behind each; their rows."""
    width = box.shape[2] + 1
    line = np.zeros((box.shape[0] * box.shape[1], width), bool)
    line[:, :-1] = box.reshape(-1, box.shape[2])
    line = line.ravel()
    changes = np.flatnonzero(line[1:] != line[:-1]) + 1
    if line[0]:
        changes = np.append(0, changes)
    firsts, ends = changes[::2], changes[1::2]
    return firsts, ends, firsts // width


def _touching(
    firsts: np.ndarray, ends: np.ndarray, rows: np.ndarray, shapes: np.ndarray, step: tuple[int, int]
) -> np.ndarray:
    """Pairs (2, n) of runs that touch, the second of them `step` (k, j) rows away from the first.

    `shapes` (3, n) of the box that each run lies in, `rows` the run's row in it.
    """
    depth, height, width = shapes
    k, j = np.divmod(rows, height)
    inside = np.flatnonzero((k + step[0] < depth) & (j + step[1] >= 0) & (j + step[1] < height))
    shift = ((step[0] * height + step[1]) * (width + 1))[inside]
    low = np.searchsorted(ends, firsts[inside] + shift)  # ends behind its last voxel: a corner is enough
    high = np.searchsorted(firsts, ends[inside] + shift, side="right")
    counts = np.maximum(high - low, 0)
    place = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([np.repeat(inside, counts), np.repeat(low, counts) + place])


def _bounds(box: np.ndarray) -> tuple[slice, slice, slice]:
    """The smallest part of a box (k, j, i) that holds all that is set in it."""
    seen = (np.flatnonzero(box.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1)))
    k, j, i = (slice(int(along[0]), int(along[-1]) + 1) for along in seen)
    return k, j, i


def _trimmed(box: np.ndarray, corner: np.ndarray) -> BoxMask:
    """What is set in a box (k, j, i) whose first voxel is `corner`, in the smallest box around it."""
    within = _bounds(box)
    return BoxMask(_place(corner + [along.start for along in within]), box[within])


def _place(voxel: Iterable[int]) -> tuple[int, int, int]:
    k, j, i = (int(n) for n in voxel)
    return k, j, i


def _masks(cells: np.ndarray, places: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> list[BoxMask]:
    """A mask for each label; `places` in the blocks of `cells` hold `sizes` voxels of each."""
    if len(sizes) == 0:
        return []
    voxels = _voxels(cells, places[np.argsort(labels, kind="stable")])
    result = []
    for part in np.split(voxels, np.cumsum(sizes)[:-1], axis=1):
        box = np.zeros(part.max(1) - part.min(1) + 1, bool)
        box[tuple(part - part.min(1, keepdims=True))] = True
        result.append(BoxMask(_place(part.min(1)), box))
    return result


def _cells_of(box: np.ndarray) -> np.ndarray:
    """A view (k, j, i, 16, 16, 16) of a box (k, j, i) of whole cells, by the cells' numbers in it."""
    k, j, i = (size // CELL for size in box.shape)
    return box.reshape(k, CELL, j, CELL, i, CELL).transpose(0, 2, 4, 1, 3, 5)


def _voxels(cells: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Places in the blocks of cells as voxels (3, n) of the grid that the cells are numbered in."""
    cell, within = np.divmod(places.astype(np.int64), CELL**3)
    voxels = np.empty((3, len(places)), np.int32)
    for axis, step in enumerate((CELL * CELL, CELL, 1)):
        voxels[axis] = (cells[:, axis] * CELL).astype(np.int32)[cell] + (within // step % CELL)
    return voxels
