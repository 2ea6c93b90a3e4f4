"""A worker process at the other end of its pipes, for a cohort: one case after another, a new process after a lost one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from diffugts.errors import DiffuGTSError, RequestError
from diffugts.protocol import Command, Event, parse_event

COMMAND = (sys.executable, "-m", "diffugts", "worker", "--idle-release", "0")
CLOSING = ("done", "failed", "cancelled")
END_WITHIN_S = 10.0


class WorkerLost(DiffuGTSError):
    """The worker process ended in the middle of a case."""

    code = "worker"


class LocalWorker:
    """Starts the worker with its first case and keeps it; `variables` are what its environment has beside this one's."""

    def __init__(self, command: Sequence[str] = COMMAND, variables: Mapping[str, str] | None = None) -> None:
        self._command, self._variables = command, variables or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    @property
    def pid(self) -> int | None:
        """The number of the process that runs now."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def carry_out(self, job: str, request: Path, hear: Callable[[Event], None]) -> Event:
        """Run one request; the closing event. Raises WorkerLost where the process ends before it."""
        if self._closed:
            raise WorkerLost("The cohort was stopped.")
        if self.pid is None:
            self._end()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **self._variables},
            )
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        with suppress(OSError):  # a worker that is gone ends the lines below
            process.stdin.write((Command("run", job, str(request)).to_line() + "\n").encode())
            process.stdin.flush()
        for line in process.stdout:
            try:
                event = parse_event(line.decode("utf-8", "replace"))
            except RequestError:
                continue
            if event.name == "failed" and event.fields.get("job") is None:  # it did not understand the command
                return event
            if event.fields.get("job") == job:
                hear(event)
                if event.name in CLOSING:
                    return event
        raise WorkerLost(
            f"The worker ended in the middle of the case (exit code {process.wait()}); it may have run out of memory. Start the "
            "cohort again; if it happens again, choose the quality 'fast' or a smaller part of the scan."
        )

    def close(self) -> None:
        """Have the worker end by itself, or by force; no pipe is left open, and no new worker starts."""
        self._closed = True
        self._end()

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        try:
            process.wait(END_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
