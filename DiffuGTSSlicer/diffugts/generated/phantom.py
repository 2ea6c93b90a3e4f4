"""Procedural bodies: scans for tests, demonstrations and checks without anybody's data, deterministic by seed.

They need not pass for real, but each tissue has its HU or MR signal, its place and its neighbours, with noise,
partial volume and a coil's bias as a scanner would have them. `demo_case` puts a tumour into one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from diffugts.generated.body_abdomen import FIELD_MM as ABDOMEN_MM
from diffugts.generated.body_abdomen import paint_abdomen
from diffugts.generated.body_canvas import Canvas
from diffugts.generated.body_head import FIELD_MM as HEAD_MM
from diffugts.generated.body_head import paint_head
from diffugts.generated.body_thigh import FIELD_MM as THIGH_MM
from diffugts.generated.body_thigh import paint_thigh
from diffugts.generated.body_thorax import FIELD_MM as THORAX_MM
from diffugts.generated.body_thorax import paint_thorax
from diffugts.generated.lesion_looks import LesionKind, LesionLook
from diffugts.generated.lesions import apply_lesion, draw_lesion
from diffugts.scans.intensity import COMPACT_CT_CURVE, intensity_curve
from diffugts.scans.scan import Geometry, Scan

Body = Literal["abdomen", "thorax", "thigh", "head"]


@dataclass(frozen=True)
class Phantom:
    """A generated scan (HU or MR units), its `labels` uint8 (k, j, i) on the same grid, 0 outside, and their names."""

    scan: Scan
    labels: np.ndarray
    names: dict[int, str]

    def mask(self, *names: str) -> np.ndarray:
        """Voxels (bool, k, j, i) of the structures called `names`; raises KeyError for one this body lacks."""
        labels = {name: label for label, name in self.names.items()}
        return np.isin(self.labels, [labels[name] for name in names])


@dataclass(frozen=True)
class _Field:
    """How a body is painted and scanned: the field's height, depth and width, and the noise deep in the body."""

    paint: Callable[[Canvas], None]
    size_mm: tuple[float, float, float]
    ct_noise_hu: float
    sequence: str


_FIELDS = {
    "abdomen": _Field(paint_abdomen, ABDOMEN_MM, 12.0, "T1"),
    "thorax": _Field(paint_thorax, THORAX_MM, 12.0, "T1"),
    "thigh": _Field(paint_thigh, THIGH_MM, 12.0, "T1"),
    "head": _Field(paint_head, HEAD_MM, 3.5, "FLAIR"),
}


def draw_phantom(
    seed: int,
    body: Body,
    modality: Literal["CT", "MR"],
    spacing_mm: float = 2.0,
    size: tuple[int, int, int] | None = None,
    sequence: str | None = None,
) -> Phantom:
    """A body at isotropic `spacing_mm`, the same for the same arguments.

    `size` (k, j, i) crops the field around its middle, None keeps all of it (thigh 190 x 190 x 190 mm, abdomen
    176 x 252 x 352 mm). MR `sequence` is "T1", "T2" or "FLAIR"; None takes FLAIR for a head and T1 for the rest.
    Raises ValueError for an unknown body, modality or sequence, or a spacing outside 0.8 to 8 mm.
    """
    if body not in get_args(Body):
        raise ValueError(f"body is '{body}', expected one of {', '.join(get_args(Body))}")
    if modality not in ("CT", "MR"):
        raise ValueError(f"modality is '{modality}', expected 'CT' or 'MR'")
    if sequence is not None and (modality == "CT" or sequence not in ("T1", "T2", "FLAIR")):
        raise ValueError(f"sequence is '{sequence}', expected 'T1', 'T2' or 'FLAIR', and none for CT")
    if not 0.8 <= spacing_mm <= 8.0:
        raise ValueError(f"spacing is {spacing_mm} mm, expected 0.8 to 8 mm")
    field = _FIELDS[body]
    seen = None if modality == "CT" else sequence or field.sequence
    whole = tuple(round(mm / spacing_mm) for mm in field.size_mm)
    canvas = Canvas(np.random.default_rng(seed), (whole[0], whole[1], whole[2]), spacing_mm, modality, seen)
    field.paint(canvas)
    voxels = canvas.scanned(field.ct_noise_hu)
    starts = [(n - min(n, s)) // 2 for n, s in zip(whole, size or whole, strict=True)]
    box = tuple(slice(a, a + min(n, s)) for a, n, s in zip(starts, whole, size or whole, strict=True))
    voxels, labels = np.ascontiguousarray(voxels[box]), np.ascontiguousarray(canvas.labels[box])
    geometry = Geometry(
        size=(voxels.shape[2], voxels.shape[1], voxels.shape[0]),
        spacing_mm=(spacing_mm, spacing_mm, spacing_mm),
        origin_mm=tuple((a - m) * spacing_mm for a, m in zip(starts[::-1], _middle(whole), strict=True)),  # type: ignore[arg-type]
        direction=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    )
    return Phantom(Scan(voxels, geometry, modality, seen, name=f"generated {body}"), labels, dict(canvas.names))


def _middle(shape: tuple[int, ...]) -> tuple[float, float, float]:
    """The voxel (i, j, k) that is the origin of LPS: the middle of the lowest slice."""
    return (shape[2] - 1) / 2, (shape[1] - 1) / 2, 0.0


@dataclass(frozen=True)
class _Demo:
    """A lesion that shows what the method is for: where it lies, how it looks, what it is called."""

    modality: Literal["CT", "MR"]
    kind: LesionKind
    host: tuple[str, ...]
    radius_mm: tuple[float, float]
    look: LesionLook
    description: str


_DEMOS = {
    "thigh": _Demo(
        "CT",
        LesionKind.SOFT,
        ("muscle", "intermuscular fat"),
        (25.0, 32.0),
        LesionLook(
            contrast=-0.045,
            flattening=0.95,
            edge_mm=2.5,
            lobulation=0.09,
            roughness=0.02,
            texture_coarse=0.012,
            core_radius=0.55,
            core_contrast=-0.035,
            mass_effect_mm=5.0,
        ),
        "soft tissue sarcoma in the thigh",
    ),
    "abdomen": _Demo(
        "CT",
        LesionKind.SOFT,
        ("liver", "liver vessels"),
        (15.0, 20.0),
        LesionLook(
            contrast=-0.09,
            flattening=0.9,
            edge_mm=4.0,
            lobulation=0.06,
            roughness=0.02,
            texture_coarse=0.01,
            core_radius=0.5,
            core_contrast=-0.03,
        ),
        "liver metastasis",
    ),
    "thorax": _Demo(
        "CT",
        LesionKind.LUNG,
        ("lungs", "lung vessels"),
        (11.0, 15.0),
        LesionLook(
            contrast=0.48,
            flattening=1.0,
            edge_mm=2.0,
            lobulation=0.08,
            roughness=0.04,
            spikes=9,
            spike_length=0.5,
            texture_coarse=0.01,
        ),
        "lung cancer",
    ),
    "head": _Demo(
        "MR",
        LesionKind.BRAIN,
        ("white matter", "grey matter", "deep grey matter"),
        (14.0, 18.0),
        LesionLook(
            contrast=0.9,
            flattening=0.85,
            edge_mm=3.0,
            lobulation=0.12,
            roughness=0.03,
            texture_coarse=0.05,
            core_radius=0.5,
            core_contrast=-0.35,
            halo_mm=12.0,
            halo_contrast=0.45,
            mass_effect_mm=3.0,
        ),
        "glioma",
    ),
}


def demo_case(seed: int = 0, body: Body = "thigh", spacing_mm: float = 2.0) -> tuple[Scan, np.ndarray, str]:
    """A scan with one lesion, the lesion's mask (bool, k, j, i) and words for it.

    A CT thigh with a sarcoma, a CT abdomen with a liver metastasis, a CT thorax with a lung cancer, or a FLAIR
    head with a glioma. Raises ValueError for an unknown body.
    """
    if body not in _DEMOS:
        raise ValueError(f"body is '{body}', expected one of {', '.join(_DEMOS)}")
    demo = _DEMOS[body]
    phantom = draw_phantom(seed, body, demo.modality, spacing_mm)
    host = phantom.mask(*demo.host)
    rng = np.random.default_rng((seed, 1))
    plan = draw_lesion(rng, host, demo.modality, demo.kind, spacing_mm, demo.radius_mm)
    if plan is None:
        raise RuntimeError(f"the generated {body} has no room for a lesion; take another seed")
    scan = phantom.scan
    curve = intensity_curve(scan, COMPACT_CT_CURVE)
    healthy = curve.forward(scan.voxels)
    diseased, mask = apply_lesion(healthy, replace(plan, look=demo.look), host)
    # The curve clips: only what the lesion changed comes back through it.
    voxels = np.where(diseased != healthy, curve.inverse(diseased), scan.voxels).astype(np.float32)
    return replace(scan, voxels=voxels, name=f"{scan.name} with a lesion"), mask, demo.description
