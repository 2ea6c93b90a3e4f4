"""A job's state in words: what is done now, how much is left, how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from slicer.i18n import tr as _

from diffugts.protocol import Stage
from DiffuGTSSlicerLib.device_options import OTHER_MACHINE
from DiffuGTSSlicerLib.expected_cost import duration_in_words
from DiffuGTSSlicerLib.job import Job, JobState
from DiffuGTSSlicerLib.results import ImportedResult
from DiffuGTSSlicerLib.sentences_about import about

SEPARATOR = " · "
SHORT_S = 5.0
MOST_FAILURES = 3
"""Whose sentences are read under the button; the table has all."""


def progress_in_words(job: Job) -> str:
    """One line, such as "Painting healthy tissue 6 of 10 · 43 % · 20 s left"."""
    if job.cancelling:
        return _("Cancelling")
    progress = job.progress
    parts = [step_in_words(job)]
    if progress.fraction is not None:
        parts.append(_("{percent} %").format(percent=round(100 * progress.fraction)))
    if progress.eta_s is not None:
        time = _("a few seconds") if progress.eta_s < SHORT_S else duration_in_words(progress.eta_s)
        parts.append(_("{time} left").format(time=time))
    return SEPARATOR.join(parts)


def outcome_in_words(job: Job) -> str:
    """How a job ended: a line, and one for every note on it."""
    name = job.order.volume_name
    if job.state is not JobState.DONE:
        return about(name, job.reason)
    first = _("{volume}: {verdicts}.").format(volume=name, verdicts=_verdicts_in_words(job.result))
    return "\n".join([first, *job.notes])


def outcome_of_several_in_words(jobs: Sequence[Job]) -> str:
    """How jobs that were asked for together ended, such as "5 volumes: 3 done, 1 failed, 1 cancelled.", and why some failed."""
    counts = Counter(job.state for job in jobs)
    parts = [f"{counts[state]} {state_in_words(state)}" for state in JobState if counts[state]]
    first = _("{count} volumes: {outcomes}.").format(count=len(jobs), outcomes=", ".join(parts))
    failed = [outcome_in_words(job) for job in jobs if job.state is JobState.FAILED]
    shown = failed[:MOST_FAILURES] if len(failed) > MOST_FAILURES + 1 else failed
    if len(shown) < len(failed):
        shown.append(_("… and {count} more, in the table of all volumes.").format(count=len(failed) - len(shown)))
    return "\n".join([first, *shown])


def place_in_words(job: Job) -> str:
    """Which of the volumes that were asked for together a job is for, such as "CT liver, 2 of 5"."""
    number = 1 + next(n for n, each in enumerate(job.companions) if each is job)
    return _("{volume}, {number} of {count}").format(
        volume=job.order.volume_name, number=number, count=len(job.companions)
    )


def state_in_words(state: JobState) -> str:
    """A state for the log."""
    return {
        JobState.WAITING: _("waiting"),
        JobState.EXPORTING: _("being written for the worker"),
        JobState.RUNNING: _("running"),
        JobState.IMPORTING: _("being brought into the scene"),
        JobState.DONE: _("done"),
        JobState.FAILED: _("failed"),
        JobState.CANCELLED: _("cancelled"),
    }[state]


def step_in_words(job: Job) -> str:
    """What is done now, by the job's state and the stage that the worker is at."""
    progress = job.progress
    if job.state is not JobState.RUNNING:
        return {
            JobState.WAITING: _("Waiting"),
            JobState.EXPORTING: _("Writing the volume for the worker"),
            JobState.IMPORTING: _("Reading the result"),
        }.get(job.state, progress.message)
    if not progress.stage:
        return _("Starting the worker")
    elsewhere = job.order.device == OTHER_MACHINE
    if elsewhere and progress.stage == Stage.READING and not progress.total:
        return _("Waiting for the other machine, place {number} in its line").format(number=progress.done)
    words: dict[str, str] = {
        Stage.READING: _("Sending the scan") if elsewhere else _("Reading the scan"),
        Stage.LOADING: _("Loading the model"),
        Stage.ENCODING: _("Looking at the scan"),
        Stage.ATTENDING: _("Comparing it with the descriptions"),
        Stage.INPAINTING: _("Painting healthy tissue"),
        Stage.REFINING: _("Refining the findings"),
        Stage.WRITING: _("Writing and fetching the result") if elsewhere else _("Writing the result"),
    }
    text = words.get(progress.stage, progress.message)
    if progress.total <= 1:
        return text
    return _("{step} {done} of {total}").format(step=text, done=progress.done, total=progress.total)


def _verdicts_in_words(result: object) -> str:
    """How many descriptions were found, not found or uncertain, such as "1 found, 2 not found"."""
    if not isinstance(result, ImportedResult):
        return _("done")
    counts = Counter(finding.verdict for finding in result.record.findings)
    texts = {"found": _("{n} found"), "uncertain": _("{n} uncertain"), "not found": _("{n} not found")}
    return ", ".join(text.format(n=counts[verdict]) for verdict, text in texts.items() if counts[verdict])
