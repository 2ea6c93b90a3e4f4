"""The jobs of one module logic, carried out in the background: queue, timer, folder, log.

It belongs to the logic and not to the panel: a job goes on when the module is left. It ends with the module or with
Slicer, and leaves neither a process nor a scan on the disk behind.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError
from diffugts.protocol import Stage
from DiffuGTSSlicerLib.beside_main_thread import BesideMainThread
from DiffuGTSSlicerLib.device_options import OTHER_MACHINE
from DiffuGTSSlicerLib.expected_cost import ExpectedCost, Pace
from DiffuGTSSlicerLib.export import export_job
from DiffuGTSSlicerLib.job import Job, JobState, Order
from DiffuGTSSlicerLib.job_progress_words import state_in_words
from DiffuGTSSlicerLib.job_queue import JobQueue
from DiffuGTSSlicerLib.results import import_result
from DiffuGTSSlicerLib.ticker import Ticker
from DiffuGTSSlicerLib.worker_command import WorkerCommand
from DiffuGTSSlicerLib.worker_process import WorkerProcess

LOG_LINES = 2000
FOLDER_PREFIX = "DiffuGTS-"
LEFT_BEHIND_AFTER_S = 2 * 24 * 3600
"""A folder in which nothing was put or taken away for so long belongs to no Slicer that runs."""

ENCODED_BY_THEN = frozenset({Stage.ATTENDING, Stage.INPAINTING, Stage.REFINING, Stage.WRITING})
"""A job that has come to one of these stages has its scan's features kept by the worker."""


class JobRunner:
    """Runs jobs one after the other.

    Args:
        scene: where volumes come from and results go.
        worker_command: how to start a worker; raises DiffuGTSError with a sentence where that cannot be done.
        temporary_folder: an own folder for this session's jobs is made in it, at the first job.
        remote_command: the same for the worker that has another machine compute.

    `listeners` are called with a job at its every change, `log_listeners` with every line of the log.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        worker_command: Callable[[], WorkerCommand],
        temporary_folder: Path,
        remote_command: Callable[[], WorkerCommand] | None = None,
    ) -> None:
        self._scene, self._temporary_folder = scene, temporary_folder
        self._commands = {False: worker_command, True: remote_command or worker_command}
        self._remote = False
        self._queue: JobQueue | None = None
        self._checks: BesideMainThread | None = None
        self._folder: Path | None = None
        self._worker: WorkerProcess | None = None
        self._started_by: WorkerCommand | None = None
        self._kept_scan: tuple[object, ...] | None = None
        self._pace = Pace()
        self._began: tuple[float, bool, bool] | None = None
        self._in_tick = self._restart_is_due = self._closed = False
        self._ticker = Ticker(self._tick)
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.listeners: list[Callable[[Job], None]] = []
        self.log_listeners: list[Callable[[str], None]] = []

    @property
    def unfinished(self) -> tuple[Job, ...]:
        """The running job, if there is one, and those that wait, in order."""
        if self._queue is None:
            return ()
        return (*([self._queue.current] if self._queue.current else []), *self._queue.waiting)

    @property
    def worker_log(self) -> str:
        """The worker's last lines of standard error."""
        return self._queue.worker_log if self._queue is not None else ""

    @property
    def worker_pid(self) -> int | None:
        """The number of the worker process that runs now."""
        return self._worker.pid if self._worker is not None and self._worker.running else None

    def add(self, order: Order, listener: Callable[[Job], None] | None = None) -> Job:
        """Put an order in line and return at once.

        Raises OSError where no folder can be made for the jobs, RuntimeError after `close`.
        """
        if self._closed:
            raise RuntimeError("this logic was closed; make a new one")
        queue = self._open_queue()
        job = queue.add(order)
        job.listeners.append(self._changed)
        if listener is not None:
            job.listeners.append(listener)
        self._note(_("Job {name} waits").format(name=job.name))
        self._ticker.start()
        job.tell()
        return job

    def add_together(self, orders: Sequence[Order], listener: Callable[[Job], None] | None = None) -> tuple[Job, ...]:
        """Put several orders in line, one behind the other, and return at once. Raises as `add`."""
        jobs = tuple(self.add(order, listener) for order in orders)
        if len(jobs) > 1:
            for job in jobs:
                job.companions = jobs
        return jobs

    def cancel(self, job: Job) -> None:
        """Cancel a job; one that is over stays as it is. Returns at once."""
        if self._queue is not None:
            self._queue.cancel(job)

    def wait(self, job: Job) -> None:
        """Return when a job is over; meanwhile the event loop runs, so that timers, views and the panel go on.

        Raises RuntimeError inside a job's listener: the job could not go on while its own step waits for it.
        """
        if self._in_tick:
            raise RuntimeError("a job cannot be waited for inside a listener of a job; add a listener to it instead")
        loop = qt.QEventLoop()
        job.listeners.append(lambda changed: loop.quit() if changed.state.over else None)
        if not job.state.over:
            loop.exec_()

    def keeps_scan_of(self, order: Order) -> bool:
        """Whether the worker holds the features of an order's volume from the last job, so that it will be quick."""
        if _is_remote(order) or self._remote:
            return False  # what another machine keeps is not known here
        return self.worker_pid is not None and self._kept_scan is not None and self._kept_scan == self._scan_of(order)

    def expected(self, *orders: Order) -> ExpectedCost:
        """About what orders will take, one after the other, if they are the next ones."""
        return ExpectedCost.together(
            self._pace.expected(order, self.keeps_scan_of(order), number > 0 or self.worker_pid is not None)
            for number, order in enumerate(orders)
        )

    def scene_closed(self) -> None:
        """The scene is being closed: nothing of the old one is to come back into the new one. The worker is kept."""
        if self._queue is not None:
            self._queue.scene_closed()

    def setup_changed(self) -> None:
        """The setup may be another one: the next job gets a new worker then. The running job goes on."""
        if self.worker_pid is None:
            return
        try:
            self._restart_is_due = self._commands[self._remote]() != self._started_by
        except DiffuGTSError:
            self._restart_is_due = True

    def end_worker(self) -> None:
        """End the worker now, and the running job with it: its packages are about to be replaced or deleted."""
        if self._queue is not None and self._worker is not None:
            self._queue.restart_worker()
            self._worker.kill()

    def close(self) -> None:
        """End everything: waits at most a few seconds for the worker, and removes the jobs' folders."""
        self._closed = True
        self._ticker.stop()
        queue, self._queue = self._queue, None
        if queue is not None:
            queue.close()
        checks, self._checks = self._checks, None
        if checks is not None:
            checks.shutdown(wait=True, cancel_futures=True)
        folder, self._folder = self._folder, None
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        self._worker = self._kept_scan = None

    # -- in the background -------------------------------------------------------------------------------------------

    def _open_queue(self) -> JobQueue:
        if self._queue is None:
            self._temporary_folder.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=self._temporary_folder))
            self._checks = BesideMainThread("DiffuGTS-checks")
            self._checks.submit(_remove_folders_left_behind, self._temporary_folder)
            self._queue = JobQueue(
                self._make_worker,
                partial(export_job, scene=self._scene),
                partial(import_result, scene=self._scene),
                self._folder,
                self._checks,
                heard=self._note,
            )
        return self._queue

    def _make_worker(self) -> WorkerProcess:
        self._kept_scan, self._restart_is_due = None, False
        current = self._queue.current if self._queue is not None else None
        self._remote = current is not None and _is_remote(current.order)
        self._started_by = self._commands[self._remote]()
        self._worker = WorkerProcess(self._started_by)
        self._note(_("A new worker is started"))
        return self._worker

    def _tick(self) -> None:
        if self._queue is None:
            return
        self._in_tick = True
        try:
            waits = next(iter(self._queue.waiting), None)
            elsewhere = self.worker_pid is not None and waits is not None and _is_remote(waits.order) != self._remote
            if (self._restart_is_due or elsewhere) and self._queue.current is None:
                self._restart_is_due, self._kept_scan = False, None
                self._queue.restart_worker()
            self._queue.tick()
        finally:
            self._in_tick = False

    def _changed(self, job: Job) -> None:
        if job.state is JobState.EXPORTING:
            self._began = time.monotonic(), self.keeps_scan_of(job.order), self.worker_pid is not None
        elif job.state is JobState.DONE and self._began is not None:
            began, kept, worker_ran = self._began
            self._pace.learn(job.order, kept, worker_ran, time.monotonic() - began)
        if job.progress.stage in {stage.value for stage in ENCODED_BY_THEN}:
            self._kept_scan = self._scan_of(job.order)
        if job.state.over:
            ending = _("Job {name} is {state}. {reason}")
            self._note(ending.format(name=job.name, state=state_in_words(job.state), reason=job.reason).rstrip())
            if job.state is not JobState.FAILED and self._checks is not None:
                # What is in the scene needs its files no more, and a scan is not to lie about longer than it must.
                self._checks.submit(shutil.rmtree, job.folder, ignore_errors=True)
        for listener in tuple(self.listeners):
            try:
                listener(job)
            except Exception:  # noqa: BLE001 - whatever a panel does wrong, the job goes on
                logging.exception("A listener of the DiffuGTS jobs failed")

    def _scan_of(self, order: Order) -> tuple[object, ...] | None:
        """What a kept scan depends on: the node, its voxels as they are now, where they lie, how they are read."""
        volume = self._scene.GetNodeByID(order.volume_id)
        image = volume.GetImageData() if volume is not None else None
        if image is None:
            return None
        return order.volume_id, image.GetMTime(), order.geometry, order.modality, order.sequence, order.model

    def _note(self, line: str) -> None:
        stamped = f"{time.strftime('%H:%M:%S')} {line}"
        self.log.append(stamped)
        for listener in tuple(self.log_listeners):
            listener(stamped)


def _is_remote(order: Order) -> bool:
    return order.device == OTHER_MACHINE


def _remove_folders_left_behind(temporary_folder: Path) -> None:
    """Delete the folders, with scans in them, of a Slicer that ended without closing its jobs."""
    for folder in temporary_folder.glob(f"{FOLDER_PREFIX}*"):
        with contextlib.suppress(OSError):  # another Slicer deletes it at the same time
            if time.time() - folder.stat().st_mtime > LEFT_BEHIND_AFTER_S:
                shutil.rmtree(folder, ignore_errors=True)
