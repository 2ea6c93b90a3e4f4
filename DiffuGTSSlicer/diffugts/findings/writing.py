"""Writing a result: volumes on the scan's own grid, the segmentation, the lesion table, `result.json`.

For every description a score map and, as NIfTI, a label volume; as NRRD one segmentation file with a segment per
description. Pseudo-healthy scan, residual and hole where something was inpainted. The manifest comes last.
"""

from __future__ import annotations

import datetime
import hashlib
import platform
import re
import time
import unicodedata
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from diffugts import __version__
from diffugts.errors import ResultError
from diffugts.findings.finding import Finding, Segmentation
from diffugts.findings.lesion_table import write_lesion_table
from diffugts.findings.result_folder import require_result_folder, whole_folder
from diffugts.findings.segments import Segment, write_segments
from diffugts.findings.volumes import write_volume
from diffugts.protocol import (
    FileRecord,
    FindingRecord,
    Grid,
    LesionRecord,
    MaskRecord,
    ProgressCallback,
    Provenance,
    Request,
    ResultManifest,
    Stage,
    sha256_of,
)
from diffugts.protocol.colours import colour
from diffugts.protocol.manifest import CANCELLED, DONE
from diffugts.scans.scan import Geometry

__all__ = ["require_result_folder", "slug", "write_segmentation"]

EXTENSIONS = {"nrrd": ".nrrd", "nifti": ".nii.gz"}

INVISIBLE_SCORE = 0.004
"""Scores below this are written as 0: one part in 255 cannot be seen, and zeros compress many times better and faster."""

NAMED_VERSIONS = ("torch", "monai", "diffusers", "transformers", "SimpleITK", "numpy")


def write_segmentation(
    segmentation: Segmentation,
    request: Request,
    folder: Path,
    progress: ProgressCallback | None = None,
    picture: bool = False,
) -> ResultManifest:
    """Write all of a segmentation into `folder` and return its manifest; `picture` adds one of each finding.

    `folder` appears as a whole: after an error, or `Cancelled` from `progress`, it is as it was before. A whole and
    unchanged earlier result in it is replaced, which the manifest notes; raises ResultError where the folder holds
    anything else, or cannot be written.
    """
    folder = folder.expanduser().resolve()
    earlier = require_result_folder(folder)
    notes = list(segmentation.notes)
    if earlier is not None:
        notes.append(f"The earlier result in this folder, of {earlier.provenance.created_utc}, was replaced.")
    if segmentation.cancelled:
        finished, asked = len(segmentation.findings), len(segmentation.findings) + len(segmentation.unfinished)
        notes.append(
            f"The job was cancelled when {finished} of {asked} descriptions were finished; only these are here."
        )
    try:
        with whole_folder(folder) as temporary:
            manifest = _write_all(segmentation, request, temporary, folder, notes, progress, picture)
    except OSError as error:
        raise ResultError(
            f"Writing the result to '{folder}' failed: {error.strerror or error}. Free some space or choose another "
            "folder; nothing half-written was left."
        ) from error
    return manifest


def slug(text: str, longest: int = 40) -> str:
    """A description as part of a file name: plain letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:longest].strip("-") or "finding"


@dataclass(frozen=True)
class _Step:
    """One file to write: its role and name, the description it belongs to, and what writes it."""

    role: str
    name: str
    description: int | None
    write: Callable[[Path], None]


def _write_all(
    segmentation: Segmentation,
    request: Request,
    temporary: Path,
    folder: Path,
    notes: list[str],
    progress: ProgressCallback | None,
    picture: bool,
) -> ResultManifest:
    began = time.perf_counter()
    steps = _steps(segmentation, request, picture)
    files = []
    for done, step in enumerate(steps):
        if progress:
            progress(Stage.WRITING, done, len(steps))
        path = temporary / step.name
        step.write(path)
        files.append(FileRecord(step.role, step.name, path.stat().st_size, sha256_of(path), step.description))
    if progress:
        progress(Stage.WRITING, len(steps), len(steps))
    manifest = ResultManifest(
        findings=tuple(_record(finding, number) for number, finding in enumerate(segmentation.findings)),
        files=tuple(files),
        provenance=_provenance(segmentation, request, time.perf_counter() - began),
        geometry=_grid(segmentation.scan.geometry),
        notes=tuple(notes),
        status=CANCELLED if segmentation.cancelled else DONE,
        unfinished=segmentation.unfinished,
        folder=folder,
    )
    manifest.write(temporary)
    return manifest


def _steps(segmentation: Segmentation, request: Request, picture: bool) -> list[_Step]:
    geometry, end = segmentation.scan.geometry, EXTENSIONS[request.image_format]
    steps: list[_Step] = []
    for number, finding in enumerate(segmentation.findings):
        name = f"{number + 1:02d}-{slug(finding.description)}"
        steps.append(_Step("score map", f"{name}-score{end}", number, _score_map(finding, geometry)))
        if request.image_format == "nifti":
            steps.append(_Step("label", f"{name}-label{end}", number, _volume(finding.mask, geometry)))
        if picture:
            steps.append(_Step("picture", f"{name}.png", number, _picture(segmentation, finding)))
    if request.image_format == "nrrd":
        steps.append(_Step("segmentation", "segmentation.seg.nrrd", None, _segments(segmentation)))
    for role, array in (
        ("pseudo-healthy", segmentation.pseudo_healthy),
        ("residual", segmentation.residual),
        ("hole", segmentation.hole),
    ):
        if array is not None:
            steps.append(_Step(role, f"{role}{end}", None, _volume(array, geometry)))
    findings = segmentation.findings
    steps.append(_Step("lesion table", "findings.csv", None, lambda path: write_lesion_table(findings, path)))
    return steps


def _volume(array: np.ndarray, geometry: Geometry) -> Callable[[Path], None]:
    return lambda path: write_volume(geometry.image(array), path)


def _score_map(finding: Finding, geometry: Geometry) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        score = finding.score_map.astype(np.float32)  # a copy, made when its turn comes: a map takes 100 MB
        score[score < INVISIBLE_SCORE] = 0
        write_volume(geometry.image(score), path)

    return write


def _segments(segmentation: Segmentation) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        segments = [
            Segment(_segment_id(number), finding.description, colour(number), finding.mask)
            for number, finding in enumerate(segmentation.findings)
        ]
        write_segments(segments, segmentation.scan.geometry, path)

    return write


def _picture(segmentation: Segmentation, finding: Finding) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        from diffugts.findings.picture import draw_picture  # matplotlib only where a picture is asked for

        draw_picture(segmentation, finding, path)

    return write


def _record(finding: Finding, number: int) -> FindingRecord:
    return FindingRecord(
        description=finding.description,
        verdict=finding.verdict.value,
        highest_score=float(finding.highest_score),
        anomaly_score=float(finding.anomaly_score),
        threshold=float(finding.threshold),
        volume_ml=float(finding.volume_ml),
        lesions=tuple(LesionRecord(**asdict(lesion)) for lesion in finding.lesions),
        notes=tuple(finding.notes),
        segment_id=_segment_id(number),
        colour=colour(number),
    )


def _segment_id(number: int) -> str:
    return f"finding_{number + 1}"


def _grid(geometry: Geometry) -> Grid:
    return Grid(geometry.size, geometry.spacing_mm, geometry.origin_mm, geometry.direction)  # type: ignore[arg-type]


def _provenance(segmentation: Segmentation, request: Request, write_s: float) -> Provenance:
    timings = {**segmentation.timings_s, "write_s": write_s}
    return Provenance(
        program_version=__version__,
        descriptions=request.descriptions,
        model=segmentation.model.name,
        weights_sha256=segmentation.model.weights_sha256,
        quality=segmentation.quality.value,
        thresholds=tuple(float(finding.threshold) for finding in segmentation.findings),
        smallest_lesion_ml=float(request.smallest_lesion_ml),
        region=request.region,
        modality=segmentation.scan.modality,
        sequence=segmentation.scan.sequence,
        seed=int(segmentation.seed),
        device=segmentation.device,
        timings_s={name: round(float(value), 3) for name, value in timings.items()},
        versions={"python": platform.python_version(), **{name: _version(name) for name in NAMED_VERSIONS}},
        created_utc=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        mask=_mask_record(segmentation),
    )


def _mask_record(segmentation: Segmentation) -> MaskRecord | None:
    mask = segmentation.rough_mask
    if mask is None:
        return None
    digest = hashlib.sha256(np.ascontiguousarray(mask, np.uint8).data)
    return MaskRecord(int(mask.sum()) * segmentation.scan.geometry.voxel_ml, digest.hexdigest())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # part of an application that ships libraries without their metadata
        return "unknown"
