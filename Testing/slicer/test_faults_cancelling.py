"""What a cancelled job leaves: the descriptions that were finished, whole and checked, or nothing.

The compact model is cancelled in test_lib_real_worker.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import slicer
from job_bench import JobBench, at_stage, fake_worker, job_bench, stand_in_worker
from made_results import made_scores
from made_volumes import SHAPE, made_volume

from DiffuGTSSlicerLib.finding_segment import FindingSegment
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job, JobState
from DiffuGTSSlicerLib.job_queue import JobQueue
from DiffuGTSSlicerLib.results import nodes_of_result

THREE = ("liver tumour", "cyst", "abscess")


@pytest.fixture
def bench(scene, tmp_path: Path) -> Iterator[Callable[..., JobBench]]:
    opened = []

    def make(mode: str, **options: float) -> JobBench:
        opened.append(job_bench(scene, tmp_path / "jobs", fake_worker(mode), **options))
        return opened[-1].__enter__()

    yield make
    for one in opened:
        one.__exit__(None, None, None)


def cancelled(b: JobBench, *texts: str, stage: str = "encoding", cancel=JobQueue.cancel) -> Job:
    return b.run(freeze_order(made_volume(), texts or THREE), at_stage(stage, lambda job: cancel(b.queue, job)))


def test_finished_descriptions_come_into_the_scene_and_the_sentence_counts_them(scene, bench):
    job = cancelled(bench("keeps"))
    assert job.state is JobState.CANCELLED and not job.cancelling
    assert job.reason == "Cancelled: 2 of 3 descriptions were finished and are kept, without a pseudo-healthy volume."
    nodes = nodes_of_result(scene, job.name)
    assert sorted(nodes) == ["score map", "segmentation"] and len(nodes["score map"]) == 2
    for number in (1, 2):
        finding = FindingSegment.of_result(scene, job.name, f"finding_{number}")
        assert np.array_equal(finding.mask().within((0, 0, 0), SHAPE), made_scores(SHAPE, number - 1) > 0.5)
    assert job.result.record.provenance.descriptions == THREE, "what was asked stays on record"


def test_a_job_cancelled_before_anything_is_finished_leaves_nothing(scene, bench):
    job = cancelled(bench("slow"))
    assert (job.state, job.reason, job.result) == (JobState.CANCELLED, "Cancelled.", None)
    assert nodes_of_result(scene, job.name) == {}


def test_the_worker_goes_on_after_it_kept_something(scene, bench):
    b = bench("keeps")
    first, second = cancelled(b), cancelled(b)
    assert first.result and second.result and len(b.workers) == 1


def test_writing_what_was_finished_may_take_longer_than_letting_go(bench):
    job = cancelled(bench("keeps slowly", cancel_grace_s=0.2))
    assert job.state is JobState.CANCELLED and "2 of 3" in job.reason


def test_a_worker_that_never_gets_it_written_is_ended_and_nothing_is_taken_for_whole(scene, bench):
    b = bench("keeps for ever", cancel_grace_s=0.2, writing_patience_s=0.5)
    job = cancelled(b)
    assert job.state is JobState.CANCELLED
    assert job.reason == "Cancelled. What was finished could not be written in time."
    assert nodes_of_result(scene, job.name) == {} and not b.workers[0].running


@pytest.mark.parametrize(
    "mode, words",
    [
        ("keeps badly", "'01-score.nrrd' is not as it was written"),
        ("keeps others", "answers other descriptions"),
        ("keeps and calls it done", "of status 'cancelled', expected 'done'"),
    ],
)
def test_what_was_kept_is_checked_like_a_whole_result(scene, bench, mode: str, words: str):
    job = cancelled(bench(mode))
    assert job.state is JobState.CANCELLED and job.result is None
    assert job.reason.startswith("Cancelled. What was finished could not be kept.") and words in job.reason
    assert nodes_of_result(scene, job.name) == {}


def test_a_result_that_was_whole_when_the_cancel_came_is_kept_whole(scene, bench):
    def cancel(job: Job) -> None:
        if job.state is JobState.IMPORTING:
            b.queue.cancel(job)

    b = bench("well")
    job = b.run(freeze_order(made_volume(), ("tumour",)), cancel)
    assert job.state is JobState.CANCELLED
    assert job.reason == "Cancelled: the description was finished and is kept."
    assert sorted(nodes_of_result(scene, job.name)) == ["pseudo-healthy", "residual", "score map", "segmentation"]


@pytest.mark.parametrize("mode", ["keeps", "keeps slowly"])
def test_nothing_is_kept_for_a_scene_that_was_closed(scene, bench, mode: str):
    job = cancelled(bench(mode), cancel=lambda queue, job: queue.scene_closed())
    assert job.state is JobState.CANCELLED and job.reason.startswith("The scene was closed")
    assert nodes_of_result(scene, job.name) == {}


def test_a_scene_closed_while_what_was_finished_is_written_gets_nothing(scene, bench):
    b = bench("keeps slowly")
    job = b.queue.add(freeze_order(made_volume(), THREE), at_stage("encoding", lambda job: b.queue.cancel(job)))
    b.until(lambda: job.progress.stage == "writing")
    b.queue.scene_closed()
    b.until(lambda: job.state.over)
    assert job.reason.startswith("The scene was closed") and nodes_of_result(scene, job.name) == {}


def test_a_scene_closed_while_what_was_finished_is_checked_gets_nothing(scene, bench):
    def close(job: Job) -> None:
        if job.state is JobState.IMPORTING:
            b.queue.scene_closed()

    b = bench("keeps")
    job = b.queue.add(freeze_order(made_volume(), THREE), at_stage("encoding", lambda job: b.queue.cancel(job)))
    job.listeners.append(close)
    b.until(lambda: job.state.over)
    assert job.reason.startswith("The scene was closed") and nodes_of_result(scene, job.name) == {}


def test_clicking_cancel_twice_is_clicking_it_once(bench):
    def click_twice(queue: JobQueue, job: Job) -> None:
        queue.cancel(job)
        queue.cancel(job)

    assert "2 of 3" in cancelled(bench("keeps"), cancel=click_twice).reason


def test_the_engines_own_worker_keeps_what_was_finished(scene, tmp_path: Path):
    (tmp_path / "model").mkdir()
    texts = tuple(f"text {n}" for n in range(8))
    order = freeze_order(made_volume(), texts, modality="CT", model=str(tmp_path / "model"))
    with job_bench(scene, tmp_path / "jobs", stand_in_worker(0.02)) as b:

        def cancel_half_way(job: Job) -> None:
            if job.progress.stage == "attending" and job.progress.done >= 30:
                b.queue.cancel(job)

        job = b.run(order, cancel_half_way)
    assert job.state is JobState.CANCELLED, job.reason
    kept = len(job.result.score_map_ids)
    assert 3 <= kept < 8
    assert (
        job.reason
        == f"Cancelled: {kept} of 8 descriptions were finished and are kept, without a pseudo-healthy volume."
    )
    segments = slicer.mrmlScene.GetNodeByID(job.result.segmentation_id).GetSegmentation()
    assert segments.GetNumberOfSegments() == kept
