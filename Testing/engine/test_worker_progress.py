"""Progress of a job, by a clock that the test turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.errors import Cancelled
from diffugts.protocol import Event, Quality, Stage
from diffugts.worker.progress import (
    MEASURED_S,
    REPORT_INTERVAL_S,
    STAGE_MESSAGES,
    Progress,
    ProgressTracker,
    StageTimes,
    parts_of,
    stages_of,
)

EXPECTED_S = {stage: MEASURED_S[stage] * parts_of(stage, 1) for stage in Stage}
"""Of a job with one description."""


class Job:
    """A tracker, its clock and its reports."""

    def __init__(
        self, quality: Quality = Quality.STANDARD, times: StageTimes | None = None, descriptions: int = 1
    ) -> None:
        self.now = 100.0
        self.reports: list[Progress] = []
        self.tracker = ProgressTracker(
            quality, self.reports.append, times=times, clock=lambda: self.now, descriptions=descriptions
        )

    def work(self, stage: Stage, seconds: float, steps: int = 20) -> None:
        """Go through a stage in equal steps."""
        for done in range(steps):
            self.tracker(stage, done, steps)
            self.now += seconds / steps
        self.tracker(stage, steps, steps)


def test_every_stage_has_words_and_a_measured_time() -> None:
    assert set(STAGE_MESSAGES) == set(MEASURED_S) == set(Stage)


def test_fast_jobs_expect_neither_inpainting_nor_refining() -> None:
    assert set(stages_of(Quality.STANDARD)) - set(stages_of(Quality.FAST)) == {Stage.INPAINTING, Stage.REFINING}


def test_a_thousand_steps_in_a_second_are_a_few_reports() -> None:
    job = Job()
    job.work(Stage.ENCODING, 1.0, steps=1000)
    assert len(job.reports) == pytest.approx(1 / REPORT_INTERVAL_S, abs=1)
    assert [report.done for report in job.reports] == sorted(report.done for report in job.reports)


def test_every_new_stage_is_reported_at_once() -> None:
    job = Job()
    for stage in Stage:
        job.tracker(stage, 0, 1)
    assert [report.stage for report in job.reports] == list(Stage)


def test_a_known_machine_gets_a_right_estimate_from_the_first_report() -> None:
    times = StageTimes()
    first = Job(times=times)
    seconds = {stage: 2.0 * EXPECTED_S[stage] for stage in Stage}
    for stage in Stage:
        first.work(stage, seconds[stage])
    first.tracker.finished()
    assert first.reports[0].eta_s is None, "of an unknown machine nothing is known"
    second = Job(times=times)
    began = second.now
    for stage in Stage:
        second.work(stage, seconds[stage])
    whole = second.now - began
    assert second.reports[0].eta_s == pytest.approx(whole, rel=0.05)
    middle = next(report for report in second.reports if report.stage is Stage.ATTENDING)
    left = sum(seconds[stage] for stage in list(Stage)[3:])
    assert middle.eta_s == pytest.approx(left, rel=0.1)


def test_a_slow_job_moves_the_estimate_while_it_runs() -> None:
    job = Job()
    for stage in (Stage.READING, Stage.LOADING):
        job.work(stage, 3 * EXPECTED_S[stage])
    job.work(Stage.ENCODING, 3 * EXPECTED_S[Stage.ENCODING])
    left = 3 * sum(EXPECTED_S[stage] for stage in list(Stage)[3:])
    assert job.reports[-1].eta_s == pytest.approx(left, rel=0.35)


def test_what_one_description_took_foretells_what_fifty_will_take() -> None:
    times = StageTimes()
    one = Job(Quality.FAST, times)
    for stage in stages_of(Quality.FAST):
        one.work(stage, EXPECTED_S[stage])
    one.tracker.finished()
    fifty = Job(Quality.FAST, times, descriptions=50)
    fifty.tracker(Stage.READING, 0, 1)
    expected = sum(MEASURED_S[stage] * parts_of(stage, 50) for stage in stages_of(Quality.FAST))
    assert fifty.reports[0].eta_s == pytest.approx(expected, rel=0.05)
    assert expected > 20 * MEASURED_S[Stage.ATTENDING]


def test_stages_that_are_skipped_count_as_done() -> None:
    times = StageTimes()
    times.learn(MEASURED_S)
    job = Job(times=times)
    job.work(Stage.READING, EXPECTED_S[Stage.READING])
    job.tracker(Stage.ATTENDING, 0, 1)
    assert job.reports[-1].eta_s == pytest.approx(sum(EXPECTED_S[s] for s in list(Stage)[3:]), rel=0.05)


def test_a_cancelled_job_stops_at_the_next_step_without_a_report() -> None:
    reports: list[Progress] = []

    def stop(stage: Stage) -> None:
        raise Cancelled("stop")

    with pytest.raises(Cancelled):
        ProgressTracker(Quality.FAST, reports.append, stop)(Stage.READING, 0, 1)
    assert not reports


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Stage)), st.integers(0, 50), st.integers(0, 50), st.floats(0, 100)), max_size=40
    ),
    st.sampled_from(list(Quality)),
)
def test_whatever_is_reported_is_an_event_and_never_goes_back(
    steps: list[tuple[Stage, int, int, float]], quality: Quality
) -> None:
    job = Job(quality)
    for stage, done, total, seconds in steps:
        job.tracker(stage, done, total)
        job.now += seconds
    job.tracker.finished()
    fractions = [report.fraction for report in job.reports]
    assert fractions == sorted(fractions)
    for report in job.reports:
        assert 0 <= report.fraction <= 1
        Event("progress", {"job": "1", **report.as_fields()}).to_line()
