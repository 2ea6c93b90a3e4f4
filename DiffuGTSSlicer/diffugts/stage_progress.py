"""How far a stage is, and how long it took: what the pipeline tells while it works."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from diffugts.protocol import ProgressCallback, Stage


class StageProgress:
    """Turns 'one more layer' into progress of a stage; with `done` -1 the first call tells of the stage's beginning."""

    def __init__(self, progress: ProgressCallback | None, stage: Stage, total: int, done: int = 0) -> None:
        self.progress, self.stage, self.total, self.done = progress, stage, total, done

    def __call__(self) -> None:
        self.done += 1
        self.again()

    def again(self) -> None:
        """Tell the same once more: whoever listens may raise Cancelled in the middle of a step, too."""
        if self.progress:
            self.progress(self.stage, min(self.done, self.total), self.total)


@contextmanager
def timed(timings_s: dict[str, float], name: str) -> Iterator[None]:
    """Add the seconds spent inside to `timings_s[name]`."""
    start = time.perf_counter()
    yield
    timings_s[name] = timings_s.get(name, 0.0) + time.perf_counter() - start
