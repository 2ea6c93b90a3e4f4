"""The connected regions of a mask: lesions, before they are measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.sparse_mask import CELL, SparseMask

TOUCHING = np.ones((3, 3, 3))
"""26-connectivity: voxels that share a corner are one lesion."""


@dataclass(frozen=True)
class Regions:
    """The connected regions of a mask: for every set voxel its flat `places` in the mask's blocks and `labels` from 0.

    `sizes` are the regions' voxels.
    """

    mask: SparseMask
    places: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, mask: SparseMask) -> Regions:
        """The regions of a mask, 26-connected. scipy comes with Slicer.

        Voxels that touch lie in cells that are the same or touch, so that each group of touching cells is labelled by
        itself: two small lesions far apart cost what two small boxes cost, not what the box around both does.
        """
        from scipy import ndimage

        places = np.flatnonzero(mask.blocks)
        if places.size == 0:
            return cls(mask, places, places, places)
        cells = mask.cells - mask.cells.min(0)
        present = np.zeros(cells.max(0) + 1, bool)
        present[tuple(cells.T)] = True
        groups, count = ndimage.label(present, TOUCHING)
        group = groups[tuple(cells.T)] - 1
        by_group = np.split(np.argsort(group, kind="stable"), np.cumsum(np.bincount(group, minlength=count))[:-1])
        labels = np.empty(mask.blocks.shape, np.int32)
        sizes: list[np.ndarray] = []
        found = 0
        for members in by_group:
            inside = cells[members] - cells[members].min(0)
            box = np.zeros(CELL * (inside.max(0) + 1), bool)
            _cells_of(box)[tuple(inside.T)] = mask.blocks[members]
            local = np.empty(box.shape, np.int32)
            number = ndimage.label(box, TOUCHING, output=local)
            if number == 1:  # as mostly: no voxel has to be looked up for its region
                labels[members] = found
                sizes.append(np.array([np.count_nonzero(box)]))
            else:
                labels[members] = _cells_of(local)[tuple(inside.T)] + (found - 1)
                sizes.append(np.bincount(local.ravel(), minlength=number + 1)[1:])
            found += number
        return cls(mask, places, labels.ravel()[places], np.concatenate(sizes))

    def union(self, chosen: np.ndarray) -> SparseMask:
        """The mask of the regions for which `chosen` is True."""
        if chosen.all():
            return self.mask
        blocks = np.zeros_like(self.mask.blocks)
        blocks.ravel()[self.places[chosen[self.labels]]] = True
        return SparseMask.of_cells(self.mask.cells, blocks)

    def touched_by(self, mask: SparseMask) -> np.ndarray:
        """For every region whether it shares a voxel with another mask."""
        touched = np.zeros(len(self.sizes), bool)
        touched[self.labels[mask.blocks_of(self.mask.keys).ravel()[self.places]]] = True
        return touched

    def highest(self, most: int, scores: np.ndarray) -> Regions:
        """The `most` regions with the highest score, labelled anew; `scores` of the whole grid (k, j, i)."""
        maxima = np.zeros(len(self.sizes), scores.dtype)
        np.maximum.at(maxima, self.labels, scores[tuple(_voxels(self.mask.cells, self.places))])
        chosen = np.argsort(-maxima, kind="stable")[:most]
        number = np.full(len(self.sizes), -1)
        number[chosen] = np.arange(len(chosen))
        labels = number[self.labels]
        return Regions(self.mask, self.places[labels >= 0], labels[labels >= 0], self.sizes[chosen])

    def masks(self) -> list[BoxMask]:
        """Every region as a mask of its own, in order of its label."""
        order = np.argsort(self.labels, kind="stable")
        voxels = _voxels(self.mask.cells, self.places[order])
        result = []
        for part in np.split(voxels, np.cumsum(self.sizes)[:-1], axis=1) if len(self.sizes) else []:
            k, j, i = (int(n) for n in part.min(1))
            box = np.zeros(part.max(1) - part.min(1) + 1, bool)
            box[tuple(part - part.min(1, keepdims=True))] = True
            result.append(BoxMask((k, j, i), box))
        return result


def load_scipy() -> None:
    """Load what regions are found with; it takes a third of a second once, which is not to fall into a user's first cut."""
    import scipy.ndimage  # noqa: F401


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
