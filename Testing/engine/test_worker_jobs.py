"""The line of jobs, without a process around it."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffugts.errors import Cancelled, RequestError
from diffugts.protocol import Event, Stage
from diffugts.worker.jobs import Job, JobQueue, Turn

REQUEST = Path("request.json")


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def line(told: list[Event]) -> JobQueue:
    return JobQueue(told.append)


def take(line: JobQueue) -> Job:
    turn = line.next(0)
    assert isinstance(turn, Job)
    return turn


def test_jobs_come_in_order_of_arrival(line: JobQueue) -> None:
    for name in "abc":
        line.add(name, REQUEST)
    taken = []
    for _ in range(3):
        taken.append(take(line).name)
        line.finish()
    assert taken == ["a", "b", "c"]
    assert line.next(0) is Turn.IDLE


def test_the_first_job_is_not_told_to_wait(line: JobQueue, told: list[Event]) -> None:
    line.add("a", REQUEST)
    take(line)
    assert told == []


def test_those_behind_a_cancelled_job_move_up(line: JobQueue, told: list[Event]) -> None:
    line.add("runs", REQUEST)
    take(line)
    for name in "abc":
        line.add(name, REQUEST)
    told.clear()
    assert line.cancel("a")
    assert [event.name for event in told] == ["cancelled", "queued", "queued"]
    assert [(event.fields["job"], event.fields["position"]) for event in told[1:]] == [("b", 1), ("c", 2)]


def stages_that_stop(job: Job) -> set[Stage]:
    stopped = set()
    for stage in Stage:
        try:
            job.check(stage)
        except Cancelled:
            stopped.add(stage)
    return stopped


def test_a_cancelled_job_stops_wherever_it_is_but_writes_what_was_finished(line: JobQueue) -> None:
    line.add("a", REQUEST)
    job = take(line)
    assert stages_that_stop(job) == set()
    assert line.cancel("a")
    assert stages_that_stop(job) == set(Stage) - {Stage.WRITING}


def test_a_job_that_is_cancelled_twice_stops_writing_too(line: JobQueue) -> None:
    line.add("a", REQUEST)
    job = take(line)
    assert line.cancel("a") and line.cancel("a")
    assert stages_that_stop(job) == set(Stage)


def test_a_name_is_free_again_when_its_job_is_over(line: JobQueue) -> None:
    line.add("a", REQUEST)
    with pytest.raises(RequestError, match="'a' already"):
        line.add("a", REQUEST)
    take(line)
    with pytest.raises(RequestError, match="'a' already"):
        line.add("a", REQUEST)
    line.finish()
    line.add("a", REQUEST)
    assert take(line).name == "a"


def test_closing_cancels_everything_and_takes_no_more(line: JobQueue, told: list[Event]) -> None:
    for name in "ab":
        line.add(name, REQUEST)
    running = take(line)
    told.clear()
    line.close()
    assert stages_that_stop(running) == set(Stage), "nobody waits for what was finished"
    assert [(event.name, event.fields["job"]) for event in told] == [("cancelled", "b")]
    line.add("c", REQUEST)
    line.finish()
    assert line.next(0) is Turn.CLOSED


def test_release_is_asked_for_once(line: JobQueue) -> None:
    line.ask_for_release()
    assert line.next(0) is Turn.RELEASE
    assert line.next(0) is Turn.IDLE


def test_cancelling_an_unknown_job_says_so(line: JobQueue) -> None:
    assert not line.cancel("nobody")
