"""The worker process, seen from Slicer: started, listened to, told, ended.

Two threads do nothing but move bytes from the process's pipes into a queue; `drain`, called on the main thread by a
timer, makes whole lines and events of them. Nothing here waits, except `close`.
"""

from __future__ import annotations

import os
import queue
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError, RequestError
from diffugts.protocol import Command, Event, parse_event
from diffugts.protocol.events import LONGEST_LINE
from DiffuGTSSlicerLib.process_tree import kill_tree, start_apart
from DiffuGTSSlicerLib.worker_command import WorkerCommand

READ_BYTES = 8192
MOST_CHUNKS_WAITING = 1024
"""A worker that floods its output waits for Slicer, instead of filling Slicer's memory."""

DRAIN_S = 0.02
"""What one call on the main thread takes at most, but for the last chunk's lines."""

LOG_LINES = 2000
LONGEST_LOG_LINE = 2000
STOP_GRACE_S = 3.0
PIPE_PATIENCE_S = 1.0
"""How long after the process's end its pipes are read on: a grandchild may hold them open for ever."""

EVENTS, LOG = "events", "log"


class WorkerError(DiffuGTSError):
    """The worker cannot be started or does not do what was agreed."""

    code = "worker"


@dataclass(frozen=True)
class Said:
    """The worker sent an event."""

    event: Event


@dataclass(frozen=True)
class Unreadable:
    """The worker sent a line that is no event; `reason` is a sentence."""

    line: str
    reason: str


@dataclass(frozen=True)
class Logged:
    """A line of the worker's standard error."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The process is gone; always the last news. `expected` where it was told to end."""

    code: int
    expected: bool


News = Said | Unreadable | Logged | Ended


class WorkerProcess:
    """One run of the worker, from `start` to the `Ended` in `drain`. A new one is made for every start.

    Args:
        command: what to start.
        clock: seconds that only grow.
        stop_grace_s: seconds from `stop` to the end of the whole process tree.
    """

    def __init__(
        self,
        command: WorkerCommand,
        clock: Callable[[], float] = time.monotonic,
        stop_grace_s: float = STOP_GRACE_S,
    ) -> None:
        self._command, self._clock, self._stop_grace_s = command, clock, stop_grace_s
        self._process: subprocess.Popen | None = None
        self._chunks: queue.Queue[tuple[str, bytes]] = queue.Queue(MOST_CHUNKS_WAITING)
        self._open_pipes: set[str] = set()
        self._pending = {EVENTS: _Lines(LONGEST_LINE), LOG: _Lines(LONGEST_LOG_LINE)}
        self._log: deque[str] = deque(maxlen=LOG_LINES)
        self._kill_at: float | None = None
        self._gone_at: float | None = None
        self._told_to_end = self._ended = False

    @property
    def running(self) -> bool:
        """Whether the process was started and its end has not been told by `drain` yet."""
        return self._process is not None and not self._ended

    @property
    def pid(self) -> int | None:
        """The process's number, None before `start`."""
        return self._process.pid if self._process else None

    @property
    def log(self) -> str:
        """The last lines of the worker's standard error."""
        return "\n".join(self._log)

    def start(self) -> None:
        """Start the process. Raises WorkerError where the system cannot."""
        if self._process is not None:
            raise RuntimeError("a WorkerProcess is started once")
        try:
            self._process = start_apart(self._command.line, self._command.environment())
        except (OSError, ValueError) as error:
            raise WorkerError(
                _(
                    "The worker could not be started with '{python}' ({reason}). "
                    "Open Setup and press Check; choose another Python or press Repair."
                ).format(python=self._command.python, reason=error)
            ) from error
        for name, pipe in ((EVENTS, self._process.stdout), (LOG, self._process.stderr)):
            self._open_pipes.add(name)
            threading.Thread(target=self._move, args=(name, pipe), name=f"worker {name}", daemon=True).start()

    def send(self, command: Command) -> None:
        """Tell the worker something. A worker that is gone hears nothing; `drain` says that it ended."""
        if self._process is None or self._process.stdin is None or self._process.stdin.closed:
            return
        try:
            self._process.stdin.write((command.to_line() + "\n").encode())
        except (BrokenPipeError, OSError) as error:
            self._log.append(_("(the worker no longer listens: {reason})").format(reason=error))

    def drain(self) -> list[News]:
        """What has come since the last call, in order per pipe. Main thread; takes milliseconds."""
        if not self.running:
            return []
        if self._kill_at is not None and self._clock() >= self._kill_at:
            self._kill_at = None
            self.kill()
        news: list[News] = []
        began = time.perf_counter()
        while time.perf_counter() - began < DRAIN_S:
            try:
                name, chunk = self._chunks.get_nowait()
            except queue.Empty:
                news += self._look_for_end()
                break
            if not chunk:
                self._open_pipes.discard(name)
            news += self._read(name, chunk)
        return news

    def stop(self) -> None:
        """Ask the worker to end, and see to it that it has after the grace time. Returns at once."""
        if self._process is None or self._told_to_end:
            return
        self._told_to_end = True
        self.send(Command("quit"))
        self._close_input()
        self._kill_at = self._clock() + self._stop_grace_s

    def kill(self) -> None:
        """End the worker and everything it started, now. Returns at once; `drain` will tell the end."""
        if self._process is None:
            return
        self._told_to_end = True
        self._close_input()
        kill_tree(self._process)

    def close(self, patience_s: float = 1.0) -> None:
        """End the worker before Slicer itself ends: waits at most about twice `patience_s`, leaves no process behind."""
        if self._process is None:
            return
        self.stop()
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            pass  # what it did not do by itself is done next
        kill_tree(self._process)  # children may outlive the worker
        self._process.wait(patience_s)
        self._ended = True

    # -- the reader threads ------------------------------------------------------------------------------------------

    def _move(self, name: str, pipe: object) -> None:
        descriptor = pipe.fileno()  # type: ignore[attr-defined]
        while True:
            try:
                chunk = os.read(descriptor, READ_BYTES)
            except OSError:  # the pipe broke: for the reader the same as its end
                chunk = b""
            while not self._ended:
                try:
                    self._chunks.put((name, chunk), timeout=1.0)
                    break
                except queue.Full:
                    continue
            if not chunk or self._ended:
                pipe.close()  # type: ignore[attr-defined]
                return

    # -- main thread -------------------------------------------------------------------------------------------------

    def _read(self, name: str, chunk: bytes) -> Iterator[News]:
        lines = self._pending[name]
        for line, cut in lines.add(chunk) if chunk else lines.rest():
            if name == LOG:
                self._log.append(line)
                yield Logged(line)
            elif cut:
                yield Unreadable(
                    line[:200], _("A line of the worker is longer than {most} characters.").format(most=LONGEST_LINE)
                )
            elif line.strip():
                yield self._understood(line)

    @staticmethod
    def _understood(line: str) -> News:
        try:
            return Said(parse_event(line))
        except RequestError as error:
            return Unreadable(line[:200], str(error))

    def _look_for_end(self) -> list[News]:
        assert self._process is not None
        code = self._process.poll()
        if code is None:
            return []
        if self._gone_at is None:
            self._gone_at = self._clock()
            kill_tree(self._process)  # whatever it started and left
        if self._open_pipes and self._clock() - self._gone_at < PIPE_PATIENCE_S:
            return []
        last = [news for name in (LOG, EVENTS) for news in self._read(name, b"")]
        self._ended = True
        self._close_input()
        return [*last, Ended(code, self._told_to_end)]

    def _close_input(self) -> None:
        if self._process and self._process.stdin and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except OSError as error:  # unbuffered, so nothing of ours is lost
                self._log.append(_("(closing the worker's input: {reason})").format(reason=error))


class _Lines:
    """Bytes put together to lines: a chunk may end in the middle of a line or of a character."""

    def __init__(self, longest: int) -> None:
        self._longest, self._part, self._overlong = longest, b"", False

    def add(self, chunk: bytes) -> list[tuple[str, bool]]:
        """Whole lines, each with whether it was cut."""
        *whole, self._part = (self._part + chunk).split(b"\n")
        lines = []
        for line in whole:
            lines.append((_text(line[: self._longest]), self._overlong or len(line) > self._longest))
            self._overlong = False
        if len(self._part) > self._longest:
            self._part, self._overlong = self._part[: self._longest], True
        return lines

    def rest(self) -> list[tuple[str, bool]]:
        """What stands after the last line's end."""
        part, self._part = self._part, b""
        return [(_text(part), self._overlong)] if part else []


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").rstrip("\r")
