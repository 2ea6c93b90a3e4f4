"""A job's states."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from DiffuGTSSlicerLib.job import NEXT_STATES, Job, JobState, Order
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry


def made_job() -> Job:
    return Job("1", Order("n", "CT", VolumeGeometry.of((9, 9, 9), np.eye(4)), ("mass",)), Path("jobs/1"))


def test_a_job_goes_from_waiting_to_done():
    job, seen = made_job(), []
    job.listeners.append(lambda j: seen.append(j.state))
    for state in (JobState.EXPORTING, JobState.RUNNING, JobState.IMPORTING, JobState.DONE):
        job.move_to(state)
    assert seen == [JobState.EXPORTING, JobState.RUNNING, JobState.IMPORTING, JobState.DONE]


@pytest.mark.parametrize("state", [s for s in JobState if not s.over])
def test_a_job_can_fail_and_be_cancelled_from_every_state_that_is_not_its_end(state: JobState):
    assert {JobState.FAILED, JobState.CANCELLED} <= NEXT_STATES[state]


@pytest.mark.parametrize("end", [s for s in JobState if s.over])
def test_what_is_over_stays_over(end: JobState):
    job = made_job()
    job.state = end
    for state in JobState:
        with pytest.raises(ValueError, match="cannot become"):
            job.move_to(state)


def test_a_job_cannot_be_done_without_having_run():
    with pytest.raises(ValueError, match="waiting cannot become done"):
        made_job().move_to(JobState.DONE)


def test_a_listener_that_fails_is_logged_and_holds_up_nobody(caplog: pytest.LogCaptureFixture):
    job, seen = made_job(), []
    job.listeners += [lambda j: 1 / 0, lambda j: seen.append(j.state)]
    job.move_to(JobState.EXPORTING)
    assert seen == [JobState.EXPORTING]
    assert "ZeroDivisionError" in caplog.text
