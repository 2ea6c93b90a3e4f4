"""How tall a table in the panel is: as its rows, up to a number of them, so that the panel itself need not scroll twice."""

from __future__ import annotations

import qt


def fit_height(table: qt.QTableWidget, most_rows: int) -> None:
    """Make a table as tall as its rows; beyond `most_rows` it scrolls."""
    table.resizeRowsToContents()
    heights = [table.rowHeight(row) for row in range(min(table.rowCount, most_rows))]
    header = table.horizontalHeader().sizeHint.height()
    height = header + (sum(heights) or table.verticalHeader().defaultSectionSize) + 2 * table.frameWidth
    table.setMinimumHeight(height)
    table.setMaximumHeight(height)
