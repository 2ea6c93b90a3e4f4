"""How a cohort is shown while it goes: bars on a terminal, plain lines in a log; the time that remains in both."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from diffugts.cli.display import printable, time_in_words
from diffugts.cohort.remaining_time import RemainingTime
from diffugts.cohort.run import Listener, Outcome
from diffugts.cohort.table import Case
from diffugts.protocol import Event

LOG_INTERVAL_S = 60.0
"""Between lines on what the workers are at, where no case is over for so long."""

LONGEST_NAME = 40


class CohortBars:
    """A bar for all cases and one for every case that a worker is at; what is over is printed above them."""

    def __init__(self, bar: Bar, cases: int, workers: int) -> None:
        self._bar, self._time, self._failed = bar, RemainingTime(cases, workers), 0
        self._all = bar.add_task("Cases", total=cases, note=f"0 of {cases}")
        self._cases, self._over = cases, 0
        self._running: dict[str, TaskID] = {}

    def began(self, case: Case) -> None:
        """Add a bar."""
        self._time.began(case.name)
        self._take_away(case)
        self._running[case.name] = self._bar.add_task(_short(case.name), total=1.0, note="Starting")
        self._show()

    def progress(self, case: Case, event: Event) -> None:
        """Move its bar."""
        self._time.said(case.name, event.fields.get("eta_s"))
        fraction, message = event.fields.get("fraction", 0.0), printable(str(event.fields["message"]))
        self._bar.update(self._running[case.name], completed=fraction, note=message)
        self._show()

    def ended(self, outcome: Outcome) -> None:
        """Take its bar away and print what became of it."""
        self._time.ended(outcome.case.name)
        self._over += 1
        self._failed += outcome.manifest is None
        self._take_away(outcome.case)
        if not outcome.earlier:
            self._bar.console.print(Text(told(outcome)), soft_wrap=True)
        self._show()

    def _take_away(self, case: Case) -> None:
        if case.name in self._running:
            self._bar.remove_task(self._running.pop(case.name))

    def _show(self) -> None:
        parts = [f"{self._over} of {self._cases}", *([f"{self._failed} failed"] if self._failed else [])]
        left = self._time.seconds()
        if left is not None and self._over < self._cases:
            parts.append(f"about {time_in_words(left)} left")
        self._bar.update(self._all, completed=self._over, note=", ".join(parts))


class CohortLog:
    """A line on standard error for every case that is over, and now and then what the workers are at."""

    def __init__(self, cases: int, workers: int) -> None:
        self._time, self._cases, self._over = RemainingTime(cases, workers), cases, 0
        self._at: dict[str, str] = {}
        self._shown_at = time.monotonic()

    def began(self, case: Case) -> None:
        """Note it."""
        self._time.began(case.name)
        self._at[case.name] = "Starting"

    def progress(self, case: Case, event: Event) -> None:
        """Print what the workers are at, if it is time."""
        self._time.said(case.name, event.fields.get("eta_s"))
        self._at[case.name] = str(event.fields["message"])
        if time.monotonic() - self._shown_at >= LOG_INTERVAL_S:
            at = "; ".join(f"{name}: {message}" for name, message in self._at.items())
            self._print(f"{self._over}/{self._cases} so far, at work on {at}{self._left()}")

    def ended(self, outcome: Outcome) -> None:
        """Print what became of it."""
        self._time.ended(outcome.case.name)
        self._at.pop(outcome.case.name, None)
        self._over += 1
        self._print(f"{self._over}/{self._cases} {told(outcome)}{self._left()}")

    def _left(self) -> str:
        left = self._time.seconds() if self._over < self._cases else None
        return "" if left is None else f", about {time_in_words(left)} left"

    def _print(self, line: str) -> None:
        print(printable(line), file=sys.stderr, flush=True)
        self._shown_at = time.monotonic()


@contextmanager
def cohort_shown(cases: int, workers: int) -> Iterator[Listener]:
    """The display for this call: bars where standard error is a terminal, plain lines otherwise."""
    console = Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield CohortLog(cases, workers)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[note]}"))
    with Bar(*columns, console=console, transient=True) as bar:
        yield CohortBars(bar, cases, workers)


def told(outcome: Outcome) -> str:
    """What became of a case, on one line."""
    name = printable(outcome.case.name)
    if outcome.manifest is None:
        return f"{name}: failed: {printable(outcome.failure)}"
    if outcome.earlier:
        return f"{name}: done before"
    return f"{name}: " + ", ".join(
        f"{finding.verdict} ({finding.volume_ml:.1f} ml)" if finding.lesions else finding.verdict
        for finding in outcome.manifest.findings
    )


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
