"""Work that takes longer than a moment, done between the events of the window."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import qt


class InSteps:
    """Carries out a generator's steps, each in a turn of the event loop of its own. Main thread."""

    def __init__(self) -> None:
        self._steps: Iterator[object] = iter(())
        self._ended: Callable[[Exception | None], None] = lambda error: None
        self._timer = qt.QTimer()
        self._timer.setInterval(0)
        self._timer.connect("timeout()", self._step)

    @property
    def busy(self) -> bool:
        """Whether there are steps left."""
        return bool(self._timer.active)

    def start(self, steps: Iterator[object], ended: Callable[[Exception | None], None]) -> None:
        """Do the first step now and the others later; `ended` is called with the error that ended it, or None."""
        self._steps, self._ended = steps, ended
        self._timer.start()
        self._step()

    def stop(self) -> None:
        """Leave the rest undone; nobody is told."""
        self._timer.stop()
        self._steps = iter(())

    def _step(self) -> None:
        try:
            next(self._steps)
        except StopIteration:
            self.stop()
            self._ended(None)
        except Exception as error:  # noqa: BLE001 - whoever asked for it says it
            self.stop()
            self._ended(error)
