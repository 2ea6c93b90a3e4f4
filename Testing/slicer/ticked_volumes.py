"""Several volumes in the panel as a user has them: loaded, ticked, segmented, and their table; for tests."""

from __future__ import annotations

import qt
from made_volumes import made_volume

PATIENCE_S = 60.0
NAMES = ("CT one", "CT two", "CT three")


def load(panel, host, names=NAMES) -> list:
    """New volumes, which the panel has seen, and the group opened."""
    volumes = [made_volume(kind, name=name) for kind, name in zip(("oblique", "left-handed", "straight"), names)]
    host.process_events(250)
    panel.ui.severalGroup.collapsed = False
    panel.ui.descriptionsEdit.setPlainText("liver tumour\ncyst")
    return volumes


def tick(host, panel, *names: str) -> None:
    volumes = panel.ui.volumesList
    for number in range(volumes.count):
        if volumes.item(number).text() in names:
            volumes.item(number).setCheckState(qt.Qt.Checked)
    until_looked_at(host, panel)


def tick_all(host, panel) -> None:
    panel.ui.tickAllButton.click()
    until_looked_at(host, panel)


def until_looked_at(host, panel) -> None:
    """On a busy machine several turns of the event loop are needed to look at all volumes."""
    host.wait_until(lambda: "Looking at the volumes" not in panel.ui.segmentButton.toolTip, PATIENCE_S)


def ticked(panel) -> list[str]:
    items = [panel.ui.volumesList.item(number) for number in range(panel.ui.volumesList.count)]
    return [item.text() for item in items if item.checkState() == qt.Qt.Checked]


def start(host, panel) -> tuple:
    until_looked_at(host, panel)
    assert panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip
    before = panel.logic.jobs.unfinished
    panel.ui.segmentButton.click()
    return tuple(job for job in panel.logic.jobs.unfinished if job not in before)


def until_over(host, jobs) -> None:
    host.wait_until(lambda: all(job.state.over for job in jobs), PATIENCE_S)
    host.process_events(250)


def table(panel) -> list[list[str]]:
    """The texts of the table of all volumes; a row for a volume that came to nothing has two."""
    widget = panel.volumesSection.ui.volumesTable
    return [
        [widget.item(row, column).text() for column in range(6)]
        if widget.columnSpan(row, 1) == 1
        else [widget.item(row, 0).text(), widget.item(row, 1).text()]
        for row in range(widget.rowCount)
    ]
