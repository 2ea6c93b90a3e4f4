"""Generated bodies as training volumes: every organ is known there, and so is that nothing is ill.

They teach words to meet organs that few real scans have labelled, and what the demo scan's healthy tissue looks like.
Their seeds begin at `FIRST_SEED`, far from those of `diffugts demo`.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Literal

import numpy as np

from diffugts.generated.phantom import Body, draw_phantom
from diffugts.scans.intensity import intensity_curve
from diffugts.training.draws import START
from diffugts.training.grid import TrainingGrid
from diffugts.training.volumes import Volume

PREFIX = "generated-"
FIRST_SEED = 1000

KINDS_OF_BODY: tuple[tuple[Body, Literal["CT", "MR"], str | None], ...] = (
    ("thigh", "CT", None),
    ("thigh", "MR", "T1"),
    ("abdomen", "CT", None),
    ("thorax", "CT", None),
    ("thigh", "CT", None),
    ("head", "MR", "FLAIR"),
    ("head", "MR", "T1"),
    ("head", "MR", "T2"),
    ("abdomen", "MR", "T2"),
)

BODY_PARTS: dict[Body, str] = {"thigh": "extremity", "abdomen": "abdomen", "thorax": "thorax", "head": "brain"}

STRUCTURES: dict[str, tuple[str, ...]] = {
    "liver": ("liver", "liver vessels"),
    "kidney": ("kidneys", "renal vessels"),
    "pancreas": ("pancreas",),
    "spleen": ("spleen",),
    "lung": ("lungs", "lung vessels"),
    "bone": ("vertebrae", "femur", "ribs"),
    "thigh": ("muscle", "intermuscular fat"),
}
"""The organs of training texts and the structures of a generated body that make them up."""

ORGAN_NAMES: dict[int, str] = dict(enumerate(STRUCTURES, start=1))
"""Values of `Volume.organs` in generated volumes."""


def generated_volumes(count: int, processes: int = 0, grid: TrainingGrid | None = None) -> list[Volume]:
    """The first `count` generated bodies, about two seconds each; drawn by so many `processes` at once."""
    drawn = partial(generated_volume, grid=grid)
    if not processes or not count:
        return [drawn(n) for n in range(count)]
    with ProcessPoolExecutor(processes, get_context(START)) as pool:
        return list(pool.map(drawn, range(count)))


def generated_volume(number: int, grid: TrainingGrid | None = None) -> Volume:
    """Body `number` without lesions, cycling through what a grid's model may be shown; the same every time."""
    grid = grid or TrainingGrid()
    kinds = kinds_of_body(grid)
    body, modality, sequence = kinds[number % len(kinds)]
    seed = FIRST_SEED + number
    phantom = draw_phantom(seed, body, modality, grid.spacing_mm, sequence=sequence)
    curve = intensity_curve(phantom.scan, grid.ct_curve, grid.mr_range)
    intensities = curve.forward(phantom.scan.voxels)
    shape = intensities.shape
    organs = np.zeros(shape, np.uint8)
    for value, organ in ORGAN_NAMES.items():
        if organ == "thigh" and body != "thigh":
            continue  # muscle elsewhere is no thigh
        present = [name for name in STRUCTURES[organ] if name in phantom.names.values()]
        if present:
            organs[phantom.mask(*present)] = value
    return Volume(
        name=f"{PREFIX}{body}-{sequence or modality}-{seed}",
        modality=modality,
        sequence=phantom.scan.sequence,
        body_part=BODY_PARTS[body],
        tissue=body,
        intensities=intensities.astype(np.float16),
        tumour=np.zeros(shape, bool),
        lesion_mimic=np.zeros(shape, bool),
        healthy=np.ones(shape, bool),
        organs=organs,
        spacing_mm=grid.spacing_mm,
    )


def kinds_of_body(grid: TrainingGrid) -> tuple[tuple[Body, Literal["CT", "MR"], str | None], ...]:
    """Those of `KINDS_OF_BODY` that a grid's model knows; a model of MR alone is one of the head."""
    known = tuple(kind for kind in KINDS_OF_BODY if kind[1] in grid.modalities)
    return known if "CT" in grid.modalities else tuple(kind for kind in known if kind[0] == "head")
