"""A description's segment in the scene, with its score map and its rejected lesions.

What has to survive saving the scene is kept as tags of the segment: the cut that was last made (threshold and smallest
lesion, from which the cut itself follows) and one voxel of every accepted lesion.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from DiffuGTSSlicerLib.provenance import SEGMENT
from DiffuGTSSlicerLib.regions import Regions
from DiffuGTSSlicerLib.results import SCORE_MAP, SEGMENTATION, nodes_of_result
from DiffuGTSSlicerLib.score_field import ScoreField
from DiffuGTSSlicerLib.segment_masks import add_segment, labelmap_of, read_segment, write_segment
from DiffuGTSSlicerLib.sparse_mask import SparseMask
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

if TYPE_CHECKING:
    from DiffuGTSSlicerLib.lesions import Lesion

THRESHOLD_TAG, SMALLEST_TAG, ACCEPTED_TAG = "DiffuGTS.Threshold", "DiffuGTS.SmallestLesionMl", "DiffuGTS.Accepted"
REJECTED_SUFFIX = "_rejected"
REJECTED_COLOUR = (0.45, 0.45, 0.45)
REJECTED_OPACITY = 0.35

KEPT_REGIONS = 3
"""Of the segment, of its cut before anything was rejected or drawn, and of what was rejected."""


def reference_geometry(segmentation: slicer.vtkMRMLSegmentationNode) -> VolumeGeometry:
    """The grid that a segmentation lies on. Raises ResultError where it has none."""
    converter = slicer.vtkSegmentationConverter
    text = segmentation.GetSegmentation().GetConversionParameter(converter.GetReferenceImageGeometryParameterName())
    numbers = [float(number) for number in text.split(";") if number] if text else []
    if len(numbers) != 22:
        text = _("'{name}' has no reference geometry any more. Segment again.")
        raise ResultError(text.format(name=segmentation.GetName()))
    i0, i1, j0, j1, k0, k1 = (int(n) for n in numbers[16:])
    return VolumeGeometry.of((i1 - i0 + 1, j1 - j0 + 1, k1 - k0 + 1), np.reshape(numbers[:16], (4, 4)))


def tag_of(segment: slicer.vtkSegment, name: str, default: str = "") -> str:
    """A segment's tag; `default` where it has none."""
    value = vtk.reference("")
    return str(value) if segment.GetTag(name, value) else default


@dataclass
class FindingSegment:
    """One description's segment: `field` is its score map on the segmentation's grid.

    `measured` are its lesions as they were measured last, by the box that each lies in (`lesions.lesions_of`).
    """

    segmentation: slicer.vtkMRMLSegmentationNode
    segment_id: str
    field: ScoreField
    measured: dict[tuple[int, ...], Lesion] = dataclass_field(default_factory=dict, repr=False)
    _known: dict[str, tuple[tuple[int, int], SparseMask]] = dataclass_field(default_factory=dict, repr=False)
    _cut: tuple[float, float, SparseMask] | None = dataclass_field(default=None, repr=False)
    _regions: list[Regions] = dataclass_field(default_factory=list, repr=False)

    @classmethod
    def of_result(
        cls,
        scene: slicer.vtkMRMLScene,
        result: str,
        segment_id: str,
        read_field: Callable[[slicer.vtkMRMLScalarVolumeNode, VolumeGeometry], ScoreField] = ScoreField.of_node,
    ) -> FindingSegment:
        """The segment of a result in the scene. Raises ResultError where it or its map was deleted.

        `read_field` may be a `ScoreFields.of_node`, which keeps what it read.
        """
        nodes = nodes_of_result(scene, result)
        maps = [node for node in nodes.get(SCORE_MAP, []) if node.GetAttribute(SEGMENT) == segment_id]
        if not nodes.get(SEGMENTATION) or not maps:
            raise ResultError(
                _("The segmentation or the score map was deleted, so that nothing can be cut. Segment again.")
            )
        segmentation = nodes[SEGMENTATION][0]
        finding = cls(segmentation, segment_id, read_field(maps[0], reference_geometry(segmentation)))
        finding._segment()
        return finding

    def is_same(self, other: FindingSegment) -> bool:
        """Whether both are the same segment, cut from the same map."""
        mine, theirs = ((f.segmentation, f.segment_id, f.field) for f in (self, other))
        return mine[0] is theirs[0] and mine[1] == theirs[1] and mine[2] is theirs[2]

    @property
    def geometry(self) -> VolumeGeometry:
        """The scan's grid."""
        return self.field.geometry

    @property
    def rejected_id(self) -> str:
        """The segment that rejected lesions are moved to."""
        return self.segment_id + REJECTED_SUFFIX

    @property
    def threshold(self) -> float:
        """Of the last cut."""
        return float(self._tag(THRESHOLD_TAG, "0.5"))

    @property
    def smallest_lesion_ml(self) -> float:
        """Of the last cut."""
        return float(self._tag(SMALLEST_TAG, "0"))

    @property
    def accepted(self) -> list[tuple[int, int, int]]:
        """One voxel (k, j, i) of every accepted lesion."""
        return [(int(k), int(j), int(i)) for k, j, i in json.loads(self._tag(ACCEPTED_TAG, "[]"))]

    @accepted.setter
    def accepted(self, voxels: list[tuple[int, int, int]]) -> None:
        self._set_tag(ACCEPTED_TAG, json.dumps([list(voxel) for voxel in voxels]))

    def cut(self, threshold: float, smallest_lesion_ml: float) -> SparseMask:
        """What the score map gives at a threshold; the last one is kept, because the next cut asks for it again."""
        if self._cut is None or self._cut[:2] != (threshold, smallest_lesion_ml):
            mask, regions = self.field.cut_in_regions(threshold, smallest_lesion_ml)
            self._cut = (threshold, smallest_lesion_ml, mask)
            if regions is not None and regions.mask is mask:  # nothing was too small: asked for again once it is drawn
                self._keep(regions)
        return self._cut[2]

    def last_cut(self) -> SparseMask:
        """The mask as it was cut last, without what was done by hand since."""
        return self.cut(self.threshold, self.smallest_lesion_ml)

    def mask(self) -> SparseMask:
        """The segment as it is now. Raises ResultError where it was deleted."""
        return self._read(self.segment_id)

    def regions(self) -> Regions:
        """The connected regions of the segment as it is now."""
        return self.regions_of(self.mask())

    def regions_of(self, mask: SparseMask) -> Regions:
        """The connected regions of a mask; those of the segment, of its cut and of what was rejected are asked for again and again."""
        if mask.count == 0:
            return Regions.of(mask)  # kept, it would push out one that takes a moment to find
        known = next((regions for regions in self._regions if regions.mask is mask), None)
        return self._keep(known or Regions.of(mask))

    def _keep(self, regions: Regions) -> Regions:
        self._regions = [regions, *(kept for kept in self._regions if kept is not regions)][:KEPT_REGIONS]
        return regions

    def rejected(self) -> SparseMask:
        """What was rejected; empty where nothing was."""
        if self.segmentation.GetSegmentation().GetSegment(self.rejected_id) is None:
            return SparseMask.empty()
        return self._read(self.rejected_id)

    def set_mask(self, mask: SparseMask) -> None:
        """Replace the segment's voxels."""
        self._write(self.segment_id, mask)

    def set_rejected(self, mask: SparseMask) -> None:
        """Replace what is rejected; its segment is made when it is first needed."""
        segments = self.segmentation.GetSegmentation()
        if segments.GetSegment(self.rejected_id) is None:
            if mask.count == 0:
                return
            name = f"rejected: {self._segment().GetName()}"
            add_segment(self.segmentation, self.rejected_id, name, REJECTED_COLOUR, mask.boxed(), self.geometry)
            if self.segmentation.GetDisplayNode():
                self.segmentation.GetDisplayNode().SetSegmentOpacity(self.rejected_id, REJECTED_OPACITY)
            self._known[self.rejected_id] = (self._changed(self.rejected_id), mask)
        else:
            self._write(self.rejected_id, mask)

    def _read(self, segment_id: str) -> SparseMask:
        """A segment's voxels, looked through again only where its label map was changed since."""
        changed = self._changed(segment_id)
        if segment_id not in self._known or self._known[segment_id][0] != changed:
            self._known[segment_id] = (changed, read_segment(self.segmentation, segment_id, self.geometry))
        return self._known[segment_id][1]

    def _write(self, segment_id: str, mask: SparseMask) -> None:
        write_segment(self.segmentation, segment_id, mask, self.geometry, before=self._read(segment_id))
        self._known[segment_id] = (self._changed(segment_id), mask)

    def _changed(self, segment_id: str) -> tuple[int, int]:
        """When the label map and the segment were changed last; VTK gives no such number twice, to no other object either.

        The segment's own counts too: who draws into the array of a label map says so there (slicer.util's advice).
        """
        labelmap = labelmap_of(self.segmentation, segment_id)
        segment = self.segmentation.GetSegmentation().GetSegment(segment_id)
        return (int(labelmap.GetMTime()) if labelmap is not None else 0), int(segment.GetMTime())

    def note_cut(self, threshold: float, smallest_lesion_ml: float) -> None:
        """Remember how the segment was cut."""
        self._set_tag(THRESHOLD_TAG, repr(float(threshold)))
        self._set_tag(SMALLEST_TAG, repr(float(smallest_lesion_ml)))

    def _set_tag(self, name: str, text: str) -> None:
        """Set a tag of the segment; its voxels are known as before."""
        known = self._known.get(self.segment_id)
        unchanged = known is not None and known[0] == self._changed(self.segment_id)
        self._segment().SetTag(name, text)
        if known is not None and unchanged:
            self._known[self.segment_id] = (self._changed(self.segment_id), known[1])

    def _segment(self) -> slicer.vtkSegment:
        segment = self.segmentation.GetSegmentation().GetSegment(self.segment_id)
        if segment is None:
            raise ResultError(_("The segment '{name}' was deleted. Segment again.").format(name=self.segment_id))
        return segment

    def _tag(self, name: str, default: str) -> str:
        return tag_of(self._segment(), name, default)
