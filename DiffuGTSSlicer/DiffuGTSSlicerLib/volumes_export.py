"""The findings of all volumes as one table, with the columns of `findings.csv` that `diffugts cohort` writes.

A row for each lesion, one for a description without any, one for a volume whose job came to nothing. What nobody has
corrected is taken from the record of its run; what was corrected is measured anew, as it is now.
"""

from __future__ import annotations

from collections.abc import Iterator

import slicer
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from diffugts.protocol import LesionRecord
from DiffuGTSSlicerLib.exported_table import fill_table_node, show_table_node
from DiffuGTSSlicerLib.finding_rows import VERDICTS, FindingRow
from DiffuGTSSlicerLib.lesions import Lesion, LesionState
from DiffuGTSSlicerLib.open_finding import OpenFinding
from DiffuGTSSlicerLib.provenance import ROLE
from DiffuGTSSlicerLib.score_field import ScoreFields
from DiffuGTSSlicerLib.volume_rows import VolumeRow

COLUMNS: tuple[tuple[str, type], ...] = (
    ("case", str),
    ("state", str),
    ("description", str),
    ("verdict", str),
    ("lesion", int),
    ("volume_ml", float),
    ("longest_axial_diameter_mm", float),
    ("r_mm", float),
    ("a_mm", float),
    ("s_mm", float),
    ("mean_intensity", float),
    ("mean_score", float),
    ("highest_score", float),
    ("failure", str),
)

FINDINGS_TABLE = "findings table"

Line = list[str | int | float | None]
NUMBERS = COLUMNS[4:-1]


def collect_lines(scene: slicer.vtkMRMLScene, rows: list[VolumeRow], lines: list[Line]) -> Iterator[None]:
    """Put the lines of the table into `lines`; a step ends after every finding that had to be measured."""
    for row in rows:
        if row.finding is None:
            lines.append([row.volume_name, row.state, row.description, "", *[None] * len(NUMBERS), row.reason])
        elif row.finding.outcome in VERDICTS:
            lines += _as_written(row, row.finding)
        else:
            lines += _as_it_is_now(scene, row, row.finding)
            yield


def add_table_node(scene: slicer.vtkMRMLScene, lines: list[Line], volumes: int) -> slicer.vtkMRMLTableNode:
    """A new table node with the lines, shown where a table view is open."""
    name = scene.GenerateUniqueName(_("Findings of {count} volumes").format(count=volumes))
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    node.SetAttribute(ROLE, FINDINGS_TABLE)
    fill_table_node(COLUMNS, lines, node)
    show_table_node(node)
    return node


def _as_written(row: VolumeRow, finding: FindingRow) -> list[Line]:
    """What the run itself wrote."""
    record = next(each for each in finding.record.findings if each.segment_id == finding.segment_id)
    return _lines(row, finding, [_numbers(lesion, lesion.centroid_ras_mm) for lesion in record.lesions])


def _as_it_is_now(scene: slicer.vtkMRMLScene, row: VolumeRow, finding: FindingRow) -> list[Line]:
    """What is left of it; where it cannot be measured, its volume alone and why."""
    try:
        lesions = OpenFinding.of(scene, finding, ScoreFields()).lesions(most=None)
    except ResultError as error:
        line = _beginning(row, finding)
        return [[*line, None, finding.volume_ml, *[None] * 6, finding.highest_score, str(error)]]
    kept = [lesion for lesion in lesions if lesion.state is not LesionState.REJECTED]
    return _lines(row, finding, [_numbers(lesion, lesion.centre_ras_mm) for lesion in kept])


def _numbers(lesion: Lesion | LesionRecord, place_ras_mm: tuple[float, float, float]) -> tuple[float | None, ...]:
    return (
        lesion.label,
        lesion.volume_ml,
        lesion.longest_axial_diameter_mm,
        *place_ras_mm,
        lesion.mean_intensity,
        lesion.mean_score,
        lesion.highest_score,
    )


def _lines(row: VolumeRow, finding: FindingRow, measured: list[tuple[float | None, ...]]) -> list[Line]:
    if not measured:
        return [[*_beginning(row, finding), None, 0.0, *[None] * 6, finding.highest_score, ""]]
    return [[*_beginning(row, finding), *numbers, ""] for numbers in measured]


def _beginning(row: VolumeRow, finding: FindingRow) -> list[str]:
    return [row.volume_name, row.state, finding.description, finding.outcome.value]
