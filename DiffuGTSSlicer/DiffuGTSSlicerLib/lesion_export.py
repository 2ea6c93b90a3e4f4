"""The lesions of a whole result, for the table node and the CSV file."""

from __future__ import annotations

import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.exported_table import show_table_node
from DiffuGTSSlicerLib.finding_rows import FindingRow
from DiffuGTSSlicerLib.lesion_table import LesionTable, fill_table_node
from DiffuGTSSlicerLib.open_finding import OpenFinding
from DiffuGTSSlicerLib.provenance import ResultRecord
from DiffuGTSSlicerLib.score_field import ScoreFields
from DiffuGTSSlicerLib.subject_folders import put_beside

LESION_TABLE = "lesion table"


def lesion_table_of(scene: slicer.vtkMRMLScene, rows: list[FindingRow], fields: ScoreFields) -> LesionTable:
    """All lesions of all findings whose segment and map are in the scene, as they are now.

    Raises ResultError where a segment no longer lies on the grid of its scan.
    """
    whole = [row for row in rows if row.segmentation_id and row.map_id]
    return [(row.description, OpenFinding.of(scene, row, fields).lesions(most=None)) for row in whole]


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
