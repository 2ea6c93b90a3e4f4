"""Progress of a job: how far it is, how long it will take, often enough to watch and seldom enough to draw.

The pipeline calls back before every layer; here this becomes a few reports a second with the time that remains.
Seconds per stage start from those measured on one machine and are learnt anew from every job: the next scan of a session is
usually like the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

from diffugts.protocol import Quality, Stage

STAGE_MESSAGES: dict[Stage, str] = {
    Stage.READING: "Reading the scan",
    Stage.LOADING: "Loading the model",
    Stage.ENCODING: "Encoding the scan",
    Stage.ATTENDING: "Comparing the scan with the descriptions",
    Stage.INPAINTING: "Painting healthy tissue",
    Stage.REFINING: "Refining the findings",
    Stage.WRITING: "Writing the result",
}

MEASURED_S: dict[Stage, float] = {
    Stage.READING: 0.5,
    Stage.LOADING: 8.0,
    Stage.ENCODING: 6.5,
    Stage.ATTENDING: 1.0,
    Stage.INPAINTING: 11.0,
    Stage.REFINING: 0.5,
    Stage.WRITING: 0.65,
}
"""Seconds of each part of a stage, where the estimate starts from: processor time of one thread on an AMD EPYC for three
descriptions on a generated abdomen CT of 512 x 512 x 111 voxels, 306 ml of it found and painted anew, compact model, standard.
Loading is mostly the import of torch and MONAI, which the first job of a worker pays."""

ORDER = tuple(Stage)
REPORT_INTERVAL_S = 0.25
LEARNING_RATE = 0.5
DOUBT_S = 2.0
EARLIEST_ETA_SHARE = 0.15
"""Of an unknown machine and scan nothing is said of the remaining time before this share of the work is done."""


@dataclass(frozen=True)
class Progress:
    """One report: `done` of `total` steps of a stage; `eta_s` seconds to the end of the job, None while unknown;
    `fraction` of the whole job, 0..1, never falling."""

    stage: Stage
    done: int
    total: int
    message: str
    eta_s: float | None
    fraction: float

    def as_fields(self) -> dict[str, object]:
        """The fields of a `progress` event."""
        return {**asdict(self), "stage": self.stage.value}


FILES_OF_ALL = 3
"""Volumes that are written once, however many descriptions there are: pseudo-healthy scan, residual and segmentation."""


def parts_of(stage: Stage, descriptions: int) -> int:
    """How many equal parts a stage has with so many descriptions: each is looked for, and written, by itself."""
    if stage is Stage.ATTENDING:
        return descriptions
    return descriptions + FILES_OF_ALL if stage is Stage.WRITING else 1


class StageTimes:
    """Expected seconds per part of a stage, corrected by every finished job. Whoever runs several jobs owns one."""

    def __init__(self, seconds: Mapping[Stage, float] | None = None) -> None:
        self._seconds = dict(seconds or MEASURED_S)
        self.learnt = False
        """Whether a job has been seen on this machine."""

    def __getitem__(self, stage: Stage) -> float:
        return self._seconds[stage]

    def learn(self, measured: Mapping[Stage, float]) -> None:
        """Take in the seconds per part of the stages that a finished job went through."""
        for stage, seconds in measured.items():
            rate = LEARNING_RATE if self.learnt else 1.0
            self._seconds[stage] += rate * (max(seconds, 0.01) - self._seconds[stage])
        self.learnt = True


def stages_of(quality: Quality) -> tuple[Stage, ...]:
    """The stages that a job of this quality may go through; what is kept, or not found, is skipped over."""
    explaining = (Stage.INPAINTING, Stage.REFINING)
    return tuple(stage for stage in ORDER if quality is not Quality.FAST or stage not in explaining)


class ProgressTracker:
    """A job's progress callback: checks for cancelling at every call, reports at most every quarter of a second.

    Args:
        quality: decides which stages are expected.
        report: gets the reports.
        check: called first, at every call, with the stage; raises `Cancelled` to stop the job.
        times: expected seconds, learnt from when the job is `finished`.
        clock: seconds that only grow.
        descriptions: how many are looked for.
    """

    def __init__(
        self,
        quality: Quality,
        report: Callable[[Progress], None],
        check: Callable[[Stage], None] = lambda stage: None,
        times: StageTimes | None = None,
        clock: Callable[[], float] = time.monotonic,
        descriptions: int = 1,
    ) -> None:
        self._stages = stages_of(quality)
        self._parts = {stage: parts_of(stage, descriptions) for stage in Stage}
        self._report, self._check, self._clock = report, check, clock
        self._times = times or StageTimes()
        self._known_machine = self._times.learnt
        self._spent: dict[Stage, float] = {}
        self._stage: Stage | None = None
        self._stage_began = self._reported_at = clock()
        self._fraction = 0.0

    def __call__(self, stage: Stage, done: int, total: int) -> None:
        """Note that `done` of `total` steps of a stage are done. Raises what `check` raises."""
        self._check(stage)
        now = self._clock()
        entered = stage is not self._stage
        if entered:
            self._leave(now)
            self._stage, self._stage_began = stage, now
        if entered or now - self._reported_at >= REPORT_INTERVAL_S:
            self._reported_at = now
            self._report(self._progress(stage, done, total, now))

    def finished(self) -> None:
        """The job is done: its stages' times become the next job's expectation."""
        self._leave(self._clock())
        self._times.learn({stage: seconds / self._parts[stage] for stage, seconds in self._spent.items()})

    def _leave(self, now: float) -> None:
        if self._stage is not None:
            self._spent[self._stage] = self._spent.get(self._stage, 0.0) + now - self._stage_began

    def _progress(self, stage: Stage, done: int, total: int, now: float) -> Progress:
        share = min(max(done / total, 0.0), 1.0) if total > 0 else 0.0
        passed = [s for s in self._stages if ORDER.index(s) < ORDER.index(stage)]
        coming = [s for s in self._stages if ORDER.index(s) > ORDER.index(stage)]
        expected = {s: self._times[s] * self._parts[s] for s in Stage}
        expected_done = sum(expected[s] for s in passed if s in self._spent) + share * expected[stage]
        expected_left = (1 - share) * expected[stage] + sum(expected[s] for s in coming)
        fraction = expected_done / (expected_done + expected_left)
        self._fraction = max(self._fraction, fraction)
        spent = sum(self._spent.get(s, 0.0) for s in passed) + now - self._stage_began
        eta = None
        if self._known_machine or fraction >= EARLIEST_ETA_SHARE:
            # How much slower than expected this job is, doubted while little of it has been seen.
            pace = (spent + DOUBT_S) / (expected_done + DOUBT_S)
            eta = round(pace * expected_left, 1)
        return Progress(stage, int(done), int(total), STAGE_MESSAGES[stage], eta, round(self._fraction, 4))
