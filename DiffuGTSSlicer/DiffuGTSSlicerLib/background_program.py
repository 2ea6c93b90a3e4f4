"""A short-lived program beside Slicer: started, listened to, ended, without ever waiting for it.

The worker has a runner of its own (`worker_process`); this one is for programs that print lines of JSON, or one report,
and end by themselves: installing, removing and checking packages.
"""

from __future__ import annotations

import io
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from DiffuGTSSlicerLib.process_tree import kill_tree, start_apart

DRAIN_S = 0.02
STOP_GRACE_S = 3.0
OUTPUT, LOG = "output", "log"


class BackgroundProgram:
    """One run of a program. `drain` is called by a timer on the main thread until it has called `on_end`.

    Args:
        line: the program and its arguments.
        environment: all of its environment.
        on_output: is given every line of standard output.
        on_log: is given every line of standard error.
        on_end: is given the exit code, once, last.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        line: Sequence[str | Path],
        environment: Mapping[str, str],
        on_output: Callable[[str], None],
        on_log: Callable[[str], None],
        on_end: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._line, self._environment, self._clock = [str(part) for part in line], environment, clock
        self._receivers = {OUTPUT: on_output, LOG: on_log}
        self._on_end = on_end
        self._lines: queue.Queue[tuple[str, str | None]] = queue.Queue()
        self._open = {OUTPUT, LOG}
        self._kill_at: float | None = None
        self._gone_at: float | None = None
        self._ended = False

    def start(self) -> None:
        """Start it. Raises OSError or ValueError where the system cannot."""
        self._process = start_apart(self._line, self._environment)
        for name, pipe in ((OUTPUT, self._process.stdout), (LOG, self._process.stderr)):
            threading.Thread(target=self._move, args=(name, pipe), name=f"setup {name}", daemon=True).start()

    def drain(self) -> None:
        """Hand on what has come. Main thread; takes milliseconds."""
        if self._ended:
            return
        if self._kill_at is not None and self._clock() >= self._kill_at:
            self._kill_at = None
            kill_tree(self._process)
        began = time.perf_counter()
        while time.perf_counter() - began < DRAIN_S:
            try:
                name, text = self._lines.get_nowait()
            except queue.Empty:
                return self._look_for_end()
            if text is None:
                self._open.discard(name)
            else:
                self._receivers[name](text)

    def stop(self) -> None:
        """Ask it to end by closing its input; it is made to after some seconds. Returns at once."""
        self._close_input()
        if self._kill_at is None:
            self._kill_at = self._clock() + STOP_GRACE_S

    def kill(self) -> None:
        """End it and everything it started, now, and hear no more of it."""
        self._ended = True
        self._close_input()
        kill_tree(self._process)

    def _look_for_end(self) -> None:
        code = self._process.poll()
        if code is None:
            return
        if self._gone_at is None:
            self._gone_at = self._clock()
            kill_tree(self._process)  # whatever it started and left
        if self._open and self._clock() - self._gone_at < 1.0:
            return
        self._ended = True
        self._close_input()
        self._on_end(code)

    def _move(self, name: str, pipe: io.RawIOBase) -> None:
        for line in io.BufferedReader(pipe):
            self._lines.put((name, line.decode("utf-8", "replace").rstrip()))
        self._lines.put((name, None))

    def _close_input(self) -> None:
        if self._process.stdin and not self._process.stdin.closed:
            try:
                self._process.stdin.close()
            except OSError:
                pass  # nothing was ever written to it
