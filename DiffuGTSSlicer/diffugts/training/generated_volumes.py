"""Generated bodies as training volumes: every organ is known there, and so is that nothing is ill.

They teach words to meet organs that few real scans have labelled, and what the demo scan's healthy tissue looks like.
Their seeds begin at `FIRST_SEED`, far from those of `diffugts demo`.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Literal

import numpy as np

from diffugts.generated.phantom import Body, draw_phantom
from diffugts.scans.intensity import COMPACT_CT_CURVE, intensity_curve
from diffugts.training.draws import START
from diffugts.training.volumes import SPACING_MM, Volume

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


def generated_volumes(count: int, processes: int = 0) -> list[Volume]:
    """The first `count` generated bodies, about two seconds each; drawn by so many `processes` at once."""
    if not processes:
        return [generated_volume(n) for n in range(count)]
    with ProcessPoolExecutor(processes, get_context(START)) as pool:
        return list(pool.map(generated_volume, range(count)))


def generated_volume(number: int) -> Volume:
    """Body `number` without lesions, cycling through `KINDS_OF_BODY`; the same every time."""
    body, modality, sequence = KINDS_OF_BODY[number % len(KINDS_OF_BODY)]
    seed = FIRST_SEED + number
    phantom = draw_phantom(seed, body, modality, SPACING_MM, sequence=sequence)
    intensities = intensity_curve(phantom.scan, COMPACT_CT_CURVE).forward(phantom.scan.voxels)
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
    )
