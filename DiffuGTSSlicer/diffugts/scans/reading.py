"""Reading a scan: NRRD, NIfTI, MetaImage and DICOM series, through SimpleITK, checked before anything uses it.

What is refused, each with its own sentence (ScanError): missing, unsupported, damaged or truncated files; other
than one scalar 3-D volume (time series, colour, vectors, complex numbers, label maps); sheared or contradictory
axes, spacing of zero; fewer than 8 voxels or 10 mm along an axis; more than a thousand million voxels; an image of
one value; a CT stored with its unsigned offset; DICOM with gaps, time points or uneven slices.
What is accepted and said in `Scan.notes`: NaN and infinite voxels (filled with the lowest finite value), a file that
states no place in the patient, copies and scouts among DICOM slices, a fourth axis of length one.
Flipped and left-handed axes are ordinary: they are read as they are.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import ScanError
from diffugts.scans.dicom import Series, Slice, choose_series, is_dicom, ordered_volume, read_folder, read_volume
from diffugts.scans.integrity import require_whole
from diffugts.scans.metaimage import require_sound_header
from diffugts.scans.modality import require_hounsfield, resolve_modality, resolve_sequence, stated_modality
from diffugts.scans.nifti import NiftiHeader, require_sound_geometry
from diffugts.scans.scan import Geometry, Scan

IMAGE_READERS = {
    ".nrrd": "NrrdImageIO",
    ".nhdr": "NrrdImageIO",
    ".nii": "NiftiImageIO",
    ".nii.gz": "NiftiImageIO",
    ".mha": "MetaImageIO",
    ".mhd": "MetaImageIO",
}
"""ITK's reader by the file's ending."""

DICOM_ENDINGS = (".dcm", ".ima", ".dicom")
FORMATS = "NRRD (.nrrd, .nhdr), NIfTI (.nii, .nii.gz), MetaImage (.mha, .mhd) or a folder with one DICOM series"

MINIMUM_VOXELS = 8
MINIMUM_EXTENT_MM = 10.0
MAXIMUM_VOXELS = 1_000_000_000
"""As float32 4 GB, about 512 x 512 x 3800. A damaged header promises more than this sooner than a scanner does."""

PLACE_UNKNOWN = (
    "The file does not say how the scan lies in the patient; its axes were taken to run to the patient's left, back "
    "and "
    "head. Sides may be swapped."
)


@dataclass(frozen=True)
class _FromFile:
    """An image as it came from disk, with what its metadata say."""

    image: sitk.Image
    stated_modality: str | None
    hints: str
    notes: tuple[str, ...]


def read_scan(
    path: str | os.PathLike[str], modality: str | None = None, sequence: str | None = None, series: str | None = None
) -> Scan:
    """Read the scan at `path`, a file or a folder with a DICOM series (or one file of that series).

    `modality` ("CT" or "MR") and `sequence` ("T1", "T1c", "T2", "FLAIR", "PD") override file names but not DICOM's
    own modality; without them both are taken from metadata, the name and, for CT, the voxels. `series` is a DICOM
    series' UID or number where a folder holds several. Raises ScanError with one sentence of what to do.
    """
    place = _readable_place(path)
    with _quiet_itk():
        if _is_dicom_place(place):
            loaded = _read_dicom(place, series)
        elif series is not None:
            raise ScanError(f"'{place.name}' is no DICOM series, so series {series:.80} cannot be chosen from it.")
        else:
            loaded = _read_file(place)
    voxels, notes = _checked_voxels(loaded.image)
    sample = _sample(voxels)
    name = scan_name(place)
    resolved = resolve_modality(modality, loaded.stated_modality, name, sample)
    ct_note = require_hounsfield(sample) if resolved == "CT" else None
    return Scan(
        voxels=voxels,
        geometry=Geometry.of(loaded.image),
        modality=resolved,
        sequence=resolve_sequence(sequence, resolved, f"{name} {loaded.hints}"),
        name=name,
        notes=(*loaded.notes, *notes, *([ct_note] if ct_note else [])),
    )


def read_label_map(path: str | os.PathLike[str]) -> sitk.Image:
    """Labels as they are stored at `path`, in any format that `read_scan` takes or as a segmentation (.seg.nrrd).

    The header is checked as a scan's is, the labels are not. Raises ScanError.
    """
    place = _readable_place(path)
    with _quiet_itk():
        loaded = _read_dicom(place, None) if _is_dicom_place(place) else _read_file(place, segmentation=True)
    return loaded.image


def dicom_volume(path: str | os.PathLike[str], series: str | None = None) -> tuple[tuple[Slice, ...], Geometry]:
    """The slices of the DICOM series that `read_scan` reads at `path`, in their order, and the grid they span.

    Raises ScanError, also where there is no DICOM series.
    """
    place = _readable_place(path)
    if not _is_dicom_place(place):
        raise ScanError(
            f"'{place.name}' is no DICOM series. DICOM can only be written for a scan that came as DICOM: give the folder "
            "of the series."
        )
    with _quiet_itk():
        _, slices, geometry, _ = _dicom_slices(place, series)
    return slices, geometry


def _readable_place(path: str | os.PathLike[str]) -> Path:
    place = Path(path)
    if "\0" in str(place) or not _is_text(str(place)):
        raise ScanError("The scan's path contains bytes that are not text. Rename the file or folder.")
    if not place.exists():
        raise ScanError(f"'{place.name}' does not exist. Check the path of the scan.")
    if not os.access(place, os.R_OK):
        raise ScanError(f"'{place.name}' may not be read by this user. Change its permissions, or copy it.")
    return place


def _is_dicom_place(place: Path) -> bool:
    """Whether what lies there is read as DICOM: a folder, or a file that is one by its ending or its mark."""
    ending = file_ending(place)
    return place.is_dir() or ending in DICOM_ENDINGS or (ending not in IMAGE_READERS and is_dicom(place))


def require_scan_header(path: Path) -> None:
    """Raise ScanError for an image file that `read_scan` would refuse by its header; no voxel is read."""
    with _quiet_itk():
        _read_header(_readable_place(path))


def _read_file(path: Path, segmentation: bool = False) -> _FromFile:
    """One image file, its header checked before its voxels are read."""
    reader, metadata, notes = _read_header(path, segmentation)
    require_whole(path)
    try:
        image = reader.Execute()
    except (RuntimeError, MemoryError) as error:
        raise _itk_error(path, error) from error
    if image.GetDimension() == 4:
        image = image[:, :, :, 0]
    return _FromFile(image, stated_modality(metadata), metadata.get("0008|103e", ""), notes)


def _read_header(
    path: Path, segmentation: bool = False
) -> tuple[sitk.ImageFileReader, dict[str, str], tuple[str, ...]]:
    """A reader that has read an image file's header, the metadata in it, and notes. Raises ScanError.

    `segmentation` lets one of Slicer's pass.
    """
    ending = file_ending(path)
    if not segmentation and path.name.lower().endswith((".seg.nrrd", ".seg.nhdr")):
        raise ScanError(f"'{path.name}' is a segmentation, not a scan. Choose the volume that it was drawn on.")
    if ending not in IMAGE_READERS:
        raise ScanError(f"'{path.name}' is not in a format that is read here. Expected {FORMATS}.")
    if path.stat().st_size == 0:
        raise ScanError(f"'{path.name}' is empty. Copy or export the file again.")
    if ending in (".mha", ".mhd"):
        require_sound_header(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO(IMAGE_READERS[ending])
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise _itk_error(path, error) from error
    # SimpleITK hands over keys that are no text (MetaImage's), and does not take them back.
    keys = [key for key in reader.GetMetaDataKeys() if not key.startswith(("qto", "qfac")) and _is_text(key)]
    metadata = {key: reader.GetMetaData(key) for key in keys}
    notes = _require_scalar_volume(path, reader)
    if ending in (".nii", ".nii.gz"):
        notes += _nifti_notes(path)
    elif ending in (".nrrd", ".nhdr") and not any(key.startswith("NRRD_space") for key in metadata):
        notes += _nrrd_space_notes(path)
    return reader, metadata, notes


def _require_scalar_volume(path: Path, reader: sitk.ImageFileReader) -> tuple[str, ...]:
    """Raise ScanError unless the header promises one scalar 3-D volume of a sensible size; notes."""
    size, spacing, name = reader.GetSize(), reader.GetSpacing(), path.name
    notes: tuple[str, ...] = ()
    if len(size) > 3 and max(size[3:]) > 1:
        raise ScanError(
            f"'{name}' holds {int(np.prod(size[3:]))} volumes (a time series or several b-values), expected one. "
            "Save the one that "
            "is meant as a file of its own."
        )
    if len(size) > 4:
        raise ScanError(f"'{name}' has {len(size)} axes, expected 3.")
    if len(size) == 4:
        notes = ("The file's fourth axis has length one and was dropped.",)
    if len(size) < 3:
        raise ScanError(f"'{name}' is a flat image with {len(size)} axes, expected a volume with 3.")
    if reader.GetNumberOfComponents() > 1:
        kind = (
            "complex numbers"
            if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID())
            else "colour, vectors or time"
        )
        raise ScanError(
            f"'{name}' holds {reader.GetNumberOfComponents()} values per voxel ({kind}), expected one. Save one "
            "component, or the "
            "magnitude, as a volume of its own."
        )
    if "complex" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise ScanError(
            f"'{name}' holds complex numbers, expected one real value per voxel. Save the magnitude image instead."
        )
    if "label" in sitk.GetPixelIDValueAsString(reader.GetPixelID()):
        raise ScanError(f"'{name}' is a label map, not a scan. Choose the volume that it was drawn on.")
    _require_size(size[:3], tuple(abs(value) for value in spacing[:3]))  # MetaImage's negative spacing flips an axis
    return notes


def _require_size(size: tuple[int, ...], spacing_mm: tuple[float, ...]) -> None:
    """Raise ScanError for too few or too many voxels, or a spacing that is no length."""
    if not np.isfinite(spacing_mm).all() or min(spacing_mm) <= 0:
        given = " x ".join(f"{value:g}" for value in spacing_mm)
        raise ScanError(
            f"The scan's voxel spacing is {given} mm; each must be a length above 0. Correct the file's header."
        )
    shown = " x ".join(str(n) for n in size)
    if min(size) < MINIMUM_VOXELS:
        raise ScanError(
            f"The scan has {shown} voxels; at least {MINIMUM_VOXELS} along every axis are needed. A single slice or a "
            "thin slab cannot be segmented in 3-D."
        )
    if int(np.prod(np.array(size, dtype=object))) > MAXIMUM_VOXELS:
        raise ScanError(
            f"The scan has {shown} voxels, at most {MAXIMUM_VOXELS:,} in all are read. Crop it or resample it first; "
            "if the scan is "
            "not that large, its header is damaged."
        )
    extents = [n * s for n, s in zip(size, spacing_mm, strict=True)]
    if min(extents) < MINIMUM_EXTENT_MM:
        raise ScanError(
            f"The scan is {extents[0]:.3g} x {extents[1]:.3g} x {extents[2]:.3g} mm; at least {MINIMUM_EXTENT_MM:g} "
            "mm along every axis "
            "are needed. If the scan is not that small, its header gives a wrong voxel spacing."
        )


def _nifti_notes(path: Path) -> tuple[str, ...]:
    """Checks of what ITK corrects silently in a NIfTI header, and a note where it states no place."""
    try:
        header = NiftiHeader.read(path)
    except (ValueError, OSError, EOFError, zlib.error) as error:
        raise _itk_error(path, error) from error
    require_sound_geometry(header, path.name)
    return () if header.states_place else (PLACE_UNKNOWN,)


def _nrrd_space_notes(path: Path) -> tuple[str, ...]:
    with path.open("rb") as stream:
        for line in stream:
            if not line.strip():
                break
            if line.lower().startswith((b"space:", b"space dimension:", b"space directions:")):
                return ()
    return (PLACE_UNKNOWN,)


def _read_dicom(place: Path, series: str | None) -> _FromFile:
    """One DICOM series from a folder, or from the folder of one of its files."""
    chosen, slices, geometry, notes = _dicom_slices(place, series)
    hints = chosen.description + (" contrast" if chosen.contrast_agent else "")
    return _FromFile(read_volume(slices, geometry), chosen.modality, hints, notes)


def _dicom_slices(place: Path, series: str | None) -> tuple[Series, tuple[Slice, ...], Geometry, tuple[str, ...]]:
    """The series that is meant, its slices in order, their grid and notes. Raises ScanError."""
    folder = read_folder(place if place.is_dir() else place.parent)
    if not folder.series:
        if place.is_file():
            raise ScanError(f"'{place.name}' is not a DICOM image that can be read. Expected {FORMATS}.")
        subfolders = sum(1 for entry in place.iterdir() if entry.is_dir())
        inside = f" It has {subfolders} folders inside; choose the one that holds the series." if subfolders else ""
        raise ScanError(f"The folder '{place.name}' holds no DICOM image that can be read. Expected {FORMATS}.{inside}")
    chosen, notes = choose_series(folder, series, None if place.is_dir() else place)
    slices, geometry, more = series_volume(chosen)
    if folder.other_files and place.is_dir():
        more += (
            f"{folder.other_files} files in the folder are not DICOM images that can be read and were passed over.",
        )
    return chosen, slices, geometry, notes + more


def series_volume(series: Series) -> tuple[tuple[Slice, ...], Geometry, tuple[str, ...]]:
    """The slices of a series in their order, the grid they span, of a size that is read here, and notes. Raises ScanError."""
    slices, geometry, notes = ordered_volume(series)
    _require_size(geometry.size, geometry.spacing_mm)
    return slices, geometry, notes


def _checked_voxels(image: sitk.Image) -> tuple[np.ndarray, tuple[str, ...]]:
    """Voxels as float32 (k, j, i), every one finite, and a note if some were filled; checks of geometry and content."""
    geometry = Geometry.of(image)
    geometry.require_orthonormal()
    _require_size(geometry.size, geometry.spacing_mm)
    voxels = sitk.GetArrayViewFromImage(image).astype(np.float32)
    notes: tuple[str, ...] = ()
    finite = np.isfinite(voxels)
    filled = int(voxels.size - np.count_nonzero(finite))
    if filled == voxels.size:
        raise ScanError("No voxel of the scan is a finite number. Choose a volume with an image in it.")
    if filled:
        lowest = float(voxels[finite].min())
        voxels[~finite] = lowest
        notes = (
            f"{filled} voxels ({100 * filled / voxels.size:.2g} %) were not finite numbers and were set to "
            f"{lowest:g}, the lowest.",
        )
    if float(voxels.min()) == float(voxels.max()):
        raise ScanError(
            f"The scan is empty: every voxel is {float(voxels.flat[0]):g}. Choose a volume with an image in it."
        )
    return voxels, notes


def _sample(voxels: np.ndarray) -> np.ndarray:
    """About a million of the voxels, evenly spread, and the very lowest."""
    stride = max(1, round((voxels.size / 1e6) ** (1 / 3)))
    return np.append(voxels[::stride, ::stride, ::stride].ravel(), voxels.min())


def _itk_error(path: Path, error: Exception) -> ScanError:
    """The sentence for what ITK's reader met."""
    text = str(error)
    if "orthonormal" in text or "determinant" in text:
        return ScanError(
            f"The axes in the header of '{path.name}' are not at right angles or not valid. A sheared grid would put "
            "the result in "
            "the wrong place. Resample the scan onto a straight grid first."
        )
    if "spacing" in text:
        return ScanError(f"The header of '{path.name}' gives a voxel spacing of 0 or none. Correct the file's header.")
    if "allocate" in text or isinstance(error, MemoryError):
        return ScanError(f"'{path.name}' does not fit into this machine's memory. Crop or resample it first.")
    return ScanError(
        f"'{path.name}' could not be read: it is damaged, or not what its ending says. Expected {FORMATS}. Export it "
        "again."
    )


def file_ending(path: Path) -> str:
    """The ending that says how a file is read, in lower case."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def scan_name(path: Path) -> str:
    """The name of a scan: its file's without the ending, or its folder's."""
    ending = "" if path.is_dir() else file_ending(path)
    return (path.name[: -len(ending)] if ending else path.name) or path.resolve().name or "scan"


def _is_text(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextmanager
def _quiet_itk() -> Iterator[None]:
    """Without ITK's warnings on standard error: what they are about is checked here and said in words."""
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
