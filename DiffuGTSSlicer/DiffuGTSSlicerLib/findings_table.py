"""The table of findings: one row per description, newest run on top."""

from __future__ import annotations

import html
from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.finding_rows import FindingRow, run_in_words
from DiffuGTSSlicerLib.table_size import fit_height

DESCRIPTION, OUTCOME, SCORE, VOLUME, LESIONS, SHOWN, MAP = range(7)

NOTHING = "–"
MOST_ROWS_SEEN = 9
MOST_SIGNS = 80
"""Of a description in its row; the tooltip has all of it."""

SWATCH_PIXELS = 12


class FindingsTable:
    """Fills a QTableWidget with rows and says what the user does with them.

    Args:
        table: a QTableWidget with seven columns.
        on_chosen: called with the row that was selected.
        on_shown: called with a row and whether its segment is to be seen.
        on_map: called with a row and whether its score map is to be seen.
    """

    def __init__(
        self,
        table: qt.QTableWidget,
        on_chosen: Callable[[FindingRow], None],
        on_shown: Callable[[FindingRow, bool], None],
        on_map: Callable[[FindingRow, bool], None],
    ) -> None:
        self._table = table
        self._on_chosen, self._on_shown, self._on_map = on_chosen, on_shown, on_map
        self._rows: list[FindingRow | None] = []
        self._map_id = ""
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(DESCRIPTION, qt.QHeaderView.Stretch)
        table.connect("itemSelectionChanged()", self._selected)
        table.connect("itemChanged(QTableWidgetItem*)", self._changed)

    @property
    def chosen(self) -> FindingRow | None:
        """The selected row."""
        number = self._table.currentRow()
        return self._rows[number] if 0 <= number < len(self._rows) else None

    @property
    def rows(self) -> list[FindingRow]:
        """All rows, headings of runs left out."""
        return [row for row in self._rows if row is not None]

    def fill(self, rows: list[FindingRow], map_id: str, chosen: tuple[str, str] | None) -> None:
        """Show other rows, with `chosen` (the key of a row) selected; nobody is told of the selection.

        `map_id` is the score map that is seen now. Where there are several runs, each gets a heading.
        """
        runs = dict.fromkeys(row.result for row in rows)
        self._rows, self._map_id = [], map_id
        for result in runs:
            self._rows += [None] if len(runs) > 1 else []
            self._rows += [row for row in rows if row.result == result]
        self._table.blockSignals(True)
        self._table.clearSpans()
        self._table.setRowCount(len(self._rows))
        for number, row in enumerate(self._rows):
            if row is None:
                self._put_heading(number, self._rows[number + 1])
            else:
                self._put_row(number, row)
        self._table.clearSelection()
        self._table.setCurrentCell(-1, -1)
        for number, row in enumerate(self._rows):
            if row is not None and row.key == chosen:
                self._table.selectRow(number)
        self._table.blockSignals(False)
        fit_height(self._table, MOST_ROWS_SEEN)

    def select(self, key: tuple[str, str]) -> None:
        """Select the row of this key and scroll to it; nobody is told."""
        self._table.blockSignals(True)
        for number, row in enumerate(self._rows):
            if row is not None and row.key == key:
                self._table.selectRow(number)
                self._table.scrollToItem(self._table.item(number, DESCRIPTION))
        self._table.blockSignals(False)

    def _put_heading(self, number: int, first: FindingRow | None) -> None:
        item = qt.QTableWidgetItem(run_in_words(first.record) if first is not None else "")
        item.setFlags(qt.Qt.ItemIsEnabled)
        font = item.font()
        font.setBold(True)
        item.setFont(font)
        self._table.setItem(number, DESCRIPTION, item)
        self._table.setSpan(number, DESCRIPTION, 1, MAP + 1)

    def _put_row(self, number: int, row: FindingRow) -> None:
        cells = {
            DESCRIPTION: " ".join(row.description.split())[:MOST_SIGNS],
            OUTCOME: row.outcome.words,
            SCORE: f"{row.highest_score:.2f}",
            VOLUME: f"{row.volume_ml:.1f}" if row.volume_ml else NOTHING,
            LESIONS: str(row.lesions) if row.lesions else NOTHING,
        }
        why = tooltip("\n".join(row.reasons))
        for column, text in cells.items():
            item = qt.QTableWidgetItem(text)
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
            item.setToolTip(tooltip(row.description) if column == DESCRIPTION else why)
            if column in (SCORE, VOLUME, LESIONS):
                item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            if column == DESCRIPTION:
                item.setIcon(swatch(row.colour))
            self._table.setItem(number, column, item)
        self._put_box(number, SHOWN, bool(row.segmentation_id), row.shown, _("Show the segment in the views"))
        seen = bool(row.map_id) and row.map_id == self._map_id
        self._put_box(number, MAP, bool(row.map_id), seen, _("Show the score map over the scan"))

    def _put_box(self, number: int, column: int, possible: bool, on: bool, tip: str) -> None:
        item = qt.QTableWidgetItem()
        item.setToolTip(tip if possible else _("Deleted from the scene"))
        if possible:
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(qt.Qt.Checked if on else qt.Qt.Unchecked)
        else:
            item.setFlags(qt.Qt.NoItemFlags)
        self._table.setItem(number, column, item)

    def _selected(self) -> None:
        row = self.chosen
        if row is not None:
            self._on_chosen(row)

    def _changed(self, item: qt.QTableWidgetItem) -> None:
        row = self._rows[item.row()] if item.row() < len(self._rows) else None
        if row is not None and item.column() in (SHOWN, MAP):
            tell = self._on_shown if item.column() == SHOWN else self._on_map
            tell(row, item.checkState() == qt.Qt.Checked)


def tooltip(text: str) -> str:
    """A text that wraps and is shown as it is, whatever signs are in it: Qt would take some for HTML."""
    return f"<qt>{html.escape(text)}</qt>".replace("\n", "<br>")


def swatch(colour: tuple[float, float, float]) -> qt.QIcon:
    """A small square of a colour, (r, g, b) 0..1."""
    pixmap = qt.QPixmap(SWATCH_PIXELS, SWATCH_PIXELS)
    pixmap.fill(qt.QColor(*(round(255 * c) for c in colour)))
    icon = qt.QIcon(pixmap)
    icon.addPixmap(pixmap, qt.QIcon.Selected)  # Qt would tint it in the selected row
    return icon
