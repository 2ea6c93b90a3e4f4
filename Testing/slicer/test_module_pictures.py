"""The panel in its states, drawn: nothing is cut off, and what has to be seen is seen.

With the variable DIFFUGTS_PICTURES the pictures are kept in that folder, to be looked at.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import qt  # noqa: E402
from host.pictures import save_png, share_of_colour, widget_picture  # noqa: E402
from made_volumes import made_volume  # noqa: E402
from opened_module import *  # noqa: E402, F403

from diffugts.protocol.colours import PALETTE  # noqa: E402
from DiffuGTSSlicerLib.job import JobState  # noqa: E402

WIDTH = 500


def drawn(host, panel, name: str):
    """The whole panel, as wide as Slicer's panel usually is and as high as it wants to be."""
    panel.parent.resize(WIDTH, 800)
    widget_picture(panel.parent, WIDTH, 800)
    host.process_events(50)
    picture = widget_picture(panel.parent, WIDTH, panel.parent.layout().totalHeightForWidth(WIDTH))
    host.process_events(50)
    picture = widget_picture(panel.parent, WIDTH, panel.parent.layout().totalHeightForWidth(WIDTH))
    if os.environ.get("DIFFUGTS_PICTURES"):
        save_png(picture, Path(os.environ["DIFFUGTS_PICTURES"]) / f"panel-{name}.png")
    assert panel.parent.minimumSizeHint.width() <= WIDTH, "the panel does not force itself wider than Slicer's"
    assert cut_off(panel) == [], f"texts are cut off in the state '{name}'"
    return picture


def cut_off(panel) -> list[str]:
    """Texts of buttons and labels that are wider than their widgets; long titles are shortened by design."""
    widgets = [*panel.parent.findChildren(qt.QPushButton), *panel.parent.findChildren(qt.QLabel)]
    return [
        widget.text
        for widget in widgets
        if widget.isVisible() and widget.text and not getattr(widget, "wordWrap", False)
        and widget.width < widget.fontMetrics().horizontalAdvance(widget.text)
    ]  # fmt: skip


def test_the_panel_from_the_first_day_to_the_findings(host, panel, environment):
    environment.become(False, "The packages it needs are not installed yet. Press Install in Setup; it is needed once.")
    drawn(host, panel, "1-not-set-up")
    environment.become(True, "Ready: compact model · CPU (tested) · 1.9 GB of packages")
    drawn(host, panel, "2-no-volume")
    panel.ui.volumeSelector.setCurrentNode(made_volume("anisotropic", name="CT liver", shape=(24, 200, 200)))
    panel.ui.descriptionsEdit.setPlainText("hypodense liver metastasis\nrenal cell carcinoma\nliver cyst")
    ready = drawn(host, panel, "3-ready")
    for number in range(3):
        colour = tuple(round(255 * share) for share in PALETTE[number])
        assert share_of_colour(ready, colour) > 1e-4, "each line has its colour"
    environment.mode = "slow"
    panel.ui.segmentButton.click()
    (job,) = panel.logic.jobs.unfinished
    host.wait_until(lambda: job.progress.done > 20 or job.state.over, 40)
    drawn(host, panel, "4-running")
    panel.ui.descriptionsEdit.setPlainText("kidney tumor")
    panel.ui.segmentButton.click()
    drawn(host, panel, "5-in-line")
    host.wait_until(lambda: not panel.logic.jobs.unfinished, 60)
    assert job.state is JobState.DONE, job.reason
    drawn(host, panel, "6-findings")
    environment.mode = "failed"
    panel.logic.jobs.end_worker()
    panel.ui.segmentButton.click()
    host.wait_until(lambda: not panel.logic.jobs.unfinished, 40)
    panel.ui.detailsButton.click()
    drawn(host, panel, "7-failed")


def test_the_panel_with_several_volumes(host, panel, environment):
    names = ("CT abdomen 2024-03-01", "CT abdomen 2025-01-17 portal venous, thin slices", "CT thigh")
    volumes = [made_volume("oblique", name=name) for name in names]
    coarse = made_volume("anisotropic", name="CT coarse")
    host.process_events(300)
    panel.ui.volumeSelector.setCurrentNode(volumes[0])
    panel.ui.descriptionsEdit.setPlainText("hypodense liver metastasis\nliver cyst")
    panel.ui.severalGroup.collapsed = False
    panel.ui.tickAllButton.click()
    host.wait_until(lambda: panel.ui.segmentButton.enabled)
    drawn(host, panel, "8-several-ticked")
    environment.mode = "slow"
    panel.ui.segmentButton.click()
    jobs = panel.logic.jobs.unfinished
    host.wait_until(lambda: jobs[0].progress.done > 20 or jobs[0].state.over, 40)
    drawn(host, panel, "9-several-running")
    slicer.mrmlScene.RemoveNode(coarse)
    panel.logic.jobs.cancel(jobs[1])
    host.wait_until(lambda: not panel.logic.jobs.unfinished, 60)
    host.process_events(300)
    panel.volumesSection.ui.volumesTable.selectRow(0)
    host.process_events(300)
    assert [job.state for job in jobs] == [JobState.DONE, JobState.CANCELLED, JobState.DONE, JobState.FAILED]
    drawn(host, panel, "10-several-findings")
    rows = panel.volumesSection.ui.volumesTable
    assert min(rows.columnWidth(column) for column in (0, 1)) > 80, "volume and description have room"
