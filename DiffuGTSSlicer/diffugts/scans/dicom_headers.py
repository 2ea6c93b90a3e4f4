"""What a folder holds of DICOM: its images with their places, by series, read from their headers alone.

Headers are read by GDCM; those of enhanced multi-frame images, whose frames have a place each, by pydicom
(`dicom_frames.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import ScanError
from diffugts.scans.dicom_structure import elements_fit, is_dicom, may_be_dicom
from diffugts.scans.integrity import dicom_pixels_are_whole

ORIENTATION_TOLERANCE = 1e-3

ENHANCED_CLASSES = frozenset({
    "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.2.2",  # enhanced CT, and converted to it
    "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.4.4",  # enhanced MR, and converted to it
})  # fmt: skip
"""SOP classes whose frames have places of their own."""

PART_TAGS = {
    "0020|0012": "acquisition",
    "0020|0100": "time point",
    "0018|0081": "echo time",
    "0018|9087": "b-value",
    "0008|0008": "image type",
}
"""What images of one series may differ by when they are several volumes, with the words for it."""

WANTED_TAGS = frozenset({
    "0008|0016", "0008|0018", "0008|001c", "0008|0060", "0008|103e", "0018|0010", "0018|0024", "0018|1030", "0020|000e",
    "0020|0011", "0020|0032", "0020|0037",
    "0028|0002", "0028|0004", "0028|0008", "0028|0010", "0028|0011", "0028|0030", "0028|0100",
    *PART_TAGS,
})  # fmt: skip


@dataclass(frozen=True)
class Slice:
    """One DICOM image, or one frame of an enhanced one.

    Positions in LPS millimetres; `orientation` holds the row's and the column's direction, `size` columns and rows.
    `frames` counts those of the file; `frame` says which one this is, from 0, None where the file is not enhanced.
    `marks` are the values of PART_TAGS, in their order; `inverted` that low values are meant to be shown bright.
    """

    path: Path
    instance_uid: str
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    size: tuple[int, int]
    frames: int
    colour: bool
    pixel_bytes: int
    inverted: bool = False
    marks: tuple[str, ...] = ("",) * len(PART_TAGS)
    frame: int | None = None

    def lies_parallel_to(self, other: Slice) -> bool:
        """Same matrix, pixel size and orientation: the two can be slices of one volume."""
        return (
            self.size == other.size
            and np.allclose(self.pixel_spacing_mm, other.pixel_spacing_mm, rtol=1e-3)
            and np.allclose(self.orientation, other.orientation, atol=ORIENTATION_TOLERANCE)
        )


@dataclass(frozen=True)
class Series:
    """The images of one SeriesInstanceUID in a folder, or one of several volumes in it, in no order yet.

    `number` is the scanner's for the series; `part` counts its volumes from 1 where it holds several, and `part_words`
    say what sets this one apart. `synthetic` series are marked as made by a program.
    """

    uid: str
    modality: str
    description: str
    contrast_agent: bool
    slices: tuple[Slice, ...]
    number: str = ""
    synthetic: bool = False
    part: int | None = None
    part_words: str = ""


@dataclass(frozen=True)
class Folder:
    """What a folder holds: its series, and how many other files were passed over."""

    series: tuple[Series, ...]
    other_files: int


def read_folder(folder: Path) -> Folder:
    """All DICOM series whose images lie directly in `folder`. Raises ScanError for an image that is damaged or cut off."""
    headers: dict[str, list[dict[str, str]]] = {}
    slices: dict[str, list[Slice]] = {}
    other_files = 0
    for path in sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")):
        if path.name.upper() == "DICOMDIR":
            continue
        header = _read_header(path)
        if header is None:
            other_files += 1
            continue
        uid = header.get("0020|000e", "")
        headers.setdefault(uid, []).append(header)
        slices.setdefault(uid, []).extend(_slices_of(path, header))
    series = [_series(uid, headers[uid][0], slices[uid]) for uid in slices]
    return Folder(tuple(sorted(series, key=lambda each: (_whole(each.number, 0), each.uid))), other_files)


def damaged(path: Path) -> ScanError:
    """The sentence for an image that is not whole."""
    return ScanError(f"The DICOM image '{path.name}' is damaged or was cut off. Copy the series again.")


def _read_header(path: Path) -> dict[str, str] | None:
    """The tags of a DICOM image's header that are used here; None where `path` is not a DICOM image.

    Raises ScanError for a DICOM file that is damaged or was cut off.
    """
    if not may_be_dicom(path):
        return None
    if not elements_fit(path):
        if is_dicom(path):
            raise damaged(path)
        return None
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        if is_dicom(path) and not dicom_pixels_are_whole(path, None):
            raise damaged(path) from error
        return None  # a DICOM object without an image (report, structure set): the folder counts it
    return {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys() if key in WANTED_TAGS}


def _slices_of(path: Path, header: dict[str, str]) -> Sequence[Slice]:
    size = (_whole(header.get("0028|0011"), 0), _whole(header.get("0028|0010"), 0))
    frames = _whole(header.get("0028|0008"), 1)
    one = Slice(
        path=path,
        instance_uid=header.get("0008|0018", ""),
        position_mm=_numbers(header.get("0020|0032"), 3),
        orientation=_numbers(header.get("0020|0037"), 6),
        pixel_spacing_mm=_numbers(header.get("0028|0030"), 2),
        size=size,
        frames=frames,
        colour=_whole(header.get("0028|0002"), 1) != 1,
        pixel_bytes=size[0] * size[1] * _whole(header.get("0028|0100"), 16) // 8,
        inverted=header.get("0028|0004", "").upper() == "MONOCHROME1",
        marks=tuple(header.get(tag, "") for tag in PART_TAGS),
    )
    if header.get("0008|0016", "") not in ENHANCED_CLASSES:
        return (one,)
    from diffugts.scans.dicom_frames import frames_of  # pydicom only where an enhanced image is met

    return frames_of(one)


def _series(uid: str, first: dict[str, str], slices: Sequence[Slice]) -> Series:
    names = [first.get(tag, "") for tag in ("0008|103e", "0018|1030", "0018|0024")]
    return Series(
        uid=uid,
        modality=first.get("0008|0060", ""),
        description=" ".join(names),
        contrast_agent=bool(first.get("0018|0010")),
        slices=tuple(slices),
        number=first.get("0020|0011", ""),
        synthetic=first.get("0008|001c", "").upper() == "YES",
    )


def _numbers(text: str | None, count: int) -> tuple[float, ...]:
    """The `count` numbers of a DICOM multi-value, empty where they are missing or malformed."""
    try:
        values = tuple(float(part) for part in (text or "").split("\\"))
    except ValueError:
        return ()
    return values if len(values) == count and bool(np.isfinite(values).all()) else ()


def _whole(text: str | None, otherwise: int) -> int:
    """A DICOM whole number, `otherwise` where it is missing or malformed."""
    try:
        return int(text or otherwise)
    except ValueError:
        return otherwise
