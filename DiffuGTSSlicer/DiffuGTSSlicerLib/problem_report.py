"""What a developer needs to know of a job that failed, without anything about the patient."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from pathlib import Path

import slicer

from DiffuGTSSlicerLib.job import Job

LAST_LOG_LINES = 60
SHORTEST_HIDDEN = 3
"""Characters: hiding a name as short as "a" would hide that letter everywhere."""


def problem_report(job: Job, log: Iterable[str]) -> str:
    """A text for a report, in English: the reason, the details, the last lines of the log; names of volumes, descriptions and
    folders are left out."""
    order = job.order
    spacing = " x ".join(f"{length:.2f}" for length in order.geometry.spacing_mm)
    size = " x ".join(str(count) for count in order.geometry.dimensions)
    lines = [
        f"DiffuGTS in 3D Slicer {slicer.app.applicationVersion}, {platform.platform()}",
        f"Job: {job.state.value}; quality {order.quality.value}, device {order.device}, model {Path(order.model).name}",
        f"Volume: {size} voxels of {spacing} mm, {order.modality or 'modality not stated'}"
        + (", region chosen" if order.region else ""),
        f"Descriptions: {len(order.descriptions)} ({', '.join(str(len(text)) for text in order.descriptions)} characters)",
        f"Reason: {job.reason}",
        f"At: {job.progress.message} ({job.progress.done} of {job.progress.total})",
        "",
        job.details.strip() or "(no details)",
        "",
        "Log:",
        *list(log)[-LAST_LOG_LINES:],
    ]
    return _without_names("\n".join(lines), job)


def _without_names(text: str, job: Job) -> str:
    hidden = {
        str(job.folder): "(job folder)",
        str(job.folder.parent): "(folder)",
        str(Path.home()): "(home)",
        job.order.volume_name: "(volume)",
        **{description: f"(description {n})" for n, description in enumerate(job.order.descriptions, 1)},
    }
    for name in sorted(hidden, key=len, reverse=True):
        if len(name) >= SHORTEST_HIDDEN:
            text = text.replace(name, hidden[name])
    return text
