"""DICOM series: finding the slices that form one volume, in their order, and reading them as one.

Every slice's position is read and checked. ITK's own series reader takes the distance of the first two
slices for all of them and stacks a tilted gantry straight, with no more than a warning: a missing slice or
a second time point would silently bend the patient. Pixels and rescale slopes are GDCM's work, those of
enhanced multi-frame images pydicom's.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from diffugts.errors import ScanError
from diffugts.scans.dicom_choice import MINIMUM_SLICES, choose_series
from diffugts.scans.dicom_headers import Folder, Series, Slice, damaged, read_folder
from diffugts.scans.dicom_structure import is_dicom
from diffugts.scans.integrity import dicom_pixels_are_whole
from diffugts.scans.scan import Geometry

__all__ = [
    "MINIMUM_SLICES",
    "Folder",
    "Series",
    "Slice",
    "choose_series",
    "is_dicom",
    "ordered_volume",
    "read_folder",
    "read_volume",
]

SAME_POSITION_MM = 1e-3
UNEVEN_SPACING = 0.25
"""Largest distance of a slice from its even place, as a part of the spacing; more is a gap or uneven."""
STRAY_SHARE = 0.1
"""Images of another size or orientation (scouts, reformats) up to this share of a series are left out, with a note."""


def ordered_volume(series: Series) -> tuple[tuple[Slice, ...], Geometry, tuple[str, ...]]:
    """The slices of one volume along their normal, the geometry they span, and notes.

    Raises ScanError where the images are not one evenly spaced volume: several frames in a file, colour,
    missing positions, scouts in great number, gaps, time points, uneven spacing, a tilted gantry.
    """
    images, notes = series.slices, []
    if any(image.frames > 1 and image.frame is None for image in images):
        raise ScanError(
            "The series holds multi-frame DICOM images that do not say where each frame lies. Export the original series "
            "from the archive, as single images or as enhanced multi-frame CT or MR."
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
    if any(image.inverted for image in images):
        raise ScanError(
            "The images of the DICOM series are stored with inverted grey values (MONOCHROME1), which programs read in "
            "different ways. Export the series as MONOCHROME2, as CT and MR scanners store it."
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
    """The slices as one float32 image on `geometry`, rescaled to HU or the scanner's unit. Raises ScanError."""
    if slices[0].frame is not None:
        from diffugts.scans.dicom_frames import frame_values

        return geometry.image(frame_values(slices))
    for one in slices:
        if not dicom_pixels_are_whole(one.path, one.pixel_bytes):
            raise damaged(one.path)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(image.path) for image in slices])
    reader.SetImageIO("GDCMImageIO")
    reader.SetOutputPixelType(sitk.sitkFloat32)  # slopes differ from slice to slice in some MR series
    try:
        image = reader.Execute()
    except RuntimeError as error:
        named = re.search(r"([^/\\\s]+\.(?:dcm|ima))", str(error), re.IGNORECASE)
        where = f" ('{named.group(1)}')" if named else ""
        raise ScanError(
            f"An image of the DICOM series{where} is damaged, or compressed in a way that cannot be unpacked. Copy "
            "the series "
            "again, or export it uncompressed."
        ) from error
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    return image
