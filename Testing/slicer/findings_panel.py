"""The section Findings as a user sees and drives it, for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import qt
from made_sections import findings_section

TEXTS = ("liver tumour", "cyst", "nothing of the kind")
"""Of which made results find two lesions, one and none."""


class Panel:
    """The section in a panel, and what a user sees and does there."""

    def __init__(self, scene, host, **listeners) -> None:
        self.scene, self.host = scene, host
        self.widget, self.section, self.chosen = findings_section(scene, **listeners)
        self.ui = self.section.ui

    def rows(self) -> list[list[str]]:
        """The texts of the table of findings; a heading has one."""
        table = self.ui.findingsTable
        return [
            [table.item(row, column).text() for column in range(5) if table.item(row, column) is not None]
            if table.columnSpan(row, 0) == 1
            else [table.item(row, 0).text()]
            for row in range(table.rowCount)
        ]

    def lesions(self) -> list[list[str]]:
        """The texts of the table of lesions."""
        table = self.ui.lesionsTable
        return [[table.item(row, column).text() for column in range(6)] for row in range(table.rowCount)]

    def states(self) -> list[str]:
        return [row[-1] for row in self.lesions()]

    def choose(self, row: int) -> None:
        self.ui.findingsTable.selectRow(row)

    def choose_lesion(self, row: int) -> None:
        self.ui.lesionsTable.selectRow(row)

    def tick(self, row: int, column: int, on: bool) -> None:
        self.ui.findingsTable.item(row, column).setCheckState(qt.Qt.Checked if on else qt.Qt.Unchecked)

    def settle(self) -> None:
        """Wait until the panel has followed what was done."""
        self.host.process_events(250)

    def close(self) -> None:
        self.section.cleanup()
        self.widget.close()
        self.widget.deleteLater()


def panels(scene, host) -> Iterator[Callable[..., Panel]]:
    """For a fixture: makes panels, each told what the section is to be told (for example `on_rerun`), and closes them."""
    made: list[Panel] = []

    def make(**listeners) -> Panel:
        made.append(Panel(scene, host, **listeners))
        return made[-1]

    yield make
    for one in made:
        one.close()
