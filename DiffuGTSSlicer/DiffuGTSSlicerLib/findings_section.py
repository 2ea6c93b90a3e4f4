"""The section Findings of the panel: what was found in every run of the scene, and taking it elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from DiffuGTSSlicerLib.beside_main_thread import BesideMainThread
from DiffuGTSSlicerLib.correcting import Correcting
from DiffuGTSSlicerLib.exported_table import with_suffix_csv
from DiffuGTSSlicerLib.finding_rows import FindingRow, FindingRows, corrections_in_words, scan_of_result
from DiffuGTSSlicerLib.finding_segment import reference_geometry
from DiffuGTSSlicerLib.findings_table import FindingsTable
from DiffuGTSSlicerLib.in_steps import InSteps
from DiffuGTSSlicerLib.job import Order
from DiffuGTSSlicerLib.lesion_export import add_table_node, measured_findings
from DiffuGTSSlicerLib.lesion_table import LesionTable, write_csv
from DiffuGTSSlicerLib.lesions import Lesion
from DiffuGTSSlicerLib.open_finding import EarlierSegments, OpenFinding
from DiffuGTSSlicerLib.provenance import VOLUME_REFERENCE, methods_paragraph
from DiffuGTSSlicerLib.regions import load_scipy
from DiffuGTSSlicerLib.score_field import ScoreFields
from DiffuGTSSlicerLib.score_overlay import ScoreOverlay
from DiffuGTSSlicerLib.shortcuts import Shortcuts
from DiffuGTSSlicerLib.spoken_errors import says_errors, sentence_on
from DiffuGTSSlicerLib.stored_run import order_again
from DiffuGTSSlicerLib.volume_view import show_volume_of

REFRESH_AFTER_MS = 80
"""Rows and lesions are read anew once the scene has been left alone for this long."""


class FindingsSection(slicer.util.VTKObservationMixin):
    """The findings of every result in the scene, and the controls that correct the one that is chosen.

    Args:
        container: a ctkCollapsibleButton with a QVBoxLayout.
        ui_path: of FindingsSection.ui.
        scene: the scene.
        on_chosen: called with the result's name and the segment's ID when another finding is chosen.
        on_rerun: called with the order of an earlier run that is to be made again; may be set later.
        on_read: called with all rows whenever they were read from the scene.
    """

    def __init__(
        self,
        container: qt.QWidget,
        ui_path: str,
        scene: slicer.vtkMRMLScene,
        on_chosen: Callable[[str, str], None],
        on_rerun: Callable[[Order], None] | None = None,
        on_read: Callable[[list[FindingRow]], None] = lambda rows: None,
    ) -> None:
        super().__init__()
        self._beside = BesideMainThread("DiffuGTS-findings")
        self._beside.submit(load_scipy)  # for a scene from a file, whose first cut would load it otherwise
        self._container, self._scene = container, scene
        self._on_chosen, self.on_rerun, self._on_read = on_chosen, on_rerun, on_read
        widget = slicer.util.loadUI(ui_path)
        container.layout().addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self._reader, self._fields, self._overlay = FindingRows(scene), ScoreFields(self._beside), ScoreOverlay(scene)
        self._earlier, self._export = EarlierSegments(), InSteps()
        self._chosen: tuple[str, str] | None = None
        self._table = FindingsTable(self.ui.findingsTable, self._choose, self._show_segment, self._show_map)
        self._correcting = Correcting(self.ui, scene, self.say, self.refresh)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REFRESH_AFTER_MS)
        self._timer.connect("timeout()", self._refresh_now)
        for button, action in (
            (self.ui.tableButton, self._make_table),
            (self.ui.csvButton, self._save_csv),
            (self.ui.methodsButton, self._copy_methods),
            (self.ui.rerunButton, self._run_again),
        ):
            button.connect("clicked()", action)
        do = self._correcting
        self._shortcuts = Shortcuts({"N": do.go_on, "P": do.go_back, "A": do.accept, "R": do.reject})
        self.say("")
        self.refresh()

    def show_result(self, result: str) -> None:
        """Show a result that was just made, and choose its first finding in which something was found."""
        rows = [row for row in self._reader.read()[0] if row.result == result]
        first = next((row for row in rows if row.volume_ml), rows[0] if rows else None)
        self._chosen = first.key if first is not None else self._chosen
        self.refresh()
        if first is not None:
            self._on_chosen(*first.key)

    def choose(self, key: tuple[str, str]) -> None:
        """Choose the finding of this key, from elsewhere in the panel, and go to its first lesion."""
        row = next((row for row in self._table.rows if row.key == key), None)
        if row is None:
            return
        self._table.select(key)
        self._choose(row)
        self._correcting.go_to_first()
        self.refresh_soon()

    def refresh_soon(self) -> None:
        """Read everything anew when the scene, and the user's hand, have come to rest."""
        self._timer.start()

    def refresh(self) -> None:
        """Read everything from the scene anew: the rows, and the chosen finding with its lesions."""
        self._timer.stop()
        opened = self._correcting.open_finding
        rows, faults = self._reader.read(opened.segment if opened is not None else None)
        self._table.fill(rows, self._overlay.shown_map_id(), self._chosen)
        self.ui.hintLabel.visible = not rows
        self.ui.findingsTable.visible = bool(rows)
        row = next((row for row in rows if row.key == self._chosen), None)
        if row is None:
            self._chosen = None
        if faults:
            self.say(" ".join(faults))
        self._open(row)
        self._expect(rows)
        self._on_read(rows)

    def enter(self) -> None:
        """The panel was opened: follow the scene and listen to the keys."""
        self.removeObservers()
        scene = self._scene
        for event in (scene.NodeRemovedEvent, scene.EndImportEvent, scene.EndCloseEvent):
            self.addObserver(scene, event, self._scene_changed)
        self.addObserver(scene, scene.StartCloseEvent, self._scene_closes)
        self._shortcuts.start(self._container.window())
        self.say("")
        self.refresh()

    def exit(self) -> None:
        """The panel was left: no keys, no following; the scene stays as it is."""
        self._shortcuts.stop()
        self.removeObservers()
        self._timer.stop()
        self._correcting.stop()

    def cleanup(self) -> None:
        """The panel goes away."""
        self.exit()
        self._correcting.show(None)
        self._fields.forget()
        self._earlier.forget()
        self._export.stop()
        self._beside.shutdown(wait=False, cancel_futures=True)

    def say(self, text: str) -> None:
        """Show a sentence under the findings; an empty one hides it."""
        self.ui.messageLabel.text = text
        self.ui.messageLabel.visible = bool(text)

    # -- choosing and showing ----------------------------------------------------------------------------------------

    @says_errors
    def _choose(self, row: FindingRow) -> None:
        self._chosen = row.key
        self.say("")
        show_volume_of(self._scene, row.result)
        shown = self._scene.GetNodeByID(self._overlay.shown_map_id())
        if shown is not None and shown.GetNodeReferenceID(VOLUME_REFERENCE) != self._volume_id_of(row):
            self._overlay.hide()  # another scan's map would lie over this one
        self._open(row)
        self._on_chosen(*row.key)

    def _volume_id_of(self, row: FindingRow) -> str | None:
        volume = scan_of_result(self._scene, row.result)
        return volume.GetID() if volume is not None else None

    @says_errors
    def _open(self, row: FindingRow | None) -> None:
        """Show a row's finding in the controls; they are off where something of it is gone."""
        self.ui.resultBox.visible = row is not None
        self.ui.rerunButton.enabled = self.on_rerun is not None
        opened = None
        try:
            if row is not None:
                opened = OpenFinding.of(self._scene, row, self._fields, self._earlier)
            self._correcting.show(opened)
        except Exception:
            self._correcting.show(None)
            raise
        finally:
            self._follow_segmentation(opened)

    def _expect(self, rows: list[FindingRow]) -> None:
        """Have the maps of all findings looked through beside the main thread, before one of them is chosen."""
        maps = []
        for row in rows:
            score_map, segmentation = (self._scene.GetNodeByID(name) for name in (row.map_id, row.segmentation_id))
            if score_map is not None and segmentation is not None:
                with suppress(ResultError):  # without a grid; whoever chooses it is told
                    maps.append((score_map, reference_geometry(segmentation)))
        self._fields.expect(maps)

    @says_errors
    def _show_segment(self, row: FindingRow, shown: bool) -> None:
        node = self._scene.GetNodeByID(row.segmentation_id)
        display = node.GetDisplayNode() if node is not None else None
        if display is not None:
            if shown:
                display.SetVisibility(True)
            display.SetSegmentVisibility(row.segment_id, shown)
        self.refresh_soon()

    @says_errors
    def _show_map(self, row: FindingRow, shown: bool) -> None:
        node = self._scene.GetNodeByID(row.map_id)
        if shown and node is not None:
            self._overlay.show(node)
        else:
            self._overlay.hide()
        self.refresh_soon()

    # -- taking it elsewhere -----------------------------------------------------------------------------------------

    def _rows_of(self, result: str) -> list[FindingRow]:
        return [row for row in self._table.rows if row.result == result]

    def _rows_of_chosen_result(self) -> list[FindingRow]:
        return self._rows_of(self._chosen[0]) if self._chosen is not None else []

    @says_errors
    def _make_table(self) -> None:
        rows = self._rows_of_chosen_result()
        self._measure(rows, lambda table: self._add_table_node(rows, table))

    @says_errors
    def _save_csv(self) -> None:
        rows = self._rows_of_chosen_result()
        name = _("{volume} lesions").format(volume=rows[0].record.volume_name)
        path = qt.QFileDialog.getSaveFileName(
            self._container.window(), _("Save the lesions as CSV"), f"{name}.csv", _("Comma-separated values (*.csv)")
        )
        if path:
            self._measure(rows, lambda table: self._write_csv(table, with_suffix_csv(path)))

    def _measure(self, rows: list[FindingRow], then: Callable[[LesionTable], None]) -> None:
        """Measure the lesions of all findings of a run between the events: of large ones it takes a moment each."""
        table: list[tuple[str, list[Lesion]]] = []
        self._allow_export(False)
        self.say(_("Measuring the lesions…"))

        def ended(error: Exception | None) -> None:
            self._allow_export(True)
            if error is not None:
                self.say(sentence_on(error, "measured_findings"))
            else:
                then(table)

        self._export.start(measured_findings(self._scene, rows, self._fields, self._earlier, table), ended)

    @says_errors
    def _add_table_node(self, rows: list[FindingRow], table: LesionTable) -> None:
        beside = next((self._scene.GetNodeByID(row.segmentation_id) for row in rows if row.segmentation_id), None)
        node = add_table_node(self._scene, rows[0].record, table, beside)
        self.say(_("The lesions are in the table '{name}' (module Tables).").format(name=node.GetName()))

    @says_errors
    def _write_csv(self, table: LesionTable, path: Path) -> None:
        write_csv(table, path)
        self.say(_("Saved {path}").format(path=path))

    def _allow_export(self, allowed: bool) -> None:
        self.ui.tableButton.enabled = self.ui.csvButton.enabled = allowed

    @says_errors
    def _copy_methods(self) -> None:
        rows = self._rows_of_chosen_result()
        text = " ".join(filter(None, (methods_paragraph(rows[0].record), corrections_in_words(rows))))
        slicer.app.clipboard().setText(text)
        self.say(_("The methods paragraph is on the clipboard. Nothing about the patient is in it."))

    @says_errors
    def _run_again(self) -> None:
        rows = self._rows_of_chosen_result()
        if rows and self.on_rerun is not None:
            self.on_rerun(order_again(self._scene, rows[0].record))

    # -- following the scene -----------------------------------------------------------------------------------------

    @says_errors
    def _refresh_now(self) -> None:
        if self._correcting.busy:  # the controls are not put back under the user's hand
            self._timer.start()
        else:
            self.refresh()

    def _scene_changed(self, caller: Any = None, event: Any = None) -> None:
        self.refresh_soon()

    def _scene_closes(self, caller: Any = None, event: Any = None) -> None:
        self._export.stop()
        self._allow_export(True)
        self._chosen = None
        self._open(None)
        self._fields.forget()
        self._earlier.forget()

    def _follow_segmentation(self, opened: OpenFinding | None) -> None:
        """Read anew whatever is drawn, erased, renamed or coloured in the finding's segmentation while it is chosen."""
        self.removeObservers(self._segmentation_changed)
        if opened is None or not self.hasObserver(self._scene, self._scene.EndCloseEvent, self._scene_changed):
            return
        segmentation = opened.segment.segmentation.GetSegmentation()
        kind = slicer.vtkSegmentation
        for event in (kind.SourceRepresentationModified, kind.SegmentModified, kind.SegmentRemoved):
            self.addObserver(segmentation, event, self._segmentation_changed)

    def _segmentation_changed(self, caller: Any = None, event: Any = None) -> None:
        self.refresh_soon()
