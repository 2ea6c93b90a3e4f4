"""The lesions of a whole result, for the table node and the CSV file."""

from __future__ import annotations

from collections.abc import Iterator

import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.exported_table import show_table_node
from DiffuGTSSlicerLib.finding_rows import FindingRow
from DiffuGTSSlicerLib.lesion_table import LesionTable, fill_table_node
from DiffuGTSSlicerLib.lesions import Lesion
from DiffuGTSSlicerLib.open_finding import EarlierSegments, OpenFinding
from DiffuGTSSlicerLib.provenance import ResultRecord
from DiffuGTSSlicerLib.score_field import ScoreFields
from DiffuGTSSlicerLib.subject_folders import put_beside

LESION_TABLE = "lesion table"


def measured_findings(
    scene: slicer.vtkMRMLScene,
    rows: list[FindingRow],
    fields: ScoreFields,
    earlier: EarlierSegments,
    table: list[tuple[str, list[Lesion]]],
) -> Iterator[None]:
    """Add all lesions of all findings whose segment and map are in the scene to the `table`, as they are now, one finding a step.

    What was measured of an `earlier` opened one is not measured again. Raises ResultError where a segment no longer lies on
    the grid of its scan.
    """
    for row in rows:
        if row.segmentation_id and row.map_id:
            table.append((row.description, OpenFinding.of(scene, row, fields, earlier).lesions(most=None)))
            yield


def add_table_node(
    scene: slicer.vtkMRMLScene, record: ResultRecord, table: LesionTable, beside: slicer.vtkMRMLNode | None
) -> slicer.vtkMRMLTableNode:
    """A new table node with the lesions, in the folder of the node `beside`, shown where a table view is open."""
    name = scene.GenerateUniqueName(_("{volume} lesions").format(volume=record.volume_name))
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", name)
    fill_table_node(table, node)
    record.mark(node, LESION_TABLE)
    if beside is not None:
        put_beside(beside, node)
    show_table_node(node)
    return node
