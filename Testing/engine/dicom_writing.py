"""Writes small DICOM series for the tests, in any geometry, with any tag changed: a file per slice, or enhanced."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2.1"


def write_series(
    folder: Path,
    stored: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float] = (1.5, 2.0, 2.5),
    origin_mm: tuple[float, float, float] = (-20.0, 10.0, 30.0),
    axes: np.ndarray | None = None,
    intercept: float = -1024.0,
    modality: str = "CT",
    description: str = "",
    series_uid: str | None = None,
    seed: int = 0,
    number: int = 4,
    change: Callable[[Dataset, int], None] | None = None,
) -> str:
    """Write `stored` (k, j, i), unsigned, as a series with shuffled file names; returns its SeriesInstanceUID.

    Columns of `axes` are the directions of i, j, k in LPS. `change(dataset, k)` edits a slice before it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if axes is None else axes
    uid = series_uid or generate_uid()
    names = np.random.default_rng(seed).permutation(stored.shape[0])
    for k, pixels in enumerate(stored):
        dataset = Dataset()
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        sop_class = MR_IMAGE_STORAGE if modality == "MR" else CT_IMAGE_STORAGE
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = sop_class
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", uid, "1.2.4"
        dataset.Modality, dataset.SeriesDescription = modality, description
        dataset.PatientName, dataset.PatientID, dataset.PatientSex = "Nobody^Real", "none", "O"
        dataset.PatientBirthDate, dataset.StudyDate, dataset.StudyTime = "19700101", "20260102", "030405"
        dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "7", "A-8", "Some^Doctor"
        dataset.Manufacturer, dataset.ManufacturerModelName = "A Scanner's Maker", "A Scanner"
        dataset.SeriesNumber, dataset.ImageType = number, ["ORIGINAL", "PRIMARY", "AXIAL"]
        dataset.InstanceNumber = int(names[k]) + 1
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
        dataset.SliceThickness, dataset.PatientPosition = f"{spacing_mm[2]:.10g}", "HFS"
        dataset.ImageOrientationPatient = [f"{value:.10f}"[:16] for value in (*axes[:, 0], *axes[:, 1])]
        position = np.array(origin_mm) + k * spacing_mm[2] * axes[:, 2]
        dataset.ImagePositionPatient = [f"{value:.8f}"[:16] for value in position]
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, 0
        dataset.RescaleIntercept, dataset.RescaleSlope = intercept, 1
        dataset.PixelData = np.ascontiguousarray(pixels, dtype=np.uint16).tobytes()
        if change is not None:
            change(dataset, k)
        dataset.save_as(folder / f"{names[k]:04d}_{uid[-6:]}.dcm", enforce_file_format=True)
    return uid


def write_enhanced(
    path: Path,
    stored: np.ndarray,
    *,
    spacing_mm: tuple[float, float, float] = (1.5, 2.0, 2.5),
    origin_mm: tuple[float, float, float] = (-20.0, 10.0, 30.0),
    axes: np.ndarray | None = None,
    frames: Sequence[tuple[int, str]] | None = None,
    slopes: Sequence[float] | None = None,
    intercept: float = -1024.0,
    change: Callable[[Dataset], None] | None = None,
) -> None:
    """Write `stored` (k, j, i) as one enhanced CT image, each frame with its place and rescale slope.

    `frames` are the slices k of the frames in the file's order, each with its temporal position; all once if None.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    axes = np.eye(3) if axes is None else axes
    order = [(k, "1") for k in range(stored.shape[0])] if frames is None else list(frames)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = ENHANCED_CT_IMAGE_STORAGE
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", generate_uid(), "1.2.4"
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = "CT", 4, 1
    dataset.PatientName, dataset.PatientID, dataset.PatientSex = "Nobody^Real", "none", "O"
    dataset.PatientBirthDate, dataset.StudyDate, dataset.StudyTime = "19700101", "20260102", "030405"
    dataset.StudyID, dataset.AccessionNumber, dataset.ReferringPhysicianName = "7", "A-8", "Some^Doctor"
    dataset.Manufacturer, dataset.ImageType = "A Scanner's Maker", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = *stored.shape[1:], len(order)
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = [f"{value:.10f}"[:16] for value in (*axes[:, 0], *axes[:, 1])]
    measures.PixelSpacing, measures.SliceThickness = [spacing_mm[1], spacing_mm[0]], spacing_mm[2]
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [orientation], [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for k, time in order:
        group, content, place, rescale = Dataset(), Dataset(), Dataset(), Dataset()
        content.TemporalPositionIndex = int(time)
        place.ImagePositionPatient = [
            f"{value:.8f}"[:16] for value in np.array(origin_mm) + k * spacing_mm[2] * axes[:, 2]
        ]
        rescale.RescaleIntercept, rescale.RescaleSlope = intercept, 1 if slopes is None else slopes[k]
        rescale.RescaleType = "HU"
        group.FrameContentSequence, group.PlanePositionSequence = [content], [place]
        group.PixelValueTransformationSequence = [rescale]
        groups.append(group)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.PixelData = np.stack([stored[k] for k, _ in order]).astype("<u2").tobytes()
    if change is not None:
        change(dataset)
    dataset.save_as(path, enforce_file_format=True)


def with_value(content: bytes, keyword: str, value: bytes) -> bytes:
    """An explicit little-endian file with the value of an element replaced: pydicom would refuse to write some of these."""
    tag = tag_for_keyword(keyword)
    assert tag is not None
    start = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + dictionary_VR(tag).encode()
    at = content.index(start) + 6
    length = int.from_bytes(content[at : at + 2], "little")
    value += b" " * (len(value) % 2)
    return content[:at] + struct.pack("<H", len(value)) + value + content[at + 2 + length :]
