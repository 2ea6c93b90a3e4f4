"""The table of a finding's lesions, and going through them."""

from __future__ import annotations

from collections.abc import Callable

import qt
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.lesions import Lesion, LesionState
from DiffuGTSSlicerLib.table_size import fit_height

NUMBER, VOLUME, LONGEST, MEAN, SCORE, STATE = range(6)
NOTHING = "–"
SELECTABLE = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
NUMBERS = qt.Qt.AlignRight | qt.Qt.AlignVCenter
MOST_ROWS_SEEN = 8


class LesionList:
    """Fills a QTableWidget with lesions.

    Args:
        table: a QTableWidget with six columns.
        on_chosen: called with the lesion that the user selected, also by the keyboard or `step`.
    """

    def __init__(self, table: qt.QTableWidget, on_chosen: Callable[[Lesion], None]) -> None:
        self._table, self._on_chosen = table, on_chosen
        self._lesions: list[Lesion] = []
        header = table.horizontalHeader()
        header.setSectionResizeMode(qt.QHeaderView.ResizeToContents)
        header.setSectionResizeMode(STATE, qt.QHeaderView.Stretch)
        table.connect("itemSelectionChanged()", self._selected)

    @property
    def lesions(self) -> list[Lesion]:
        """What is listed, in order."""
        return self._lesions

    @property
    def chosen(self) -> Lesion | None:
        """The selected lesion."""
        number = self._table.currentRow()
        return self._lesions[number] if 0 <= number < len(self._lesions) else None

    def fill(self, lesions: list[Lesion], intensity_title: str) -> None:
        """List other lesions; the one that was selected stays selected where it is still there. Nobody is told."""
        before = self.chosen
        self._lesions = lesions
        self._table.blockSignals(True)
        self._table.horizontalHeaderItem(MEAN).setText(intensity_title)
        self._table.setRowCount(len(lesions))
        for number, lesion in enumerate(lesions):
            self._put(number, lesion)
        self._table.clearSelection()
        self._table.setCurrentCell(-1, -1)
        same = next((n for n, one in enumerate(lesions) if before is not None and one.shares_voxel_with(before)), None)
        if same is not None:
            self._table.selectRow(same)
        self._table.blockSignals(False)
        fit_height(self._table, MOST_ROWS_SEEN)

    def choose(self, number: int) -> None:
        """Select a lesion by its place in the list, and say so."""
        if 0 <= number < len(self._lesions):
            again = number == self._table.currentRow()
            self._table.selectRow(number)
            self._table.scrollToItem(self._table.item(number, NUMBER))
            if again:  # selecting it once more changes no selection, but the slices may have been moved away
                self._on_chosen(self._lesions[number])

    def step(self, by: int) -> None:
        """Go on to the next (1) or previous (-1) lesion; after the last comes the first."""
        if self._lesions:
            here = self._table.currentRow()
            start = here if here >= 0 else (-1 if by > 0 else 0)
            self.choose((start + by) % len(self._lesions))

    def go_to_undecided(self) -> None:
        """Go on to the next lesion that nothing was decided on; stay where there is none."""
        here = max(self._table.currentRow(), 0)
        for number in [*range(here + 1, len(self._lesions)), *range(0, here)]:
            if self._lesions[number].state is LesionState.UNDECIDED:
                self.choose(number)
                return

    def _put(self, row: int, lesion: Lesion) -> None:
        cells = {
            NUMBER: str(lesion.label),
            VOLUME: f"{lesion.volume_ml:.2f}" if lesion.volume_ml < 10 else f"{lesion.volume_ml:.1f}",
            LONGEST: f"{lesion.longest_axial_diameter_mm:.0f}",
            MEAN: NOTHING if lesion.mean_intensity is None else f"{lesion.mean_intensity:.0f}",
            SCORE: f"{lesion.highest_score:.2f}",
            STATE: state_in_words(lesion.state),
        }
        for column, text in cells.items():
            there = self._table.item(row, column)
            if there is not None and there.text() == text:
                continue  # after a decision nearly all of them: new items for a hundred lesions hold up the window
            item = qt.QTableWidgetItem(text)
            item.setFlags(SELECTABLE)
            if column != STATE:
                item.setTextAlignment(NUMBERS)
            self._table.setItem(row, column, item)

    def _selected(self) -> None:
        lesion = self.chosen
        if lesion is not None:
            self._on_chosen(lesion)


def state_in_words(state: LesionState) -> str:
    """What was decided, in the application's language."""
    words = {LesionState.ACCEPTED: _("accepted"), LesionState.REJECTED: _("rejected")}
    return words.get(state, NOTHING)
