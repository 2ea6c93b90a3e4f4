"""DICOM series: finding the slices that form one volume, in their order, and reading them as one.

Every slice's position is read and checked. ITK's own series reader takes the distance of the first two
slices for all of them and stacks a tilted gantry straight, with no more than a warning: a missing slice or
a second time point would silently bend the patient. Pixels and rescale slopes are GDCM's work.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import ScanError
from diffugts.scans.integrity import dicom_pixels_are_whole
from diffugts.scans.scan import Geometry

MINIMUM_SLICES = 8
ORIENTATION_TOLERANCE = 1e-3
SAME_POSITION_MM = 1e-3
UNEVEN_SPACING = 0.25
"""Largest distance of a slice from its even place, as a part of the spacing; more is a gap or uneven."""
STRAY_SHARE = 0.1
"""Images of another size or orientation (scouts, reformats) up to this share of a series are left out, with a note."""


@dataclass(frozen=True)
class Slice:
    """One DICOM image. Positions in LPS millimetres; `orientation` holds the row's and the column's direction."""

    path: Path
    instance_uid: str
    position_mm: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing_mm: tuple[float, ...]
    size: tuple[int, int]
    frames: int
    colour: bool
    pixel_bytes: int

    def lies_parallel_to(self, other: Slice) -> bool:
        """Same matrix, pixel size and orientation: the two can be slices of one volume."""
        return (
            self.size == other.size
            and np.allclose(self.pixel_spacing_mm, other.pixel_spacing_mm, rtol=1e-3)
            and np.allclose(self.orientation, other.orientation, atol=ORIENTATION_TOLERANCE)
        )


@dataclass(frozen=True)
class Series:
    """The images of one SeriesInstanceUID in a folder, in no order yet."""

    uid: str
    modality: str
    description: str
    contrast_agent: bool
    slices: tuple[Slice, ...]


@dataclass(frozen=True)
class Folder:
    """What a folder holds: its series, and how many other files were passed over."""

    series: tuple[Series, ...]
    other_files: int


def _numbers(text: str | None, count: int) -> tuple[float, ...]:
    """The `count` numbers of a DICOM multi-value, empty where they are missing or malformed."""
    try:
        values = tuple(float(part) for part in (text or "").split("\\"))
    except ValueError:
        return ()
    return values if len(values) == count and bool(np.isfinite(values).all()) else ()


def _read_header(path: Path) -> dict[str, str] | None:
    """The tags of a DICOM image's header that are used here; None where `path` is not a DICOM image."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None  # not DICOM, or a DICOM object without an image (report, structure set): the folder counts it
    return {key: reader.GetMetaData(key).strip() for key in reader.GetMetaDataKeys() if key in WANTED_TAGS}


WANTED_TAGS = frozenset({
    "0008|0018", "0008|0060", "0008|103e", "0018|0010", "0018|0024", "0018|1030", "0020|000e", "0020|0032", "0020|0037",
    "0028|0002", "0028|0008", "0028|0010", "0028|0011", "0028|0030",
    "0028|0100",
})  # fmt: skip


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's mark after its preamble, as exports without a file ending do."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _cut_off(path: Path) -> ScanError:
    return ScanError(f"The DICOM image '{path.name}' is damaged or was cut off. Copy the series again.")


def read_folder(folder: Path) -> Folder:
    """All DICOM series whose images lie directly in `folder`. Raises ScanError for an image that was cut off."""
    headers: dict[str, list[dict[str, str]]] = {}
    slices: dict[str, list[Slice]] = {}
    other_files = 0
    for path in sorted(entry for entry in folder.iterdir() if entry.is_file() and not entry.name.startswith(".")):
        if path.name.upper() == "DICOMDIR":
            continue
        header = _read_header(path)
        if header is None:
            if is_dicom(path) and not dicom_pixels_are_whole(path, None):
                raise _cut_off(path)
            other_files += 1
            continue
        uid, bits = header.get("0020|000e", ""), int(header.get("0028|0100") or 16)
        headers.setdefault(uid, []).append(header)
        slices.setdefault(uid, []).append(
            Slice(
                path=path,
                instance_uid=header.get("0008|0018", ""),
                position_mm=_numbers(header.get("0020|0032"), 3),
                orientation=_numbers(header.get("0020|0037"), 6),
                pixel_spacing_mm=_numbers(header.get("0028|0030"), 2),
                size=(int(header.get("0028|0011", 0)), int(header.get("0028|0010", 0))),
                frames=int(header.get("0028|0008") or 1),
                colour=header.get("0028|0002", "1") != "1",
                pixel_bytes=int(header.get("0028|0011", 0)) * int(header.get("0028|0010", 0)) * bits // 8,
            )
        )
    series = []
    for uid in sorted(slices):
        first = headers[uid][0]
        names = [first.get(tag, "") for tag in ("0008|103e", "0018|1030", "0018|0024")]
        series.append(
            Series(uid, first.get("0008|0060", ""), " ".join(names), bool(first.get("0018|0010")), tuple(slices[uid]))
        )
    return Folder(tuple(series), other_files)


def choose_series(folder: Folder, wanted: str | None, single_file: Path | None) -> tuple[Series, tuple[str, ...]]:
    """The one series to read, and notes on what was passed over.

    `wanted` is a SeriesInstanceUID; `single_file` a slice that the user named instead of its folder. Without
    either there must be exactly one series of at least 8 CT or MR images. Raises ScanError otherwise, listing
    the series by number of images, modality and UID (no description: it may name the patient).
    """
    if wanted is not None:
        chosen = [series for series in folder.series if series.uid == wanted]
        if not chosen:
            raise ScanError(f"The folder holds no DICOM series {wanted}. It holds: {_listed(folder.series)}.")
        return chosen[0], ()
    if single_file is not None:
        for series in folder.series:
            if any(image.path == single_file for image in series.slices):
                return series, ()
        raise ScanError(f"'{single_file.name}' is not a DICOM image that can be read.")
    volumes = [s for s in folder.series if s.modality in ("CT", "MR") and len(s.slices) >= MINIMUM_SLICES]
    if len(volumes) == 1:
        others = len(folder.series) - 1
        noun = "series was" if others == 1 else "series were"
        note = (f"{others} other DICOM {noun} in the folder and passed over.",) if others else ()
        return volumes[0], note
    if len(volumes) > 1:
        raise ScanError(
            f"The folder holds {len(volumes)} DICOM series: {_listed(volumes)}. Give the path of any one image of "
            "the series "
            "that is meant instead of the folder, or move it to a folder of its own."
        )
    if len(folder.series) == 1:
        return folder.series[0], ()  # the checks that follow say what is wrong with it
    raise ScanError(
        f"None of the DICOM series in the folder is a CT or MR volume of at least {MINIMUM_SLICES} images: "
        f"{_listed(folder.series)}. Choose another folder."
    )


def _listed(series: Sequence[Series]) -> str:
    parts = [
        f"{len(s.slices)} images {s.modality or 'without modality'} {s.uid}, like '{s.slices[0].path.name}'"
        for s in series
    ]
    return "; ".join(parts)


def ordered_volume(series: Series) -> tuple[tuple[Slice, ...], Geometry, tuple[str, ...]]:
    """The slices of one volume along their normal, the geometry they span, and notes.

    Raises ScanError where the images are not one evenly spaced volume: several frames in a file, colour,
    missing positions, scouts in great number, gaps, time points, uneven spacing, a tilted gantry.
    """
    images, notes = series.slices, []
    if any(image.frames > 1 for image in images):
        raise ScanError(
            "The series holds multi-frame DICOM images, whose frames' places are not checked here. Load it in 3D "
            "Slicer and "
            "save it as NRRD, or convert it with dcm2niix."
        )
    if any(image.colour for image in images):
        raise ScanError(
            "The series holds colour images (a screenshot or a colour map), not scanner values. Choose another series."
        )
    if any(not (image.position_mm and image.orientation and image.pixel_spacing_mm) for image in images):
        raise ScanError(
            "Some images of the DICOM series have no position, orientation or pixel spacing (tags 0020|0032, "
            "0020|0037, "
            "0028|0030), so they cannot be put together to a volume. Export the original series from the archive."
        )
    images, stray = _largest_parallel_group(images)
    if stray:
        notes.append(f"{stray} images of another size or orientation (scouts, reformats) were left out.")
    if len(images) < MINIMUM_SLICES:
        raise ScanError(
            f"The DICOM series holds {len(images)} parallel images, at least {MINIMUM_SLICES} are needed for a volume."
        )

    row, column = np.array(images[0].orientation[:3]), np.array(images[0].orientation[3:])
    normal = np.cross(row, column)
    length = float(np.linalg.norm(normal))
    if length < 0.5:
        raise ScanError("The DICOM orientation (0020|0037) is not one: its two directions are parallel or empty.")
    normal /= length
    ordered = sorted(images, key=lambda image: float(np.dot(normal, image.position_mm)))
    ordered, repeated = _without_copies(ordered, normal)
    if repeated:
        notes.append(f"{repeated} images were in the folder twice; each was read once.")
    spacing = _even_spacing(ordered, normal)
    positions = np.array([image.position_mm for image in ordered])
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    row, column, slice_axis = row / np.linalg.norm(row), column / np.linalg.norm(column), step / np.linalg.norm(step)
    geometry = Geometry(
        size=(*ordered[0].size, len(ordered)),
        spacing_mm=(ordered[0].pixel_spacing_mm[1], ordered[0].pixel_spacing_mm[0], spacing),
        origin_mm=(float(positions[0][0]), float(positions[0][1]), float(positions[0][2])),
        direction=tuple(float(v) for v in np.stack([row, column, slice_axis], axis=1).ravel()),
    )
    geometry.require_orthonormal()
    return tuple(ordered), geometry, tuple(notes)


def _largest_parallel_group(images: Sequence[Slice]) -> tuple[tuple[Slice, ...], int]:
    """The largest group of parallel images of one size, and how many others there were, if these are few."""
    groups: list[list[Slice]] = []
    for image in images:
        for group in groups:
            if image.lies_parallel_to(group[0]):
                group.append(image)
                break
        else:
            groups.append([image])
    largest = max(groups, key=len)
    stray = len(images) - len(largest)
    if stray > max(3, STRAY_SHARE * len(images)):
        counts = ", ".join(str(len(group)) for group in sorted(groups, key=len, reverse=True)[:6])
        raise ScanError(
            f"The images of the DICOM series differ in size or orientation ({len(groups)} groups of {counts} "
            "images), so they "
            "are no single volume. Move the images of one orientation to a folder of their own."
        )
    return tuple(largest), stray


def _without_copies(ordered: Sequence[Slice], normal: np.ndarray) -> tuple[list[Slice], int]:
    """The slices with every place once; a place may be held by copies of one image, not by different images."""
    kept = [ordered[0]]
    copies = 0
    for image in ordered[1:]:
        distance = float(np.dot(normal, np.subtract(image.position_mm, kept[-1].position_mm)))
        if distance > SAME_POSITION_MM:
            kept.append(image)
        elif image.instance_uid == kept[-1].instance_uid and image.instance_uid:
            copies += 1
        else:
            depths = Counter(round(float(np.dot(normal, other.position_mm)), 2) for other in ordered)
            raise ScanError(
                f"The DICOM series holds up to {max(depths.values())} different images at one place ({len(ordered)} "
                "images at "
                f"{len(depths)} places): time points, echoes, b-values or reconstructions mixed in one series. "
                "Export or "
                "convert the one volume that is meant on its own."
            )
    return kept, copies


def _even_spacing(ordered: Sequence[Slice], normal: np.ndarray) -> float:
    """The distance between slices in millimetres. Raises ScanError for gaps and for uneven spacing."""
    if len(ordered) < MINIMUM_SLICES:
        raise ScanError(
            f"The DICOM series holds {len(ordered)} different images, at least {MINIMUM_SLICES} are needed for a "
            "volume."
        )
    depths = np.array([float(np.dot(normal, image.position_mm)) for image in ordered])
    steps = np.diff(depths)
    usual = float(np.median(steps))
    missing = np.rint(steps / usual).astype(int) - 1
    if missing.max() > 0 and np.abs(steps / usual - (missing + 1)).max() <= UNEVEN_SPACING:
        first = int(np.argmax(missing > 0))
        raise ScanError(
            f"The DICOM series has gaps: {int(missing.sum())} of {len(ordered) + int(missing.sum())} images are "
            "missing, the first "
            f"after image {first + 1} in order of position (the others lie {usual:.4g} mm apart). Export the whole "
            "series again."
        )
    spacing = float(depths[-1] - depths[0]) / (len(ordered) - 1)
    off = np.abs(depths - (depths[0] + spacing * np.arange(len(ordered)))).max()
    if off > UNEVEN_SPACING * spacing:
        raise ScanError(
            f"The images of the DICOM series are unevenly spaced, {steps.min():.4g} to {steps.max():.4g} mm apart, "
            "so they do not "
            "form a regular volume. Export a series with even spacing, or resample it first."
        )
    return spacing


def read_volume(slices: Sequence[Slice], geometry: Geometry) -> sitk.Image:
    """The slices as one float32 image on `geometry`, rescaled to HU or the scanner's unit by GDCM."""
    for one in slices:
        if not dicom_pixels_are_whole(one.path, one.pixel_bytes):
            raise _cut_off(one.path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(image.path) for image in slices])
    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat32)  # slopes differ from slice to slice in some MR series
    try:
        image = reader.Execute()
    except RuntimeError as error:
        damaged = re.search(r"([^/\\\s]+\.(?:dcm|ima))", str(error), re.IGNORECASE)
        where = f" ('{damaged.group(1)}')" if damaged else ""
        raise ScanError(
            f"An image of the DICOM series{where} is damaged, or compressed in a way that cannot be unpacked. Copy "
            "the series "
            "again, or export it uncompressed."
        ) from error
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    return image
