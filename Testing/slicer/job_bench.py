"""Jobs from a real scene through the real queue, runner, export and import, with whatever worker a test wants."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from test_lib_worker_process import gone

from DiffuGTSSlicerLib.export import export_job
from DiffuGTSSlicerLib.job import Job, Order
from DiffuGTSSlicerLib.job_queue import JobQueue
from DiffuGTSSlicerLib.results import import_result
from DiffuGTSSlicerLib.worker_command import WorkerCommand
from DiffuGTSSlicerLib.worker_process import WorkerProcess

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENGINE = ROOT / "DiffuGTSSlicer"
ENGINE_TESTS = ROOT / "Testing" / "engine"
PATIENCE_S = 240.0


def fake_worker(mode: str, state: Path | None = None) -> WorkerCommand:
    """The worker that writes known results and misbehaves on demand."""
    arguments = (str(HERE / "fake_worker.py"), mode, *([str(state)] if state else []))
    return WorkerCommand(Path(sys.executable), ENGINE, os.environ, arguments=arguments)


def stand_in_worker(step_s: float = 0.01) -> WorkerCommand:
    """The engine's own worker around a pipeline that needs no model; every step takes `step_s` seconds."""
    arguments = (str(ENGINE_TESTS / "slow_pipeline_worker.py"), str(step_s))
    return WorkerCommand(Path(sys.executable), ENGINE, {**os.environ, "OMP_NUM_THREADS": "1"}, arguments=arguments)


def engine_worker(**environment: str) -> WorkerCommand:
    """The worker as the module starts it."""
    return WorkerCommand(Path(sys.executable), ENGINE, {**os.environ, "OMP_NUM_THREADS": "1", **environment})


class JobBench:
    """A queue and what came of it; `command` may be changed between jobs."""

    def __init__(self, scene: Any, folder: Path, command: WorkerCommand, **options: Any) -> None:
        self.scene, self.folder, self.command = scene, folder, command
        self.workers: list[WorkerProcess] = []
        self.lines: list[str] = []
        self._checks = ThreadPoolExecutor(1)
        self.queue = JobQueue(
            self._make_worker,
            partial(export_job, scene=scene),
            partial(import_result, scene=scene),
            folder,
            self._checks,
            heard=self.lines.append,
            **options,
        )

    def _make_worker(self) -> WorkerProcess:
        self.workers.append(WorkerProcess(self.command, stop_grace_s=0.5))
        return self.workers[-1]

    def until(self, enough: Callable[[], bool], patience_s: float = PATIENCE_S) -> None:
        """Tick, as the module's timer does, until something is so."""
        ends = time.monotonic() + patience_s
        while not enough():
            assert time.monotonic() < ends, f"waited in vain; heard {self.lines[-5:]}"
            self.queue.tick()
            time.sleep(0.01)

    def run(self, order: Order, at: Callable[[Job], object] = lambda job: None) -> Job:
        """Carry out an order; `at` is called at every change of the job."""
        job = self.queue.add(order, at)
        self.until(lambda: job.state.over)
        return job

    def close(self) -> None:
        """End everything, and make sure of it."""
        self.queue.close()
        self._checks.shutdown()
        left = [worker.pid for worker in self.workers if worker.pid and not gone(worker.pid)]
        assert not left, f"processes were left behind: {left}"


@contextmanager
def job_bench(scene: Any, folder: Path, command: WorkerCommand, **options: Any) -> Iterator[JobBench]:
    """A bench that is closed at the end."""
    bench = JobBench(scene, folder, command, **options)
    try:
        yield bench
    finally:
        bench.close()


def at_stage(stage: str, act: Callable[[Job], object]) -> Callable[[Job], None]:
    """A listener that acts once, at a job's first sign of a stage."""
    acted: list[Job] = []

    def listener(job: Job) -> None:
        if job.progress.stage == stage and not acted:
            acted.append(job)
            act(job)

    return listener
