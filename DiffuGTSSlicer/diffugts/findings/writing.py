"""Writing a result: volumes on the scan's own grid, the segmentation, the lesion table, `result.json`.

Everything is written into a hidden folder beside the target and moved into place as a whole: an interrupted job
leaves no half result, and an earlier result stays until the new one is complete.
"""

from __future__ import annotations

import csv
import datetime
import os
import platform
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts import __version__
from diffugts.errors import ResultError
from diffugts.findings.colours import colour
from diffugts.findings.finding import Finding, Segmentation
from diffugts.findings.segments import Segment, write_segments
from diffugts.protocol import (
    FileRecord,
    FindingRecord,
    LesionRecord,
    ProgressCallback,
    Request,
    ResultManifest,
    Stage,
    sha256_of,
)
from diffugts.protocol.manifest import FILE_NAME
from diffugts.scans.scan import Geometry

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
    """Write all of a segmentation into `folder` and return its manifest.

    A folder that holds an earlier result of this program is replaced; one that holds anything else is refused with a
    ResultError, as is one that cannot be written.
    """
    require_result_folder(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.part-", dir=folder.parent))
    except OSError as error:
        raise ResultError(
            f"The result cannot be written to '{folder}': {error.strerror or error}. Choose another folder."
        ) from error
    try:
        manifest = _write_all(segmentation, request, temporary, progress, picture)
        _move_into_place(temporary, folder)
    except OSError as error:
        raise ResultError(
            f"Writing the result to '{folder}' failed: {error.strerror or error}. Free some space or choose another folder; "
            "nothing half-written was left."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return ResultManifest(
        manifest.findings, manifest.files, manifest.provenance, manifest.geometry, manifest.notes, folder
    )


def slug(text: str, longest: int = 40) -> str:
    """A description as part of a file name: plain letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")[:longest].strip("-") or "finding"


def _write_all(
    segmentation: Segmentation, request: Request, folder: Path, progress: ProgressCallback | None, picture: bool
) -> ResultManifest:
    steps = _steps(segmentation, request, folder, picture)
    files = []
    for done, (role, name, number, write) in enumerate(steps):
        if progress:
            progress(Stage.WRITING, done, len(steps))
        write(folder / name)
        files.append(FileRecord(role, name, (folder / name).stat().st_size, sha256_of(folder / name), number))
    if progress:
        progress(Stage.WRITING, len(steps), len(steps))
    geometry = segmentation.scan.geometry
    manifest = ResultManifest(
        findings=tuple(_record(finding, number) for number, finding in enumerate(segmentation.findings)),
        files=tuple(files),
        provenance=_provenance(segmentation, request),
        geometry={
            "size": list(geometry.size),
            "spacing_mm": list(geometry.spacing_mm),
            "origin_mm": list(geometry.origin_mm),
            "direction": list(geometry.direction),
        },
        notes=tuple(segmentation.notes),
    )
    manifest.write(folder)
    return manifest


_Step = tuple[str, str, int | None, Callable[[Path], None]]


def _steps(segmentation: Segmentation, request: Request, folder: Path, picture: bool) -> list[_Step]:
    geometry, end = segmentation.scan.geometry, EXTENSIONS[request.image_format]
    steps: list[_Step] = []
    for number, finding in enumerate(segmentation.findings):
        name = f"{number + 1:02d}-{slug(finding.description)}"
        score = np.where(finding.score_map < INVISIBLE_SCORE, np.float32(0), finding.score_map)
        steps.append(("score map", f"{name}-score{end}", number, _volume(score, geometry)))
        if request.image_format == "nifti":
            steps.append(("label", f"{name}-label{end}", number, _volume(finding.mask.astype(np.uint8), geometry)))
        if picture:
            steps.append(("picture", f"{name}.png", number, _picture(segmentation, finding)))
    if request.image_format == "nrrd":
        segments = [
            Segment(_segment_id(number), finding.description, colour(number), finding.mask)
            for number, finding in enumerate(segmentation.findings)
        ]
        steps.append(
            ("segmentation", "segmentation.seg.nrrd", None, lambda path: write_segments(segments, geometry, path))
        )
    for role, array in (
        ("pseudo-healthy", segmentation.pseudo_healthy),
        ("residual", segmentation.residual),
        ("hole", segmentation.hole),
    ):
        if array is not None:
            values = array.astype(np.uint8) if array.dtype == bool else array
            steps.append((role, f"{role}{end}", None, _volume(values, geometry)))
    steps.append(("lesion table", "findings.csv", None, lambda path: _write_table(segmentation, path)))
    return steps


def _volume(array: np.ndarray, geometry: Geometry) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        writer = sitk.ImageFileWriter()
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressionLevel(1)
        writer.Execute(geometry.image(array))

    return write


def _picture(segmentation: Segmentation, finding: Finding) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        from diffugts.findings.picture import draw_picture

        draw_picture(segmentation, finding, path)

    return write


def _write_table(segmentation: Segmentation, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(
            ["description", "verdict", "lesion", "volume_ml", "longest_axial_diameter_mm"]
            + ["r_mm", "a_mm", "s_mm", "mean_intensity", "mean_score", "highest_score"]
        )
        for finding in segmentation.findings:
            text = _cell(finding.description)
            if not finding.lesions:
                table.writerow(
                    [text, finding.verdict.value, "", "0", "", "", "", "", "", "", f"{finding.highest_score:.4f}"]
                )
            for lesion in finding.lesions:
                numbers = (
                    lesion.volume_ml,
                    lesion.longest_axial_diameter_mm,
                    *lesion.centroid_ras_mm,
                    lesion.mean_intensity,
                    lesion.mean_score,
                    lesion.highest_score,
                )
                table.writerow([text, finding.verdict.value, lesion.label, *(f"{n:.4f}" for n in numbers)])


def _cell(text: str) -> str:
    """A description that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(("=", "+", "-", "@", "\t")) else text


def _record(finding: Finding, number: int) -> FindingRecord:
    return FindingRecord(
        description=finding.description,
        verdict=finding.verdict.value,
        highest_score=finding.highest_score,
        anomaly_score=finding.anomaly_score,
        threshold=finding.threshold,
        volume_ml=finding.volume_ml,
        lesions=tuple(LesionRecord(**lesion.__dict__) for lesion in finding.lesions),
        notes=tuple(finding.notes),
        segment_id=_segment_id(number),
        colour=colour(number),
    )


def _segment_id(number: int) -> str:
    return f"finding_{number + 1}"


def _provenance(segmentation: Segmentation, request: Request) -> dict[str, object]:
    """How the result was made. The scan's path is left out: folder names often hold a patient's."""
    return {
        "program": "DiffuGTS",
        "program_version": __version__,
        "research_use_only": True,
        "descriptions": list(request.descriptions),
        "model": segmentation.model.name,
        "weights_sha256": segmentation.model.weights_sha256,
        "quality": segmentation.quality.value,
        "thresholds": [finding.threshold for finding in segmentation.findings],
        "smallest_lesion_ml": request.smallest_lesion_ml,
        "region": request.region.__dict__ if request.region else None,
        "modality": segmentation.scan.modality,
        "sequence": segmentation.scan.sequence,
        "seed": segmentation.seed,
        "device": segmentation.device,
        "timings_s": {name: round(value, 3) for name, value in segmentation.timings_s.items()},
        "versions": {"python": platform.python_version(), **{name: metadata.version(name) for name in NAMED_VERSIONS}},
        "created_utc": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def require_result_folder(folder: Path) -> None:
    """Raise ResultError where `folder` holds something that is not an earlier result of this program."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ResultError(f"The result cannot be written to '{folder}': it is a file. Give a folder.")
    if any(folder.iterdir()) and not (folder / FILE_NAME).is_file():
        raise ResultError(
            f"The folder '{folder}' holds files that are not a result of this program; they are not touched. Give another folder."
        )


def _move_into_place(temporary: Path, folder: Path) -> None:
    os.chmod(temporary, 0o755)
    if not folder.exists():
        os.replace(temporary, folder)
        return
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    os.replace(folder, old)
    try:
        os.replace(temporary, folder)
    except OSError:
        os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
