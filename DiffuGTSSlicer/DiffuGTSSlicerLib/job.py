"""One request of the user, from the click to the nodes in the scene: what was asked, frozen, and how far it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from diffugts.protocol import Choices
from diffugts.protocol.job_folder import JobFolder
from diffugts.protocol.request import checked_descriptions
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry


class JobState(Enum):
    """Where a job stands."""

    WAITING = "waiting"
    EXPORTING = "exporting"
    RUNNING = "running"
    IMPORTING = "importing"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen."""
        return self in (JobState.DONE, JobState.FAILED, JobState.CANCELLED)


ENDINGS = frozenset({JobState.FAILED, JobState.CANCELLED})

NEXT_STATES: dict[JobState, frozenset[JobState]] = {
    JobState.WAITING: ENDINGS | {JobState.EXPORTING},
    JobState.EXPORTING: ENDINGS | {JobState.RUNNING},
    JobState.RUNNING: ENDINGS | {JobState.IMPORTING},
    JobState.IMPORTING: ENDINGS | {JobState.DONE},
    JobState.DONE: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELLED: frozenset(),
}


@dataclass(frozen=True)
class Order(Choices):
    """What was asked, as it was when the user clicked: nothing of it follows a selector or a node afterwards.

    `volume_id` is the node's ID in the scene; `geometry` the grid in world coordinates, parent transforms applied;
    `parent_item` the subject hierarchy item (study) that the volume lay under, 0 for none. Raises RequestError as
    `Request` does: what the worker would refuse is refused at the click.
    """

    volume_id: str
    volume_name: str
    geometry: VolumeGeometry
    descriptions: tuple[str, ...]
    parent_item: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "descriptions", checked_descriptions(self.descriptions))
        super().__post_init__()


@dataclass(frozen=True)
class JobProgress:
    """How far a running job is: `fraction` of the whole 0..1, None while unknown; `eta_s` seconds to the end, or None."""

    message: str
    stage: str = ""
    done: int = 0
    total: int = 0
    fraction: float | None = None
    eta_s: float | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> JobProgress:
        """What a `progress` event says; `fraction` is not among the fields that every worker must send."""
        fraction = fields.get("fraction")
        if isinstance(fraction, bool) or not isinstance(fraction, (int, float)) or not 0 <= fraction <= 1:
            fraction = 0.0
        stated = {name: fields[name] for name in ("message", "stage", "done", "total", "eta_s")}
        return cls(fraction=float(fraction), **stated)


@dataclass(eq=False)
class Job(JobFolder):
    """One order being carried out in a folder of its own.

    `reason` is the sentence that says why it failed or was cancelled, and what is kept; `details` what a developer asks for.
    `result` is what the import returned: of a cancelled job what was finished, None where nothing was. `companions` are the
    jobs that were asked for together, this one too; empty where it was asked for by itself. Every change calls `listeners`
    with the job.
    """

    name: str
    order: Order
    folder: Path
    state: JobState = JobState.WAITING
    cancelling: bool = False
    progress: JobProgress = field(default_factory=lambda: JobProgress("Waiting"))
    reason: str = ""
    details: str = ""
    notes: list[str] = field(default_factory=list)
    result: object | None = None
    companions: tuple[Job, ...] = field(default=(), repr=False)
    listeners: list[Callable[[Job], None]] = field(default_factory=list)

    @property
    def follows_a_companion(self) -> bool:
        """Whether another job that was asked for together with this one has brought a result already."""
        return any(other.result is not None for other in self.companions if other is not self)

    def move_to(self, state: JobState, reason: str = "", details: str = "") -> None:
        """Change the state. Raises ValueError for a change that makes no sense."""
        if state not in NEXT_STATES[self.state]:
            raise ValueError(f"a job that is {self.state.value} cannot become {state.value}")
        self.state, self.reason, self.details = state, reason, details
        if state.over:
            self.cancelling = False
        self.tell()

    def advance(self, progress: JobProgress) -> None:
        """Note how far the job is."""
        self.progress = progress
        self.tell()

    def tell(self) -> None:
        """Call every listener; a listener's defect is logged and stops neither the others nor the job."""
        for listener in tuple(self.listeners):
            try:
                listener(self)
            except Exception:  # noqa: BLE001 - whatever a panel does wrong, the job goes on
                logging.exception("A listener of the DiffuGTS job '%s' failed", self.name)
