"""How lesions look: ranges, by tissue and modality, that a look is drawn from.

The ranges are meant to hold what real tumours show and more: sarcomas nearly isodense to muscle, dark and
bright metastases of the liver, lung cancers from ground glass to cavities, gliomas in four sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np


class LesionKind(str, Enum):
    """What a lesion grows in, and so how it looks."""

    SOFT = "soft"
    LUNG = "lung"
    BRAIN = "brain"
    BONE = "bone"


KINDS_OF_MODALITY = {
    "CT": (LesionKind.SOFT, LesionKind.LUNG, LesionKind.BONE),
    "MR": (LesionKind.SOFT, LesionKind.BRAIN),
}
"""The lesions that can be drawn in each modality."""


@dataclass(frozen=True)
class LesionLook:
    """The look of one lesion, whatever its place and size; lengths in mm, fractions in radii of the lesion.

    Contrasts are differences from the median of the tissue it grows in: of model intensities for CT (50 HU of
    soft tissue are 0.08), as a share of that median for MR (0.5 = half as bright again).
    """

    contrast: float
    flattening: float
    """How much of the host's structure the lesion replaces: 0 shines through, 1 is gone."""
    edge_mm: float
    """Width of the transition to the host."""
    lobulation: float
    roughness: float
    """Amplitudes of the coarse and of the fine shape noise, in radii."""
    spikes: int = 0
    spike_length: float = 0.0
    """Spicules: how many, and how far they reach beyond the surface, in radii."""
    texture_fine: float = 0.0
    texture_coarse: float = 0.0
    """Standard deviations of mottle of about 2.5 mm and of a third of the radius."""
    core_radius: float = 0.0
    core_contrast: float = 0.0
    """Necrotic core, cavity, fat, or the solid part of a ground-glass nodule: its radius (0 = none), and how it
    differs from the rest of the lesion."""
    rim_mm: float = 0.0
    rim_contrast: float = 0.0
    """Capsule or enhancing rim just inside the edge: its width (0 = none), and how it differs from the rest."""
    calcified_share: float = 0.0
    halo_mm: float = 0.0
    halo_contrast: float = 0.0
    """Oedema or ground glass around the lesion: its mean width (0 = none), and how it differs from the host."""
    mass_effect_mm: float = 0.0
    """How far the tissue at the edge is pushed outwards."""


def draw_look(
    rng: np.random.Generator, kind: LesionKind, modality: str, radius_mm: float, sequence: str | None = None
) -> LesionLook:
    """A look for a lesion of `kind` and mean radius `radius_mm`; `sequence` matters to BRAIN only, None draws one.

    Raises ValueError for a kind that is not drawn in `modality` (KINDS_OF_MODALITY).
    """
    require_kind(kind, modality)
    if kind is LesionKind.LUNG:
        return _lung_look(rng)
    if kind is LesionKind.BRAIN:
        return _brain_look(rng, radius_mm, sequence)
    if kind is LesionKind.BONE:
        return _bone_look(rng, radius_mm)
    return _soft_ct_look(rng, radius_mm) if modality == "CT" else _soft_mr_look(rng, radius_mm)


def require_kind(kind: LesionKind, modality: str) -> None:
    """Raise ValueError for a kind that is not drawn in `modality`."""
    if modality not in KINDS_OF_MODALITY:
        raise ValueError(f"modality is '{modality}', expected 'CT' or 'MR'")
    if kind not in KINDS_OF_MODALITY[modality]:
        drawn = ", ".join(k.value for k in KINDS_OF_MODALITY[modality])
        raise ValueError(f"no {kind.value} lesions are generated in {modality}, only {drawn}")


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number between `low` and `high` whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _sometimes(rng: np.random.Generator, share: float, low: float, high: float) -> float:
    """Uniform in [low, high] in `share` of the draws, else 0."""
    drawn = float(rng.uniform(low, high))
    return drawn if rng.random() < share else 0.0


def _edge(rng: np.random.Generator, radius_mm: float) -> float:
    return log_uniform(rng, 1.0, min(8.0, max(1.5, 0.6 * radius_mm)))


def _mass_effect(rng: np.random.Generator, radius_mm: float) -> float:
    return min(0.25 * radius_mm, _sometimes(rng, 0.6, 0.5, 5.0))


def _soft_ct_look(rng: np.random.Generator, radius_mm: float) -> LesionLook:
    """12 to 95 HU darker (two in three) or brighter; the faint ones leave little of the host's structure."""
    size = log_uniform(rng, 0.02, 0.15)
    return LesionLook(
        contrast=-size if rng.random() < 0.65 else size,
        flattening=float(rng.uniform(0.7 if size < 0.05 else 0.35, 1.0)),
        edge_mm=_edge(rng, radius_mm),
        lobulation=float(rng.uniform(0.02, 0.17)),
        roughness=float(rng.uniform(0.0, 0.06)),
        texture_fine=min(0.03, float(rng.exponential(0.006))),
        texture_coarse=min(0.06, float(rng.exponential(0.015))),
        core_radius=_sometimes(rng, 0.4, 0.35, 0.8),
        core_contrast=-float(rng.uniform(0.03, 0.12)) if rng.random() < 0.85 else -0.25,
        rim_mm=_sometimes(rng, 0.35, 1.5, 6.0),
        rim_contrast=float(rng.uniform(0.02, 0.09)) * (1 if rng.random() < 0.8 else -1),
        calcified_share=_sometimes(rng, 0.08, 0.01, 0.06),
        halo_mm=_sometimes(rng, 0.15, 3.0, 10.0),
        halo_contrast=-float(rng.uniform(0.01, 0.04)),
        mass_effect_mm=_mass_effect(rng, radius_mm),
    )


def _soft_mr_look(rng: np.random.Generator, radius_mm: float) -> LesionLook:
    """Outside the brain: 1.15 to 3 times as bright (three in five) or 0.45 to 0.87 times."""
    bright = rng.random() < 0.6
    contrast = log_uniform(rng, 1.15, 3.0) - 1 if bright else float(rng.uniform(0.45, 0.87)) - 1
    core = float(rng.choice([-0.5, -0.3, -0.2, 0.3, 0.6]) * rng.uniform(0.7, 1.2))
    return LesionLook(
        contrast=contrast,
        flattening=float(rng.uniform(0.5, 1.0)),
        edge_mm=_edge(rng, radius_mm),
        lobulation=float(rng.uniform(0.02, 0.17)),
        roughness=float(rng.uniform(0.0, 0.06)),
        texture_fine=min(0.15, float(rng.exponential(0.03))),
        texture_coarse=min(0.25, float(rng.exponential(0.08))),
        core_radius=_sometimes(rng, 0.45, 0.35, 0.8),
        core_contrast=max(core, -0.75 - contrast),  # darker than a quarter of the host would be air or calcium
        rim_mm=_sometimes(rng, 0.35, 1.5, 5.0),
        rim_contrast=float(rng.uniform(0.1, 0.6)) * (1 if rng.random() < 0.7 else -1),
        halo_mm=_sometimes(rng, 0.3, 4.0, 14.0),
        halo_contrast=float(rng.uniform(0.08, 0.4)) if bright else -float(rng.uniform(0.05, 0.2)),
        mass_effect_mm=_mass_effect(rng, radius_mm),
    )


def _lung_look(rng: np.random.Generator) -> LesionLook:
    """Solid nodules and masses, nearly half of them spiculated; one in six of ground glass, often part-solid."""
    solid, cavity = rng.random() < 0.84, rng.random() < 0.3
    spikes = int(rng.integers(5, 18)) if rng.random() < 0.45 else 0
    if solid:
        core = -0.4 if cavity else -float(rng.uniform(0.04, 0.12))
    else:
        core = float(rng.uniform(0.1, 0.35))
    return LesionLook(
        contrast=float(rng.uniform(0.38, 0.56) if solid else rng.uniform(0.07, 0.2)),
        flattening=float(rng.uniform(0.85, 1.0) if solid else rng.uniform(0.2, 0.6)),
        edge_mm=log_uniform(rng, 1.0, 4.0),
        lobulation=float(rng.uniform(0.02, 0.17)),
        roughness=float(rng.uniform(0.0, 0.06)),
        spikes=spikes,
        spike_length=float(rng.uniform(0.25, 0.8)) if spikes else 0.0,
        texture_fine=min(0.04, float(rng.exponential(0.01))),
        texture_coarse=min(0.08, float(rng.exponential(0.02))),
        core_radius=_sometimes(rng, 0.25 if solid else 0.6, 0.3, 0.7),
        core_contrast=core,
        calcified_share=_sometimes(rng, 0.1 if solid else 0.0, 0.01, 0.08),
        halo_mm=_sometimes(rng, 0.35, 3.0, 10.0),
        halo_contrast=float(rng.uniform(0.03, 0.11)),
    )


def _bone_look(rng: np.random.Generator, radius_mm: float) -> LesionLook:
    """Lytic (two in three) or sclerotic."""
    lytic = rng.random() < 0.65
    return LesionLook(
        contrast=-float(rng.uniform(0.15, 0.4)) if lytic else float(rng.uniform(0.06, 0.25)),
        flattening=float(rng.uniform(0.8, 1.0) if lytic else rng.uniform(0.4, 0.9)),
        edge_mm=_edge(rng, radius_mm),
        lobulation=float(rng.uniform(0.02, 0.17)),
        roughness=float(rng.uniform(0.0, 0.06)),
        texture_fine=min(0.04, float(rng.exponential(0.012))),
        texture_coarse=min(0.08, float(rng.exponential(0.03))),
        rim_mm=_sometimes(rng, 0.3, 1.5, 3.0),
        rim_contrast=float(rng.uniform(0.05, 0.2)),
    )


def _brain_look(rng: np.random.Generator, radius_mm: float, sequence: str | None) -> LesionLook:
    """Gliomas and metastases as FLAIR and T2, T1 after contrast and T1 show them, most with oedema."""
    looks = ("FLAIR", "FLAIR", "T1c", "T1c", "T2", "T1")
    seen = sequence if sequence in looks else looks[int(rng.integers(len(looks)))]
    necrotic, swollen = rng.random() < 0.6, rng.random() < 0.75
    rim_mm = rim_contrast = 0.0
    if seen in ("FLAIR", "T2"):
        contrast, halo = rng.uniform(0.3, 1.3), rng.uniform(0.2, 0.9)
        core = rng.uniform(-0.6, -0.15) if seen == "FLAIR" else rng.uniform(-0.2, 0.6)
    elif seen == "T1c":
        contrast, halo = rng.uniform(-0.3, 0.15) if necrotic else rng.uniform(0.3, 1.3), -rng.uniform(0.09, 0.25)
        core = -rng.uniform(0.1, 0.5)
        if necrotic:
            rim_mm, rim_contrast = float(rng.uniform(2.0, 7.0)), float(rng.uniform(0.4, 1.5))
    else:
        contrast, halo, core = -rng.uniform(0.12, 0.45), -rng.uniform(0.09, 0.22), -rng.uniform(0.1, 0.3)
    return LesionLook(
        contrast=float(contrast),
        flattening=float(rng.uniform(0.5, 1.0)),
        edge_mm=_edge(rng, radius_mm),
        lobulation=float(rng.uniform(0.05, 0.2)),
        roughness=float(rng.uniform(0.0, 0.06)),
        texture_fine=min(0.12, float(rng.exponential(0.025))),
        texture_coarse=min(0.25, float(rng.exponential(0.08))),
        core_radius=float(rng.uniform(0.4, 0.85)) if necrotic else 0.0,
        core_contrast=float(core),
        rim_mm=rim_mm,
        rim_contrast=rim_contrast,
        halo_mm=float(rng.uniform(4.0, max(6.0, min(22.0, 1.4 * radius_mm)))) if swollen else 0.0,
        halo_contrast=float(halo),
        mass_effect_mm=_mass_effect(rng, radius_mm),
    )
