"""Look-alikes that are no lesions: hard negatives, drawn and applied apart as lesions are.

Tubes like vessels, small bright spots like white-matter lesions or nodes, calcifications, bowel loops with wall and contents,
bleeds, and the wide faint shadows of a coil's bias field or of beam hardening. None of them is labelled.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy import ndimage

from diffugts.generated.fields import box_around, offsets_mm, ramp, smooth_noise
from diffugts.generated.lesion_looks import LesionKind
from diffugts.generated.tissue import CT_FAT, depth_voxels
from diffugts.scans.intensity import COMPACT_CT_CURVE, MR_CEILING

STOOL_MM = 5.0
"""Size of the clods in a loop of stool."""

LARGEST_NOISE = 0.05
"""Of model intensities: what goes on below it within 5 voxels is taken for noise, and stays where something is put in its place."""


class MimicKind(str, Enum):
    """What looks like a lesion and is none."""

    TUBE = "tube"
    SPOTS = "spots"
    CALCIFICATION = "calcification"
    SHADOW = "shadow"
    LOOP = "loop"
    BLEED = "bleed"


@dataclass(frozen=True)
class Filling:
    """Wall and contents of a LOOP: model intensities in CT, in MR shares of the median of what lay there.

    `mottle` is the deviation of the contents, in clods; `seed` that of the clods.
    """

    wall_mm: float
    wall: float
    contents: float
    mottle: float
    seed: int


@dataclass(frozen=True)
class MimicPlan:
    """Everything random about one look-alike: balls at `centres`, close together along a curve for a TUBE or a LOOP.

    `contrast` is added to CT model intensities and multiplies MR (0.5 = half as bright again); for a
    CALCIFICATION or a BLEED in CT it is the intensity itself. A LOOP has a `filling` instead.
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
    filling: Filling | None = None


def kinds_in(modality: str, host: LesionKind | None = None) -> tuple[MimicKind, ...]:
    """What is drawn in a host tissue: no bowel in brain or lung, and no bleed in lung, where it would be a nodule.

    Of a host that is not told CT shows by its density whether it is lung; MR does not show whether it is brain.
    """
    absent = {MimicKind.LOOP, MimicKind.BLEED} if host is LesionKind.LUNG else set()
    if host in (LesionKind.BRAIN, LesionKind.BONE) or (host is None and modality == "MR"):
        absent.add(MimicKind.LOOP)
    return tuple(kind for kind in MimicKind if kind not in absent)


def draw_mimic(
    rng: np.random.Generator,
    tissue: np.ndarray,
    modality: str,
    spacing_mm: float = 2.0,
    kinds: tuple[MimicKind, ...] | None = None,
    host: LesionKind | None = None,
    sequence: str | None = None,
) -> MimicPlan | None:
    """A look-alike of one of `kinds` in `tissue` (bool, k, j, i); None where there is no tissue.

    Without `kinds` it is one of those that belong in the `host`. `sequence` is that of MR, where it is known.
    """
    kinds = kinds or kinds_in(modality, host)
    depth = depth_voxels(tissue)
    places = np.flatnonzero(depth >= np.clip(depth.max(), 1.0, 3.0))
    if places.size == 0:
        return None
    kind = kinds[int(rng.integers(len(kinds)))]

    def place() -> np.ndarray:
        return np.array(np.unravel_index(int(places[rng.integers(len(places))]), tissue.shape), float)

    sign = 1.0 if rng.random() < 0.75 else -1.0
    start = place()
    filling = None
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
    elif kind is MimicKind.LOOP:
        centres = start + _arc_mm(rng) / spacing_mm
        radii = np.full(len(centres), rng.uniform(7, 15)) * (
            1 + 0.12 * np.sin(np.linspace(0, rng.uniform(4, 14), len(centres)))
        )
        contrast, filling = 0.0, _filling(rng, modality)
    elif kind is MimicKind.BLEED:
        largest = float(np.exp(rng.uniform(np.log(2.5), np.log(9.5))))
        beside = rng.standard_normal((int(rng.integers(0, 3)), 3))
        beside *= 0.5 * largest / spacing_mm / np.linalg.norm(beside, axis=1, keepdims=True)
        centres = np.concatenate([start[None], start + beside])
        radii = largest * np.concatenate([[1.0], rng.uniform(0.5, 0.8, len(beside))])
        contrast = _ct(rng.uniform(50, 90)) if modality == "CT" else _bleed_in_mr(rng, sequence)
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
        filling,
    )


def _arc_mm(rng: np.random.Generator) -> np.ndarray:
    """Offsets (n, 3) in mm, at most 1.5 mm apart, along an arc of a third to two thirds of a circle that leaves its plane a little."""
    bend_mm, angle = rng.uniform(18, 40), rng.uniform(2.0, 4.2)
    turns = np.linspace(-angle / 2, angle / 2, int(np.ceil(bend_mm * angle / 1.2)) + 1)[:, None]
    first, second, third = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    return bend_mm * ((np.cos(turns) - 1) * first + np.sin(turns) * second + rng.normal(0, 0.15) * turns * third)


def _filling(rng: np.random.Generator, modality: str) -> Filling:
    """Fluid, stool or gas in a wall of 2 to 4 mm."""
    contents = ("fluid", "stool", "gas")[int(rng.choice(3, p=(0.4, 0.35, 0.25)))]
    mottle = 0.0
    if modality == "CT":
        wall = _ct(rng.uniform(30, 90))
        low, high = {"fluid": (-5, 25), "stool": (-70, 60), "gas": (-1000, -850)}[contents]
        level = _ct(rng.uniform(low, high))
        mottle = float(rng.uniform(0.06, 0.16)) if contents == "stool" else 0.0
    else:
        wall = float(rng.uniform(0.6, 1.3))
        if contents == "fluid":
            level = float(rng.uniform(1.4, 2.2) if rng.random() < 0.5 else rng.uniform(0.25, 0.6))
        else:
            level = float(rng.uniform(0.4, 1.2) if contents == "stool" else rng.uniform(0.02, 0.1))
        mottle = float(rng.uniform(0.15, 0.35)) if contents == "stool" else 0.0
    return Filling(float(rng.uniform(2.0, 4.0)), wall, level, mottle, int(rng.integers(2**31)))


def _bleed_in_mr(rng: np.random.Generator, sequence: str | None) -> float:
    """Bright as methaemoglobin is on T1 and FLAIR, dark as what came before or after is on T2; either where nobody says."""
    bright = {"T1": 0.8, "FLAIR": 0.75, "T2": 0.25, "PD": 0.35}.get((sequence or "").removesuffix("POST"), 0.5)
    return float(rng.uniform(0.3, 0.9) if rng.random() < bright else -rng.uniform(0.4, 0.85))


def _ct(hu: float) -> float:
    return float(np.interp(hu, *COMPACT_CT_CURVE))


def apply_mimic(intensities: np.ndarray, plan: MimicPlan, tissue: np.ndarray) -> np.ndarray:
    """`intensities` (float32, k, j, i, model intensities) with the look-alike in it; nothing given is changed.

    A SHADOW changes the body around it, tissue or not, as a bias field does; the others keep to `tissue` (bool), LOOP and
    BLEED in CT also to what is no lung.
    """
    if plan.modality == "CT" and plan.kind in (MimicKind.LOOP, MimicKind.BLEED):
        tissue = tissue & (intensities > CT_FAT)
    share = np.zeros(intensities.shape, np.float32)
    inside = np.zeros_like(share) if plan.filling else share
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
        if plan.filling:
            lumen = radius - plan.filling.wall_mm
            np.maximum(inside[box], ramp(distance, lumen + edge / 2, lumen - edge / 2), out=inside[box])
    if plan.filling:
        filled = _filled(intensities, share, inside, plan, plan.filling) + _noise(intensities)
        changed = intensities + share * (filled - intensities)
    elif plan.kind is MimicKind.SHADOW and plan.modality == "CT":
        changed = intensities + plan.contrast * share * (intensities > 0.2)
    elif plan.modality == "MR":
        changed = intensities * (1 + plan.contrast * share)
    elif plan.kind is MimicKind.BLEED:
        changed = intensities + share * (plan.contrast + _noise(intensities) - intensities)
    elif plan.kind is MimicKind.CALCIFICATION:
        changed = intensities + share * (plan.contrast - intensities)
    else:
        changed = intensities + plan.contrast * share
    clipped = np.clip(changed, 0.0, 1.0 if plan.modality == "CT" else MR_CEILING).astype(np.float32)
    return np.where(share > 0, clipped, intensities).astype(np.float32)


def _noise(intensities: np.ndarray) -> np.ndarray:
    return np.clip(intensities - ndimage.uniform_filter(intensities, 5), -LARGEST_NOISE, LARGEST_NOISE)


def _filled(
    intensities: np.ndarray, share: np.ndarray, inside: np.ndarray, plan: MimicPlan, filling: Filling
) -> np.ndarray:
    """Intensities of a loop's wall and, where `inside` is 1, of its contents."""
    where = share > 0.5
    level = 1.0 if plan.modality == "CT" else float(np.median(intensities[where])) if where.any() else 1.0
    contents = np.full(intensities.shape, filling.contents, np.float32)
    if filling.mottle:
        clods = smooth_noise(np.random.default_rng(filling.seed), intensities.shape, STOOL_MM / plan.spacing_mm)
        contents += filling.mottle * clods
    return level * (filling.wall + inside * (contents - filling.wall))
