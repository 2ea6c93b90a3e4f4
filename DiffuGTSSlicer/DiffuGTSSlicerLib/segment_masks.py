"""Segments as arrays: only the box that holds something, so that a correction in a large scan takes milliseconds.

All boxes lie on the segmentation's reference grid, which is the scan's own; a segment that was resampled onto another
grid in the meantime is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from diffugts.errors import ResultError
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

GRID_TOLERANCE = 1e-4


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

    def _combined(self, other: BoxMask, rule: np.ufunc) -> BoxMask:
        corner, shape = joint_box([self, other])
        return BoxMask(corner, rule(self.within(corner, shape), other.within(corner, shape)))

    def __or__(self, other: BoxMask) -> BoxMask:
        return self._combined(other, np.logical_or)

    def __and__(self, other: BoxMask) -> BoxMask:
        return self._combined(other, np.logical_and)

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


def read_segment(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, geometry: VolumeGeometry) -> BoxMask:
    """A segment's voxels. Raises ResultError where the segment is gone or lies on another grid."""
    if segmentation.GetSegmentation().GetSegment(segment_id) is None:
        raise ResultError(f"The segment '{segment_id}' is not in '{segmentation.GetName()}' any more. Segment again.")
    labelmap = slicer.vtkOrientedImageData()
    segmentation.GetBinaryLabelmapRepresentation(segment_id, labelmap)
    return mask_of_labelmap(labelmap, geometry, segmentation.GetName())


def mask_of_labelmap(labelmap: slicer.vtkOrientedImageData, geometry: VolumeGeometry, name: str) -> BoxMask:
    """A one-label image's voxels on a grid. Raises ResultError where it lies on another."""
    scalars = labelmap.GetPointData().GetScalars()
    i0, i1, j0, j1, k0, k1 = labelmap.GetExtent()
    if scalars is None or i1 < i0 or j1 < j0 or k1 < k0:
        return BoxMask.empty()
    voxels = vtk_to_numpy(scalars).reshape(k1 - k0 + 1, j1 - j0 + 1, i1 - i0 + 1)
    mask = BoxMask((k0, j0, i0), voxels > 0)
    if not mask.voxels.any():
        return BoxMask.empty()
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    offset = np.abs(slicer.util.arrayFromVTKMatrix(matrix) - geometry.ijk_to_ras).max()
    if any(c < 0 or c + n > whole for c, n, whole in zip(mask.corner, mask.voxels.shape, geometry.shape)):
        mask = BoxMask.of(mask.voxels, mask.corner)  # the box may be larger than what is in it
    inside = all(0 <= c and c + n <= whole for c, n, whole in zip(mask.corner, mask.voxels.shape, geometry.shape))
    if offset > GRID_TOLERANCE or not inside:
        raise ResultError(
            f"The segments of '{name}' no longer lie on the scan's own grid. Set the segmentation's geometry back to "
            "the scan in the Segment Editor, or segment again."
        )
    return mask


def write_segment(
    segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, mask: BoxMask, geometry: VolumeGeometry
) -> None:
    """Replace a segment's voxels; other segments keep theirs, also where they overlap. Raises ResultError."""
    voxels = mask.voxels if mask.voxels.size else np.zeros((1, 1, 1), bool)
    labelmap = slicer.vtkOrientedImageData()
    (k, j, i), (depth, height, width) = mask.corner, voxels.shape
    labelmap.SetExtent(i, i + width - 1, j, j + height - 1, k, k + depth - 1)
    labelmap.GetPointData().SetScalars(numpy_to_vtk(voxels.astype(np.uint8).ravel(), 1, vtk.VTK_UNSIGNED_CHAR))
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(labelmap, segmentation, segment_id, logic.MODE_REPLACE):
        raise ResultError(f"The segment '{segment_id}' in '{segmentation.GetName()}' could not be written.")
