"""Training cases for the attention: a crop, what is to be found in it, and words for what is there and what is not.

A third are real sarcomas; more than a quarter are generated lesions in real scans and generated bodies, drawn anew
every time; the rest hold nothing but look-alikes. Voxels where a real, unmarked tumour may lie carry no weight.

Where scans come with marks and the words for them (a user's own, a public challenge), most cases are crops of these.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy

import numpy as np

from diffugts.descriptions.training_texts import TumourText, texts_of_marks
from diffugts.generated.donors import Donor, donor_of
from diffugts.generated.lesions import apply_lesion, draw_lesion
from diffugts.generated.mimics import apply_mimic, draw_mimic
from diffugts.generated.tissue import LesionKind, tissue_mask
from diffugts.training.case import Case, finished_case
from diffugts.training.crops import crop_box, crop_box_around
from diffugts.training.generated_volumes import PREFIX
from diffugts.training.grid import TrainingGrid
from diffugts.training.tumours_by_place import (
    CATEGORIES,
    KIND_IN_ORGAN,
    KINDS_OF_ORGAN,
    LIMB_PARTS,
    ORGAN_OF_MARKED,
    ORGANS,
    REGION_OF_BODY_PART,
    TUMOURS_OF_REGION,
)
from diffugts.training.volumes import Volume

REAL_SHARE, LESION_SHARE = 0.30, 0.34
"""Shares of real tumours and of generated lesions; what is left shows nothing to find."""

TRANSPLANTED_SHARE = 0.4
"""Of the generated lesions, but those of bone: share with shape and texture of a real tumour, where there are donors."""

MARKED_SHARE = 0.06
"""Of the real tumours: those that are no sarcomas. There is one such scan."""

GROUP_SHARES = {"brain": 0.32, "trunk": 0.40, "body": 0.23, "other": 0.05}
"""Of the cases that are no sarcomas: brains, CT of the trunk, generated bodies, what else there is."""

LEAST_VOXELS = 20
"""Fewer voxels of a tumour in a crop are nothing to learn from."""

LARGEST_CROP = LARGEST_SARCOMA_CROP = 96
CROPS_ROUND_LESIONS = (48, 64, 64, 80, 96)
"""Sides in voxels of the crops round a generated lesion: small ones are seen more often in the same time."""

THINNED_TO_MM = 2.0
TIGHTER_SHARE, STRIPPED_SHARE = 0.6, 0.35
DIMMED_SHARE = 0.6
"""MR is scaled by its brightest voxels: a large bright tumour leaves the healthy tissue dim, which must be learnt."""

ORGAN_SHARE = 0.6
"""Of the lesions in scans with organ labels: share placed in a labelled organ, so that words meet organs."""

RADII_MM = {
    LesionKind.SOFT: (11.0, 40.0),
    LesionKind.LUNG: (8.0, 45.0),
    LesionKind.BRAIN: (12.0, 32.0),
    LesionKind.BONE: (8.0, 20.0),
}
"""Mean radii drawn, by kind: on a grid of 4 mm a small faint lesion teaches little but doubt (docs/decisions.md)."""

DESCRIBED_SHARE = 0.75
"""Of all cases, where there are scans with words of their own: the others are what they would be without."""

TUMOUR_SHARE, LESION_IN_ORGAN_SHARE = 0.55, 0.2
"""Of the cases from such scans: crops round a marked tumour, and crops with generated lesions as well, where the organ is labelled."""


class CaseSource:
    """Draws cases from packed volumes; the same seed gives the same cases.

    Of the categories in `left_out` (`CATEGORIES`) no tumour is shown, and none is asked for where there is none: what a
    model does with their words is zero-shot. `grid` is that of the volumes; `donors` are real tumours that generated
    lesions may take after (`donors_of`).
    """

    def __init__(
        self,
        volumes: list[Volume],
        seed: int,
        left_out: Collection[str] = (),
        grid: TrainingGrid | None = None,
        donors: Sequence[Donor] = (),
    ) -> None:
        self.rng = np.random.default_rng(seed)
        self.donors = donors
        self.grid = grid or TrainingGrid()
        self.left_out = {CATEGORIES[name] for name in left_out}
        self.real = [v for v in volumes if v.is_sarcoma and "thigh" not in self.left_out]
        described = [v for v in volumes if v.description]
        self.texts = {(v.description, v.modality): texts_of_marks(v.description, v.modality) for v in described}
        self.described = [v for v in described if self._where(v)[1] not in self.left_out]
        self.others = [v for v in volumes if not v.is_sarcoma and not v.description]
        marked = [v for v in self.others if v.tumour.any() and _organ_of_marked(v)]
        self.marked = [v for v in marked if _organ_of_marked(v) not in self.left_out]
        self.groups = _by_group(self.others)
        self.clean_groups = _by_group([v for v in self.others if v.healthy.mean() > 0.3])

    def with_seed(self, seed: int) -> CaseSource:
        """The same volumes, drawn from with another seed."""
        other = copy(self)
        other.rng = np.random.default_rng(seed)
        return other

    def draw(self) -> Case:
        """The next case."""
        if self.described and (not self.groups or self.rng.random() < DESCRIBED_SHARE):
            return self.described_case(self.described[self.rng.integers(len(self.described))])
        share = self.rng.random()
        if share < REAL_SHARE * MARKED_SHARE and self.marked:
            return self.marked_tumour(self.marked[self.rng.integers(len(self.marked))])
        if share < REAL_SHARE and self.real:
            return self.sarcoma(self.real[self.rng.integers(len(self.real))])
        if share < REAL_SHARE + LESION_SHARE:
            case = self.generated(self._one_of(self.groups))
            if case is not None:
                return case
        return self.nothing(self._one_of(self.clean_groups))

    def described_case(self, volume: Volume) -> Case:
        """A crop of a scan whose marks have words: round what is marked, or anywhere, then and now with a generated lesion."""
        share, known = self.rng.random(), self.texts[(volume.description, volume.modality)]
        text = known[self.rng.integers(len(known))]
        if share < TUMOUR_SHARE and volume.is_ill:
            return self.marked_crop(volume, text)
        if share > 1 - LESION_IN_ORGAN_SHARE and volume.organ:
            case = self.lesion_in_organ(volume, text)
            if case is not None:
                return case
        return self.anywhere(volume, text)

    def anywhere(self, volume: Volume, text: TumourText | None = None) -> Case:
        """A crop anywhere in such a scan."""
        box = crop_box(volume.intensities.shape, self._sides(), self.rng)
        return self._described(volume, box, text or self.texts[(volume.description, volume.modality)][0])

    def marked_crop(self, volume: Volume, text: TumourText | None = None) -> Case:
        """A crop round a voxel that is marked in a scan whose marks have words."""
        marked = np.flatnonzero(volume.tumour)
        voxel = np.unravel_index(int(marked[self.rng.integers(len(marked))]), volume.tumour.shape)
        box = crop_box_around(volume.tumour.shape, self._sides(), [int(n) for n in voxel], self.rng)
        return self._described(volume, box, text or self.texts[(volume.description, volume.modality)][0])

    def lesion_in_organ(self, volume: Volume, text: TumourText) -> Case | None:
        """A crop of the labelled organ of such a scan with generated lesions beside the marked ones, None where none fits."""
        voxels = np.flatnonzero(volume.organs == 1)
        if not len(voxels):
            return None
        voxel = np.unravel_index(int(voxels[self.rng.integers(len(voxels))]), volume.organs.shape)
        box = crop_box_around(volume.organs.shape, self._sides(), [int(n) for n in voxel], self.rng)
        scan, tumour = self._crop(volume, box), np.array(volume.tumour[box])
        kind = KIND_IN_ORGAN.get(volume.organ, LesionKind.SOFT)
        tissue = (volume.organs[box] == 1) & ~tumour & (scan > 0.0)
        scan, lesions = self._grown(scan, volume, kind, tissue, int(self.rng.integers(1, 3)))
        if lesions.sum() < LEAST_VOXELS:
            return None
        target, everywhere = lesions | tumour, np.ones_like(tumour)
        return finished_case(self.rng, self.grid, volume, scan, target, everywhere, text, *self._where(volume))

    def _described(self, volume: Volume, box: tuple[slice, ...], text: TumourText) -> Case:
        """All of the crop counts: what is not marked is not what the words say."""
        scan, tumour = self._crop(volume, box), np.array(volume.tumour[box])
        where = self._where(volume)
        if tumour.sum() >= LEAST_VOXELS:
            return finished_case(self.rng, self.grid, volume, scan, tumour, np.ones_like(tumour), text, *where)
        nothing = np.zeros_like(tumour)
        return finished_case(self.rng, self.grid, volume, scan, nothing, ~tumour, None, *where, absent=text)

    def _where(self, volume: Volume) -> tuple[str | None, str | None]:
        """Region and organ of what is marked, as far as its words say."""
        places = [(t.region, t.organ) for t in self.texts[(volume.description, volume.modality)]]
        return next((place for place in places if any(place)), (None, None))

    def sarcoma(self, volume: Volume) -> Case:
        """A crop of a sarcoma scan, often cut tighter than the collection does: its margins give the place away."""
        shape = volume.tumour.shape
        size = [min(n, LARGEST_SARCOMA_CROP) for n in shape]
        if self.rng.random() < TIGHTER_SHARE:
            size = [max(min(n, 32), int(n * self.rng.uniform(0.55, 1.0))) for n in size]
        voxels = np.argwhere(volume.tumour)
        box = crop_box_around(shape, size, voxels[self.rng.integers(len(voxels))], self.rng)
        scan, tumour = self._crop(volume, box), volume.tumour[box]
        part = LIMB_PARTS[self.rng.integers(len(LIMB_PARTS))]
        text = TumourText("soft tissue sarcoma", part, "extremity", modality=volume.modality)
        return finished_case(
            self.rng, self.grid, volume, scan, tumour, np.ones(scan.shape, bool), text, "extremity", None
        )

    def marked_tumour(self, volume: Volume) -> Case:
        """A crop round a real tumour that somebody marked in another organ."""
        voxels = np.argwhere(volume.tumour)
        size = self._sides()
        box = crop_box_around(volume.tumour.shape, size, voxels[self.rng.integers(len(voxels))], self.rng)
        scan, tumour = self._crop(volume, box), volume.tumour[box]
        organ = _organ_of_marked(volume)
        text = TumourText(self._tumour_kind(organ), organ, None, modality=volume.modality)
        return finished_case(self.rng, self.grid, volume, scan, tumour, volume.healthy[box] | tumour, text, None, organ)

    def generated(self, volume: Volume) -> Case | None:
        """A crop of another scan round one or two generated lesions, None where none fits."""
        box = crop_box(volume.intensities.shape, (LARGEST_CROP,) * 3, self.rng)
        scan, healthy = self._crop(volume, box), volume.healthy[box] & ~volume.lesion_mimic[box]
        organs = volume.organs[box]
        scan = self._stripped(volume, scan)
        organ, kind, tissue = self._place(volume, scan, organs)
        if organ in self.left_out or volume.body_part in self.left_out:
            return None
        if volume.modality == "MR" and self.rng.random() < DIMMED_SHARE:
            scan = scan * np.float32(self.rng.uniform(0.4, 0.9))
        count = 1 if organ is None else int(self.rng.integers(1, 3))
        scan, lesions = self._grown(scan, volume, kind, tissue, count)
        if lesions.sum() < LEAST_VOXELS:
            return None
        size = self._sides(CROPS_ROUND_LESIONS)
        voxels = np.argwhere(lesions)
        box = crop_box_around(scan.shape, size, voxels[self.rng.integers(len(voxels))], self.rng)
        scan, lesions, healthy = scan[box], lesions[box], healthy[box]
        if organ == "thigh":  # a sarcoma's place is a limb, as in the real ones
            text = TumourText("soft tissue sarcoma", "thigh", "extremity", modality=volume.modality)
            return finished_case(self.rng, self.grid, volume, scan, lesions, healthy | lesions, text, "extremity", None)
        region = None if organ else _region(volume)
        text = TumourText(self._tumour_kind(organ), organ, region, modality=volume.modality)
        if organ is None and region is None:
            text = TumourText("", None, None, modality=volume.modality)
        return finished_case(self.rng, self.grid, volume, scan, lesions, healthy | lesions, text, region, organ)

    def _grown(
        self, scan: np.ndarray, volume: Volume, kind: LesionKind, tissue: np.ndarray, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """A crop with up to `count` lesions grown in `tissue`, and where they are."""
        lesions, spacing_mm = np.zeros(scan.shape, bool), self.grid.spacing_mm
        for _ in range(count):
            donor = self.donor_for(volume.modality, kind)
            plan = draw_lesion(
                self.rng, tissue, volume.modality, kind, spacing_mm, RADII_MM[kind], volume.sequence, donor
            )
            if plan is not None:
                scan, mask = apply_lesion(scan, plan, tissue)
                lesions |= mask
        return scan, lesions

    def donor_for(self, modality: str, kind: LesionKind) -> Donor | None:
        """A real tumour for the next lesion to take after, None where it is to be made up."""
        fitting = [donor for donor in self.donors if donor.modality == modality and kind is not LesionKind.BONE]
        if not fitting or self.rng.random() > TRANSPLANTED_SHARE:
            return None
        return fitting[self.rng.integers(len(fitting))]

    def nothing(self, volume: Volume) -> Case:
        """A crop with no tumour, half the time with generated look-alikes."""
        box = crop_box(volume.intensities.shape, self._sides(), self.rng)
        scan = self._stripped(volume, self._crop(volume, box))
        for _ in range(int(self.rng.integers(0, 4))):
            host = self._kind(volume, scan)
            tissue = self._tissue(scan, volume.modality, host)
            plan = draw_mimic(
                self.rng, tissue, volume.modality, self.grid.spacing_mm, host=host, sequence=volume.sequence
            )
            if plan is not None:
                scan = apply_mimic(scan, plan, tissue)
        nothing, region = np.zeros(scan.shape, bool), _region(volume)
        absent = None
        tumours = [t for t in TUMOURS_OF_REGION.get(region or "", ()) if t[1] not in self.left_out]
        if tumours:
            kind, organ = tumours[self.rng.integers(len(tumours))]
            absent = TumourText(kind, organ, region, modality=volume.modality)
        healthy = volume.healthy[box]
        return finished_case(self.rng, self.grid, volume, scan, nothing, healthy, None, region, None, absent)

    def _one_of(self, groups: dict[str, list[Volume]]) -> Volume:
        names = list(groups)
        shares = np.array([GROUP_SHARES[name] for name in names])
        return _by_size(groups[names[self.rng.choice(len(names), p=shares / shares.sum())]], self.rng)

    def _stripped(self, volume: Volume, scan: np.ndarray) -> np.ndarray:
        """A brain without scalp and skull in some draws: many collections give them so."""
        if volume.body_part != "brain" or self.rng.random() > STRIPPED_SHARE:
            return scan
        return np.where(self._tissue(scan, "MR", LesionKind.BRAIN), scan, np.float32(0))

    def _place(self, volume: Volume, scan: np.ndarray, organs: np.ndarray) -> tuple[str | None, LesionKind, np.ndarray]:
        """Organ, kind and tissue of the lesions of a case; the organ is None where only the region is known."""
        names = next((n for prefix, n in ORGANS.items() if volume.name.startswith(prefix)), {})
        if volume.modality == "MR":
            names = {value: name for value, name in names.items() if name not in ("bone", "lung")}
        present = [value for value in names if (organs == value).sum() > 400]
        if present and self.rng.random() < ORGAN_SHARE:
            value = int(self.rng.choice(present))
            organ = names[value]
            kind = KIND_IN_ORGAN.get(organ, LesionKind.SOFT)
            return organ, kind, (organs == value) & (scan > 0.0)
        kind = self._kind(volume, scan)
        seen = {LesionKind.LUNG: "lung", LesionKind.BRAIN: "brain"}.get(kind)
        return seen, kind, self._tissue(scan, volume.modality, kind)

    def _crop(self, volume: Volume, box: tuple[slice, ...]) -> np.ndarray:
        """A crop of the scan, float32, in the intensities that lesions are drawn in."""
        return self.grid.drawn(volume.intensities[box].astype(np.float32), volume.modality)

    def _sides(self, sides: tuple[int, ...] = CROPS_ROUND_LESIONS[1:]) -> list[int]:
        """One of `sides` for all axes, as the foundation can take it."""
        side = int(self.rng.choice(sides))
        return [side + (-side) % self.grid.multiple] * 3

    def _tissue(self, scan: np.ndarray, modality: str, kind: LesionKind) -> np.ndarray:
        """Tissue of a crop: its rules count in voxels of some 2 mm, so that a finer grid is looked at thinned out."""
        step = max(1, round(THINNED_TO_MM / self.grid.spacing_mm))
        if step == 1:
            return tissue_mask(scan, modality, kind)
        tissue = tissue_mask(scan[::step, ::step, ::step], modality, kind)
        for axis, size in enumerate(scan.shape):
            tissue = tissue.repeat(step, axis).take(np.arange(size), axis)
        return tissue

    def _kind(self, volume: Volume, scan: np.ndarray) -> LesionKind:
        if volume.modality == "MR":
            is_brain = volume.body_part == "brain"
            return LesionKind.BRAIN if is_brain and self.rng.random() < 0.9 else LesionKind.SOFT
        lung = self._tissue(scan, "CT", LesionKind.LUNG)
        return LesionKind.LUNG if lung.mean() > 0.05 and self.rng.random() < 0.7 else LesionKind.SOFT

    def _tumour_kind(self, organ: str | None) -> str:
        kinds = KINDS_OF_ORGAN.get(organ or "", ("",))
        return kinds[self.rng.integers(len(kinds))]


def donors_of(volumes: Collection[Volume], grid: TrainingGrid, left_out: Collection[str] = ()) -> list[Donor]:
    """The sarcomas among `volumes` on `grid` as donors; none where soft tissue is a category that is left out."""
    sarcomas = [v for v in volumes if v.is_sarcoma and "soft tissue" not in left_out]
    found = (donor_of(grid.drawn(v.intensities.astype(np.float32), v.modality), v.tumour, v.modality) for v in sarcomas)
    return [donor for donor in found if donor is not None]


def _by_group(volumes: list[Volume]) -> dict[str, list[Volume]]:
    groups: dict[str, list[Volume]] = {}
    for volume in volumes:
        groups.setdefault(_group(volume), []).append(volume)
    return groups


def _group(volume: Volume) -> str:
    if volume.name.startswith(PREFIX):
        return "body"
    if volume.body_part == "brain":
        return "brain"
    return "trunk" if volume.modality == "CT" else "other"


def _by_size(volumes: list[Volume], rng: np.random.Generator) -> Volume:
    """Large scans more often than small ones, those with organ labels more often than others."""
    weights = np.array([v.intensities.size**0.33 * (3.0 if v.name.startswith(tuple(ORGANS)) else 1.0) for v in volumes])
    return volumes[int(rng.choice(len(volumes), p=weights / weights.sum()))]


def _organ_of_marked(volume: Volume) -> str | None:
    return next((organ for prefix, organ in ORGAN_OF_MARKED.items() if volume.name.startswith(prefix)), None)


def _region(volume: Volume) -> str | None:
    return REGION_OF_BODY_PART.get(volume.body_part)
