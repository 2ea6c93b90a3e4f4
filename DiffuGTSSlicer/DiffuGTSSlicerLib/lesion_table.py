"""The lesions as a table: for the scene (vtkMRMLTableNode) and for spreadsheets (CSV)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import slicer

from DiffuGTSSlicerLib import exported_table
from DiffuGTSSlicerLib.lesions import Lesion

COLUMNS: tuple[tuple[str, type], ...] = (
    ("description", str),
    ("lesion", int),
    ("state", str),
    ("volume_ml", float),
    ("longest_axial_diameter_mm", float),
    ("mean_intensity", float),
    ("mean_score", float),
    ("highest_score", float),
    ("r_mm", float),
    ("a_mm", float),
    ("s_mm", float),
)

LesionTable = Sequence[tuple[str, Sequence[Lesion]]]
"""Per description its lesions; a description without one gets a row of its own, so that no finding is lost."""


def rows_of(table: LesionTable) -> list[list[str | int | float | None]]:
    """The cells, None where there is no value."""
    rows: list[list[str | int | float | None]] = []
    for description, lesions in table:
        if not lesions:
            rows.append([description, None, "no lesion", 0.0, *[None] * 7])
        for lesion in lesions:
            rows.append(
                [
                    description,
                    lesion.label,
                    lesion.state.value,
                    lesion.volume_ml,
                    lesion.longest_axial_diameter_mm,
                    lesion.mean_intensity,
                    lesion.mean_score,
                    lesion.highest_score,
                    *lesion.centre_ras_mm,
                ]
            )
    return rows


def write_csv(table: LesionTable, path: Path) -> None:
    """Write the table as CSV. Raises OSError."""
    exported_table.write_csv(COLUMNS, rows_of(table), path)


def fill_table_node(table: LesionTable, node: slicer.vtkMRMLTableNode) -> None:
    """Replace a table node's content; values that are missing are NaN, or -1 for a lesion's number."""
    exported_table.fill_table_node(COLUMNS, rows_of(table), node)
