"""Look-alikes that are no lesions: hard negatives, drawn and applied apart as lesions are.

Tubes like vessels, small bright spots like white-matter lesions or nodes, calcifications, and the wide faint
shadows of a coil's bias field or of beam hardening. None of them is labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from diffugts.generated.fields import box_around, offsets_mm, ramp
from diffugts.generated.tissue import depth_voxels
from diffugts.scans.intensity import MR_CEILING


class MimicKind(str, Enum):
    """What looks like a lesion and is none."""

    TUBE = "tube"
    SPOTS = "spots"
    CALCIFICATION = "calcification"
    SHADOW = "shadow"


@dataclass(frozen=True)
class MimicPlan:
    """Everything random about one look-alike: balls at `centres`, close together along a curve for a TUBE.

    `contrast` is added to CT model intensities and multiplies MR (0.5 = half as bright again); for a
    CALCIFICATION in CT it is the intensity itself.
    """

    kind: MimicKind
    modality: str
    spacing_mm: float
    centres: tuple[tuple[float, float, float], ...]
    """Voxels (k, j, i)."""
    radii_mm: tuple[float, ...]
    """One per centre."""
    contrast: float
    edge_mm: float


def draw_mimic(
    rng: np.random.Generator,
    tissue: np.ndarray,
    modality: str,
    spacing_mm: float = 2.0,
    kinds: tuple[MimicKind, ...] = tuple(MimicKind),
) -> MimicPlan | None:
    """A look-alike of one of `kinds` in `tissue` (bool, k, j, i); None where there is no tissue."""
    depth = depth_voxels(tissue)
    places = np.flatnonzero(depth >= np.clip(depth.max(), 1.0, 3.0))
    if places.size == 0:
        return None
    kind = kinds[int(rng.integers(len(kinds)))]

    def place() -> np.ndarray:
        return np.array(np.unravel_index(int(places[rng.integers(len(places))]), tissue.shape), float)

    sign = 1.0 if rng.random() < 0.75 else -1.0
    start = place()
    if kind is MimicKind.TUBE:
        length = rng.uniform(30, 110) / spacing_mm
        towards = rng.standard_normal(3) * np.array([1.5, 1.0, 1.0])
        end = start + length * towards / np.linalg.norm(towards)
        bend = (start + end) / 2 + rng.normal(0, 0.18 * length, 3)
        steps = np.linspace(0, 1, max(12, int(1.5 * length)))[:, None]
        centres = (1 - steps) ** 2 * start + 2 * steps * (1 - steps) * bend + steps**2 * end
        thick = float(np.exp(rng.uniform(np.log(1.5), np.log(4.5))))
        radii = thick * np.linspace(1.0, rng.uniform(0.4, 1.0), len(centres))
        contrast = sign * (rng.uniform(0.03, 0.2) if modality == "CT" else rng.uniform(0.2, 0.6))
    elif kind is MimicKind.SPOTS:
        centres = start + rng.normal(0, 12 / spacing_mm, (int(rng.integers(1, 9)), 3))
        elsewhere = rng.random(len(centres)) < 0.5
        centres[elsewhere] = [place() for _ in range(int(elsewhere.sum()))] or centres[elsewhere]
        radii = rng.uniform(1.2, 3.4, len(centres))
        contrast = sign * (rng.uniform(0.03, 0.1) if modality == "CT" else rng.uniform(0.2, 0.6))
    elif kind is MimicKind.CALCIFICATION:
        centres = start + rng.normal(0, 3 / spacing_mm, (int(rng.integers(1, 6)), 3))
        radii = rng.uniform(0.8, 3.0, len(centres))
        contrast = rng.uniform(0.82, 1.0) if modality == "CT" else -rng.uniform(0.5, 0.9)
    else:
        centres = start[None]
        radii = np.array([rng.uniform(30, 90)])
        contrast = sign * (rng.uniform(0.01, 0.03) if modality == "CT" else rng.uniform(0.1, 0.35))
    return MimicPlan(
        kind,
        modality,
        spacing_mm,
        tuple((float(c[0]), float(c[1]), float(c[2])) for c in centres),
        tuple(float(r) for r in radii),
        float(contrast),
        float(rng.uniform(1.0, 2.5)),
    )


def apply_mimic(intensities: np.ndarray, plan: MimicPlan, tissue: np.ndarray) -> np.ndarray:
    """`intensities` (float32, k, j, i, model intensities) with the look-alike in it; nothing given is changed.

    A SHADOW changes the body around it, tissue or not, as a bias field does; the others keep to `tissue` (bool).
    """
    share = np.zeros(intensities.shape, np.float32)
    edge = max(plan.edge_mm, 0.6 * plan.spacing_mm)
    for centre, radius in zip(plan.centres, plan.radii_mm, strict=True):
        box = box_around(intensities.shape, centre, (radius + edge) / plan.spacing_mm)
        k, j, i = offsets_mm(box, centre, plan.spacing_mm)
        distance = np.sqrt(k**2 + j**2 + i**2)
        if plan.kind is MimicKind.SHADOW:
            ball = np.maximum(0.0, 1 - (distance / radius) ** 2) ** 2
        else:
            ball = ramp(distance, radius + edge / 2, radius - edge / 2) * tissue[box]
        np.maximum(share[box], ball, out=share[box])
    if plan.kind is MimicKind.SHADOW and plan.modality == "CT":
        changed = intensities + plan.contrast * share * (intensities > 0.2)
    elif plan.modality == "MR":
        changed = intensities * (1 + plan.contrast * share)
    elif plan.kind is MimicKind.CALCIFICATION:
        changed = intensities + share * (plan.contrast - intensities)
    else:
        changed = intensities + plan.contrast * share
    clipped = np.clip(changed, 0.0, 1.0 if plan.modality == "CT" else MR_CEILING).astype(np.float32)
    return np.where(share > 0, clipped, intensities).astype(np.float32)
