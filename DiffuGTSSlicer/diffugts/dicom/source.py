"""The DICOM series that a result belongs to: its headers in the order of the slices, and its grid."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, dcmread

from diffugts.errors import ScanError
from diffugts.scans.dicom import Slice, read_volume
from diffugts.scans.reading import dicom_volume
from diffugts.scans.scan import Geometry

REQUIRED = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality")
"""What an object that refers to an image has to know of it."""

EMPTY_WHERE_UNKNOWN = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
                       "AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator")  # fmt: skip
"""What every object has to hold, if only empty (type 2); exports often leave it out."""


@dataclass(frozen=True)
class SourceSeries:
    """A series as one volume.

    `slices` lie in the order of the grid `geometry`; `headers` are their data sets without pixels, one per file: as many
    as slices, or a single one of an enhanced multi-frame image.
    """

    slices: tuple[Slice, ...]
    geometry: Geometry
    headers: tuple[Dataset, ...]

    @property
    def enhanced(self) -> bool:
        """Whether all slices are frames of one multi-frame image."""
        return self.slices[0].frame is not None

    @cached_property
    def voxels(self) -> np.ndarray:
        """The scan's values, float32 (k, j, i), in HU or the scanner's unit."""
        return sitk.GetArrayFromImage(read_volume(self.slices, self.geometry))

    def header(self, k: int) -> Dataset:
        """The header of the file that slice `k` lies in."""
        return self.headers[0] if self.enhanced else self.headers[k]


def read_source(scan: Path, series: str | None = None) -> SourceSeries:
    """The DICOM series of a scan: its folder, or one image of it. Raises ScanError where it is none.

    `series` is its UID or number, where the folder holds several.
    """
    slices, geometry = dicom_volume(scan, series)
    paths = tuple(dict.fromkeys(each.path for each in slices))
    if slices[0].frame is not None and len(paths) > 1:
        raise ScanError(
            f"The series is stored in {len(paths)} multi-frame files. DICOM objects are written for single images or one "
            "multi-frame file only."
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of odd values in the scanner's own header
        headers = tuple(dcmread(path, stop_before_pixels=True) for path in paths)
    for header, path in zip(headers, paths):
        for keyword in EMPTY_WHERE_UNKNOWN:
            if keyword not in header:
                setattr(header, keyword, "")
        missing = [keyword for keyword in REQUIRED if not _single(header.get(keyword))]
        if missing:
            raise ScanError(
                f"The DICOM image '{path.name}' has no valid {missing[0]}, which whatever refers to it must name. Export the "
                "original series from the archive."
            )
    if len({(header.StudyInstanceUID, header.FrameOfReferenceUID) for header in headers}) > 1:
        raise ScanError(
            "The images of the DICOM series name different studies or frames of reference. Export the original series "
            "from the archive."
        )
    return SourceSeries(slices, geometry, headers)


def _single(value: object) -> bool:
    """Whether a value is one text that is not empty: damaged headers may hold several."""
    return isinstance(value, str) and bool(value.strip())
