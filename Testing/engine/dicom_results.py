"""A DICOM series, and a result made by hand on it, as `diffugts segment` would have left it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from scipy import ndimage
from scipy.spatial.transform import Rotation

from dicom_writing import write_series
from diffugts.findings.finding import Segmentation
from diffugts.findings.writing import write_segmentation
from diffugts.scans.reading import read_scan
from diffugts.scans.scan import Scan
from made_segmentations import Box, finding, request_for, segmentation

SHAPE = (12, 16, 20)
DESCRIPTIONS = ("hypodense liver metastasis", "left renal cyst", "lung cancer")
BOXES: tuple[Box | None, ...] = (
    (slice(2, 6), slice(3, 9), slice(5, 13)),
    (slice(4, 9), slice(6, 12), slice(9, 17)),  # overlaps the first
    None,
)


def stored_values(seed: int = 0) -> np.ndarray:
    """Stored values (k, j, i) without two equal slices, rows or columns."""
    return np.random.default_rng(seed).integers(900, 1150, SHAPE).astype(np.uint16)


def turned(descending: bool = False) -> np.ndarray:
    """Oblique axes, columns i, j, k; `descending` with slices against the image's normal."""
    axes = Rotation.from_euler("xyz", (20, -35, 10), degrees=True).as_matrix()
    axes[:, 2] *= -1 if descending else 1
    return axes


@dataclass(frozen=True)
class Made:
    """A series' folder, the scan read from it, the segmentation and the folder of its result."""

    series: Path
    scan: Scan
    segmentation: Segmentation
    result: Path


def made_result(
    folder: Path,
    *,
    axes: np.ndarray | None = None,
    spacing_mm: tuple[float, float, float] = (0.8, 1.2, 3.0),
    modality: str = "CT",
    descriptions: Sequence[str] = DESCRIPTIONS,
    boxes: Sequence[Box | None] = BOXES,
    inpainted: bool = True,
    image_format: str = "nrrd",
    change: Callable[[Dataset, int], None] | None = None,
) -> Made:
    """Write a series and a result on it into `folder`."""
    series = folder / "series"
    intercept = -1024.0 if modality == "CT" else 0.0
    write_series(
        series,
        stored_values(),
        axes=turned() if axes is None else axes,
        spacing_mm=spacing_mm,
        modality=modality,
        intercept=intercept,
        change=change,
    )
    return result_on(folder, series, descriptions, boxes, inpainted, image_format)


def result_on(
    folder: Path,
    series: Path,
    descriptions: Sequence[str] = DESCRIPTIONS,
    boxes: Sequence[Box | None] = BOXES,
    inpainted: bool = True,
    image_format: str = "nrrd",
) -> Made:
    """A result on a series that is there already."""
    scan = read_scan(series)
    findings = [finding(text, scan, box) for text, box in zip(descriptions, boxes)]
    made = segmentation(scan, findings, inpainted)
    if made.pseudo_healthy is not None and made.hole is not None:
        # What was painted fades out around the hole, as `pseudo_healthy.on_scan_grid` has it.
        edge = ndimage.binary_dilation(made.hole) & ~made.hole
        made.pseudo_healthy[edge] -= 60
        made.residual = scan.voxels - made.pseudo_healthy
    write_segmentation(made, request_for(findings, folder / "result", image_format), folder / "result")
    return Made(series, scan, made, folder / "result")
