"""What every training crop goes through once it is drawn: turned and mirrored, and seen by another scanner.

The transforms are MONAI's. They are seeded from the caller's generator at every call, so that a source of cases stays
the only one that keeps state, and the same seed draws the same cases.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from monai.transforms import (
    Compose,
    RandAdjustContrast,
    RandAffined,
    RandBiasField,
    RandFlipd,
    RandGaussianNoise,
    RandScaleIntensity,
    RandShiftIntensity,
    Transform,
)

from diffugts.scans.intensity import MR_CEILING

AIR = 0.02
"""Model intensity up to which there is nothing: it stays as it is, or air would come to look like lung."""

TURNED_SHARE, LARGEST_TURN, ZOOM = 0.5, float(np.deg2rad(15)), (-0.15, 0.2)
"""Share of the crops that are turned about the first axis (radians) and stretched along each."""

MIRRORED_SHARES = (0.15, 0.15, 0.5)
"""By axis k, j, i: left and right are alike, above and below, before and behind are less so."""

MR_BRIGHTNESS = (0.7, 1.2)
"""Factors on MR intensities: by tens of per cent, as scanners differ."""


def turned_and_mirrored(rng: np.random.Generator, scan: np.ndarray, *masks: np.ndarray) -> tuple[np.ndarray, ...]:
    """A crop float32 (k, j, i) and masks of its shape, bool, alike; beyond the crop's edge lies nothing, 0 and False."""
    arrays = {f"mask {n}": mask[None].astype(np.float32) for n, mask in enumerate(masks)}
    placed = _seeded(_places(len(masks)), rng)({"scan": scan[None].astype(np.float32), **arrays})
    return np.asarray(placed["scan"])[0], *(np.asarray(placed[name])[0] > 0.5 for name in arrays)


def mirrored(rng: np.random.Generator, scan: np.ndarray) -> np.ndarray:
    """A crop float32 (k, j, i), each axis turned round in half of the draws."""
    return np.asarray(_seeded(_mirrors(), rng)({"scan": scan[None]})["scan"])[0]


def as_another_scanner_sees(
    scan: np.ndarray,
    modality: str,
    rng: np.random.Generator,
    mr_ceiling: float = MR_CEILING,
    mr_brightness: tuple[float, float] = MR_BRIGHTNESS,
) -> np.ndarray:
    """Intensities float32 (k, j, i) within what scanners differ: CT by a few HU, MR by contrast, coil and noise.

    MR is cut at `mr_ceiling`; `mr_brightness` are the lowest and the highest factor on it.
    """
    seen = np.asarray(_seeded(_scanners(modality, mr_brightness), rng)(scan[None].astype(np.float32)))[0]
    return np.clip(np.where(scan > AIR, seen, scan), 0.0, 1.0 if modality == "CT" else mr_ceiling).astype(np.float32)


@lru_cache
def _mirrors() -> Compose:
    return Compose([RandFlipd(["scan"], 0.5, axis) for axis in range(3)])


@lru_cache
def _places(masks: int) -> Compose:
    keys = ["scan", *(f"mask {n}" for n in range(masks))]
    turn = RandAffined(
        keys,
        prob=TURNED_SHARE,
        rotate_range=(LARGEST_TURN, 0.0, 0.0),
        scale_range=(ZOOM,) * 3,
        mode="bilinear",
        padding_mode="zeros",
    )
    return Compose([turn, *(RandFlipd(keys, share, axis) for axis, share in enumerate(MIRRORED_SHARES))])


@lru_cache
def _scanners(modality: str, mr_brightness: tuple[float, float]) -> Compose:
    steps: list[Transform]
    if modality == "CT":
        steps = [RandScaleIntensity(0.02, prob=1.0), RandShiftIntensity(0.015, prob=1.0)]
    else:
        dimmest, brightest = mr_brightness
        steps = [
            RandScaleIntensity((dimmest - 1, brightest - 1), prob=1.0),
            RandAdjustContrast(prob=0.5, gamma=(0.8, 1.25)),
            RandBiasField(degree=3, coeff_range=(-0.13, 0.13), prob=0.3),
            RandGaussianNoise(prob=0.25, std=0.02, sample_std=False),
        ]
    return Compose(steps)


def _seeded(transform: Compose, rng: np.random.Generator) -> Compose:
    return transform.set_random_state(int(rng.integers(2**32)))
