"""How well a mask agrees with the truth, for a whole scan: overlap and surfaces, through MONAI's metrics.

Conventions where a mask is empty (MONAI answers NaN or infinity there, and a mean must not): nothing found where nothing
is counts as right (DSC and surface Dice 1, distance 0); something against nothing as wrong (0, and `ABSENT_MM`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

from diffugts.findings.lesions import box_of

SURFACE_TOLERANCE_MM = 2.0
"""How far two outlines may lie apart and still agree: about what two readers differ by."""

ABSENT_MM = 374.0
"""Distance that stands for a lesion that is missing or made up: the diagonal of a BraTS scan, as in the BraTS 2023 rules."""


@dataclass(frozen=True)
class Overlap:
    """Agreement of a mask with the truth.

    `dsc` Dice similarity coefficient; `nsd` normalised surface Dice at `SURFACE_TOLERANCE_MM`; `hd95_mm` the 95th
    percentile of the distances between the surfaces; volumes in ml.
    """

    dsc: float
    nsd: float
    hd95_mm: float
    truth_ml: float
    found_ml: float
    false_positive_ml: float


def measure_overlap(mask: np.ndarray, truth: np.ndarray, spacing_kji_mm: Sequence[float]) -> Overlap:
    """Measure bool arrays (k, j, i) of one scan with `spacing_kji_mm`. Raises ValueError where their shapes differ."""
    if mask.shape != truth.shape:
        raise ValueError(f"a mask of shape {mask.shape} cannot be measured against a truth of shape {truth.shape}")
    voxel_ml = float(np.prod([float(s) for s in spacing_kji_mm])) / 1000.0
    box = box_of(mask | truth)
    part, true_part = (mask[box], truth[box]) if box is not None else (mask[:1, :1, :1], truth[:1, :1, :1])
    return Overlap(
        dsc=dice(part, true_part),
        nsd=surface_dice(part, true_part, spacing_kji_mm),
        hd95_mm=hausdorff95_mm(part, true_part, spacing_kji_mm),
        truth_ml=float(truth.sum()) * voxel_ml,
        found_ml=float(mask.sum()) * voxel_ml,
        false_positive_ml=float((mask & ~truth).sum()) * voxel_ml,
    )


def dice(mask: np.ndarray, truth: np.ndarray) -> float:
    """Dice similarity coefficient of two bool arrays (k, j, i); 1 where both are empty."""
    return float(compute_dice(_tensor(mask), _tensor(truth), ignore_empty=False))


def surface_dice(
    mask: np.ndarray,
    truth: np.ndarray,
    spacing_kji_mm: Sequence[float],
    tolerance_mm: float = SURFACE_TOLERANCE_MM,
) -> float:
    """Share of both surfaces, by area, that lies within `tolerance_mm` of the other one."""
    if not mask.any() or not truth.any():
        return float(not mask.any() and not truth.any())
    with _quiet_monai():
        value = compute_surface_dice(
            _tensor(np.pad(mask, 1)),
            _tensor(np.pad(truth, 1)),
            [tolerance_mm],
            include_background=True,
            spacing=_spacing(spacing_kji_mm),
            use_subvoxels=True,
        )
    return float(value)


def hausdorff95_mm(mask: np.ndarray, truth: np.ndarray, spacing_kji_mm: Sequence[float]) -> float:
    """The larger of the two 95th percentiles of surface distances, in mm."""
    if not mask.any() or not truth.any():
        return 0.0 if not mask.any() and not truth.any() else ABSENT_MM
    with _quiet_monai():
        value = compute_hausdorff_distance(
            _tensor(np.pad(mask, 1)),
            _tensor(np.pad(truth, 1)),
            include_background=True,
            percentile=95,
            spacing=_spacing(spacing_kji_mm),
        )
    return float(value)


def _tensor(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(mask, np.float32))[None, None]


def _spacing(spacing_kji_mm: Sequence[float]) -> tuple[float, ...]:
    return tuple(float(s) for s in spacing_kji_mm)


@contextmanager
def _quiet_monai() -> Iterator[None]:
    """MONAI warns of an argument of its own at every call."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield
