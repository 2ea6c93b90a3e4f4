"""The jobs of this Slicer: one runs, the others wait; each can be cancelled, and none takes another one with it.

`tick` is called by a timer on the main thread, ten times a second. Everything that happens to a job happens in there:
export, talk with the worker, check, import. A job is done only with the worker's own `done` and a manifest whose
checksums hold. A job that is cancelled keeps the descriptions that were finished: they are written, checked and imported
like a whole result.
"""

from __future__ import annotations

import itertools
import logging
import time
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError
from diffugts.protocol import PROTOCOL_VERSION, Command, Event, Quality, ResultManifest, Stage
from DiffuGTSSlicerLib.job import Job, JobProgress, JobState, Order
from DiffuGTSSlicerLib.job_progress_words import step_in_words
from DiffuGTSSlicerLib.job_roles import Exporter, Importer, Worker
from DiffuGTSSlicerLib.process_tree import exit_in_words
from DiffuGTSSlicerLib.result_check import CheckedResult, checked_and_read
from DiffuGTSSlicerLib.worker_process import Ended, Logged, Said, Unreadable

CANCEL_GRACE_S = 5.0
"""Seconds a worker has to stop a job by itself; a layer of a large scan on a CPU takes about two."""

WRITING_PATIENCE_S = 60.0
"""Seconds that a worker has, from when it says that it writes, to write what a cancelled job had finished."""

START_PATIENCE_S = 60.0
"""Seconds from the worker's start to its greeting, which comes before any heavy import."""


class JobQueue:
    """Jobs in order of arrival.

    Args:
        make_worker: a new worker that is not started yet; called at the first job and after a worker's end. Raises
            DiffuGTSError where there is no environment for one.
        export_job, import_result: touch the scene; called on the main thread.
        folder: jobs get folders of their own in it.
        checks: carries out the checking and reading of a result's files, which takes seconds for a large one.
        heard: gets every line for the log panel.
    """

    def __init__(
        self,
        make_worker: Callable[[], Worker],
        export_job: Exporter,
        import_result: Importer,
        folder: Path,
        checks: Executor,
        clock: Callable[[], float] = time.monotonic,
        heard: Callable[[str], None] = lambda line: None,
        cancel_grace_s: float = CANCEL_GRACE_S,
        writing_patience_s: float = WRITING_PATIENCE_S,
        start_patience_s: float = START_PATIENCE_S,
    ) -> None:
        self._make_worker, self._export, self._import = make_worker, export_job, import_result
        self._folder, self._checks, self._clock, self._heard = folder, checks, clock, heard
        self._cancel_grace_s, self._writing_patience_s = cancel_grace_s, writing_patience_s
        self._start_patience_s = start_patience_s
        self._numbers = itertools.count(1)
        self._began = time.strftime("%Y%m%d-%H%M%S")
        self._worker: Worker | None = None
        self._retired: list[Worker] = []
        self._greeted = self._sent = self._ticking = False
        self._keeping = self._writing_what_was_finished = False
        self._patience_ends: float | None = None
        self._waiting: list[Job] = []
        self._current: Job | None = None
        self._check: Future[CheckedResult] | None = None
        self._closed = False

    # -- what the module calls ---------------------------------------------------------------------------------------

    @property
    def current(self) -> Job | None:
        """The job that is not waiting and not over."""
        return self._current

    @property
    def waiting(self) -> tuple[Job, ...]:
        """Jobs that have not begun, in order."""
        return tuple(self._waiting)

    @property
    def busy(self) -> bool:
        """Whether there is a job that is not over."""
        return self._current is not None or bool(self._waiting)

    @property
    def worker_log(self) -> str:
        """The worker's last lines of standard error."""
        return self._worker.log if self._worker else ""

    def add(self, order: Order, listener: Callable[[Job], None] | None = None) -> Job:
        """Put an order in line. Returns at once; `listener` is called at every change of the job."""
        if self._closed:
            raise RuntimeError("the queue is closed")
        name = f"{self._began}-{next(self._numbers)}"
        job = Job(name, order, self._unused_folder(name), listeners=[listener] if listener else [])
        self._waiting.append(job)
        job.tell()
        return job

    def cancel(self, job: Job, reason: str = "", keep_finished: bool = True) -> None:
        """Cancel a job: one that waits at once, a running one as soon as the worker lets go of it. Returns at once.

        What was finished of it is still brought into the scene, unless `keep_finished` is False; this may be said later too.
        """
        reason = reason or _("Cancelled.")
        if job in self._waiting:
            self._waiting.remove(job)
            job.move_to(JobState.CANCELLED, reason)
        elif job is self._current:
            self._cancel_current(job, reason, keep_finished)

    def cancel_all(self, reason: str = "", keep_finished: bool = True) -> None:
        """Cancel every job that is not over."""
        for job in (*self._waiting, *([self._current] if self._current else [])):
            self.cancel(job, reason, keep_finished)

    def scene_closed(self) -> None:
        """The scene was closed: nothing of the old one is to come back into the new one. The worker is kept."""
        self.cancel_all(
            _("The scene was closed while the job ran; its result was not brought into the new scene."),
            keep_finished=False,
        )

    def release(self) -> None:
        """Have the worker let go of the model and the scans it keeps."""
        if self._worker is not None and self._worker.running:
            self._worker.send(Command("release"))

    def restart_worker(self) -> None:
        """End the worker, as after a change of the setup; the next job starts a new one. The running job is cancelled."""
        if self._current is not None and self._current.state is JobState.RUNNING:
            self._end(JobState.CANCELLED, _("The worker was restarted."))
        self._retire_worker()

    def close(self) -> None:
        """End everything before the module or Slicer goes away: no process is left behind."""
        self._closed = True
        for job in (*self._waiting, *([self._current] if self._current else [])):
            job.move_to(JobState.CANCELLED, _("Slicer or the module was closed."))
        self._waiting, self._current = [], None
        for worker in (*self._retired, *([self._worker] if self._worker else [])):
            worker.close()
        self._worker, self._retired = None, []

    def tick(self) -> None:
        """Do what there is to do now. Main thread; long only while it exports or imports."""
        if self._closed or self._ticking:  # a progress dialog of Slicer's may run the event loop, and with it the timer
            return
        self._ticking = True
        try:
            self._step()
        finally:
            self._ticking = False

    def _step(self) -> None:
        self._listen()
        self._watch_the_clock()
        if self._current is None and self._waiting:
            self._current = self._waiting.pop(0)
            self._current.progress = JobProgress(_("Writing the volume for the worker"))
            self._current.move_to(JobState.EXPORTING)  # done in the next call, so that the panel shows it first
        elif self._current is not None:
            {
                JobState.EXPORTING: self._export_current,
                JobState.RUNNING: self._run_current,
                JobState.IMPORTING: self._import_current,
            }[self._current.state]()

    # -- the current job, state by state -----------------------------------------------------------------------------

    def _export_current(self) -> None:
        job = self._require_current()
        try:
            job.folder.mkdir(parents=True, exist_ok=False)
            self._export(job)
        except OSError as error:
            self._end(
                JobState.FAILED,
                _(
                    "The volume could not be written for the worker ({reason}). "
                    "Free some space or choose another folder for temporary files."
                ).format(reason=error.strerror or error),
                str(error),
            )
        except Exception as error:  # noqa: BLE001 - a defect in one job must not stop the timer
            self._fail_by(error)
        else:
            self._sent = False
            job.progress = JobProgress(_("Starting the worker"))
            job.move_to(JobState.RUNNING)

    def _run_current(self) -> None:
        job = self._require_current()
        if self._sent:
            return
        if self._worker is None or not self._worker.running:
            try:
                self._worker, self._greeted = self._make_worker(), False
                self._worker.start()
            except DiffuGTSError as error:
                self._worker = None
                self._fail_by(error)
                return
            self._patience_ends = self._clock() + self._start_patience_s
        if self._greeted:
            self._patience_ends = None
            self._sent = True
            self._worker.send(Command("run", job=job.name, request=str(job.request_path)))

    def _import_current(self) -> None:
        job = self._require_current()
        if self._check is None or not self._check.done():
            return
        check, self._check = self._check, None
        try:
            checked = check.result()
            manifest = checked.manifest
            job.result = self._import(job, manifest, content=checked.content)
        except Exception as error:  # noqa: BLE001 - see _export_current
            self._fail_by(error)
        else:
            job.notes += manifest.notes
            job.progress = JobProgress(_("Done"), fraction=1.0)
            if job.cancelling:
                self._end(JobState.CANCELLED, _kept_in_words(job.reason, manifest))
            else:
                self._end(JobState.DONE)

    def _cancel_current(self, job: Job, reason: str, keep_finished: bool) -> None:
        importing = job.state is JobState.IMPORTING
        heard = job.state is JobState.RUNNING and self._sent and self._worker is not None and self._worker.running
        if not (heard or (importing and keep_finished)):
            self._end(JobState.CANCELLED, reason)
            return
        if job.cancelling and (keep_finished or not self._keeping):
            return
        commands = 1 if keep_finished or job.cancelling else 2  # the second one has the worker keep nothing
        job.cancelling, job.reason, self._keeping = True, reason, keep_finished
        if heard and self._worker is not None:
            self._patience_ends = self._clock() + self._cancel_grace_s
            if keep_finished:
                self._grant_time_to_write(job)
            for _command in range(commands):
                self._worker.send(Command("cancel", job=job.name))
        job.tell()

    # -- the worker --------------------------------------------------------------------------------------------------

    def _retire_worker(self) -> None:
        """Have the worker end by itself or by force, and let the next job start another one meanwhile."""
        if self._worker is not None:
            self._worker.stop()
            self._retired.append(self._worker)
            self._worker, self._greeted = None, False

    def _listen(self) -> None:
        for worker in tuple(self._retired):
            worker.drain()  # which also sees to its end
            if not worker.running:
                self._retired.remove(worker)
        for news in self._worker.drain() if self._worker is not None else []:
            if isinstance(news, Said):
                self._obey(news.event)
            elif isinstance(news, Unreadable):
                self._heard(f"{news.reason} [{news.line!r}]")
            elif isinstance(news, Logged):
                self._heard(news.text)
            elif isinstance(news, Ended):
                self._worker_ended(news)

    def _obey(self, event: Event) -> None:
        fields, job = event.fields, self._current
        if event.name == "hello":
            self._greet(fields)
        elif event.name in ("log", "released"):
            self._heard(str(fields["message"]))
        elif event.name == "failed" and fields["job"] is None:
            self._heard(str(fields["message"]))
            if job is not None and job.state is JobState.RUNNING and self._sent and job.progress.fraction is None:
                self._end(JobState.FAILED, str(fields["message"]), str(fields["details"]))  # it was our `run`
        elif job is None or job.state is not JobState.RUNNING or fields.get("job") != job.name:
            self._heard(_("The worker said '{word}' of a job that does not run here.").format(word=event.name))
        elif event.name == "progress":
            job.advance(JobProgress.of(fields))
            if job.cancelling and self._keeping and not self._writing_what_was_finished:
                self._grant_time_to_write(job)
        elif event.name == "failed":
            silent = _("The worker could not do it and did not say why. See the log.")
            self._end(JobState.FAILED, str(fields["message"]).strip() or silent, str(fields["details"]))
        elif "result" not in fields or "sha256" not in fields or (job.cancelling and not self._keeping):
            self._end(JobState.CANCELLED, job.reason or _("The worker cancelled the job."))
        else:
            self._take(job, event)

    def _take(self, job: Job, event: Event) -> None:
        """Have the result checked that the worker tells of: a whole one, or what was finished of a cancelled job."""
        if event.name == "cancelled" and not job.cancelling:  # nobody here asked for it
            job.cancelling, job.reason = True, _("The worker cancelled the job.")
        job.progress = JobProgress(_("Reading the result"), fraction=1.0)
        self._patience_ends = None
        self._check = self._checks.submit(
            checked_and_read,
            job.result_folder,
            event.fields["result"],
            event.fields["sha256"],
            event.name,
            job.order.descriptions,
            job.order.geometry,
        )
        job.move_to(JobState.IMPORTING, job.reason)

    def _grant_time_to_write(self, job: Job) -> None:
        """Large volumes take longer to write than a worker has to let go of a job; once, so that it ends all the same."""
        if job.progress.stage == Stage.WRITING:
            self._writing_what_was_finished = True
            self._patience_ends = self._clock() + self._writing_patience_s

    def _greet(self, fields: dict[str, Any]) -> None:
        if fields["protocol"] == PROTOCOL_VERSION:
            self._greeted = True
            return
        self._end_running(
            _(
                "The worker speaks version {its} of the protocol, this module version {ours}. "
                "The installed packages are of another version: open Setup and press Repair."
            ).format(its=fields["protocol"], ours=PROTOCOL_VERSION)
        )
        self._retire_worker()

    def _worker_ended(self, news: Ended) -> None:
        log = self._worker.log if self._worker else ""
        greeted, self._worker, self._greeted = self._greeted, None, False
        job = self._current
        if job is None or job.state is not JobState.RUNNING:
            return
        if job.cancelling:
            lost = _("What was finished could not be written in time.") if self._writing_what_was_finished else ""
            self._end(JobState.CANCELLED, f"{job.reason} {lost}".rstrip())
        elif not greeted:
            last = next((line for line in reversed(log.splitlines()) if line.strip()), _("it said nothing"))
            self._end(
                JobState.FAILED,
                _("The worker could not start ({ending}: {last}). Open Setup and press Check.").format(
                    ending=exit_in_words(news.code), last=last[:300]
                ),
                log,
            )
        elif self._sent:
            self._end(
                JobState.FAILED,
                _(
                    "The worker ended in the middle of the job ({ending}) while it was at '{step}'. "
                    "The system may have been short of memory. Nothing in the scene was changed; "
                    "segment again, in the quality Fast or a cropped volume if it happens again."
                ).format(ending=exit_in_words(news.code), step=step_in_words(job)),
                log,
            )
        # A worker that went before the job was sent to it: the next tick starts another one.

    def _watch_the_clock(self) -> None:
        if self._patience_ends is None or self._clock() < self._patience_ends:
            return
        self._patience_ends = None
        if self._worker is None:
            return
        if self._current is None or not self._current.cancelling:
            self._end_running(
                _("The worker did not answer within {patience:g} s of its start. Open Setup and press Check.").format(
                    patience=self._start_patience_s
                ),
                self._worker.log,
            )
            self._worker.kill()
            self._retire_worker()
        else:
            self._worker.kill()

    # -- endings -----------------------------------------------------------------------------------------------------

    def _end_running(self, reason: str, details: str = "") -> None:
        if self._current is not None and self._current.state is JobState.RUNNING:
            self._end(JobState.FAILED, reason, details)

    def _fail_by(self, error: Exception) -> None:
        job = self._require_current()
        state, before = JobState.FAILED, ""
        if job.cancelling:  # it had been cancelled, and is; only what it had finished is lost
            state, before = JobState.CANCELLED, f"{job.reason} {_('What was finished could not be kept.')} "
        if isinstance(error, DiffuGTSError):
            cause = error.__cause__
            self._end(state, before + str(error), f"{type(cause).__name__}: {cause}" if cause else "")
            return
        logging.error("A DiffuGTS job failed", exc_info=error)
        defect = _(
            "Something went wrong that the program did not foresee. Please report it with the details; the next job can run."
        )
        self._end(state, before + defect, "".join(traceback.format_exception(error)))

    def _end(self, state: JobState, reason: str = "", details: str = "") -> None:
        job = self._require_current()
        self._current = self._check = self._patience_ends = None
        self._keeping = self._writing_what_was_finished = False
        job.move_to(state, reason, details)

    def _require_current(self) -> Job:
        if self._current is None:
            raise RuntimeError("there is no current job")
        return self._current

    def _unused_folder(self, name: str) -> Path:
        folder = self._folder / name
        for number in itertools.count(2):
            if not folder.exists():
                return folder
            folder = self._folder / f"{name}.{number}"
        raise AssertionError("unreachable")


def _kept_in_words(reason: str, manifest: ResultManifest) -> str:
    finished, asked = len(manifest.findings), len(manifest.findings) + len(manifest.unfinished)
    kept = _("{finished} of {asked} descriptions were finished and are kept").format(finished=finished, asked=asked)
    if asked == 1:
        kept = _("the description was finished and is kept")
    if manifest.provenance.quality != Quality.FAST and manifest.file("pseudo-healthy") is None:
        kept = _("{kept}, without a pseudo-healthy volume").format(kept=kept)
    return _("{ending}: {kept}.").format(ending=reason.rstrip("."), kept=kept)
