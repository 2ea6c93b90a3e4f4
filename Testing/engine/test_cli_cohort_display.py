"""What is shown of a cohort: bars on a terminal, plain lines in a log, the remaining time in both."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TextColumn

from diffugts.cli import cohort_display
from diffugts.cli.cohort_display import CohortBars, CohortLog, told
from diffugts.cli.display import time_in_words
from diffugts.cohort.run import Outcome
from diffugts.cohort.table import Case
from diffugts.protocol import Event, Request


def case(name: str) -> Case:
    return Case(name, Request(scan="s.nrrd", descriptions=("cyst",), output="result"))


def at(message: str, eta_s: float | None, fraction: float = 0.5) -> Event:
    fields = {"job": "j", "stage": "encoding", "done": 1, "total": 2, "message": message, "eta_s": eta_s}
    return Event("progress", {**fields, "fraction": fraction})


@pytest.mark.parametrize(("seconds", "words"), [(4.6, "5 s"), (89, "89 s"), (720, "12 min"), (11_100, "3 h 5 min")])
def test_a_time_is_told_as_exactly_as_it_is_known(seconds: float, words: str) -> None:
    assert time_in_words(seconds) == words


def test_a_log_has_a_line_for_every_case_that_is_over_with_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    log = CohortLog(2, 1)
    log.began(case("a"))
    log.progress(case("a"), at("Encoding the scan", 300.0))
    log.ended(Outcome(case("a"), failure="The file\x1b[31m is damaged."))
    log.ended(Outcome(case("b"), failure="No."))
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("1/2 a: failed: The file [31m is damaged., about ") and first.endswith(" s left")
    assert second == "2/2 b: failed: No."


def test_a_log_says_what_the_workers_are_at_when_nothing_is_over_for_long(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = CohortLog(2, 1)
    log.began(case("a"))
    log.progress(case("a"), at("Encoding the scan", 300.0))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(cohort_display, "LOG_INTERVAL_S", 0.0)
    log.progress(case("a"), at("Painting healthy tissue", 300.0))
    assert capsys.readouterr().err == "0/2 so far, at work on a: Painting healthy tissue, about 10 min left\n"


def test_bars_show_the_cohort_and_every_case_that_is_at_work() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    bar = Bar(TextColumn("{task.description}|{task.percentage:.0f}|{task.fields[note]}"), console=console)
    bars = CohortBars(bar, 3, 2)
    bars.began(case("a"))
    bars.began(case("b"))
    bars.progress(case("a"), at("Encoding the scan", 600.0, 0.25))
    lines = [(task.description, round(task.percentage), task.fields["note"]) for task in bar.tasks]
    assert lines[0][:2] == ("Cases", 0) and lines[0][2].startswith("0 of 3, about ")
    assert lines[1:] == [("a", 25, "Encoding the scan"), ("b", 0, "Starting")]
    bars.ended(Outcome(case("a"), failure="No."))
    bars.began(case("b"))  # its worker was lost: it begins again, with one bar
    lines = [(task.description, task.fields["note"]) for task in bar.tasks]
    assert lines[0][1].startswith("1 of 3, 1 failed") and lines[1:] == [("b", "Starting")]


def test_what_was_done_before_is_told_in_few_words() -> None:
    assert told(Outcome(case("a"), failure="No.")) == "a: failed: No."
