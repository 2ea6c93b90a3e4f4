"""Training cases for the attention: a crop, what is to be found in it, and words for what is there and what is not.

Half are real sarcomas; most others are generated lesions in real scans, drawn anew every time; the rest hold
nothing but look-alikes. Voxels where a real, unmarked tumour may lie carry no weight.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from diffugts.descriptions.training_texts import TumourText
from diffugts.foundation.denoiser import modality_class
from diffugts.generated.lesions import apply_lesion, draw_lesion
from diffugts.generated.mimics import apply_mimic, draw_mimic
from diffugts.generated.tissue import LesionKind, tissue_mask
from diffugts.training.crops import crop_box, crop_box_around, vary_intensities
from diffugts.training.volumes import SPACING_MM, Volume

REAL_SHARE, LESION_SHARE = 0.5, 0.38
"""Shares of real sarcomas and of generated lesions; what is left shows nothing to find."""

LARGEST_CROP = 96
MULTIPLE = 16
AFFINE_SHARE, TIGHTER_SHARE = 0.5, 0.6
ORGAN_SHARE = 0.6
"""Of the lesions in scans with organ labels: share placed in a labelled organ, so that words meet organs."""

LIMB_PARTS = ("thigh", "thigh", "thigh", "lower leg", "leg", "limb", "knee", "buttock", "upper arm", "shoulder", None)
"""Where the sarcoma collection's tumours lie; the index says no more than "extremity"."""

ORGANS: dict[str, dict[int, str]] = {
    "CCTH-A01": {1: "liver", 2: "lung", 3: "lung", 4: "small bowel", 5: "bladder", 6: "bone", 7: "bone"},
    "example_ct_upper_abdomen": {1: "spleen", 2: "kidney", 3: "kidney", 5: "liver", 6: "stomach", 7: "pancreas"},
}
"""Label values of the scans whose organs are known, by name prefix."""

KINDS_OF_ORGAN: dict[str, tuple[str, ...]] = {
    "liver": ("hepatocellular carcinoma", "liver metastasis", "cholangiocarcinoma"),
    "lung": ("lung cancer", "lung nodule"),
    "kidney": ("renal cell carcinoma",),
    "pancreas": ("pancreatic cancer",),
    "bladder": ("bladder cancer",),
    "bone": ("bone tumor",),
    "brain": ("glioma", "glioma", "brain metastasis", "meningioma"),
}

REGION_OF_BODY_PART = {
    "brain": "head",
    "thorax": "chest",
    "abdomen": "abdomen",
    "pelvis": "pelvis",
    "extremity": "extremity",
    "breast": "chest",
}


@dataclass(frozen=True)
class Case:
    """One training example, arrays (k, j, i) with sizes multiples of 16.

    `target` is what the words of `tumour` describe, empty where `tumour` is None; `weight` 0 where nothing may be
    learnt. `region` is where the crop lies, None where that is open: what other descriptions are drawn against.
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


class CaseSource:
    """Draws cases from packed volumes; the same seed gives the same cases."""

    def __init__(self, volumes: list[Volume], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.real = [v for v in volumes if v.is_sarcoma]
        self.others = [v for v in volumes if not v.is_sarcoma]
        self.clean = [v for v in self.others if v.healthy.mean() > 0.3]

    def draw(self) -> Case:
        """The next case."""
        share = self.rng.random()
        if share < REAL_SHARE:
            return self.sarcoma(self.real[self.rng.integers(len(self.real))])
        if share < REAL_SHARE + LESION_SHARE:
            case = self.generated(_by_size(self.others, self.rng))
            if case is not None:
                return case
        return self.nothing(_by_size(self.clean, self.rng))

    def sarcoma(self, volume: Volume) -> Case:
        """A crop of a sarcoma scan, often cut tighter than the collection does: its margins give the place away."""
        shape = volume.tumour.shape
        size = [min(n, LARGEST_CROP) for n in shape]
        if self.rng.random() < TIGHTER_SHARE:
            size = [max(min(n, 32), int(n * self.rng.uniform(0.55, 1.0))) for n in size]
        voxels = np.argwhere(volume.tumour)
        box = crop_box_around(shape, size, voxels[self.rng.integers(len(voxels))], self.rng)
        scan, tumour = volume.intensities[box].astype(np.float32), volume.tumour[box]
        part = LIMB_PARTS[self.rng.integers(len(LIMB_PARTS))]
        text = TumourText("soft tissue sarcoma", part, "extremity", modality=volume.modality)
        return self._case(volume, scan, tumour, np.ones(scan.shape, bool), text, "extremity", None)

    def generated(self, volume: Volume) -> Case | None:
        """A crop of another scan with one or two generated lesions, None where none fits."""
        box = crop_box(volume.intensities.shape, (LARGEST_CROP,) * 3, self.rng)
        scan, healthy = volume.intensities[box].astype(np.float32), volume.healthy[box] & ~volume.lesion_mimic[box]
        organs = volume.organs[box]
        names = next((n for prefix, n in ORGANS.items() if volume.name.startswith(prefix)), {})
        kind = self._kind(volume, scan)
        tissue = tissue_mask(scan, volume.modality, kind)
        organ = None
        present = [value for value in names if (organs == value).sum() > 400]
        if present and self.rng.random() < ORGAN_SHARE:
            value = int(self.rng.choice(present))
            organ = names[value]
            kind = LesionKind.LUNG if organ == "lung" else LesionKind.SOFT
            tissue = (organs == value) & (scan > 0.0)
        elif kind is LesionKind.LUNG:
            organ = "lung"
        elif kind is LesionKind.BRAIN:
            organ = "brain"
        lesions = np.zeros(scan.shape, bool)
        for _ in range(1 if organ is None else int(self.rng.integers(1, 3))):
            plan = draw_lesion(self.rng, tissue, volume.modality, kind, SPACING_MM, sequence=volume.sequence)
            if plan is not None:
                scan, mask = apply_lesion(scan, plan, tissue)
                lesions |= mask
        if lesions.sum() < 20:
            return None
        region = None if organ else _region(volume)
        text = TumourText(self._tumour_kind(organ), organ, region, modality=volume.modality)
        if organ is None and region is None:
            text = TumourText("", None, None, modality=volume.modality)
        return self._case(volume, scan, lesions, healthy | lesions, text, region, organ)

    def nothing(self, volume: Volume) -> Case:
        """A crop with no tumour, half the time with generated look-alikes."""
        box = crop_box(volume.intensities.shape, (LARGEST_CROP,) * 3, self.rng)
        scan = volume.intensities[box].astype(np.float32)
        for _ in range(int(self.rng.integers(0, 4))):
            tissue = tissue_mask(scan, volume.modality, self._kind(volume, scan))
            plan = draw_mimic(self.rng, tissue, volume.modality)
            if plan is not None:
                scan = apply_mimic(scan, plan, tissue)
        nothing = np.zeros(scan.shape, bool)
        return self._case(volume, scan, nothing, volume.healthy[box], None, _region(volume), None)

    def _kind(self, volume: Volume, scan: np.ndarray) -> LesionKind:
        if volume.modality == "MR":
            is_brain = volume.body_part == "brain"
            return LesionKind.BRAIN if is_brain and self.rng.random() < 0.9 else LesionKind.SOFT
        lung = tissue_mask(scan, "CT", LesionKind.LUNG)
        return LesionKind.LUNG if lung.mean() > 0.05 and self.rng.random() < 0.5 else LesionKind.SOFT

    def _tumour_kind(self, organ: str | None) -> str:
        kinds = KINDS_OF_ORGAN.get(organ or "", ("",))
        return kinds[self.rng.integers(len(kinds))]

    def _case(
        self,
        volume: Volume,
        scan: np.ndarray,
        target: np.ndarray,
        weight: np.ndarray,
        tumour: TumourText | None,
        region: str | None,
        organ: str | None,
    ) -> Case:
        if self.rng.random() < AFFINE_SHARE:
            scan, target, weight = self._turned(scan, target, weight)
        for axis in (0, 1, 2):
            if self.rng.random() < (0.5 if axis == 2 else 0.15):
                scan, target, weight = (np.flip(array, axis) for array in (scan, target, weight))
        scan = vary_intensities(scan, volume.modality, self.rng)
        fill = [(0, (-n) % MULTIPLE) for n in scan.shape]
        front = self.rng.random() < 0.5
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
        )

    def _turned(self, *arrays: np.ndarray) -> tuple[np.ndarray, ...]:
        angle, zoom = np.deg2rad(self.rng.uniform(-15, 15)), self.rng.uniform(0.85, 1.2)
        turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]) * zoom
        centre = (np.array(arrays[0].shape) - 1) / 2
        offset = centre - turn @ centre
        return tuple(
            ndimage.affine_transform(a.astype(np.float32), turn, offset, order=1) > 0.5
            if a.dtype == bool
            else ndimage.affine_transform(a, turn, offset, order=1)
            for a in arrays
        )


def _by_size(volumes: list[Volume], rng: np.random.Generator) -> Volume:
    """Large scans more often than small ones, those with organ labels more often than others."""
    weights = np.array([v.intensities.size**0.33 * (3.0 if v.name.startswith(tuple(ORGANS)) else 1.0) for v in volumes])
    return volumes[int(rng.choice(len(volumes), p=weights / weights.sum()))]


def _region(volume: Volume) -> str | None:
    return REGION_OF_BODY_PART.get(volume.body_part)
