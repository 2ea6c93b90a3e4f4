"""One training case, and what is done to every one when it has been drawn: turned, mirrored, varied, filled up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diffugts.descriptions.training_texts import TumourText
from diffugts.foundation.denoiser import modality_class
from diffugts.training.augmentation import as_another_scanner_sees, turned_and_mirrored
from diffugts.training.grid import TrainingGrid
from diffugts.training.volumes import SPACING_MM, Volume


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
    scan, target, weight = turned_and_mirrored(rng, scan, target, weight)
    scan = grid.seen(as_another_scanner_sees(scan, volume.modality, rng, grid.mr_ceiling), volume.modality)
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
