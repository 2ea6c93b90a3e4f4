"""What the table of findings says: one row per description of every result in the scene, newest run first.

Rows are read from the nodes' own attributes, so that they are the same in a scene loaded from a file.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np
import slicer
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from diffugts.protocol import FindingRecord
from DiffuGTSSlicerLib.choices import quality_in_words
from DiffuGTSSlicerLib.finding_segment import (
    SMALLEST_TAG,
    THRESHOLD_TAG,
    FindingSegment,
    reference_geometry,
    tag_of,
)
from DiffuGTSSlicerLib.provenance import RECORD, RESULT, SEGMENT, VOLUME_REFERENCE, ResultRecord, record_on
from DiffuGTSSlicerLib.regions import Regions
from DiffuGTSSlicerLib.results import SCORE_MAP, SEGMENTATION, nodes_of_result
from DiffuGTSSlicerLib.segment_masks import read_segment

UNCHANGED_SHARE = 1e-3
"""Volumes closer than this, as a share, are the same: they are stored as text."""


class Outcome(Enum):
    """What a row says in one word."""

    FOUND = "found"
    NOT_FOUND = "not found"
    UNCERTAIN = "uncertain"
    CORRECTED = "corrected"
    DELETED = "segment deleted"

    @property
    def words(self) -> str:
        """The outcome in the application's language."""
        return {
            Outcome.FOUND: _("found"),
            Outcome.NOT_FOUND: _("not found"),
            Outcome.UNCERTAIN: _("uncertain"),
            Outcome.CORRECTED: _("corrected"),
            Outcome.DELETED: _("segment deleted"),
        }[self]


VERDICTS = (Outcome.FOUND, Outcome.NOT_FOUND, Outcome.UNCERTAIN)
"""What a run itself can say; the others come from the reader's own work."""


@dataclass(frozen=True)
class FindingRow:
    """One description of one run, as it is now.

    `volume_ml` and `lesions` are None where the segment is gone; `threshold` and `smallest_lesion_ml` are those of the
    last cut; `reasons` are sentences; `shown` whether the segment is visible; `colour` the segment's, (r, g, b) 0..1.
    """

    result: str
    segment_id: str
    description: str
    outcome: Outcome
    reasons: tuple[str, ...]
    highest_score: float
    volume_ml: float | None
    lesions: int | None
    threshold: float
    smallest_lesion_ml: float
    colour: tuple[float, float, float]
    shown: bool
    segmentation_id: str
    map_id: str
    record: ResultRecord

    @property
    def notes(self) -> tuple[str, ...]:
        """What the run said of the finding, such as regions left out of it; nothing once it was corrected."""
        said = (finding.notes for finding in self.record.findings if finding.segment_id == self.segment_id)
        return tuple(next(said, ())) if self.outcome in VERDICTS else ()

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from every other row."""
        return self.result, self.segment_id


@dataclass
class FindingRows:
    """Reads the rows of a scene; what was counted in a segment is kept until the segment changes, a record while it is there."""

    scene: slicer.vtkMRMLScene
    _records: dict[str, ResultRecord | None] = field(default_factory=dict)
    _counted: dict[tuple[str, str, int], tuple[float, int]] = field(default_factory=dict)
    _opened: FindingSegment | None = None

    def read(self, opened: FindingSegment | None = None) -> tuple[list[FindingRow], list[str]]:
        """All rows, and sentences on what could not be read. `opened` is the finding being corrected: read already."""
        self._opened = opened
        records: dict[str, ResultRecord] = {}
        known, self._records = self._records, {}
        faults: list[str] = []
        for kind in ("vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode"):
            for node in slicer.util.getNodesByClass(kind, self.scene):
                result = node.GetAttribute(RESULT)
                if not result or result in records:
                    continue
                text = node.GetAttribute(RECORD) or ""
                try:
                    record = self._records[text] = known[text] if text in known else record_on(node)
                except ResultError as error:
                    faults.append(str(error))
                    continue
                if record is not None:
                    records[result] = record
        newest_first = sorted(records.values(), key=lambda r: (r.provenance.created_utc, r.result), reverse=True)
        rows = [row for record in newest_first for row in self._rows_of(record, faults)]
        return rows, list(dict.fromkeys(faults))

    def _rows_of(self, record: ResultRecord, faults: list[str]) -> list[FindingRow]:
        nodes = nodes_of_result(self.scene, record.result)
        segmentation = next(iter(nodes.get(SEGMENTATION, [])), None)
        maps = {node.GetAttribute(SEGMENT): node.GetID() for node in nodes.get(SCORE_MAP, [])}
        rows = []
        for finding in record.findings:
            try:
                rows.append(self._row(record, finding, segmentation, maps.get(finding.segment_id, "")))
            except ResultError as error:
                faults.append(str(error))
                rows.append(self._row(record, finding, None, maps.get(finding.segment_id, "")))
        return rows

    def _row(
        self,
        record: ResultRecord,
        finding: FindingRecord,
        segmentation: slicer.vtkMRMLSegmentationNode | None,
        map_id: str,
    ) -> FindingRow:
        segment = segmentation.GetSegmentation().GetSegment(finding.segment_id) if segmentation is not None else None
        volume_ml, lesions, colour, shown = None, None, finding.colour, False
        threshold, smallest_ml = finding.threshold, record.provenance.smallest_lesion_ml
        outcome = Outcome.DELETED
        reasons: tuple[str, ...] = (_("The segment was deleted from the scene. Segment again to get it back."),)
        if segmentation is not None and segment is not None:
            volume_ml, lesions = self._count(segmentation, finding)
            colour = segment.GetColor()
            display = segmentation.GetDisplayNode()
            shown = bool(display and display.GetVisibility() and display.GetSegmentVisibility(finding.segment_id))
            threshold = float(tag_of(segment, THRESHOLD_TAG, repr(threshold)))
            smallest_ml = float(tag_of(segment, SMALLEST_TAG, repr(smallest_ml)))
            outcome, reasons = _outcome(record, finding, threshold, smallest_ml, volume_ml)
        return FindingRow(
            result=record.result,
            segment_id=finding.segment_id,
            description=finding.description,
            outcome=outcome,
            reasons=reasons,
            highest_score=finding.highest_score,
            volume_ml=volume_ml,
            lesions=lesions,
            threshold=threshold,
            smallest_lesion_ml=smallest_ml,
            colour=colour,
            shown=shown,
            segmentation_id=segmentation.GetID() if segmentation is not None and segment is not None else "",
            map_id=map_id,
            record=record,
        )

    def _count(self, node: slicer.vtkMRMLSegmentationNode, finding: FindingRecord) -> tuple[float, int]:
        """Volume in ml and connected regions of a segment."""
        opened = self._opened
        if opened is not None and opened.segmentation is node and opened.segment_id == finding.segment_id:
            return opened.mask().count * opened.geometry.voxel_ml, len(opened.regions().sizes)
        segment = node.GetSegmentation().GetSegment(finding.segment_id)
        labelmap = segment.GetRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())
        key = (node.GetID(), finding.segment_id, labelmap.GetMTime() if labelmap is not None else 0)
        if key not in self._counted:
            geometry = reference_geometry(node)
            mask = read_segment(node, finding.segment_id, geometry)
            volume_ml = mask.count * geometry.voxel_ml
            as_written = mask.count and finding.lesions and _same_volume(volume_ml, finding.volume_ml)
            lesions = len(finding.lesions) if as_written else len(Regions.of(mask).sizes)
            self._counted = {k: v for k, v in self._counted.items() if k[:2] != key[:2]}
            self._counted[key] = (volume_ml, lesions)
        return self._counted[key]


def run_in_words(record: ResultRecord) -> str:
    """A run in one line: the volume, when, and how."""
    when = record.provenance.created_utc[:16].replace("T", " ")
    return _("{volume} · {when} UTC · {quality}").format(
        volume=record.volume_name, when=when, quality=quality_in_words(record.provenance.quality)
    )


def corrections_in_words(rows: list[FindingRow]) -> str:
    """A sentence for the methods section on what was corrected after the run, in English; empty where nothing was."""
    corrected = [row for row in rows if row.outcome is Outcome.CORRECTED]
    if not corrected:
        return ""
    texts = ", ".join(
        f"“{row.description}” (threshold {row.threshold:.2f}, smallest lesion {row.smallest_lesion_ml:g} ml)"
        for row in corrected
    )
    return f"Afterwards a reader corrected the segments of {texts}, by these settings or by hand."


def scan_of_result(scene: slicer.vtkMRMLScene, result: str) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume that a result was made from, None where it was deleted."""
    for nodes in nodes_of_result(scene, result).values():
        for node in nodes:
            volume = node.GetNodeReference(VOLUME_REFERENCE)
            if volume is not None:
                return volume
    return None


def _outcome(
    record: ResultRecord, finding: FindingRecord, threshold: float, smallest_ml: float, volume_ml: float
) -> tuple[Outcome, tuple[str, ...]]:
    """The run's own verdict, or that the reader has changed the segment since."""
    verdict = next((v for v in VERDICTS if v.value == finding.verdict), Outcome.UNCERTAIN)
    reasons = finding.notes or (
        _("Scores above {threshold:.2f}; the highest is {highest:.2f}.").format(
            threshold=finding.threshold, highest=finding.highest_score
        ),
    )
    as_cut = np.isclose(threshold, finding.threshold) and np.isclose(smallest_ml, record.provenance.smallest_lesion_ml)
    if as_cut and _same_volume(volume_ml, finding.volume_ml):
        return verdict, tuple(reasons)
    before = _("Corrected since. The run itself said: {verdict} at threshold {threshold:.2f}, {volume:.2f} ml.").format(
        verdict=verdict.words, threshold=finding.threshold, volume=finding.volume_ml
    )
    now = _("Now cut at {threshold:.2f}, smallest lesion {smallest:g} ml.").format(
        threshold=threshold, smallest=smallest_ml
    )
    return Outcome.CORRECTED, (before, now, *finding.notes)


def _same_volume(one_ml: float, other_ml: float) -> bool:
    return abs(one_ml - other_ml) <= UNCHANGED_SHARE * max(one_ml, other_ml)
