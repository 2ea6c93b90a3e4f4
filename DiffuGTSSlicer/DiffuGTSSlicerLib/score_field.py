"""A finding's score map as the thing that masks are cut from: threshold, smallest lesion, connected regions.

The rule is the engine's (`diffugts.findings.lesions.cut`): score above the threshold, 26-connectivity, at least the
smallest volume. The highest score of every cell is known, so that a cut in a large scan looks only where it can find.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import slicer
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.regions import Regions
from DiffuGTSSlicerLib.sparse_mask import CELL, SparseMask
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry
from DiffuGTSSlicerLib.voxels_on_grid import voxels_on_grid

ROUNDING = 1e-9
"""Relative: a lesion of exactly the smallest volume is kept."""

HISTOGRAM_BINS = 64

CANDIDATE_CELLS = 400
"""Cells with the highest scores that the distribution is made of: one and a half million voxels."""


@dataclass(frozen=True)
class ScoreField:
    """`scores` float32 (k, j, i) of the whole grid, a view of the map; `cell_maxima` the highest in each 16-voxel cell."""

    scores: np.ndarray
    cell_maxima: np.ndarray
    geometry: VolumeGeometry

    @classmethod
    def of(cls, scores: np.ndarray, geometry: VolumeGeometry) -> ScoreField:
        """The field of a whole map (k, j, i) on its grid."""
        if scores.shape != geometry.shape:
            raise ValueError(f"scores of shape {scores.shape} do not lie on a grid of shape {geometry.shape}")
        maxima = []
        for low in range(0, scores.shape[0], CELL):
            highest = scores[low : low + CELL].max(axis=0)
            for axis, size in enumerate(highest.shape):
                highest = np.maximum.reduceat(highest, range(0, size, CELL), axis)
            maxima.append(highest)
        return cls(scores, np.array(maxima), geometry)

    @classmethod
    def looked_through(cls, scores: np.ndarray, geometry: VolumeGeometry) -> ScoreField:
        """The same, with the distribution of its scores as well; touches no node, so that it may run beside the main thread."""
        found = cls.of(scores, geometry)
        found.histogram  # noqa: B018 - kept from now on
        return found

    @classmethod
    def of_node(cls, node: slicer.vtkMRMLScalarVolumeNode, geometry: VolumeGeometry) -> ScoreField:
        """The field of a score map node on the scan's grid.

        Raises ResultError where it lies on another grid.
        """
        scores = voxels_on_grid(node, geometry)
        if scores is None:
            raise ResultError(
                _(
                    "The score map '{name}' no longer lies on the grid of its segments, so that they cannot be "
                    "cut from it. Undo the change of the map, or segment again."
                ).format(name=node.GetName())
            )
        return cls.of(scores, geometry)

    def cut(self, threshold: float, smallest_lesion_ml: float = 0.0) -> SparseMask:
        """What scores above the threshold, in connected regions of at least the smallest volume."""
        return self.cut_in_regions(threshold, smallest_lesion_ml)[0]

    def cut_in_regions(self, threshold: float, smallest_lesion_ml: float) -> tuple[SparseMask, Regions | None]:
        """The same with the regions of what scores above the threshold, where they had to be found."""
        cells = np.argwhere(self.cell_maxima > threshold)
        blocks = np.zeros((len(cells), CELL, CELL, CELL), bool)
        for block, (k, j, i) in zip(blocks, cells * CELL):
            scores = self.scores[k : k + CELL, j : j + CELL, i : i + CELL]
            depth, height, width = scores.shape
            np.greater(scores, threshold, out=block[:depth, :height, :width])
        mask = SparseMask.of_cells(cells, blocks)
        if smallest_lesion_ml <= 0 or mask.count == 0:
            return mask, None
        regions = Regions.of(mask)
        kept = regions.union(regions.sizes * self.geometry.voxel_ml >= smallest_lesion_ml * (1 - ROUNDING))
        return kept, regions

    def within(self, mask: BoxMask) -> np.ndarray:
        """The scores in the box of a mask, float32 (k, j, i)."""
        return self.scores[mask.slices]

    @cached_property
    def histogram(self) -> np.ndarray:
        """How many voxels score in each of 64 equal parts of 0..1, where the scores are highest: behind the slider.

        Zeros are left out, and so is the rest of a large scan, which would say nothing but that most of it is healthy.
        """
        cells = np.argsort(self.cell_maxima, axis=None)[::-1][:CANDIDATE_CELLS]
        counts = np.zeros(HISTOGRAM_BINS + 1, np.int64)
        for k, j, i in zip(*(place * CELL for place in np.unravel_index(cells, self.cell_maxima.shape))):
            scores = self.scores[k : k + CELL, j : j + CELL, i : i + CELL]
            counts += np.bincount((scores[scores > 0] * HISTOGRAM_BINS).astype(np.int64), minlength=HISTOGRAM_BINS + 1)
        counts[-2] += counts[-1]  # a score of 1 belongs to the last part
        return counts[:-1]


class ScoreFields:
    """The fields of the scene's score maps: a map of a large scan takes a moment to look through, a tenth of a second.

    `beside` does so beside the main thread, before anybody asks; without it, a map is looked through when it is asked for.
    """

    def __init__(self, beside: Executor | None = None) -> None:
        self._beside = beside
        self._fields: dict[tuple[str, int, VolumeGeometry], Future[ScoreField]] = {}

    def expect(self, maps: Iterable[tuple[slicer.vtkMRMLScalarVolumeNode, VolumeGeometry]]) -> None:
        """These maps, on the grid of their segments, are what can be asked for; all others are let go.

        A map that lies on another grid is left out: whoever asks for it is told.
        """
        wanted = {_state_of(node, geometry): node for node, geometry in maps}
        for key in self._fields.keys() - wanted.keys():
            self._fields.pop(key).cancel()
        for key, node in wanted.items():
            scores = voxels_on_grid(node, key[2]) if self._beside is not None and key not in self._fields else None
            if self._beside is not None and scores is not None:
                self._fields[key] = self._beside.submit(ScoreField.looked_through, scores, key[2])

    def of_node(self, node: slicer.vtkMRMLScalarVolumeNode, geometry: VolumeGeometry) -> ScoreField:
        """The field of a map, as `ScoreField.of_node`; read anew where the map was changed. Waits if it is just being read."""
        key = _state_of(node, geometry)
        if key not in self._fields:
            found = ScoreField.of_node(node, geometry)
            self._fields[key] = Future()
            self._fields[key].set_result(found)
        return self._fields[key].result()

    def forget(self) -> None:
        """Let go of all maps' memory."""
        for field in self._fields.values():
            field.cancel()
        self._fields.clear()


def _state_of(node: slicer.vtkMRMLScalarVolumeNode, geometry: VolumeGeometry) -> tuple[str, int, VolumeGeometry]:
    """What the field of a map depends on."""
    image = node.GetImageData()
    return node.GetID(), max(node.GetMTime(), image.GetMTime() if image is not None else 0), geometry
