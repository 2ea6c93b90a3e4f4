"""How a job is shown: a bar on a terminal, plain lines in a log, JSON lines where asked; and the findings table."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from diffugts.errors import DiffuGTSError
from diffugts.protocol import Event, ResultManifest, sha256_of
from diffugts.protocol.manifest import FILE_NAME
from diffugts.worker.progress import Progress

RESEARCH_USE = "Research use only. Not a medical device."
LOG_INTERVAL_S = 10.0
LOG_WIDTH = 120
VERDICT_STYLES = {"found": "bold red", "uncertain": "yellow", "not found": "green"}


class Display(Protocol):
    """Where a job's progress and result go."""

    def progress(self, progress: Progress) -> None:
        """One report of the tracker."""

    def done(self, manifest: ResultManifest) -> None:
        """The result is written."""


class BarDisplay:
    """A progress bar on standard error, then the findings on standard output."""

    def __init__(self, bar: Bar) -> None:
        self._bar = bar
        self._task = bar.add_task("Starting", total=1.0, left="")

    def progress(self, progress: Progress) -> None:
        """Move the bar."""
        left = "" if progress.eta_s is None else f"about {time_in_words(progress.eta_s)} left"
        self._bar.update(self._task, description=progress.message, completed=progress.fraction, left=left)

    def done(self, manifest: ResultManifest) -> None:
        """Take the bar away and print the table."""
        self._bar.stop()
        print_findings(manifest)


class LogDisplay:
    """A line on standard error per stage, more where a stage takes long; then the findings on standard output."""

    def __init__(self) -> None:
        self._stage: object = None
        self._shown_at = 0.0

    def progress(self, progress: Progress) -> None:
        """Print a line, if it is time."""
        now = time.monotonic()
        entered = progress.stage is not self._stage
        if entered or now - self._shown_at >= LOG_INTERVAL_S:
            left = "" if progress.eta_s is None else f", about {time_in_words(progress.eta_s)} left"
            share = "" if entered else f" ({progress.done} of {progress.total})"
            print(f"{progress.message}{share}{left}", file=sys.stderr, flush=True)
            self._stage, self._shown_at = progress.stage, now

    def done(self, manifest: ResultManifest) -> None:
        """Print the table."""
        print_findings(manifest)


class JsonDisplay:
    """The worker's events on standard output, under the job's name `job`; nothing else there."""

    def __init__(self, job: str = "job") -> None:
        self._job = job

    def progress(self, progress: Progress) -> None:
        """One `progress` event."""
        self._print(Event("progress", {"job": self._job, **progress.as_fields()}))

    def done(self, manifest: ResultManifest) -> None:
        """The `done` event."""
        path = manifest.folder / FILE_NAME
        self._print(Event("done", {"job": self._job, "result": str(path), "sha256": sha256_of(path)}))

    def failed(self, error: DiffuGTSError) -> None:
        """The `failed` event."""
        fields = {"job": self._job, "code": error.code, "message": str(error), "details": ""}
        self._print(Event("failed", fields))

    def cancelled(self) -> None:
        """The `cancelled` event."""
        self._print(Event("cancelled", {"job": self._job}))

    def _print(self, event: Event) -> None:
        print(event.to_line(), flush=True)


@contextmanager
def shown(as_json: bool) -> Iterator[Display]:
    """The display for this call: JSON where asked, a bar where standard error is a terminal, plain lines otherwise."""
    if as_json:
        display = JsonDisplay()
        try:
            yield display
        except KeyboardInterrupt:
            display.cancelled()
            raise
        except DiffuGTSError as error:
            display.failed(error)
            raise
        return
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield LogDisplay()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console, transient=True) as bar:
        yield BarDisplay(bar)


def print_findings(manifest: ResultManifest) -> None:
    """The findings as a table, their notes, where the files are, and what they may not be used for."""
    console = output_console()
    table = Table(title=None)
    table.add_column("Description")
    table.add_column("Verdict")
    for heading in ("Highest score", "Volume (ml)", "Lesions"):
        table.add_column(heading, justify="right")
    for finding in manifest.findings:
        table.add_row(
            Text(printable(finding.description)),
            Text(finding.verdict, VERDICT_STYLES.get(finding.verdict, "")),
            f"{finding.highest_score:.2f}",
            f"{finding.volume_ml:.1f}",
            str(len(finding.lesions)),
        )
    console.print(table)
    for note in manifest.notes:
        console.print(Text(printable(note)))
    for finding in manifest.findings:
        for note in finding.notes:
            told = note if finding.description in note else f"{finding.description}: {note}"
            console.print(Text(printable(told)))
    console.print(Text(f"Result: {manifest.folder}"), soft_wrap=True)
    console.print(Text(RESEARCH_USE, "bold"))


def output_console() -> Console:
    """Standard output: as wide as the terminal, or as a log's line."""
    return Console() if sys.stdout.isatty() else Console(width=LOG_WIDTH)


def printable(text: str) -> str:
    """A text without what a terminal would take for a command."""
    return "".join(character if character.isprintable() else " " for character in text)


def time_in_words(seconds: float) -> str:
    """A time that remains, as exact as it is known: 45 s, 12 min, 3 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
