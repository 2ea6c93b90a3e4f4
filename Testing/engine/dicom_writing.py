"""Writes small DICOM series for the tests: one file per slice, in any geometry, with any tag changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"


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
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = CT_IMAGE_STORAGE
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.FrameOfReferenceUID = "1.2.3", uid, "1.2.4"
        dataset.Modality, dataset.SeriesDescription = modality, description
        dataset.PatientName, dataset.PatientID = "Nobody^Real", "none"
        dataset.InstanceNumber = int(names[k]) + 1
        dataset.Rows, dataset.Columns = pixels.shape
        dataset.PixelSpacing = [spacing_mm[1], spacing_mm[0]]
        dataset.SliceThickness = spacing_mm[2]
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
