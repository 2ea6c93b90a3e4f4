"""Enhanced multi-frame DICOM images: the place of every frame, and its values. Read by pydicom, an optional package.

ITK takes one rescale slope and one orientation for all frames; the standard allows each its own (PS3.3, C.7.6.16).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from diffugts.errors import InstallationError, ScanError

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from diffugts.scans.dicom_headers import Slice

MOST_FRAMES = 20_000


def frames_of(image: Slice) -> tuple[Slice, ...]:
    """The frames of an enhanced image as slices, with their own places and marks.

    A frame without a place keeps an empty one, which whoever puts a volume together refuses. Raises ScanError where the
    header cannot be understood, InstallationError without pydicom.
    """
    with _readable(image):
        dataset = _dataset(image, with_pixels=False)
        shared = _first(dataset, "SharedFunctionalGroupsSequence")
        groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
        if not groups or len(groups) != image.frames or image.frames > MOST_FRAMES:
            return (image,)
        return tuple(_frame(image, number, group, shared) for number, group in enumerate(groups))


def frame_values(frames: Sequence[Slice]) -> np.ndarray:
    """Float32 (k, j, i) of frames of one or several enhanced images, in their order, each rescaled by its own slope.

    Raises ScanError where the pixels are damaged or packed in a way that cannot be unpacked here.
    """
    from pydicom.pixels import pixel_array

    values = np.empty((len(frames), frames[0].size[1], frames[0].size[0]), np.float32)
    for path in dict.fromkeys(frame.path for frame in frames):
        wanted = [(at, frame) for at, frame in enumerate(frames) if frame.path == path]
        with _readable(wanted[0][1]):
            dataset = _dataset(wanted[0][1], with_pixels=True)
            shared = _first(dataset, "SharedFunctionalGroupsSequence")
            groups = dataset.PerFrameFunctionalGroupsSequence
            for at, frame in wanted:
                assert frame.frame is not None
                slope, intercept = _rescale(groups[frame.frame], shared)
                stored = pixel_array(dataset, index=frame.frame, raw=True)
                values[at] = stored.astype(np.float64) * slope + intercept
    return values


def frame_rescale(dataset: Dataset, frame: int) -> tuple[float, float]:
    """Rescale slope and intercept of a frame, from 0, of an enhanced image's header."""
    shared = _first(dataset, "SharedFunctionalGroupsSequence")
    return _rescale(dataset.PerFrameFunctionalGroupsSequence[frame], shared)


def _frame(image: Slice, number: int, group: Dataset, shared: Dataset | None) -> Slice:
    content = _first(group, "FrameContentSequence")
    echo, diffusion = _macro(group, shared, "MREchoSequence"), _macro(group, shared, "MRDiffusionSequence")
    kind = _macro(group, shared, "CTImageFrameTypeSequence") or _macro(group, shared, "MRImageFrameTypeSequence")
    return replace(
        image,
        instance_uid=f"{image.instance_uid}#{number}",
        position_mm=_values(_macro(group, shared, "PlanePositionSequence"), "ImagePositionPatient", 3),
        orientation=_values(_macro(group, shared, "PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        pixel_spacing_mm=_values(_macro(group, shared, "PixelMeasuresSequence"), "PixelSpacing", 2),
        marks=(
            _text(content, "FrameAcquisitionNumber"),
            _text(content, "TemporalPositionIndex"),
            _text(echo, "EffectiveEchoTime"),
            _text(diffusion, "DiffusionBValue"),
            _text(kind, "FrameType"),
        ),
        frame=number,
    )


def _rescale(group: Dataset, shared: Dataset | None) -> tuple[float, float]:
    found = _macro(group, shared, "PixelValueTransformationSequence")
    if found is None:
        return 1.0, 0.0
    return float(found.get("RescaleSlope") or 1.0), float(found.get("RescaleIntercept") or 0.0)


def _macro(group: Dataset, shared: Dataset | None, keyword: str) -> Dataset | None:
    """A functional group of a frame, or else the one that all frames share."""
    return _first(group, keyword) or _first(shared, keyword)


def _first(dataset: Dataset | None, keyword: str) -> Dataset | None:
    items = dataset.get(keyword) if dataset is not None else None
    return items[0] if items else None


def _values(dataset: Dataset | None, keyword: str, count: int) -> tuple[float, ...]:
    found = dataset.get(keyword) if dataset is not None else None
    values = tuple(float(value) for value in found or ())
    return values if len(values) == count and bool(np.isfinite(values).all()) else ()


def _text(dataset: Dataset | None, keyword: str) -> str:
    found: Any = dataset.get(keyword) if dataset is not None else None
    return "" if found is None else str(found)


def _dataset(image: Slice, with_pixels: bool) -> Dataset:
    try:
        from pydicom import dcmread
    except ImportError as error:
        raise InstallationError(
            "The series is stored as enhanced multi-frame DICOM, which needs the package 'pydicom'. Install it with: "
            "pip install 'diffugts[dicom]'. Or convert the series with dcm2niix."
        ) from error
    return dcmread(image.path, stop_before_pixels=not with_pixels)


@contextmanager
def _readable(image: Slice) -> Iterator[None]:
    """Whatever pydicom meets in a damaged file becomes a sentence: it raises errors of many kinds for these."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (InstallationError, ScanError):
        raise
    except Exception as error:
        raise ScanError(
            f"The multi-frame DICOM image '{image.path.name}' is damaged, or compressed in a way that cannot be unpacked. "
            "Copy the series again, or export it uncompressed."
        ) from error
