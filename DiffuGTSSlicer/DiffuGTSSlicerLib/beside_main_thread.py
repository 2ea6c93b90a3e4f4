"""Work on another thread of Slicer's Python, which gets its turn while the window stays usable."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import qt

TURN_EVERY_MS = 20
GIVEN_WAY_S = 0.012
"""The main thread waits this long in every turn: more than half of the time is left to the window, whose own pauses the
other thread uses as well where it computes in numpy or unpacks."""


class BesideMainThread(ThreadPoolExecutor):
    """One thread that does what is submitted from the main thread, in order.

    Slicer's event loop holds on to the interpreter's lock (PyEval_SaveThread is called neither there nor in CTK), so that
    another thread runs only while Python itself runs on the main one, a moment per click or timer. Hence a timer that gives
    way as long as there is work: reading a large result would take minutes instead of seconds.
    """

    def __init__(self, name: str) -> None:
        super().__init__(1, thread_name_prefix=name)
        self._unfinished: set[Future[Any]] = set()
        self._timer = qt.QTimer()
        self._timer.setInterval(TURN_EVERY_MS)
        self._timer.connect("timeout()", self._give_way)

    def submit(self, act: Callable[..., Any], /, *args: Any, **named: Any) -> Future[Any]:
        """Do it when its turn comes. Main thread."""
        future = super().submit(act, *args, **named)
        self._unfinished.add(future)
        self._timer.start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; with `wait`, return when what has begun is done. Main thread."""
        self._timer.stop()
        super().shutdown(wait, cancel_futures=cancel_futures)

    def _give_way(self) -> None:
        self._unfinished = wait(self._unfinished, GIVEN_WAY_S, FIRST_COMPLETED).not_done
        if not self._unfinished:
            self._timer.stop()
