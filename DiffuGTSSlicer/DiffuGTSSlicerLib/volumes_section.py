"""The section All volumes: one table over the findings of several volumes, and taking it elsewhere.

It is seen as soon as there is something to say of more than one volume.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from DiffuGTSSlicerLib.exported_table import with_suffix_csv, write_csv
from DiffuGTSSlicerLib.finding_rows import FindingRow
from DiffuGTSSlicerLib.in_steps import InSteps
from DiffuGTSSlicerLib.job import Job, JobState
from DiffuGTSSlicerLib.sentences_about import about
from DiffuGTSSlicerLib.spoken_errors import says_errors, sentence_on
from DiffuGTSSlicerLib.volume_rows import VolumeRow, rows_over_volumes
from DiffuGTSSlicerLib.volume_view import show_result, show_volume
from DiffuGTSSlicerLib.volumes_export import COLUMNS, Line, add_table_node, collect_lines
from DiffuGTSSlicerLib.volumes_table import VolumesTable, volumes_among


class VolumesSection(VTKObservationMixin):
    """The findings of all volumes of the scene, and the volumes whose jobs came to nothing.

    Args:
        container: a ctkCollapsibleButton with a QVBoxLayout.
        ui_path: of VolumesSection.ui.
        scene: the scene.
        on_chosen: called with the finding of a row that was chosen, once its volume is shown.
    """

    def __init__(
        self,
        container: qt.QWidget,
        ui_path: str,
        scene: slicer.vtkMRMLScene,
        on_chosen: Callable[[FindingRow], None],
    ) -> None:
        super().__init__()
        self._container, self._scene, self._on_chosen = container, scene, on_chosen
        widget = slicer.util.loadUI(ui_path)
        container.layout().addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self._table = VolumesTable(self.ui.volumesTable, self._choose)
        self._findings: list[FindingRow] = []
        self._came_to_nothing: dict[str, Job] = {}
        self._of_this_scene: set[str] = set()
        self._marked: tuple[str, str] | None = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)  # once for all jobs that are cancelled, and all results that are read, together
        self._timer.connect("timeout()", self._show)
        self._export = InSteps()
        self.ui.tableButton.connect("clicked()", self._make_table)
        self.ui.csvButton.connect("clicked()", self._save_csv)
        self.addObserver(scene, scene.EndCloseEvent, self._scene_closed)
        self.say("")
        self._show()

    def cleanup(self) -> None:
        """The panel goes away."""
        self.removeObservers()
        self._timer.stop()
        self._table.cleanup()
        self._export.stop()

    def say(self, text: str) -> None:
        """Show a sentence under the table; an empty one hides it."""
        self.ui.messageLabel.text = text
        self.ui.messageLabel.visible = bool(text)

    def show_findings(self, findings: list[FindingRow]) -> None:
        """Show what was found, newest run first, as it is now."""
        self._findings = findings
        self._timer.start()

    def job_changed(self, job: Job) -> None:
        """A job was put in line or is over: one that came to nothing has a row until its volume is segmented again."""
        volume_id = job.order.volume_id
        if job.state is JobState.WAITING:
            self._of_this_scene.add(job.name)
            self._came_to_nothing.pop(volume_id, None)
        elif job.state.over and job.state is not JobState.DONE and job.result is None:
            if job.name not in self._of_this_scene:  # the scene was closed before the worker let go of it
                return
            self._came_to_nothing[volume_id] = job
        else:
            return
        self._timer.start()

    def mark(self, result: str, segment_id: str) -> None:
        """Select the row of a finding that was chosen elsewhere."""
        self._marked = (result, segment_id)
        self._table.select(self._is_marked)

    def _is_marked(self, row: VolumeRow) -> bool:
        return row.finding is not None and row.finding.key == self._marked

    def _show(self) -> None:
        if self._scene.IsClosing() or self._scene.IsImporting():
            return  # its end is told
        rows = rows_over_volumes(self._scene, self._findings, self._came_to_nothing.values())
        self._table.fill(rows)
        if self._marked is not None:
            self._table.select(self._is_marked)
        self._container.visible = volumes_among(rows) > 1

    @says_errors
    def _choose(self, row: VolumeRow) -> None:
        self._marked = row.finding.key if row.finding is not None else None
        volume = self._scene.GetNodeByID(row.volume_id) if row.volume_id else None
        gone = _("The volume '{name}' is not in the scene any more.").format(name=row.volume_name)
        self.say(about(row.volume_name, row.reason) if row.reason else "" if volume is not None else gone)
        if volume is not None:
            show_volume(self._scene, volume)
        if row.finding is not None:
            show_result(self._scene, row.finding.result)
            self._on_chosen(row.finding)

    # -- taking it elsewhere -----------------------------------------------------------------------------------------

    @says_errors
    def _make_table(self) -> None:
        self._collect(self._add_table_node)

    @says_errors
    def _save_csv(self) -> None:
        path = qt.QFileDialog.getSaveFileName(
            self._container.window(),
            _("Save the findings of all volumes as CSV"),
            _("findings") + ".csv",
            _("Comma-separated values (*.csv)"),
        )
        if path:
            self._collect(lambda lines: self._write_csv(lines, with_suffix_csv(path)))

    def _collect(self, then: Callable[[list[Line]], None]) -> None:
        """Collect the lines of the table between the events, since what was corrected has to be measured anew."""
        lines: list[Line] = []
        self._allow_export(False)
        self.say(_("Collecting the findings…"))

        def ended(error: Exception | None) -> None:
            self._allow_export(True)
            if error is not None:
                self.say(sentence_on(error, "collect_lines"))
            else:
                then(lines)

        self._export.start(collect_lines(self._scene, self._table.rows, lines), ended)

    @says_errors
    def _add_table_node(self, lines: list[Line]) -> None:
        node = add_table_node(self._scene, lines, volumes_among(self._table.rows))
        self.say(_("The findings are in the table '{name}' (module Tables).").format(name=node.GetName()))

    @says_errors
    def _write_csv(self, lines: list[Line], path: Path) -> None:
        write_csv(COLUMNS, lines, path)
        self.say(_("Saved {path}").format(path=path))

    def _allow_export(self, allowed: bool) -> None:
        self.ui.tableButton.enabled = self.ui.csvButton.enabled = allowed

    def _scene_closed(self, caller: Any, event: Any) -> None:
        """What was computed for the scene that is gone is nothing in the next one."""
        self._export.stop()
        self._allow_export(True)
        self._came_to_nothing.clear()
        self._of_this_scene.clear()
        self.say("")
        self.show_findings([])
