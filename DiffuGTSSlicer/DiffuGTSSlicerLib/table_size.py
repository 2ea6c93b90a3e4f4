"""How tall a table in the panel is: as its rows, up to a number of them, so that the panel itself need not scroll twice."""

from __future__ import annotations

import qt


def fit_height(table: qt.QTableWidget, most_rows: int) -> None:
    """Make a table as tall as its rows; beyond `most_rows` it scrolls."""
    rows = min(max(table.rowCount, 1), most_rows)
    row_height = table.verticalHeader().defaultSectionSize
    header = table.horizontalHeader()
    height = header.sizeHint.height() + rows * row_height + 2 * table.frameWidth
    table.setMinimumHeight(height)
    table.setMaximumHeight(height)
