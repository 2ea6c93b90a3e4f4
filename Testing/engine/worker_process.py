"""A worker process at the other end of its pipes, as the Slicer side will hold it."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

import psutil

from diffugts.protocol import Command, Event, parse_event

HERE = Path(__file__).resolve().parent
PACKAGE_FOLDER = HERE.parents[1] / "DiffuGTSSlicer"
PATIENCE_S = 30.0


def environment(**more: str) -> dict[str, str]:
    """An environment in which a child finds the engine and the tests' own modules."""
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join((str(PACKAGE_FOLDER), str(HERE))),
        "OMP_NUM_THREADS": "1",
        **more,
    }


class WorkerProcess:
    """A running worker. Use it as a context: it is ended at the end, whatever a test left it doing."""

    def __init__(self, *arguments: str, env: dict[str, str] | None = None) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env or environment(),
            bufsize=0,
        )
        self.events: list[Event] = []
        """Every event so far, in order."""
        self._arrived: queue.Queue[Event | None] = queue.Queue()
        self._stderr: list[bytes] = []
        for target in (self._read_events, self._read_log):
            threading.Thread(target=target, daemon=True).start()

    @classmethod
    def stand_in(cls, step_s: float, *more: float, env: dict[str, str] | None = None) -> WorkerProcess:
        """A worker around the stand-in pipeline."""
        return cls(str(HERE / "slow_pipeline_worker.py"), *(str(value) for value in (step_s, *more)), env=env)

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        if value is not None:
            sys.stderr.write(self.log)

    @property
    def log(self) -> str:
        """What the worker said on standard error."""
        return b"".join(self._stderr).decode("utf-8", "replace")

    def send(self, name: str, job: str = "", request: Path | str = "") -> None:
        self.send_bytes(Command(name, job, str(request)).to_line().encode() + b"\n")

    def send_bytes(self, data: bytes) -> None:
        assert self.process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view) :]

    def next_event(self, patience_s: float = PATIENCE_S) -> Event:
        """The next event not yet looked at; fails when the output ends or nothing comes."""
        try:
            event = self._arrived.get(timeout=patience_s)
        except queue.Empty:
            raise AssertionError(f"nothing came for {patience_s} s; {self.log[-2000:]}") from None
        assert event is not None, f"the output ended; {self.log[-2000:]}"
        return event

    def wait_for(self, *names: str, job: str | None = None, patience_s: float = PATIENCE_S) -> Event:
        """The next event of one of these names, of `job` where given; others are passed over."""
        end = time.monotonic() + patience_s
        while True:
            event = self.next_event(max(0.01, end - time.monotonic()))
            if event.name in names and (job is None or event.fields.get("job") == job):
                return event

    def wait_for_stage(self, stage: str, job: str) -> Event:
        """The first progress event of a stage; fails when the job ends before it."""
        while True:
            event = self.wait_for("progress", "done", "failed", "cancelled", job=job)
            assert event.name == "progress", event
            if event.fields["stage"] == stage:
                return event

    def ending(self, job: str) -> Event:
        """The job's closing event."""
        return self.wait_for("done", "failed", "cancelled", job=job)

    def processor_s(self) -> float:
        """Seconds of processor time the worker has had: on a busy machine a fairer clock than the wall's."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def wait_for_log(self, words: str, patience_s: float = 5.0) -> None:
        """Wait until the worker has said these words on standard error, which is another pipe than the events'."""
        end = time.monotonic() + patience_s
        while words not in self.log:
            assert time.monotonic() < end, f"{words!r} is not in {self.log[-2000:]!r}"
            time.sleep(0.01)

    def _read_events(self) -> None:
        assert self.process.stdout is not None
        pending = b""
        while chunk := self.process.stdout.read(65536):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                event = parse_event(line.decode("utf-8"))  # a line that is no event ends this thread, and the test
                self.events.append(event)
                self._arrived.put(event)
        self._arrived.put(None)

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        while chunk := self.process.stderr.read(65536):
            self._stderr.append(chunk)
