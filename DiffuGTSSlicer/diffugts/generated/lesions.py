"""Synthetic lesions, label-free: what is drawn at random is kept apart from how it is put into a scan.

`draw_lesion` makes a `LesionPlan`, which holds everything random as data; `apply_lesion` is a pure function of
scan and plan. The idea that lesions made by rules can stand in for labelled ones is that of Hu et al.,
"Label-free liver tumor segmentation" (CVPR 2023), and of Chen et al., "Towards generalizable tumor synthesis"
(CVPR 2024); the rules are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from diffugts.generated.donors import Donor
from diffugts.generated.fields import Box, box_around, offsets_mm, ramp, smooth_noise
from diffugts.generated.lesion_looks import LesionKind, LesionLook, draw_look, log_uniform, require_kind
from diffugts.generated.mimics import apply_mimic, draw_mimic
from diffugts.generated.tissue import CT_BONE, CT_SOFT, depth_voxels, interior, tissue_mask
from diffugts.scans.intensity import COMPACT_CT_CURVE, MR_CEILING

__all__ = [
    "LesionKind",
    "LesionLook",
    "LesionPlan",
    "apply_lesion",
    "apply_mimic",
    "draw_lesion",
    "draw_mimic",
    "tissue_mask",
]

CT_SOFT_LEVEL = 0.535
"""Model intensity of muscle (about 50 HU): what a lesion in pure fat is measured against."""

NOISE_LIMIT = 2.2
"""Standard deviations at which shape noise is clipped, so that a lesion's reach is known."""

RADIUS_LIMIT_MM = {LesionKind.SOFT: 60.0, LesionKind.LUNG: 45.0, LesionKind.BRAIN: 32.0, LesionKind.BONE: 20.0}
"""Largest mean radius by kind; a brain tumour's oedema comes on top."""

CENTRE_MARGIN = 3
"""Voxels between a centre and the array's edge: at least half of a lesion is seen."""


@dataclass(frozen=True)
class LesionPlan:
    """Everything random about one lesion: place, shape, look, and the seed of its noise.

    The surface is where |u| + noise = 1, u being the offset from `centre` turned by `rotation` and divided by
    `radii_mm`. With a `donor` it is that real tumour's, turned and stretched alike, and so is the texture.
    """

    kind: LesionKind
    modality: str
    spacing_mm: float
    centre: tuple[int, int, int]
    """Voxel (k, j, i) of the working grid."""
    radii_mm: tuple[float, float, float]
    rotation: tuple[float, float, float, float]
    """Unit quaternion (x, y, z, w) from the ellipsoid's axes to (k, j, i)."""
    look: LesionLook
    seed: int
    donor: Donor | None = None

    @property
    def radius_mm(self) -> float:
        """Geometric mean of the three radii."""
        return float(np.prod(self.radii_mm) ** (1 / 3))

    @property
    def edge_width(self) -> float:
        """The edge's width in radii; a voxel's share of it at least, or the surface would show steps."""
        return max(self.look.edge_mm, 0.6 * self.spacing_mm) / self.radius_mm

    @property
    def reach_radii(self) -> float:
        """Where |u| is larger, nothing changes."""
        look = self.look
        bulge = NOISE_LIMIT * (look.lobulation + look.roughness) + look.spike_length + self.edge_width / 2
        if self.donor is not None:
            bulge = max(0.0, self.donor.reach - 1) + self.edge_width / 2
        halo = (1 + 0.35 * NOISE_LIMIT) * look.halo_mm / self.radius_mm
        return 1.0 + bulge + halo + min(1.0, 3 * look.mass_effect_mm / self.radius_mm)

    @property
    def reach_mm(self) -> float:
        """Farther than this from the centre, nothing changes."""
        return self.reach_radii * max(self.radii_mm)


def draw_lesion(
    rng: np.random.Generator,
    tissue: np.ndarray,
    modality: str,
    kind: LesionKind,
    spacing_mm: float = 2.0,
    radius_mm: tuple[float, float] = (4.0, 35.0),
    sequence: str | None = None,
    donor: Donor | None = None,
) -> LesionPlan | None:
    """A lesion of `kind` with its centre well inside `tissue` (bool, k, j, i), None where there is no room for one.

    Mean radii are log-uniform within `radius_mm` and RADIUS_LIMIT_MM, but at most 2.5 times the tissue's greatest
    depth. `sequence` ("T1", "T1c", "T2", "FLAIR") gives brain lesions the contrast they have there, None draws one.
    A `donor` gives it shape and texture; its radius is then that of the sphere of the same volume.
    """
    require_kind(kind, modality)
    low = min(radius_mm[0], RADIUS_LIMIT_MM[kind])
    radius = log_uniform(rng, low, min(radius_mm[1], RADIUS_LIMIT_MM[kind]))
    depth_mm = depth_voxels(tissue) * interior(tissue) * np.float32(spacing_mm)
    for axis, n in enumerate(tissue.shape):
        margin = min(CENTRE_MARGIN, n // 4)
        np.moveaxis(depth_mm, axis, 0)[:margin] = 0
        np.moveaxis(depth_mm, axis, 0)[n - margin :] = 0
    deepest = float(depth_mm.max())
    if deepest < 2 * spacing_mm:
        return None
    radius = float(np.clip(radius, low, max(low, 2.5 * deepest)))
    crowding = rng.uniform(0.4, 1.0)  # depth over radius: at 0.4 much of the lesion is cut off where the tissue ends
    places = np.flatnonzero(depth_mm >= min(crowding * radius, 0.8 * deepest))
    centre = np.unravel_index(int(places[rng.integers(len(places))]), tissue.shape)
    stretch = np.exp(rng.normal(0, 0.18, 3))
    radii = radius * stretch / np.prod(stretch) ** (1 / 3)
    quaternion = rng.standard_normal(4)
    quaternion /= np.linalg.norm(quaternion)
    return LesionPlan(
        kind=kind,
        modality=modality,
        spacing_mm=spacing_mm,
        centre=(int(centre[0]), int(centre[1]), int(centre[2])),
        radii_mm=(float(radii[0]), float(radii[1]), float(radii[2])),
        rotation=(float(quaternion[0]), float(quaternion[1]), float(quaternion[2]), float(quaternion[3])),
        look=draw_look(rng, kind, modality, radius, sequence),
        seed=int(rng.integers(2**31)),
        donor=donor,
    )


def apply_lesion(intensities: np.ndarray, plan: LesionPlan, tissue: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`intensities` (float32, k, j, i, model intensities) with the lesion in it, and the lesion's mask (bool).

    The mask is the lesion's core and rim; for BRAIN it is the whole tumour with its oedema, as glioma labels are.
    A ground-glass halo in the lung and oedema elsewhere are not in it. The lesion keeps to `tissue` (bool) but for
    about a voxel. Voxels farther than `plan.reach_mm` from the centre come back bit by bit. Pure: nothing given is
    changed, and the same plan gives the same lesion.
    """
    rng, look = np.random.default_rng(plan.seed), plan.look
    box = box_around(intensities.shape, plan.centre, plan.reach_mm / plan.spacing_mm)
    host, voxels, width = intensities[box], plan.radius_mm / plan.spacing_mm, plan.edge_width
    room = ndimage.uniform_filter(ndimage.uniform_filter(tissue[box].astype(np.float32), 3), 3)
    u = _radii_from_centre(plan, box)
    distance, shape = _shape(plan, u, rng)
    confined = ramp(room, 0.2, 0.5)
    share = ramp(shape, 1 + width / 2, 1 - width / 2) * confined
    halo = np.zeros_like(share)
    if look.halo_mm:
        fingers = smooth_noise(rng, host.shape, max(1.6, 0.45 * voxels), NOISE_LIMIT)
        outward = (shape - 1) * plan.radius_mm / look.halo_mm
        halo = ramp(outward + 0.35 * fingers, 1.0, 0.75) * confined
    share, halo = _one_piece(share, halo)
    pushed = _pushed(host, plan, box, distance, room) if look.mass_effect_mm else host
    reference = _reference(host, share, tissue[box], plan)
    level = _level(reference, look.contrast, plan)
    unit = 1.0 if plan.modality == "CT" else reference
    coarse = smooth_noise(rng, host.shape, max(1.6, 0.3 * voxels))
    grain = _grain(host, share, reference, level, plan) * smooth_noise(rng, host.shape, 1.0, 4.0)
    lesion = level + _inside(plan, u, shape, coarse, unit, rng) + look.flattening * grain
    lesion += (1 - look.flattening) * (pushed - reference)
    around = pushed + (_level(reference, look.halo_contrast, plan) - reference) * (1 + 0.15 * coarse) * halo
    changed = np.clip(around + share * (lesion - around), 0.0, 1.0 if plan.modality == "CT" else MR_CEILING)
    result = intensities.astype(np.float32, copy=True)
    result[box] = np.where(distance < plan.reach_radii, changed, host)
    mask = np.zeros(intensities.shape, bool)
    mask[box] = (np.maximum(share, halo) if plan.kind is LesionKind.BRAIN else share) >= 0.5
    return result, mask


def _radii_from_centre(plan: LesionPlan, box: Box) -> list[np.ndarray]:
    """u: offsets from the centre along the lesion's own axes, in its radii."""
    offsets = offsets_mm(box, plan.centre, plan.spacing_mm)
    turn = Rotation.from_quat(plan.rotation).as_matrix().astype(np.float32)
    return [
        (turn[0, a] * offsets[0] + turn[1, a] * offsets[1] + turn[2, a] * offsets[2]) / np.float32(plan.radii_mm[a])
        for a in range(3)
    ]


def _shape(plan: LesionPlan, u: list[np.ndarray], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Distance from the centre in radii, |u|, and the same with noise and spicules, or the donor's: the surface is where that is 1."""
    distance = np.sqrt(u[0] ** 2 + u[1] ** 2 + u[2] ** 2)
    if plan.donor is not None:
        return distance, plan.donor.shape_at(u)
    look, voxels = plan.look, plan.radius_mm / plan.spacing_mm
    shape = distance + look.lobulation * smooth_noise(rng, distance.shape, max(2.0, 0.7 * voxels), NOISE_LIMIT)
    shape += look.roughness * smooth_noise(rng, distance.shape, max(1.3, 0.25 * voxels), NOISE_LIMIT)
    spicules = np.zeros_like(distance)
    for _ in range(look.spikes):
        axis = rng.standard_normal(3)
        axis /= np.linalg.norm(axis)
        aligned = np.maximum((u[0] * axis[0] + u[1] * axis[1] + u[2] * axis[2]) / (distance + 1e-3), 0)
        for _ in range(int(rng.integers(4, 7))):  # to the power of 16, 32 or 64: the slimness of the spike
            aligned *= aligned
        np.maximum(spicules, rng.uniform(0.4, 1.0) * aligned, out=spicules)
    return distance, shape - look.spike_length * spicules


def _one_piece(share: np.ndarray, halo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The largest connected part of the lesion alone, and of the halo what touches it."""
    whole = np.maximum(share, halo)
    labels, count = ndimage.label(whole > 0.02)
    if count > 1:
        weights = np.bincount(labels.ravel(), weights=(share if share.any() else whole).ravel())
        weights[0] = 0
        kept = labels == int(weights.argmax())
        share, halo = share * kept, halo * kept
    return share, halo


def _pushed(host: np.ndarray, plan: LesionPlan, box: Box, distance: np.ndarray, room: np.ndarray) -> np.ndarray:
    """The host with what lies around the lesion moved outwards; nothing moves at the reach or outside the tissue."""
    at_edge = np.where(distance < 1, distance, np.exp(-(distance - 1) / 0.4))
    fade = ramp(distance, plan.reach_radii, max(1.0, plan.reach_radii - 0.5))
    amount = plan.look.mass_effect_mm * at_edge * fade * room
    away = offsets_mm(box, plan.centre, plan.spacing_mm)
    amount /= plan.spacing_mm * np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2) + 1e-3
    grid = np.ogrid[tuple(slice(0, n) for n in host.shape)]
    places = np.stack([axis - amount * a for axis, a in zip(grid, away, strict=True)])
    return ndimage.map_coordinates(host, places, order=1, mode="nearest")


def _reference(host: np.ndarray, share: np.ndarray, tissue: np.ndarray, plan: LesionPlan) -> float:
    """The host's median under the lesion; in CT soft tissue without its fat, so that a mass in fat looks like one."""
    under = host[(share > 0.5) & tissue]
    if plan.modality == "CT" and plan.kind is LesionKind.SOFT:
        soft = under[(under > CT_SOFT) & (under < CT_BONE)]
        if soft.size < 0.2 * max(1, under.size):
            soft = host[(host > CT_SOFT) & (host < 0.75)]
        return float(np.median(soft)) if soft.size > 20 else CT_SOFT_LEVEL
    return float(np.median(under)) if under.size else float(np.median(host))


def _level(reference: float, contrast: float, plan: LesionPlan) -> float:
    """Mean intensity, before texture, of what differs from the host's `reference` by `contrast`.

    MR cannot be brighter than its full scale: contrast there levels off towards 1.15, and what would be brighter
    than tissue above 0.9 (fat) becomes darker by the same ratio.
    """
    if plan.modality == "CT":
        return reference + contrast
    if contrast > 0 and reference > 0.9:
        contrast = 1 / (1 + contrast) - 1
    if contrast <= 0:
        return reference * (1 + contrast)
    room = 1.15 - reference
    return reference + room * (1 - float(np.exp(-contrast * reference / room)))


def _grain(host: np.ndarray, share: np.ndarray, reference: float, level: float, plan: LesionPlan) -> float:
    """Standard deviation of the scan's own noise at the lesion's level: without it, smoothness would give it away.

    In CT the noise is one of HU: where the intensity curve is steeper (a nodule of soft tissue in lung), it is
    larger, but no more than 15 HU's worth is added for that, because in lung much of it is vessels.
    """
    residual = np.abs(host - ndimage.uniform_filter(host, 3))[share > 0.3]
    if residual.size == 0:
        return 0.0
    noise = 1.48 * float(np.median(residual))
    if plan.modality == "CT":
        knots_hu, knots = (np.asarray(values) for values in COMPACT_CT_CURVE)
        slopes = np.diff(knots) / np.diff(knots_hu)
        here, there = (slopes[np.clip(np.searchsorted(knots, v) - 1, 0, len(slopes) - 1)] for v in (reference, level))
        noise = min(noise * float(there / here), max(noise, 0.024))
    return noise


def _inside(
    plan: LesionPlan, u: list[np.ndarray], shape: np.ndarray, coarse: np.ndarray, unit: float, rng: np.random.Generator
) -> np.ndarray:
    """Texture, core, rim and calcification: what is added to the lesion's level. `unit` is that of the contrasts.

    A donor's texture has all of these in it.
    """
    look, width = plan.look, plan.edge_width
    if plan.donor is not None:
        return np.float32(plan.donor.spread * unit) * plan.donor.texture_at(u)
    added = look.texture_coarse * coarse + look.texture_fine * smooth_noise(rng, shape.shape, 1.25)
    if look.core_radius:
        core = ramp(shape + 0.06 * coarse, look.core_radius + width / 2, look.core_radius - width / 2)
        added += look.core_contrast * core
    if look.rim_mm:
        rim = max(look.rim_mm, plan.spacing_mm) / plan.radius_mm
        added += look.rim_contrast * np.exp(-(((shape - 1 + rim / 2) / (0.6 * rim)) ** 2))
    added *= unit
    if look.calcified_share:
        grains = smooth_noise(rng, shape.shape, 1.4, 4.0)
        threshold = float(np.quantile(grains, 1 - look.calcified_share))
        added += 0.3 * ramp(grains, threshold, threshold + 0.8) * (shape < 0.95)
    return added
