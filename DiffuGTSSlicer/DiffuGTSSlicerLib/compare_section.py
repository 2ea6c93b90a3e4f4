"""The section Compare of the panel: scan, score map and pseudo-healthy scan side by side."""

from __future__ import annotations

from typing import Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.compare_layout import Plane
from DiffuGTSSlicerLib.compare_view import Compared, CompareView, ThirdPane
from DiffuGTSSlicerLib.finding_rows import scan_of_result
from DiffuGTSSlicerLib.outline_drawing import end_all_outlines
from DiffuGTSSlicerLib.provenance import SEGMENT
from DiffuGTSSlicerLib.results import PSEUDO_HEALTHY, RESIDUAL, SCORE_MAP, SEGMENTATION, nodes_of_result
from DiffuGTSSlicerLib.shortcuts import Shortcuts
from DiffuGTSSlicerLib.spoken_errors import says_errors

FADE_STEPS = 100

FOLLOW_AFTER_MS = 50
"""Nodes are removed in groups: the panes follow once, afterwards."""


class CompareSection(slicer.util.VTKObservationMixin):
    """Switches the comparison of one finding on and off, and steers its third pane.

    Args:
        container: a ctkCollapsibleButton with a QVBoxLayout.
        ui_path: of CompareSection.ui.
        compare_view: the comparison itself.
    """

    def __init__(self, container: qt.QWidget, ui_path: str, compare_view: CompareView) -> None:
        super().__init__()
        self._container, self._view, self._scene = container, compare_view, compare_view.scene
        widget = slicer.util.loadUI(ui_path)
        container.layout().addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self._result, self._segment_id = "", ""
        for plane, words in ((Plane.AXIAL, _("axial")), (Plane.CORONAL, _("coronal")), (Plane.SAGITTAL, _("sagittal"))):
            self.ui.planeSelector.addItem(words, plane.value)
        self.ui.compareButton.connect("toggled(bool)", self._switch)
        self.ui.healthyButton.connect("toggled(bool)", self._choose_third)
        self.ui.fadeSlider.connect("valueChanged(int)", self._fade)
        self.ui.blinkButton.connect("clicked()", self._blink)
        self.ui.planeSelector.connect("currentIndexChanged(int)", self._choose_plane)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(FOLLOW_AFTER_MS)
        self._timer.connect("timeout()", self._follow_scene)
        self._shortcuts = Shortcuts({"B": self._blink})
        self.say("")
        self._show_state()

    def show(self, result: str, segment_id: str) -> None:
        """Compare this finding from now on; the panes change at once where they are shown."""
        self._result, self._segment_id = result, segment_id
        if self._view.active:
            self._enter_view()
        self._show_state()

    def enter(self) -> None:
        """The panel was opened: listen to the key B and follow the scene."""
        self.removeObservers()
        scene = self._scene
        for event in (scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent):
            self.addObserver(scene, event, self._scene_changed)
        self.addObserver(scene, scene.StartCloseEvent, self._scene_closes)
        if self._view.possible:
            self.addObserver(self._view.layout_node, vtk.vtkCommand.ModifiedEvent, self._layout_changed)
        self._shortcuts.start(self._container.window())
        self._show_state()

    def exit(self) -> None:
        """The panel was left: the earlier layout comes back."""
        self._shortcuts.stop()
        self.removeObservers()
        self._timer.stop()
        self._view.leave()
        self._show_state()

    def cleanup(self) -> None:
        """The panel goes away."""
        self.exit()

    def say(self, text: str) -> None:
        """Show a sentence under the controls; an empty one hides it."""
        self.ui.messageLabel.text = text
        self.ui.messageLabel.visible = bool(text)

    # -- what the user does ------------------------------------------------------------------------------------------

    @says_errors
    def _switch(self, on: bool) -> None:
        if on:
            self._enter_view()
        else:
            self._view.leave()
        self._show_state()

    @says_errors
    def _choose_third(self, _checked: bool) -> None:
        self._view.show_third(ThirdPane.PSEUDO_HEALTHY if self.ui.healthyButton.checked else ThirdPane.RESIDUAL)
        self._show_state()

    @says_errors
    def _fade(self, position: int) -> None:
        self._view.set_fade(position / FADE_STEPS)

    @says_errors
    def _blink(self) -> None:
        if self._view.active:
            self._view.blink()
            self._show_fade()

    @says_errors
    def _choose_plane(self, _index: int) -> None:
        self._view.show_plane(Plane(self.ui.planeSelector.currentData))

    def _enter_view(self) -> None:
        compared = self._compared()
        if compared is None:
            self._view.leave()
        else:
            self._view.enter(compared)

    def _compared(self) -> Compared | None:
        """The nodes to compare, None where no finding is chosen or its scan was deleted."""
        scan = scan_of_result(self._scene, self._result) if self._result and self._view.possible else None
        if scan is None:
            return None
        nodes = nodes_of_result(self._scene, self._result)
        maps = [node for node in nodes.get(SCORE_MAP, []) if node.GetAttribute(SEGMENT) == self._segment_id]
        first = {role: next(iter(nodes.get(role, [])), None) for role in (SEGMENTATION, PSEUDO_HEALTHY, RESIDUAL)}
        return Compared(scan, first[SEGMENTATION], next(iter(maps), None), first[PSEUDO_HEALTHY], first[RESIDUAL])

    # -- what the controls say ---------------------------------------------------------------------------------------

    def _show_state(self) -> None:
        compared, active = self._compared(), self._view.active
        button = self.ui.compareButton
        button.blockSignals(True)
        button.checked = active
        button.blockSignals(False)
        button.enabled = active or compared is not None
        if compared is not None or active:
            button.toolTip = _("Scan, score map and pseudo-healthy scan beside each other; again: the earlier layout")
        elif self._result:
            button.toolTip = _(
                "The scan of this finding is not in the scene any more, so there is nothing to compare with."
            )
        else:
            button.toolTip = _("Choose a finding first.")
        self.ui.comparingBox.visible = active
        healthy = compared is not None and compared.pseudo_healthy is not None
        residual = compared is not None and compared.residual is not None
        self.ui.healthyButton.enabled, self.ui.residualButton.enabled = healthy, residual
        third = self.ui.residualButton if self._view.third is ThirdPane.RESIDUAL else self.ui.healthyButton
        for each in (self.ui.healthyButton, self.ui.residualButton):
            each.blockSignals(True)
        third.checked = True
        for each in (self.ui.healthyButton, self.ui.residualButton):
            each.blockSignals(False)
        self.ui.fadeSlider.enabled = self.ui.blinkButton.enabled = healthy or residual
        self.ui.thirdEndLabel.text = third.text
        missing = _("This run has no pseudo-healthy scan: it was made with quality Fast, or nothing was found in it.")
        self.say(missing if active and not (healthy or residual) else "")
        self._show_fade()

    def _show_fade(self) -> None:
        self.ui.fadeSlider.blockSignals(True)
        self.ui.fadeSlider.setValue(round(self._view.fade * FADE_STEPS))
        self.ui.fadeSlider.blockSignals(False)

    # -- following the scene -----------------------------------------------------------------------------------------

    def _scene_changed(self, _caller: Any = None, _event: Any = None) -> None:
        self._timer.start()

    @says_errors
    def _scene_closes(self, _caller: Any = None, _event: Any = None) -> None:
        """Before the scene goes, while the layout is still ours to give back."""
        self._result = self._segment_id = ""
        self._view.leave()

    @says_errors
    def _follow_scene(self) -> None:
        """A node that is compared may be gone, or the whole scene."""
        if self._view.active and self._compared() != self._view.compared:
            self._enter_view()
        elif not self._view.active:
            end_all_outlines(self._scene)  # of a scene that was saved while comparing
        self._show_state()

    @says_errors
    def _layout_changed(self, _caller: Any = None, _event: Any = None) -> None:
        """The user chose another layout while comparing: that one stays, and the comparison is over."""
        if self._view.left_by_user:
            self._view.leave()
            self._show_state()
