"""How long a cohort will take: from the cases that are over, and from what the workers say of those they are at."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

LATEST = 30
"""Cases over whose seconds the mean is taken: the first ones load the model, and scans of one folder are alike."""


@dataclass
class _Running:
    began: float
    left_s: float | None = None
    said_at: float = 0.0


class RemainingTime:
    """Seconds to the end of a cohort of `cases`, with `workers` at once. `clock` gives seconds that only grow."""

    def __init__(self, cases: int, workers: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._left, self._workers, self._clock = cases, workers, clock
        self._running: dict[str, _Running] = {}
        self._took: deque[float] = deque(maxlen=LATEST)

    def began(self, case: str) -> None:
        """A worker has taken up a case."""
        self._running[case] = _Running(self._clock())

    def said(self, case: str, left_s: float | None) -> None:
        """The worker expects its case to take so many seconds more; None while it does not know."""
        if case in self._running and left_s is not None:
            self._running[case].left_s, self._running[case].said_at = left_s, self._clock()

    def ended(self, case: str) -> None:
        """A case is over; one that was never begun took no time."""
        running = self._running.pop(case, None)
        if running is not None:
            self._took.append(self._clock() - running.began)
        self._left -= 1

    def seconds(self) -> float | None:
        """Seconds to the end, None while nothing is known. Cases that wait are taken to last as long as the latest ones."""
        now = self._clock()
        known = {case: self._left_of(running, now) for case, running in self._running.items()}
        said = {case: left for case, left in known.items() if left is not None}
        lasted = list(self._took) or [now - self._running[case].began + left for case, left in said.items()]
        if not lasted:
            return None
        usual = sum(lasted) / len(lasted)
        left = [
            max(usual - (now - running.began), 0.0) if case not in said else said[case]
            for case, running in self._running.items()
        ]
        waiting = self._left - len(left)
        at_once = max(1, min(self._workers, self._left))
        return max((waiting * usual + sum(left)) / at_once, *left, 0.0)

    @staticmethod
    def _left_of(running: _Running, now: float) -> float | None:
        return None if running.left_s is None else max(running.left_s - (now - running.said_at), 0.0)
