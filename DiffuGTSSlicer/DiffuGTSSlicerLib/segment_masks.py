"""The voxels of segments, read and written where they lie, so that a correction in a large scan takes milliseconds.

All masks lie on the segmentation's reference grid, which is the scan's own; a segment that was resampled onto another
grid in the meantime is refused.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from diffugts.errors import ResultError
from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.sparse_mask import CELL, SparseMask, filled
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

GRID_TOLERANCE = 1e-4

ROOM = 2 * CELL
"""Voxels around what is written: a slightly lower threshold then still fits into the same label map."""


def labelmap_of(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str) -> slicer.vtkOrientedImageData | None:
    """The label map that holds a segment, perhaps with others; None where it has none. Raises ResultError without it."""
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    if segment is None:
        text = _("The segment '{segment}' is not in '{name}' any more. Segment again.")
        raise ResultError(text.format(segment=segment_id, name=segmentation.GetName()))
    return segment.GetRepresentation(_binary_labelmap())


def read_segment(segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, geometry: VolumeGeometry) -> SparseMask:
    """A segment's voxels. Raises ResultError where the segment is gone or lies on another grid."""
    labelmap = labelmap_of(segmentation, segment_id)
    voxels = _voxels(labelmap)
    if voxels is None:
        return SparseMask.empty()
    label = segmentation.GetSegmentation().GetSegment(segment_id).GetLabelValue()
    mask = SparseMask.of_voxels(voxels, _corner(labelmap), label)
    if len(mask.keys):
        corner, shape = mask.box()
        _require_grid(labelmap, corner, shape, geometry, segmentation.GetName())
    return mask


def write_segment(
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    mask: SparseMask,
    geometry: VolumeGeometry,
    before: SparseMask | None = None,
) -> None:
    """Replace a segment's voxels; other segments keep theirs, also where they overlap.

    `before` is what the segment holds now, where that is known. Raises ResultError.
    """
    if not _write_in_place(segmentation, segment_id, mask, geometry, before):
        write_box(segmentation, segment_id, mask.boxed(), geometry)


def add_segment(
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    name: str,
    colour: tuple[float, float, float],
    mask: BoxMask,
    geometry: VolumeGeometry,
) -> slicer.vtkSegment:
    """Add a segment with a label map of its own: an empty one would share a neighbour's, and be taken out of it again.

    Raises ResultError where the segmentation has a segment of that ID already.
    """
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetColor(*colour)
    segment.AddRepresentation(_binary_labelmap(), _labelmap(mask, geometry))
    if not segmentation.GetSegmentation().AddSegment(segment, segment_id):
        text = _("'{name}' has the segment '{segment}' twice. Segment again.")
        raise ResultError(text.format(segment=segment_id, name=segmentation.GetName()))
    return segment


def write_box(
    segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, mask: BoxMask, geometry: VolumeGeometry
) -> None:
    """Replace a segment's voxels by a small mask's, through Slicer's own logic. Raises ResultError."""
    voxels = mask.voxels if mask.voxels.size else np.zeros((1, 1, 1), bool)  # the logic refuses one without
    labelmap = _labelmap(BoxMask(mask.corner, voxels), geometry)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    if not logic.SetBinaryLabelmapToSegment(labelmap, segmentation, segment_id, logic.MODE_REPLACE):
        text = _("The segment '{segment}' in '{name}' could not be written. Segment again, or split the finding anew.")
        raise ResultError(text.format(segment=segment_id, name=segmentation.GetName()))


def _binary_labelmap() -> str:
    return str(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())


def _labelmap(mask: BoxMask, geometry: VolumeGeometry) -> slicer.vtkOrientedImageData:
    """A label map of a mask; of an empty one without a voxel, as Slicer's own are: its surfaces fail on a single 0."""
    labelmap = slicer.vtkOrientedImageData()
    (k, j, i), (depth, height, width) = mask.corner, mask.voxels.shape
    labelmap.SetExtent(i, i + width - 1, j, j + height - 1, k, k + depth - 1)
    if mask.voxels.size:
        voxels = mask.voxels.astype(np.uint8).ravel()
        labelmap.GetPointData().SetScalars(numpy_to_vtk(voxels, 1, vtk.VTK_UNSIGNED_CHAR))
    else:
        labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
    return labelmap


def _write_in_place(
    segmentation: slicer.vtkMRMLSegmentationNode,
    segment_id: str,
    mask: SparseMask,
    geometry: VolumeGeometry,
    before: SparseMask | None,
) -> bool:
    """Change only the cells that differ. False where Slicer's logic has to do it.

    The logic takes half a second for lesions at both ends of a large scan: it copies, compares and crops all that lies
    between them. It has to do it where surfaces are shown in 3D, which it makes anew, and where nothing is left.
    """
    segments = segmentation.GetSegmentation()
    labelmap = labelmap_of(segmentation, segment_id)
    surface = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    if mask.count == 0 or labelmap is None or segments.ContainsRepresentation(surface):
        return False
    if _voxels(labelmap) is not None:
        segments.SeparateSegmentLabelmap(segment_id)
        labelmap = labelmap_of(segmentation, segment_id)
        if labelmap is None or _offset(labelmap, geometry) > 0 or labelmap.GetScalarType() != vtk.VTK_UNSIGNED_CHAR:
            return False
        before = read_segment(segmentation, segment_id, geometry) if before is None else before
    elif _is_shared(segments, segment_id, labelmap):
        return False
    else:
        labelmap.SetImageToWorldMatrix(slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras))
        before = SparseMask.empty()
    if _make_room(labelmap, mask, geometry):
        before = SparseMask.empty()
    voxels, corner = _voxels(labelmap), _corner(labelmap)
    if voxels is None:
        return False
    keys = np.union1d(before.keys, mask.keys)
    old, new = before.blocks_of(keys), mask.blocks_of(keys)
    changed = filled(old != new)
    label = segments.GetSegment(segment_id).GetLabelValue()
    for start, block in SparseMask(keys[changed], new[changed]).items():
        mine, theirs = _overlap(start, corner, voxels.shape)
        voxels[theirs] = block[mine] * np.uint8(label)
    labelmap.GetPointData().GetScalars().Modified()
    labelmap.Modified()  # tells that the source representation was modified
    segments.InvokeEvent(segments.RepresentationModified, segment_id)
    return True


def _is_shared(segments: slicer.vtkSegmentation, segment_id: str, labelmap: slicer.vtkOrientedImageData) -> bool:
    others = (segments.GetNthSegmentID(n) for n in range(segments.GetNumberOfSegments()))
    maps = (segments.GetSegment(other).GetRepresentation(_binary_labelmap()) for other in others if other != segment_id)
    return any(other is labelmap for other in maps)


def _make_room(labelmap: slicer.vtkOrientedImageData, mask: SparseMask, geometry: VolumeGeometry) -> bool:
    """Give a label map a larger box, empty, where a mask does not fit into its own."""
    corner, shape = mask.box()
    voxels = _voxels(labelmap)
    here, size = _corner(labelmap), voxels.shape if voxels is not None else (0, 0, 0)
    if all(h <= c and c + n <= h + s for c, n, h, s in zip(corner, shape, here, size)):
        return False
    low = [max(c - ROOM, 0) for c in corner]
    high = [min(c + n + ROOM, whole) for c, n, whole in zip(corner, shape, geometry.shape)]
    labelmap.SetExtent(low[2], high[2] - 1, low[1], high[1] - 1, low[0], high[0] - 1)
    labelmap.AllocateScalars(vtk.VTK_UNSIGNED_CHAR, 1)
    vtk_to_numpy(labelmap.GetPointData().GetScalars())[:] = 0
    return True


def _overlap(
    start: tuple[int, int, int], corner: tuple[int, int, int], shape: tuple[int, ...]
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """The part of a cell that lies in a box, in the cell's own places and in the box's."""
    mine, theirs = [], []
    for s, c, n in zip(start, corner, shape):
        low = max(s, c)
        high = max(min(s + CELL, c + n), low)
        mine.append(slice(low - s, high - s))
        theirs.append(slice(low - c, high - c))
    return tuple(mine), tuple(theirs)


def _voxels(labelmap: slicer.vtkOrientedImageData | None) -> np.ndarray | None:
    """A view (k, j, i) of a label map's voxels; None where it has none."""
    scalars = labelmap.GetPointData().GetScalars() if labelmap is not None else None
    if labelmap is None or scalars is None or scalars.GetNumberOfTuples() == 0 or min(labelmap.GetDimensions()) < 1:
        return None
    return vtk_to_numpy(scalars).reshape(labelmap.GetDimensions()[::-1])


def _corner(labelmap: slicer.vtkOrientedImageData) -> tuple[int, int, int]:
    i, _, j, _, k, _ = labelmap.GetExtent()
    return k, j, i


def _offset(labelmap: slicer.vtkOrientedImageData, geometry: VolumeGeometry) -> float:
    """How far a label map's matrix is from a grid's; 0 where they are equal within rounding."""
    matrix = vtk.vtkMatrix4x4()
    labelmap.GetImageToWorldMatrix(matrix)
    offset = float(np.abs(slicer.util.arrayFromVTKMatrix(matrix) - geometry.ijk_to_ras).max())
    return offset if offset > GRID_TOLERANCE else 0.0


def _require_grid(
    labelmap: slicer.vtkOrientedImageData,
    corner: tuple[int, int, int],
    shape: tuple[int, ...],
    geometry: VolumeGeometry,
    name: str,
) -> None:
    inside = all(0 <= c and c + n <= whole for c, n, whole in zip(corner, shape, geometry.shape))
    if _offset(labelmap, geometry) > 0 or not inside:
        raise ResultError(
            _(
                "The segments of '{name}' no longer lie on the scan's own grid. Set the segmentation's geometry back to "
                "the scan in the Segment Editor, or segment again."
            ).format(name=name)
        )
