"""The table of all volumes: a row for each volume and description."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.findings_table import MOST_SIGNS, NOTHING, swatch, tooltip
from DiffuGTSSlicerLib.table_size import fit_height
from DiffuGTSSlicerLib.volume_rows import FAILED, VolumeRow

VOLUME, DESCRIPTION, OUTCOME, SCORE, ML, LESIONS = range(6)
NUMBERS = (SCORE, ML, LESIONS)
MOST_ROWS_SEEN = 10
MOST_SIGNS_OF_NAME = 30


class VolumesTable:
    """Fills a QTableWidget with rows.

    Args:
        table: a QTableWidget with six columns.
        on_chosen: called with the row that the user selected, also by the keyboard, or clicked once more.
    """

    def __init__(self, table: qt.QTableWidget, on_chosen: Callable[[VolumeRow], None]) -> None:
        self._table, self._on_chosen = table, on_chosen
        self._rows: list[VolumeRow] = []
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        for column in (VOLUME, DESCRIPTION):
            header.setSectionResizeMode(column, qt.QHeaderView.Stretch)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._fit_height)
        header.connect("sectionResized(int,int,int)", self._width_changed)
        self._just_selected = -1
        table.connect("itemSelectionChanged()", self._selected)
        table.connect("cellClicked(int,int)", self._clicked)

    @property
    def rows(self) -> list[VolumeRow]:
        """What is shown."""
        return self._rows

    def fill(self, rows: list[VolumeRow]) -> None:
        """Show other rows; the selected one stays selected where it is still there. Nobody is told."""
        if rows == self._rows:
            return
        number = self._table.currentRow()
        before = self._rows[number] if 0 <= number < len(self._rows) else None
        self._rows = rows
        self._table.blockSignals(True)
        self._table.clearSpans()
        self._table.setRowCount(len(rows))
        for number, row in enumerate(rows):
            self._put(number, row)
        self._table.blockSignals(False)
        self.select(lambda row: before is not None and _key(row) == _key(before))
        self._fit_height()

    def cleanup(self) -> None:
        """The panel goes away; its columns may change once more while it does."""
        self._table.horizontalHeader().disconnect("sectionResized(int,int,int)", self._width_changed)
        self._timer.stop()

    def _fit_height(self) -> None:
        fit_height(self._table, MOST_ROWS_SEEN)

    def _width_changed(self, column: int, old: int, new: int) -> None:
        """Sentences take other lines then."""
        self._timer.start()

    def select(self, wanted: Callable[[VolumeRow], bool]) -> None:
        """Select the first row that is wanted, or none. Nobody is told."""
        self._table.blockSignals(True)
        number = next((number for number, row in enumerate(self._rows) if wanted(row)), -1)
        if number != self._table.currentRow():
            self._table.clearSelection()
            self._table.setCurrentCell(-1, -1)
            if number >= 0:
                self._table.selectRow(number)
                self._table.scrollToItem(self._table.item(number, VOLUME))
        self._table.blockSignals(False)

    def _put(self, number: int, row: VolumeRow) -> None:
        again = number > 0 and self._rows[number - 1].volume == row.volume
        self._put_cell(number, VOLUME, "" if again else _shortened(row.volume_name), row.volume_name)
        finding = row.finding
        if finding is None:
            text = _("failed: {reason}").format(reason=row.reason) if row.state == FAILED else row.reason
            text = f"{row.description}: {text}" if row.description else text
            self._put_cell(number, DESCRIPTION, text, row.reason)
            self._table.setSpan(number, DESCRIPTION, 1, LESIONS - DESCRIPTION + 1)
            return
        description = " ".join(finding.description.split())[:MOST_SIGNS]
        self._put_cell(number, DESCRIPTION, description, finding.description).setIcon(swatch(finding.colour))
        why = "\n".join(finding.reasons)
        self._put_cell(number, OUTCOME, finding.outcome.words, why)
        self._put_cell(number, SCORE, f"{finding.highest_score:.2f}", why)
        self._put_cell(number, ML, f"{finding.volume_ml:.1f}" if finding.volume_ml else NOTHING, why)
        self._put_cell(number, LESIONS, str(finding.lesions) if finding.lesions else NOTHING, why)

    def _put_cell(self, number: int, column: int, text: str, tip: str) -> qt.QTableWidgetItem:
        item = qt.QTableWidgetItem(text)
        item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable)
        item.setToolTip(tooltip(tip))
        if column in NUMBERS:
            item.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
        self._table.setItem(number, column, item)
        return item

    def _selected(self) -> None:
        self._just_selected = self._table.currentRow()
        self._choose(self._just_selected)

    def _clicked(self, number: int, column: int) -> None:
        """The row that is selected already may have been marked only: a click shows it. One that selected it has done so."""
        again, self._just_selected = number != self._just_selected, -1
        if again:
            self._choose(number)

    def _choose(self, number: int) -> None:
        if 0 <= number < len(self._rows):
            self._on_chosen(self._rows[number])


def volumes_among(rows: Sequence[VolumeRow]) -> int:
    """How many volumes the rows are about."""
    return len({row.volume for row in rows})


def _key(row: VolumeRow) -> tuple[str, str]:
    return row.volume, row.description


def _shortened(name: str) -> str:
    """A name that leaves room for the rest; what tells volumes apart is mostly at its end."""
    half = MOST_SIGNS_OF_NAME // 2
    return name if len(name) <= MOST_SIGNS_OF_NAME else f"{name[: half - 1]}…{name[-half:]}"
