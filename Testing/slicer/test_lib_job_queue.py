"""Jobs through the real runner with a worker that misbehaves on demand; the scene is replaced by files."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from nrrd_files import write_nrrd
from test_lib_worker_process import gone

from diffugts.errors import ResultError, ScanError
from diffugts.protocol import Request, ResultManifest
from DiffuGTSSlicerLib.job import Job, JobState, Order
from DiffuGTSSlicerLib.job_queue import JobQueue
from DiffuGTSSlicerLib.result_files import ReadResult
from DiffuGTSSlicerLib.volume_geometry import LPS_TO_RAS, VolumeGeometry
from DiffuGTSSlicerLib.worker_command import WorkerCommand
from DiffuGTSSlicerLib.worker_process import WorkerProcess

HERE = Path(__file__).parent
SHAPE = (9, 10, 11)
LPS = np.diag([0.7, 0.8, 2.5, 1.0])
LPS[:3, 3] = (-12.3, 4.56, 78.9)
ORDER = Order("vtkMRMLScalarVolumeNode1", "CT", VolumeGeometry.of(SHAPE[::-1], LPS_TO_RAS @ LPS), ("mass", "cyst"))


def write_files(job: Job) -> None:
    write_nrrd(job.scan_path, np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE), LPS)
    Request(scan="scan.nrrd", descriptions=job.order.descriptions, output="result").save(job.request_path)


class Bench:
    """A queue with the real runner and checks, and what came of it."""

    def __init__(self, folder: Path, mode: str, export=write_files, **options) -> None:
        self.mode, self.workers, self.imported, self.lines = mode, [], [], []
        self.state = folder / "state"
        self.state.mkdir()
        self.checks = ThreadPoolExecutor(1)
        self.queue = JobQueue(
            self._make_worker, export, self._import, folder / "jobs", self.checks, heard=self.lines.append, **options
        )

    def _make_worker(self) -> WorkerProcess:
        arguments = (str(HERE / "fake_worker.py"), self.mode, str(self.state))
        command = WorkerCommand(
            Path(sys.executable), HERE.parents[1] / "DiffuGTSSlicer", os.environ, arguments=arguments
        )
        self.workers.append(WorkerProcess(command, stop_grace_s=0.5))
        return self.workers[-1]

    def _import(self, job: Job, manifest: ResultManifest, content: ReadResult) -> object:
        self.imported.append((job.name, manifest))
        return manifest.folder

    def until(self, enough, patience_s: float = 20.0) -> None:
        ends = time.monotonic() + patience_s
        while not enough():
            assert time.monotonic() < ends, f"waited in vain; heard {self.lines[-5:]}"
            self.queue.tick()
            time.sleep(0.01)

    def run(self, *orders: Order) -> list[Job]:
        jobs = [self.queue.add(order) for order in orders]
        self.until(lambda: all(job.state.over for job in jobs))
        return jobs


@pytest.fixture
def bench(tmp_path: Path) -> Iterator:
    made = []

    def make(mode: str = "well", **options) -> Bench:
        made.append(Bench(tmp_path, mode, **options))
        return made[-1]

    yield make
    for one in made:
        one.queue.close()
        one.checks.shutdown()
        assert all(gone(worker.pid) for worker in one.workers if worker.pid), "a process was left behind"


def test_two_jobs_are_done_one_after_the_other_by_one_worker(bench):
    b = bench()
    states: list = []
    first = b.queue.add(ORDER, lambda job: states.append(job.state.value))
    second = b.queue.add(ORDER)
    b.until(lambda: second.state.over)
    assert first.state is second.state is JobState.DONE
    assert list(dict.fromkeys(states)) == ["waiting", "exporting", "running", "importing", "done"]
    assert len(b.workers) == 1
    assert [name for name, _ in b.imported] == [first.name, second.name]
    assert first.folder != second.folder and first.result == first.result_folder
    assert first.notes == ["Made by the fake worker."]


def test_the_worker_told_garbage_and_the_job_is_done_all_the_same(bench):
    b = bench("garbage")
    (job,) = b.run(ORDER)
    assert job.state is JobState.DONE
    assert sum("expected one of" in line for line in b.lines) >= 1


@pytest.mark.parametrize(
    "mode, words",
    [
        (
            "killed",
            "ended in the middle of the job (ended by signal SIGKILL) while it was at 'Looking at the scan 1 of 100'",
        ),
        ("traceback 0", "(exit code 0)"),
        ("traceback 0", "segment again, in the quality Fast or a cropped volume if it happens again."),
        ("traceback 1", "(exit code 1)"),
        ("truncated", "(exit code 0)"),
    ],
)
def test_a_worker_that_dies_fails_its_job_with_a_sentence_and_the_next_job_gets_a_new_one(bench, mode: str, words: str):
    b = bench(mode)
    first, second = b.run(ORDER, ORDER)
    assert first.state is JobState.FAILED and words in first.reason
    if mode.startswith("traceback"):
        assert "RuntimeError: boom" in first.details
    assert second.state is JobState.DONE and len(b.workers) == 2
    assert [name for name, _ in b.imported] == [second.name]


@pytest.mark.parametrize(
    "mode, words",
    [
        ("missing file", "'01-score.nrrd', but the file is missing"),
        ("wrong checksum", "'01-score.nrrd' is not as it was written"),
        ("changed manifest", "checksum differs"),
        ("no manifest", "no finished result"),
        ("wrong geometry", "does not lie on the scan's own grid: position, spacing or direction off by"),
        ("other descriptions", "other descriptions"),
        ("failed", "The scan does not fit."),
    ],
)
def test_done_is_not_believed_without_a_whole_result_that_fits(bench, mode: str, words: str):
    b = bench(mode)
    (job,) = b.run(ORDER)
    assert job.state is JobState.FAILED and words in job.reason
    assert b.imported == [] and job.result is None


def test_a_whole_result_counts_though_the_worker_died_right_after(bench):
    b = bench("done and exit 1")
    (job,) = b.run(ORDER)
    assert job.state is JobState.DONE


def test_a_running_job_is_cancelled_by_the_worker_which_is_kept(bench):
    b = bench("slow")
    first, second = b.queue.add(ORDER), b.queue.add(ORDER)
    b.until(lambda: first.progress.stage == "encoding")
    began = time.monotonic()
    b.queue.cancel(first)
    assert time.monotonic() - began < 0.05 and first.cancelling
    b.until(lambda: first.state.over)
    assert first.state is JobState.CANCELLED and not first.cancelling
    b.until(lambda: second.progress.stage == "encoding")
    assert len(b.workers) == 1
    b.queue.cancel(second)
    b.until(lambda: second.state.over)


def test_a_waiting_job_is_cancelled_at_once_and_the_running_one_goes_on(bench):
    b = bench()
    first, second, third = (b.queue.add(ORDER) for _ in range(3))
    b.queue.cancel(second)
    assert second.state is JobState.CANCELLED
    b.until(lambda: third.state.over)
    assert (first.state, third.state) == (JobState.DONE, JobState.DONE)


def test_a_worker_that_does_not_let_go_is_ended_with_its_children(bench):
    b = bench("children", cancel_grace_s=0.3)
    job = b.queue.add(ORDER)
    b.until(lambda: any(line.startswith("child") for line in b.lines))
    b.queue.cancel(job)
    b.until(lambda: job.state.over)
    assert job.state is JobState.CANCELLED
    assert gone(int(next(line for line in b.lines if line.startswith("child")).split()[1])) and gone(b.workers[0].pid)


def test_a_worker_that_cannot_start_says_why(bench):
    b = bench("does not start")
    (job,) = b.run(ORDER)
    assert job.state is JobState.FAILED
    assert "could not start (exit code 1: ModuleNotFoundError: No module named 'torch')" in job.reason


def test_a_worker_that_never_greets_is_given_up_and_ended(bench):
    b = bench("silent", start_patience_s=0.5)
    first, second = b.run(ORDER, ORDER)
    assert "did not answer within 0.5 s" in first.reason and "did not answer" in second.reason
    assert len(b.workers) == 2 and gone(b.workers[0].pid)


def test_a_worker_of_another_version_is_not_used(bench):
    b = bench("other protocol")
    (job,) = b.run(ORDER)
    assert job.state is JobState.FAILED and "speaks version 99" in job.reason and "Repair" in job.reason


def test_closing_the_scene_cancels_every_job_and_imports_nothing(bench):
    b = bench("slow")
    first, second = b.queue.add(ORDER), b.queue.add(ORDER)
    b.until(lambda: first.progress.stage == "encoding")
    b.queue.scene_closed()
    b.until(lambda: first.state.over)
    assert first.state is second.state is JobState.CANCELLED
    assert "scene was closed" in first.reason and b.imported == []


def test_closing_the_scene_while_a_result_is_being_checked_imports_nothing(bench):
    b = bench()
    job = b.queue.add(ORDER, lambda job: b.queue.scene_closed() if job.state is JobState.IMPORTING else None)
    b.until(lambda: job.state.over)
    for _ in range(20):
        b.queue.tick()
        time.sleep(0.01)
    assert job.state is JobState.CANCELLED and b.imported == []


def test_closing_the_queue_in_the_middle_of_a_job_leaves_no_process(bench):
    b = bench("no listening")
    job = b.queue.add(ORDER)
    b.until(lambda: job.progress.stage == "reading")
    began = time.monotonic()
    b.queue.close()
    assert time.monotonic() - began < 5
    assert job.state is JobState.CANCELLED and gone(b.workers[0].pid)
    b.queue.tick()


def test_a_new_setup_restarts_the_worker_for_the_next_job(bench):
    b = bench()
    b.run(ORDER)
    b.queue.restart_worker()
    (job,) = b.run(ORDER)
    assert job.state is JobState.DONE and len(b.workers) == 2
    b.until(lambda: gone(b.workers[0].pid, 0.0))


def test_an_export_that_fails_fails_its_job_only(bench):
    def export(job: Job) -> None:
        if not tried:
            tried.append(job)
            raise ScanError("The volume was deleted.")
        write_files(job)

    tried: list = []
    b = bench(export=export)
    first, second = b.run(ORDER, ORDER)
    assert (first.state, first.reason) == (JobState.FAILED, "The volume was deleted.")
    assert second.state is JobState.DONE


def test_a_full_disk_is_a_sentence(bench):
    def export(job: Job) -> None:
        raise OSError(28, "No space left on device")

    (job,) = bench(export=export).run(ORDER)
    assert "could not be written for the worker (No space left on device). Free some space" in job.reason


FAILED_IMPORTS = [(ResultError("It lies elsewhere."), "It lies elsewhere."), (KeyError("x"), "did not foresee")]


@pytest.mark.parametrize("error, words", FAILED_IMPORTS)
def test_an_import_that_fails_fails_its_job_and_the_next_one_runs(bench, error: Exception, words: str):
    b = bench()
    good = b._import

    def fails_once(job: Job, manifest: ResultManifest, content: ReadResult) -> object:
        b.queue._import = good
        raise error

    b.queue._import = fails_once
    first, second = b.run(ORDER, ORDER)
    assert first.state is JobState.FAILED and words in first.reason
    assert second.state is JobState.DONE


def test_no_step_but_export_and_import_takes_long_on_the_main_thread(bench):
    b = bench("slow")
    job = b.queue.add(ORDER)
    longest, ends = 0.0, time.monotonic() + 3
    while time.monotonic() < ends:
        exporting = job.state is JobState.EXPORTING
        began = time.thread_time()  # wall-clock time is the benchmark's: it depends on what else runs
        b.queue.tick()
        if not exporting:
            longest = max(longest, time.thread_time() - began)
        time.sleep(0.01)
    assert job.progress.stage == "encoding"
    assert longest < 0.1
