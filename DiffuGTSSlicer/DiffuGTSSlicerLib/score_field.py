"""A finding's score map as the thing that masks are cut from: threshold, smallest lesion, connected regions.

The rule is the engine's (`diffugts.findings.lesions.cut`): score above the threshold, 26-connectivity, at least the
smallest volume. Only the box in which anything scores is kept, so that a cut in a large scan takes milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import slicer

from diffugts.errors import ResultError
from DiffuGTSSlicerLib.segment_masks import BoxMask
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry
from DiffuGTSSlicerLib.voxels_on_grid import voxels_on_grid

TOUCHING = np.ones((3, 3, 3))
"""26-connectivity: voxels that share a corner are one lesion."""

ROUNDING = 1e-9
"""Relative: a lesion of exactly the smallest volume is kept."""

HISTOGRAM_BINS = 64


CELL = 16
"""Voxels along each side of the cells that are looked at as a whole first."""


@dataclass(frozen=True)
class ScoreField:
    """`scores` float32 (k, j, i) of the box that begins at `corner` (k, j, i) of the grid; 0 outside it.

    `cell_maxima` holds the highest score in every cell of 16 x 16 x 16 voxels: a cut looks only where it can find.
    """

    corner: tuple[int, int, int]
    scores: np.ndarray
    cell_maxima: np.ndarray
    geometry: VolumeGeometry

    @classmethod
    def of(cls, scores: np.ndarray, geometry: VolumeGeometry) -> ScoreField:
        """The field of a whole map (k, j, i) on its grid."""
        if scores.shape != geometry.shape:
            raise ValueError(f"scores of shape {scores.shape} do not lie on a grid of shape {geometry.shape}")
        box = BoxMask.of(scores > 0)
        cropped = np.ascontiguousarray(scores[box.slices])
        maxima = cropped
        for axis, size in enumerate(cropped.shape):
            maxima = np.maximum.reduceat(maxima, range(0, size, CELL), axis) if size else maxima
        return cls(box.corner, cropped, maxima, geometry)

    @classmethod
    def of_node(cls, node: slicer.vtkMRMLScalarVolumeNode, geometry: VolumeGeometry) -> ScoreField:
        """The field of a score map node on the scan's grid.

        Raises ResultError where it lies on another grid.
        """
        scores = voxels_on_grid(node, geometry)
        if scores is None:
            raise ResultError(
                f"The score map '{node.GetName()}' no longer lies on the grid of its segments, so that they cannot be "
                "cut from it. Undo the change of the map, or segment again."
            )
        return cls.of(scores, geometry)

    def cut(self, threshold: float, smallest_lesion_ml: float = 0.0) -> BoxMask:
        """What scores above the threshold, in connected regions of at least the smallest volume."""
        cells = BoxMask.of(self.cell_maxima > threshold)
        if cells.count == 0:
            return BoxMask.empty()
        part = tuple(slice(s.start * CELL, s.stop * CELL) for s in cells.slices)
        corner = tuple(c + s.start for c, s in zip(self.corner, part))
        mask = BoxMask((corner[0], corner[1], corner[2]), self.scores[part] > threshold)
        if smallest_lesion_ml <= 0:
            return mask
        regions = Regions.of(mask.voxels)
        kept = regions.sizes * self.geometry.voxel_ml >= smallest_lesion_ml * (1 - ROUNDING)
        return BoxMask(mask.corner, regions.union(kept))

    def within(self, corner: tuple[int, int, int], shape: tuple[int, ...]) -> np.ndarray:
        """The scores in a box of the grid, float32 (k, j, i); 0 where the field holds none."""
        result = np.zeros(shape, np.float32)
        mine, theirs = [], []
        for c, n, other_c, other_n in zip(self.corner, self.scores.shape, corner, shape):
            low, high = max(c, other_c), min(c + n, other_c + other_n)
            if low >= high:
                return result
            mine.append(slice(low - c, high - c))
            theirs.append(slice(low - other_c, high - other_c))
        result[tuple(theirs)] = self.scores[tuple(mine)]
        return result

    def histogram(self) -> np.ndarray:
        """How many voxels score in each of 64 equal parts of 0..1, zeros left out: what the slider shows behind itself."""
        positive = self.scores[self.scores > 0]
        return np.histogram(positive, HISTOGRAM_BINS, (0.0, 1.0))[0]


@dataclass(frozen=True)
class Regions:
    """The connected regions of a mask of `shape` (k, j, i): for every set voxel its flat `places` and `labels` from 0.

    `sizes` are the regions' voxels.
    """

    shape: tuple[int, ...]
    places: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, mask: np.ndarray) -> Regions:
        """The regions of a mask, 26-connected. scipy comes with Slicer.

        Voxels that touch lie in cells that are the same or touch, so that each group of touching cells is labelled by itself:
        two small lesions far apart cost what two small boxes cost, not what the box around both does.
        """
        from scipy import ndimage

        places = np.flatnonzero(mask)
        if places.size == 0:
            return cls(mask.shape, places, places, places)
        voxels = np.stack(np.unravel_index(places, mask.shape))
        cells = np.zeros([(n + CELL - 1) // CELL for n in mask.shape], bool)
        cells[tuple(voxels // CELL)] = True
        groups, count = ndimage.label(cells, TOUCHING)
        group = groups[tuple(voxels // CELL)] - 1
        order = np.argsort(group, kind="stable")
        labels = np.empty(places.size, np.int64)
        found = 0
        for members in np.split(order, np.cumsum(np.bincount(group, minlength=count))[:-1]):
            inside = voxels[:, members]
            low = inside.min(1, keepdims=True)
            box = np.zeros((inside.max(1) - low[:, 0] + 1), bool)
            box[tuple(inside - low)] = True
            local, number = ndimage.label(box, TOUCHING)
            labels[members] = local[tuple(inside - low)] - 1 + found
            found += number
        return cls(mask.shape, places, labels, np.bincount(labels, minlength=found))

    def union(self, chosen: np.ndarray) -> np.ndarray:
        """The mask of the regions for which `chosen` is True."""
        result = np.zeros(self.shape, bool)
        result.ravel()[self.places[chosen[self.labels]]] = True
        return result

    def touched_by(self, mask: np.ndarray) -> np.ndarray:
        """For every region whether it shares a voxel with a mask of the same shape."""
        touched = np.zeros(len(self.sizes), bool)
        touched[self.labels[mask.ravel()[self.places]]] = True
        return touched

    def maxima(self, scores: np.ndarray) -> np.ndarray:
        """For every region its highest score; `scores` of the mask's shape."""
        highest = np.zeros(len(self.sizes), np.float32)
        np.maximum.at(highest, self.labels, scores.ravel()[self.places])
        return highest

    def subset(self, chosen: np.ndarray) -> Regions:
        """Only the regions with the given labels, labelled anew in that order."""
        number = np.full(len(self.sizes), -1)
        number[chosen] = np.arange(len(chosen))
        labels = number[self.labels]
        kept = labels >= 0
        return Regions(self.shape, self.places[kept], labels[kept], self.sizes[chosen])

    def masks(self) -> list[BoxMask]:
        """Every region as a mask, in order of its label."""
        order = np.argsort(self.labels, kind="stable")
        voxels = np.stack(np.unravel_index(self.places[order], self.shape))
        result = []
        for part in np.split(voxels, np.cumsum(self.sizes)[:-1], axis=1) if len(self.sizes) else []:
            k, j, i = (int(n) for n in part.min(1))
            box = np.zeros(part.max(1) - part.min(1) + 1, bool)
            box[tuple(part - part.min(1, keepdims=True))] = True
            result.append(BoxMask((k, j, i), box))
        return result


@dataclass
class ScoreFields:
    """The fields of the maps that were looked at last: a map of a large scan takes a moment to look through."""

    most: int = 4
    _kept: dict[tuple[str, int, VolumeGeometry], ScoreField] = field(default_factory=dict)

    def of_node(self, node: slicer.vtkMRMLScalarVolumeNode, geometry: VolumeGeometry) -> ScoreField:
        """The field of a map, as `ScoreField.of_node`; read anew where the map was changed."""
        image = node.GetImageData()
        key = (node.GetID(), max(node.GetMTime(), image.GetMTime() if image is not None else 0), geometry)
        if key not in self._kept:
            found = ScoreField.of_node(node, geometry)
            while len(self._kept) >= self.most:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = found
        return self._kept[key]

    def forget(self) -> None:
        """Let go of all maps' memory."""
        self._kept.clear()
