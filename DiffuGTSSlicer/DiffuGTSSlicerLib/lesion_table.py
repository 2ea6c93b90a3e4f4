"""The lesions as a table: for the scene (vtkMRMLTableNode) and for spreadsheets (CSV)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import slicer
import vtk

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

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")

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
    """Write the table: UTF-8 with the mark that spreadsheets know it by, decimal points. Raises OSError."""
    with path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(name for name, _ in COLUMNS)
        for row in rows_of(table):
            writer.writerow(_cell(value) for value in row)


def fill_table_node(table: LesionTable, node: slicer.vtkMRMLTableNode) -> None:
    """Replace a table node's content; values that are missing are NaN, or -1 for a lesion's number."""
    made = vtk.vtkTable()
    rows = rows_of(table)
    kinds = {str: vtk.vtkStringArray, int: vtk.vtkIntArray, float: vtk.vtkDoubleArray}
    missing: dict[type, str | int | float] = {str: "", int: -1, float: float("nan")}
    for number, (name, kind) in enumerate(COLUMNS):
        column = kinds[kind]()
        column.SetName(name)
        for row in rows:
            value = row[number]
            column.InsertNextValue(missing[kind] if value is None else value)
        made.AddColumn(column)
    node.SetAndObserveTable(made)


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    return "'" + text if text.startswith(FORMULA_SIGNS) else text
