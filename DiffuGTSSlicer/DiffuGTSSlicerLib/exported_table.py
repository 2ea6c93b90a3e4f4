"""A table for the scene (vtkMRMLTableNode) and for spreadsheets (CSV)."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import slicer
import vtk

Columns = Sequence[tuple[str, type]]
"""Names with the type of their values: str, int or float."""

Rows = Sequence[Sequence[str | int | float | None]]
"""The cells, None where there is no value."""

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula, full-width signs too (OWASP, "CSV injection")."""


def write_csv(columns: Columns, rows: Rows, path: Path) -> None:
    """Write a table: UTF-8 with the mark that spreadsheets know it by, decimal points. Raises OSError."""
    with path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        writer = csv.writer(file)
        writer.writerow(name for name, _ in columns)
        for row in rows:
            writer.writerow(_cell(value) for value in row)


def fill_table_node(columns: Columns, rows: Rows, node: slicer.vtkMRMLTableNode) -> None:
    """Replace a table node's content; values that are missing are NaN, or -1 for a whole number."""
    made = vtk.vtkTable()
    kinds = {str: vtk.vtkStringArray, int: vtk.vtkIntArray, float: vtk.vtkDoubleArray}
    missing: dict[type, str | int | float] = {str: "", int: -1, float: float("nan")}
    for number, (name, kind) in enumerate(columns):
        column = kinds[kind]()
        column.SetName(name)
        for row in rows:
            value = row[number]
            column.InsertNextValue(missing[kind] if value is None else value)
        made.AddColumn(column)
    node.SetAndObserveTable(made)


def show_table_node(node: slicer.vtkMRMLTableNode) -> None:
    """Show a table where a table view is open."""
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveTableID(node.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()


def with_suffix_csv(path: str) -> Path:
    """The path of a CSV file, as the user gave it or with the suffix that was left out."""
    return Path(path if path.lower().endswith(".csv") else f"{path}.csv")


def _cell(value: str | int | float | None) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4f}"
    text = str(value)
    return "'" + text if text.startswith(FORMULA_SIGNS) else text
