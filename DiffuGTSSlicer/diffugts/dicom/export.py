"""A result written as DICOM: into one folder, as files, whole or not at all. Nothing is sent anywhere."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom import Dataset

from diffugts.dicom.identity import Maker
from diffugts.dicom.placement import placement, require_same_scan
from diffugts.dicom.read_back import require_same_voxels
from diffugts.dicom.result_volumes import ResultVolumes
from diffugts.dicom.segmentations import binary_segmentation, score_segmentations
from diffugts.dicom.source import read_source
from diffugts.dicom.synthetic_series import synthetic_series
from diffugts.errors import ResultError
from diffugts.findings.result_folder import LEFT_BY_THE_SYSTEM, whole_folder
from diffugts.findings.writing import slug

SEGMENTATION_FILE = "segmentation.dcm"
SYNTHETIC_FOLDER = "pseudo-healthy"


@dataclass(frozen=True)
class Written:
    """What was written into `folder`: the files' names in it, and sentences for the user."""

    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]


def export_result(
    result: Path,
    scan: Path,
    folder: Path,
    series: str | None = None,
    score_maps: bool = True,
    pseudo_healthy: bool = True,
) -> Written:
    """Write the result in `result` as DICOM objects of the series that it was made from, into a new `folder`.

    `scan` is the series' folder or one image of it, `series` its UID or number where the folder holds several. Raises
    ScanError where `scan` is no DICOM series, ResultError where the result is not whole, was not made from this series, or
    cannot be written; `folder` is then as it was before.
    """
    folder = folder.expanduser().resolve()
    require_free(folder)
    volumes = ResultVolumes.load(result)
    source = read_source(scan, series)
    placed = placement(volumes.geometry, source.geometry)
    notes = list(require_same_scan(volumes, placed, source))
    maker, findings = Maker.of(volumes.manifest), volumes.manifest.findings

    def mask(number: int) -> np.ndarray:
        return placed.onto_series(volumes.mask(number))

    def objects() -> Iterator[tuple[str, Dataset]]:
        yield SEGMENTATION_FILE, binary_segmentation(source, findings, mask, maker)
        if score_maps:
            maps = score_segmentations(source, findings, lambda n: placed.onto_series(volumes.score_map(n)), maker)
            for number, scores in enumerate(maps):
                yield f"{number + 1:02d}-{slug(findings[number].description)}-score.dcm", scores
        healthy = volumes.pseudo_healthy() if pseudo_healthy else None
        if healthy is not None:
            for number, image in enumerate(synthetic_series(source, placed.onto_series(healthy), maker)):
                yield f"{SYNTHETIC_FOLDER}/{number + 1:04d}.dcm", image

    names = []
    try:
        with whole_folder(folder) as temporary, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd values that the scanner's own headers hold
            for name, dataset in objects():
                (temporary / name).parent.mkdir(exist_ok=True)
                dataset.save_as(temporary / name, enforce_file_format=True)
                names.append(name)
            require_same_voxels(temporary / SEGMENTATION_FILE, source, mask)
    except OSError as error:
        raise ResultError(
            f"Writing DICOM to '{folder}' failed: {error.strerror or error}. Free some space or choose another folder; "
            "nothing half-written was left."
        ) from error
    if pseudo_healthy and volumes.manifest.file("pseudo-healthy") is None:
        notes.append("The result holds no pseudo-healthy volume, so none was written.")
    return Written(folder, tuple(names), tuple(notes))


def require_free(folder: Path) -> None:
    """Raise ResultError unless `folder` is empty or not there yet: DICOM objects already written may have been sent."""
    if folder.exists() and not folder.is_dir():
        raise ResultError(f"DICOM cannot be written to '{folder}': it is a file. Give a folder.")
    if folder.is_dir() and {entry.name for entry in folder.iterdir()} - LEFT_BY_THE_SYSTEM:
        raise ResultError(f"The folder '{folder}' is not empty; what is in it is not touched. Give another folder.")
