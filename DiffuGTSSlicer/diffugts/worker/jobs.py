"""The worker's jobs: one runs, the others wait in line.

Commands arrive on one thread, jobs run on another; this is the only object that both touch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from diffugts.errors import Cancelled, RequestError
from diffugts.protocol import Event, Stage


@dataclass(eq=False)
class Job:
    """One request to carry out: the name that its events bear, and its request file.

    A job that is `cancelled` still writes what was finished; one that is `abandoned` leaves nothing.
    """

    name: str
    request: Path
    cancelled: threading.Event = field(default_factory=threading.Event)
    abandoned: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        """Have the job stop; asked again, have it also keep nothing."""
        if self.cancelled.is_set():
            self.abandoned.set()
        self.cancelled.set()

    def abandon(self) -> None:
        """Have the job stop and keep nothing: nobody waits for it any more."""
        self.abandoned.set()
        self.cancelled.set()

    def check(self, stage: Stage) -> None:
        """Raise Cancelled once the job is to stop. What is being written is finished, unless the job is abandoned."""
        if self.abandoned.is_set() or (self.cancelled.is_set() and stage is not Stage.WRITING):
            raise Cancelled("The job was cancelled.")


class Turn(Enum):
    """What is next when it is not a job."""

    IDLE = "nothing came for a while"
    RELEASE = "the model and the scans are to be let go"
    CLOSED = "no more jobs"


class JobQueue:
    """Jobs in order of arrival. `tell` gets the events of waiting jobs: their positions, their cancelling.

    Events are told under the lock, so that a job's `queued` never comes after its first progress.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._release = self._closed = False

    @property
    def closed(self) -> bool:
        """Whether no further job will be run."""
        return self._closed

    def add(self, name: str, request: Path) -> None:
        """Put a job in line. Raises RequestError where one of this name is running or waiting."""
        with self._changed:
            if self._closed:
                return
            if name in {job.name for job in (self._running, *self._waiting) if job}:
                raise RequestError(f"There is a job '{name:.80}' already. Give every job a name of its own.")
            self._waiting.append(Job(name, request))
            if self._running or len(self._waiting) > 1:
                self._tell(Event("queued", {"job": name, "position": len(self._waiting)}))
            self._changed.notify_all()

    def cancel(self, name: str) -> bool:
        """Cancel a job: a waiting one leaves the line, a running one is asked to stop. False where there is none."""
        with self._changed:
            if self._running and self._running.name == name:
                self._running.cancel()
                return True
            for job in self._waiting:
                if job.name == name:
                    self._waiting.remove(job)
                    self._tell(Event("cancelled", {"job": name}))
                    self._tell_positions()
                    return True
        return False

    def ask_for_release(self) -> None:
        """Have `Turn.RELEASE` come next, once the running job is over."""
        with self._changed:
            self._release = True
            self._changed.notify_all()

    def close(self) -> None:
        """Take no more jobs, cancel those that wait, have the running one stop and keep nothing."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            if self._running:
                self._running.abandon()
            while self._waiting:
                self._tell(Event("cancelled", {"job": self._waiting.popleft().name}))
            self._changed.notify_all()

    def next(self, patience_s: float | None) -> Job | Turn:
        """Wait for what is to be done next; `Turn.IDLE` after `patience_s` seconds without anything."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._release or bool(self._waiting), patience_s)
            if self._closed:
                return Turn.CLOSED
            if self._release:
                self._release = False
                return Turn.RELEASE
            if not self._waiting:
                return Turn.IDLE
            self._running = self._waiting.popleft()
            self._tell_positions()
            return self._running

    def finish(self) -> None:
        """The running job is over, whatever became of it; its name is free again."""
        with self._changed:
            self._running = None

    def _tell_positions(self) -> None:
        for position, job in enumerate(tuple(self._waiting), start=1):
            self._tell(Event("queued", {"job": job.name, "position": position}))
