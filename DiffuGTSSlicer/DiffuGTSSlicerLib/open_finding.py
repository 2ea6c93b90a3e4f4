"""The finding that is being looked at and corrected: everything that its controls show and do, without widgets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import slicer

from DiffuGTSSlicerLib.finding_rows import FindingRow, scan_of_result
from DiffuGTSSlicerLib.finding_segment import FindingSegment
from DiffuGTSSlicerLib.lesions import Lesion, lesions_of
from DiffuGTSSlicerLib.score_field import ScoreFields
from DiffuGTSSlicerLib.voxels_on_grid import voxels_on_grid

MOST_LESIONS = 50
"""Measured and listed: a low threshold makes hundreds of specks, which would hold up the window. Tables and files have all."""


@dataclass
class EarlierSegments:
    """The segments that were open last, with what was read and found of them."""

    most: int = 4
    _kept: list[FindingSegment] = field(default_factory=list)

    def known(self, segment: FindingSegment) -> FindingSegment:
        """The same segment as it was opened before, or this one; it is the last one to give way then."""
        same = next((kept for kept in self._kept if kept.is_same(segment)), segment)
        self._kept = [same, *(kept for kept in self._kept if kept is not same)][: self.most]
        return same

    def forget(self) -> None:
        """Let go of all."""
        self._kept.clear()


@dataclass
class OpenFinding:
    """A row's segment with its map and scan. Raises ResultError where the segment or the map is gone."""

    scene: slicer.vtkMRMLScene
    row: FindingRow
    segment: FindingSegment

    @classmethod
    def of(
        cls, scene: slicer.vtkMRMLScene, row: FindingRow, fields: ScoreFields, before: EarlierSegments | None = None
    ) -> OpenFinding:
        """Open a row's finding. `before` are those that were open: what was read of the same finding is kept."""
        segment = FindingSegment.of_result(scene, row.result, row.segment_id, fields.of_node)
        return cls(scene, row, before.known(segment) if before is not None else segment)

    @property
    def scan(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The volume it was found in, None where it was deleted."""
        return scan_of_result(self.scene, self.row.result)

    def scan_voxels(self) -> np.ndarray | None:
        """The scan (k, j, i) on the segment's grid; None where it was deleted or moved."""
        scan = self.scan
        return voxels_on_grid(scan, self.segment.geometry) if scan is not None else None

    def lesions(self, most: int | None = MOST_LESIONS) -> list[Lesion]:
        """Its lesions, highest score first, at most `most`."""
        return lesions_of(self.segment, self.scan_voxels(), most)
