"""The worker: jobs in by standard input, events out by standard output, one job after another until the input ends.

    {"command": "run", "job": "7", "request": "/jobs/7/request.json"}
    {"event": "progress", "job": "7", "stage": "encoding", "done": 12, "total": 40, ...}
    {"event": "done", "job": "7", "result": "/jobs/7/result/result.json", "sha256": "..."}

Three threads. The main one runs the jobs. One obeys the commands, so that a job can be cancelled and the worker
greeted while another job runs. One watches whether the process that started the worker is still there: a worker that
nobody can hear any more stops, in the middle of a job too.

Heavy libraries are imported by the first job: `hello` comes within a fraction of a second.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from diffugts import __version__, interrupts
from diffugts.allocation import give_back_freed_memory
from diffugts.errors import Cancelled, DiffuGTSError, RequestError
from diffugts.protocol import PROTOCOL_VERSION, Event, Request, ResultManifest, Stage, parse_command, sha256_of
from diffugts.protocol.manifest import DONE, FILE_NAME
from diffugts.worker.channel import Channel
from diffugts.worker.job import run_request
from diffugts.worker.jobs import Job, JobQueue, Turn
from diffugts.worker.progress import Progress, ProgressTracker, StageTimes
from diffugts.worker.shelf import ModelShelf

IDLE_RELEASE_S = 300.0
GRACE_S = 5.0
PARENT_CHECK_S = 0.5
LOG_NAME = "log.txt"

JOBS_BETWEEN_TIDYING = 5
"""After so many jobs freed memory goes back to the system: what piles up between blocks that stay is never much."""

DEFECT = (
    "Something went wrong that the program did not foresee. Please report it with the details; the worker goes on with "
    "the next job."
)


class Worker:
    """The persistent worker. `serve` returns the exit status when the input ends.

    Args:
        channel: commands in, events out.
        shelf: what is kept between jobs.
        idle_release_s: seconds without a job after which everything kept is let go; None never.
        grace_s: seconds a running job has to stop when the input has ended, before the process ends without it.
        end_process: ends the process at once, with an exit status.
        pictures: whether results have a picture of each finding.
    """

    def __init__(
        self,
        channel: Channel,
        shelf: ModelShelf,
        idle_release_s: float | None = IDLE_RELEASE_S,
        grace_s: float = GRACE_S,
        end_process: Callable[[int], object] = os._exit,
        pictures: bool = False,
    ) -> None:
        self._channel, self._shelf, self._pictures = channel, shelf, pictures
        self._idle_release_s, self._grace_s, self._end_process = idle_release_s, grace_s, end_process
        self._jobs = JobQueue(self._tell)
        self._times = StageTimes()
        self._ended = 0

    def serve(self) -> int:
        """Greet, then carry out what is asked until the input ends, `quit` comes or the parent process is gone."""
        interrupts.listen()
        self._greet()
        threading.Thread(target=self._obey_all, name="commands", daemon=True).start()
        threading.Thread(target=self._watch_parent, args=(_parent(),), name="parent", daemon=True).start()
        try:
            self._work()
        except KeyboardInterrupt:  # Ctrl-C or SIGTERM
            self._close()
            return Cancelled.exit_code
        return 0

    # -- main thread: jobs -------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            turn = self._jobs.next(None if self._shelf.is_empty else self._idle_release_s)
            if isinstance(turn, Job):
                self._run(turn)
                self._ended += 1
                if self._ended % JOBS_BETWEEN_TIDYING == 0:
                    give_back_freed_memory()
            elif turn is Turn.CLOSED:
                return
            else:
                self._tell(Event("released", {"message": self._shelf.release()}))

    def _run(self, job: Job) -> None:
        """Carry out one job; whatever happens, exactly one closing event is told."""
        closing = _failed(job, "error", "The job ended without a result.")
        began = time.monotonic()
        _say(f"Job {job.name}: begun.")
        try:
            job.check(Stage.READING)
            manifest = self._carry_out(job)
            path = manifest.folder / FILE_NAME
            closing = Event(manifest.status, {"job": job.name, "result": str(path), "sha256": sha256_of(path)})
        except (Cancelled, KeyboardInterrupt) as stop:
            closing = Event("cancelled", {"job": job.name})
            if isinstance(stop, KeyboardInterrupt):
                raise
        except DiffuGTSError as error:
            cause = error.__cause__
            closing = _failed(job, error.code, str(error), f"{type(cause).__name__}: {cause}" if cause else "")
        except (Exception, SystemExit) as error:  # a library's exit() must not end the worker
            log = _write_log(job, traceback.format_exc())
            closing = _failed(
                job, "error", DEFECT, f"{type(error).__name__}: {error}" + (f" (all of it in {log})" if log else "")
            )
        finally:
            self._jobs.finish()
            self._tell(closing)
            reason = f": {closing.fields['message']}" if closing.name == "failed" else ""
            _say(f"Job {job.name}: {closing.name} after {time.monotonic() - began:.1f} s{reason}")

    def _carry_out(self, job: Job) -> ResultManifest:
        request = Request.load(job.request)

        def report(progress: Progress) -> None:
            self._tell(Event("progress", {"job": job.name, **progress.as_fields()}))

        tracker = ProgressTracker(
            request.quality, report, job.check, self._times, descriptions=len(request.descriptions)
        )
        manifest = run_request(request, self._shelf, tracker, self._pictures)
        if manifest.status == DONE:
            tracker.finished()
        return manifest

    # -- thread "commands" -------------------------------------------------------------------------------------------

    def _obey_all(self) -> None:
        try:
            for line in self._channel.lines():
                if line.strip() and not self._jobs.closed:
                    self._obey(line)
        except OSError as error:  # Windows reports a closed pipe as an error
            _say(f"The input ended: {error}")
        self._close()

    def _obey(self, line: str) -> None:
        try:
            command = parse_command(line)
            if command.name == "hello":
                self._greet()
            elif command.name == "run":
                self._jobs.add(command.job, Path(command.request))
            elif command.name == "cancel":
                if not self._jobs.cancel(command.job):
                    self._tell(Event("log", {"message": f"No job '{command.job:.80}' to cancel; it may be over."}))
            elif command.name == "release":
                self._jobs.ask_for_release()
            else:
                self._close()
        except RequestError as error:
            self._tell(_failed(None, error.code, str(error)))

    def _close(self) -> None:
        """Take no more jobs; end the process without the running one if it does not stop within the grace time."""
        if not self._jobs.closed:
            last_resort = threading.Timer(self._grace_s, self._end_process, [Cancelled.exit_code])
            last_resort.daemon = True
            last_resort.start()
        self._jobs.close()

    # -- thread "parent" ---------------------------------------------------------------------------------------------

    def _watch_parent(self, is_there: Callable[[], bool]) -> None:
        """The end of the input says it too, unless another process inherited the other end of the pipe."""
        while is_there():
            time.sleep(PARENT_CHECK_S)
        self._close()

    # -- all threads -------------------------------------------------------------------------------------------------

    def _greet(self) -> None:
        self._tell(Event("hello", {"protocol": PROTOCOL_VERSION, "version": __version__, "pid": os.getpid()}))

    def _tell(self, event: Event) -> None:
        try:
            self._channel.send(event)
        except OSError:  # nobody reads any more
            if not self._jobs.closed:
                _say("The output was closed; the worker ends.")
                self._close()


def _parent() -> Callable[[], bool]:
    """Whether the process that started this one is still there, asked again at every call."""
    number = os.getppid()
    if os.name == "posix":
        return lambda: os.getppid() == number  # an orphan gets another parent
    import psutil

    try:
        process = psutil.Process(number)
    except psutil.NoSuchProcess:
        return lambda: False
    return process.is_running


def _failed(job: Job | None, code: str, message: str, details: str = "") -> Event:
    return Event("failed", {"job": job.name if job else None, "code": code, "message": message, "details": details})


def _say(text: str) -> None:
    """Words for the log, on standard error; where nobody reads it any more, the end of the input ends the worker."""
    with suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _write_log(job: Job, text: str) -> Path | None:
    """The traceback on standard error and in the job's folder, beside its request; None where that is not possible."""
    _say(text)
    path = job.request.parent / LOG_NAME
    try:
        with path.open("a", encoding="utf-8") as log:
            log.write(text)
    except OSError as error:
        _say(f"{path} cannot be written: {error}")
        return None
    return path
