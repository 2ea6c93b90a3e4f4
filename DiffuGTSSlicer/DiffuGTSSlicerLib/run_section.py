"""Starting, watching and cancelling jobs: the one button, the progress, the jobs in line, how the last one ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError
from DiffuGTSSlicerLib.describe_section import DescribeSection
from DiffuGTSSlicerLib.job import Job, JobState, Order
from DiffuGTSSlicerLib.job_progress_words import (
    SEPARATOR,
    outcome_in_words,
    outcome_of_several_in_words,
    place_in_words,
    progress_in_words,
)
from DiffuGTSSlicerLib.job_runner import JobRunner
from DiffuGTSSlicerLib.problem_report import problem_report
from DiffuGTSSlicerLib.shortcuts import Shortcuts

PROGRESS_STEPS = 1000
STATUS_MS = 15_000
ROWS_SHOWN, ROW_SPACE_PX = 4, 8
VOLUME, WHAT, CANCEL = range(3)
"""Columns of the jobs in line."""


class RunSection:
    """What happens with jobs, in the lower part of Describe.

    Args:
        ui: the widgets of DiffuGTSSlicer.ui.
        jobs: where jobs run.
        describe: the inputs.
        brought: called with each job whose result has come into the scene; also with a cancelled one's, of which some
            descriptions were finished.
        may_leave: whether an order may leave this machine, if it is to; may ask the user.
    """

    def __init__(
        self,
        ui: Any,
        jobs: JobRunner,
        describe: DescribeSection,
        brought: Callable[[Job], None],
        may_leave: Callable[[Order], bool] = lambda order: True,
    ) -> None:
        self._ui, self._jobs, self._describe = ui, jobs, describe
        self._brought, self._may_leave = brought, may_leave
        self._ended: Job | None = None
        self._listed: tuple[Job, ...] = ()
        self._cancels: Job | None = None
        self._asking = self._gathering = False
        ui.segmentButton.connect("clicked()", self.press)
        ui.cancelAllButton.connect("clicked()", self._cancel_all)
        ui.copyDetailsButton.connect("clicked()", self._copy_details)
        ui.detailsButton.connect("toggled(bool)", self._show_details)
        ui.jobsTree.header().setStretchLastSection(False)
        for column in (VOLUME, WHAT):
            ui.jobsTree.header().setSectionResizeMode(column, qt.QHeaderView.Stretch)
        ui.jobsTree.header().setSectionResizeMode(CANCEL, qt.QHeaderView.ResizeToContents)
        self._shortcuts = Shortcuts(
            {"Ctrl+Return": self._segment_by_key, "Ctrl+Enter": self._segment_by_key, "Esc": self._cancel_by_key}
        )
        jobs.listeners.append(self._job_changed)
        self.refresh()

    def enter(self) -> None:
        """The panel is shown: its keys work."""
        self._shortcuts.start(slicer.util.mainWindow() or self._ui.segmentButton.window())
        self.refresh()

    def exit(self) -> None:
        """The panel is left: its keys are Slicer's again."""
        self._shortcuts.stop()

    def cleanup(self) -> None:
        """Listen no more; the jobs are the logic's."""
        self._shortcuts.stop()
        self._jobs.listeners.remove(self._job_changed)

    # -- what the user does ------------------------------------------------------------------------------------------

    def press(self) -> None:
        """The button: Segment, or Cancel while what is chosen runs or waits."""
        if self._cancels is not None:
            self._jobs.cancel(self._cancels)
        else:
            self._segment()

    def start(self, *orders: Order) -> None:
        """Put orders in line, one behind the other."""
        if not all(map(self._may_leave, orders)):
            return
        self._ended = None
        try:
            with self._shown_once():
                self._jobs.add_together(orders)
        except OSError as error:
            text = _("No folder for the job can be made ({reason}). Free some space on the disk for temporary files.")
            slicer.util.errorDisplay(text.format(reason=error.strerror or error))

    def _segment(self) -> None:
        self._describe.take_typed()
        if self._describe.missing():
            return self.refresh()
        try:
            orders = self._describe.orders()
        except DiffuGTSError:  # something has changed since it was looked at: the new look says what
            return self._describe.refresh()
        self._describe.remember(orders[0].descriptions)
        self.start(*orders)

    def _cancel_all(self) -> None:
        with self._shown_once():
            for job in reversed(self._jobs.unfinished):  # those that wait first, so that none of them begins
                self._jobs.cancel(job)

    @contextmanager
    def _shown_once(self) -> Iterator[None]:
        """Many jobs change in a row: what is shown follows once, at the end."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
            self._describe.show_preflight()
            self.refresh()

    def _segment_by_key(self) -> None:
        self._describe.take_typed()
        if self._cancels is None:
            self._segment()

    def _cancel_by_key(self) -> None:
        running = next(iter(self._jobs.unfinished), None)
        if running is None or running.cancelling or self._asking:
            return
        self._asking = True
        try:
            question = _("Cancel the segmentation of '{volume}' that is running?")
            if slicer.util.confirmYesNoDisplay(question.format(volume=running.order.volume_name)):
                self._jobs.cancel(running)
        finally:
            self._asking = False

    # -- what is shown -----------------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the button, the progress, the jobs in line and the last ending as they are now."""
        unfinished = self._jobs.unfinished
        missing = self._describe.missing()
        self._cancels = self._job_to_cancel(unfinished, missing)
        self._show_button(unfinished, missing)
        self._ui.preflightLabel.visible = bool(self._ui.preflightLabel.text) and self._cancels is None
        self._show_progress(unfinished)
        self._list_jobs(unfinished)
        self._show_ending(unfinished)

    def _job_changed(self, job: Job) -> None:
        if job.state.over:
            self._ended = job
            # Also seen by whoever works in another module meanwhile; a failure above all must not pass in silence.
            slicer.util.showStatusMessage(f"DiffuGTS: {outcome_in_words(job).splitlines()[0]}", STATUS_MS)
        if job.state.over and job.result is not None:
            self._brought(job)
        if self._gathering:
            return
        if job.state is JobState.RUNNING and not job.cancelling:
            self._show_progress(self._jobs.unfinished)  # many times a second: nothing else changes
        else:
            self._describe.show_preflight()
            self.refresh()

    def _job_to_cancel(self, unfinished: tuple[Job, ...], missing: tuple[str, ...]) -> Job | None:
        """The job that the button would cancel: the running one, unless something new is asked.

        What is asked of several volumes is not new as long as any of them waits or runs.
        """
        if not unfinished:
            return None
        orders = () if missing else self._describe.shown_orders()
        if orders and all(job.order not in orders for job in unfinished):
            return None
        return unfinished[0]

    def _show_button(self, unfinished: tuple[Job, ...], missing: tuple[str, ...]) -> None:
        button = self._ui.segmentButton
        if self._cancels is not None:
            cancelling = self._cancels.cancelling
            button.text = _("Cancelling…") if cancelling else _("Cancel")
            button.enabled = not cancelling
            button.toolTip = (
                _("The worker finishes its step, at most a few seconds.")
                if cancelling
                else _("Stop the running job (Esc). Descriptions that are finished are kept.")
            )
        elif missing:
            button.text, button.enabled = _("Segment"), False
            button.toolTip = "\n".join(missing)
        elif unfinished:
            button.text, button.enabled = self._segment_in_words(next_in_line=True), True
            button.toolTip = _("Put this in line, behind {count} other (Ctrl+Enter).").format(count=len(unfinished))
        else:
            button.text, button.enabled = self._segment_in_words(next_in_line=False), True
            button.toolTip = _("Look for the descriptions in the background (Ctrl+Enter).")

    def _segment_in_words(self, next_in_line: bool) -> str:
        count = len(self._describe.ticked())
        if count > 1:
            text = _("Segment {count} volumes next") if next_in_line else _("Segment {count} volumes")
            return text.format(count=count)
        if count:
            return _("Segment the ticked volume next") if next_in_line else _("Segment the ticked volume")
        return _("Segment next") if next_in_line else _("Segment")

    def _show_progress(self, unfinished: tuple[Job, ...]) -> None:
        bar, label = self._ui.progressBar, self._ui.progressLabel
        bar.visible = label.visible = bool(unfinished)
        if not unfinished:
            return
        fraction = unfinished[0].progress.fraction
        if fraction is None:
            bar.setRange(0, 0)  # something is done, nobody knows how much of it
        else:
            bar.setRange(0, PROGRESS_STEPS)
            bar.value = round(PROGRESS_STEPS * fraction)
        label.text = progress_in_words(unfinished[0])
        if unfinished[0].companions:
            label.text = f"{place_in_words(unfinished[0])}{SEPARATOR}{label.text}"

    def _list_jobs(self, unfinished: tuple[Job, ...]) -> None:
        """The jobs in line, each with its own cancel; not shown where the button says it all."""
        tree = self._ui.jobsTree
        tree.visible = len(unfinished) > 1 or (bool(unfinished) and self._cancels is None)
        self._ui.cancelAllButton.visible = len(unfinished) > 1
        if self._listed == unfinished:
            return
        self._listed = unfinished
        tree.clear()
        for job in unfinished:
            item = qt.QTreeWidgetItem(tree)
            item.setText(VOLUME, job.order.volume_name)
            item.setToolTip(VOLUME, job.order.volume_name)
            item.setText(WHAT, ", ".join(job.order.descriptions))
            item.setToolTip(WHAT, "\n".join(job.order.descriptions))
            cancel = qt.QToolButton()
            cancel.text = "✕"
            cancel.autoRaise = True
            cancel.toolTip = _("Cancel this job")
            cancel.connect("clicked()", partial(self._jobs.cancel, job))
            tree.setItemWidget(item, CANCEL, cancel)
        row_px = tree.fontMetrics().height() + ROW_SPACE_PX
        tree.setFixedHeight(min(max(len(unfinished), 1), ROWS_SHOWN) * row_px + 2 * tree.frameWidth)

    def _show_ending(self, unfinished: tuple[Job, ...]) -> None:
        ended = self._ended if not unfinished or (self._ended and self._ended.state is JobState.FAILED) else None
        text = outcome_in_words(ended) if ended is not None else ""
        if ended is not None and ended.companions and all(job.state.over for job in ended.companions):
            text = outcome_of_several_in_words(ended.companions)
            # What failed is explained, also where the last one was done.
            self._ended = next((job for job in reversed(ended.companions) if job.state is JobState.FAILED), ended)
        self._ui.outcomeLabel.text = text
        self._ui.outcomeLabel.visible = bool(text)
        failed = ended is not None and self._ended is not None and self._ended.state is JobState.FAILED
        self._ui.detailsRow.visible = failed
        if not failed:
            self._ui.detailsButton.checked = False
        self._show_details(self._ui.detailsButton.checked)

    def _show_details(self, shown: bool) -> None:
        self._ui.detailsText.visible = shown
        if shown and self._ended is not None:
            self._ui.detailsText.setPlainText(problem_report(self._ended, self._jobs.log))

    def _copy_details(self) -> None:
        if self._ended is not None:
            slicer.app.clipboard().setText(problem_report(self._ended, self._jobs.log))
            slicer.util.showStatusMessage(_("Details copied"), 3000)
