"""What calls `JobQueue.tick`: a Qt timer on the main thread."""

from __future__ import annotations

import logging
from collections.abc import Callable

import qt

INTERVAL_MS = 100


class Ticker:
    """Calls `tick` every `interval_ms` milliseconds between `start` and `stop`. A defect is logged; the calls go on."""

    def __init__(self, tick: Callable[[], None], interval_ms: int = INTERVAL_MS) -> None:
        self._tick = tick
        self._timer = qt.QTimer()
        self._timer.setInterval(interval_ms)
        self._timer.connect("timeout()", self._call)

    def start(self) -> None:
        """Begin to call."""
        self._timer.start()

    def stop(self) -> None:
        """Call no more."""
        self._timer.stop()

    def _call(self) -> None:
        try:
            self._tick()
        except Exception:  # noqa: BLE001 - PythonQt would print it and may stop the timer
            logging.exception("DiffuGTS: a step of the running job failed")
