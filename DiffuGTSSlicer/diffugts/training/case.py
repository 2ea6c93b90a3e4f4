"""One training case, and what is done to every one when it has been drawn: turned, mirrored, varied, filled up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from diffugts.descriptions.training_texts import TumourText
from diffugts.foundation.denoiser import modality_class
from diffugts.training.crops import vary_intensities
from diffugts.training.grid import TrainingGrid
from diffugts.training.volumes import SPACING_MM, Volume

AFFINE_SHARE = 0.5


@dataclass(frozen=True)
class Case:
    """One training example, arrays (k, j, i) with sizes multiples of what the foundation asks for (16 or 32).

    `target` is what the words of `tumour` describe, empty where `tumour` is None; `weight` 0 where nothing may be
    learnt. `region` is where the crop lies, None where that is open: what other descriptions are drawn against.
    `absent` is a tumour that such a scan is asked for and that is not there, None where a tumour is. `sure_share` is the
    part of the crop, before it was turned and filled up, in which no unmarked tumour may lie.
    """

    intensities: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    modality: str
    sequence: str | None
    modality_class: int
    tumour: TumourText | None
    region: str | None
    organ: str | None
    absent: TumourText | None = None
    sure_share: float = 1.0
    spacing_mm: float = SPACING_MM


def finished_case(
    rng: np.random.Generator,
    grid: TrainingGrid,
    volume: Volume,
    scan: np.ndarray,
    target: np.ndarray,
    weight: np.ndarray,
    tumour: TumourText | None,
    region: str | None,
    organ: str | None,
    absent: TumourText | None = None,
) -> Case:
    """A crop of `volume`, in the intensities that are drawn in, made a case in those that the model sees."""
    sure_share = float(weight.mean())
    if rng.random() < AFFINE_SHARE:
        scan, target, weight = _turned(rng, scan, target, weight)
    for axis in (0, 1, 2):
        if rng.random() < (0.5 if axis == 2 else 0.15):
            scan, target, weight = (np.flip(array, axis) for array in (scan, target, weight))
    scan = grid.seen(vary_intensities(scan, volume.modality, rng, grid.mr_ceiling), volume.modality)
    fill = [(0, (-n) % grid.multiple) for n in scan.shape]
    front = rng.random() < 0.5
    fill = [(b, a) if front else (a, b) for a, b in fill]
    return Case(
        np.pad(scan, fill),
        np.pad(target, fill),
        np.pad(weight, fill),
        volume.modality,
        volume.sequence,
        modality_class(volume.modality, volume.sequence),
        tumour,
        region,
        organ,
        absent,
        sure_share,
        volume.spacing_mm,
    )


def _turned(rng: np.random.Generator, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    angle, zoom = np.deg2rad(rng.uniform(-15, 15)), rng.uniform(0.85, 1.2)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]) * zoom
    centre = (np.array(arrays[0].shape) - 1) / 2
    offset = centre - turn @ centre
    return tuple(
        ndimage.affine_transform(a.astype(np.float32), turn, offset, order=1) > 0.5
        if a.dtype == bool
        else ndimage.affine_transform(a, turn, offset, order=1)
        for a in arrays
    )
