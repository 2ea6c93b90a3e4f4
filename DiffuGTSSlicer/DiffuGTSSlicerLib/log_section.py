"""The section Log: what the worker said, line by line, for whoever has to find out what went wrong."""

from __future__ import annotations

from typing import Any

from DiffuGTSSlicerLib.job_runner import JobRunner


class LogSection:
    """Shows the log of the jobs; the text field itself keeps the last 2000 lines.

    Args:
        ui: the widgets of DiffuGTSSlicer.ui.
        jobs: whose log it is.
    """

    def __init__(self, ui: Any, jobs: JobRunner) -> None:
        self._ui, self._jobs = ui, jobs
        for line in jobs.log:
            self._show(line)
        jobs.log_listeners.append(self._show)

    def cleanup(self) -> None:
        """Listen no more."""
        self._jobs.log_listeners.remove(self._show)

    def _show(self, line: str) -> None:
        self._ui.logText.appendPlainText(line)
