"""The controls that correct the chosen finding: threshold, smallest lesion, work by hand, going through its lesions."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.finding_rows import FindingRow
from DiffuGTSSlicerLib.lesion_jump import jump_to
from DiffuGTSSlicerLib.lesion_list import LesionList
from DiffuGTSSlicerLib.lesions import Lesion, LesionState, accept, reject, split, undecide
from DiffuGTSSlicerLib.open_finding import MOST_LESIONS, OpenFinding
from DiffuGTSSlicerLib.recut import HandWork, hand_work, recut
from DiffuGTSSlicerLib.segment_editing import edit_segment
from DiffuGTSSlicerLib.spoken_errors import says_errors
from DiffuGTSSlicerLib.threshold_slider import ThresholdSlider

CUT_AFTER_MS = 30
"""The slider moves faster than a segment can be cut and drawn: its last place within this time counts."""


class Correcting:
    """The part of the section Findings under its table.

    Args:
        ui: the widgets of FindingsSection.ui by name.
        scene: the scene.
        say: shows a sentence.
        refresh: shows rows and lesions as they are now; what else changes a segment is followed a little later anyway.
    """

    def __init__(
        self,
        ui: SimpleNamespace,
        scene: slicer.vtkMRMLScene,
        say: Callable[[str], None],
        refresh: Callable[[], None],
    ) -> None:
        self.ui, self._scene, self.say, self._refresh = ui, scene, say, refresh
        self._open: OpenFinding | None = None
        self._lesions = LesionList(ui.lesionsTable, self._jump)
        self._slider = ThresholdSlider(ui.thresholdSlider, ui.thresholdField, ui.distributionLabel, self._cut_soon)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(CUT_AFTER_MS)
        self._timer.connect("timeout()", self._cut)
        ui.smallestField.connect("valueChanged(double)", self._cut_soon)
        for button, action in (
            (ui.discardButton, self._discard_hand_work),
            (ui.editButton, self._edit),
            (ui.splitButton, self._split),
            (ui.previousButton, self.go_back),
            (ui.nextButton, self.go_on),
            (ui.acceptButton, self.accept),
            (ui.rejectButton, self.reject),
        ):
            button.connect("clicked()", action)

    @property
    def open_finding(self) -> OpenFinding | None:
        """What is being corrected."""
        return self._open

    @property
    def busy(self) -> bool:
        """Whether the user is moving the threshold right now."""
        return bool(self._timer.active)

    def show(self, opened: OpenFinding | None) -> None:
        """Show a finding as it is now; the selected lesion stays selected. None switches the controls off.

        Raises ResultError where its segment lies on another grid.
        """
        self._timer.stop()
        self._open = None
        self.ui.correctingBox.visible = False
        if opened is None:
            self._lesions.fill([], "")
            return
        segment = opened.segment
        lesions, work = opened.lesions(MOST_LESIONS + 1), hand_work(segment)
        self._open = opened
        self._slider.show(segment.threshold, segment.field.histogram, opened.row.colour)
        self.ui.smallestField.blockSignals(True)
        self.ui.smallestField.setValue(segment.smallest_lesion_ml)
        self.ui.smallestField.blockSignals(False)
        self._show_lesions(opened.row, lesions)
        self._show_hand_work(work, segment.geometry.voxel_ml)
        self.ui.correctingBox.visible = True

    def stop(self) -> None:
        """The panel was left: nothing happens any more by itself."""
        self._timer.stop()

    def _show_lesions(self, row: FindingRow, lesions: list[Lesion]) -> None:
        heading = _("Mean HU") if row.record.provenance.modality == "CT" else _("Mean intensity")
        self._lesions.fill(lesions[:MOST_LESIONS], heading)
        self.ui.lesionsTable.visible = self.ui.reviewBox.visible = bool(lesions)
        more = _(
            "Only the {most} lesions with the highest scores are listed. Raise the threshold or the smallest lesion."
        )
        too_many = [more.format(most=MOST_LESIONS)] if len(lesions) > MOST_LESIONS else []
        self.ui.lesionsLabel.text = "\n".join([*too_many, *row.notes] if lesions else row.reasons)
        self.ui.lesionsLabel.visible = bool(self.ui.lesionsLabel.text)
        self.ui.splitButton.enabled = any(lesion.state is not LesionState.REJECTED for lesion in lesions)
        self._show_decision()

    # -- the cut -----------------------------------------------------------------------------------------------------

    def _cut_soon(self, _value: float) -> None:
        if not self._timer.active:
            self._timer.start()

    @says_errors
    def _cut(self) -> None:
        if self._open is not None:
            recut(self._open.segment, self._slider.threshold, self.ui.smallestField.value)

    def _show_hand_work(self, work: HandWork, voxel_ml: float) -> None:
        self.ui.handWorkBox.visible = bool(work)
        text = _("By hand: {added:.2f} ml drawn, {removed:.2f} ml erased. Kept when the threshold moves.")
        self.ui.handWorkLabel.text = text.format(
            added=work.added.count * voxel_ml, removed=work.removed.count * voxel_ml
        )

    @says_errors
    def _discard_hand_work(self) -> None:
        if self._open is None:
            return
        segment = self._open.segment
        question = _(
            "Discard everything that was drawn and erased by hand in '{name}', and cut it from its score map alone? "
            "This cannot be undone."
        )
        if slicer.util.confirmOkCancelDisplay(question.format(name=self._open.row.description[:80])):
            recut(segment, segment.threshold, segment.smallest_lesion_ml, keep_hand_work=False)
            self._refresh()

    @says_errors
    def _edit(self) -> None:
        if self._open is not None:
            edit_segment(self._open.segment.segmentation, self._open.segment.segment_id, self._open.scan)

    @says_errors
    def _split(self) -> None:
        if self._open is None:
            return
        ids = split(self._open.segment, self._open.lesions(most=None))
        node = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", self._scene)[-1]
        text = _("{count} segments, one per lesion, were added as '{name}'. The finding itself stays as it is.")
        self.say(text.format(count=len(ids), name=node.GetName()))

    # -- going through the lesions -----------------------------------------------------------------------------------

    @says_errors
    def go_on(self) -> None:
        """Choose the next lesion."""
        self._lesions.step(1)

    @says_errors
    def go_back(self) -> None:
        """Choose the previous lesion."""
        self._lesions.step(-1)

    @says_errors
    def go_to_first(self) -> None:
        """Choose the first lesion, if there is one."""
        self._lesions.choose(0)

    @says_errors
    def accept(self) -> None:
        """Accept the chosen lesion and go on to the next undecided one; once more takes it back."""
        self._decide(LesionState.ACCEPTED, accept)

    @says_errors
    def reject(self) -> None:
        """Reject the chosen lesion and go on to the next undecided one; once more takes it back."""
        self._decide(LesionState.REJECTED, reject)

    def _decide(self, state: LesionState, decide: Callable[[Any, Lesion], None]) -> None:
        lesion = self._lesions.chosen
        if self._open is not None and lesion is not None:
            taken_back = lesion.state is state
            (undecide if taken_back else decide)(self._open.segment, lesion)
            self._refresh()
            if not taken_back:
                self._lesions.go_to_undecided()
        self._show_decision()

    @says_errors
    def _jump(self, lesion: Lesion) -> None:
        self._show_decision()
        jump_to(self._scene, lesion.centre_ras_mm)

    def _show_decision(self) -> None:
        lesion = self._lesions.chosen
        for button, state in (
            (self.ui.acceptButton, LesionState.ACCEPTED),
            (self.ui.rejectButton, LesionState.REJECTED),
        ):
            button.enabled = lesion is not None
            button.checked = lesion is not None and lesion.state is state
