"""Lesions one by one, by the rules of the BraTS 2023 challenges.

The rules, as the challenge's published evaluation applies them: parts of the truth are one lesion where they touch after
dilation (26-connectivity); every predicted part that touches a dilated lesion belongs to it; a lesion's Dice and HD95 are
those of all that belongs to it; lesions of at most `ignored_mm3` are left out; a lesion without a prediction and a
predicted part without a lesion both count with Dice 0 and HD95 374 mm in the case's mean.

The challenges' scans have voxels of 1 mm, and their dilation is counted in voxels. Here it is the same reach in
millimetres along every axis, which is the same on such scans and keeps its meaning on thick slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage

from diffugts.evaluation.overlap import ABSENT_MM, dice, hausdorff95_mm
from diffugts.findings.lesions import TOUCHING, box_of

EDGES = ndimage.generate_binary_structure(3, 2)
"""The challenge's structuring element: voxels that share a face or an edge."""


@dataclass(frozen=True)
class LesionRules:
    """How far a lesion reaches for what belongs to it, and which lesions are too small to count."""

    reach_mm: float = 3.0
    ignored_mm3: float = 50.0


GLIOMA_RULES = LesionRules()
"""BraTS-GLI, -SSA and -PED; also the rules of every other data set here."""

MENINGIOMA_RULES = LesionRules(reach_mm=1.0)
METASTASIS_RULES = LesionRules(reach_mm=1.0, ignored_mm3=2.0)


@dataclass(frozen=True)
class TrueLesion:
    """One lesion of the truth and what was found of it."""

    volume_ml: float
    detected: bool
    dsc: float
    hd95_mm: float


@dataclass(frozen=True)
class LesionScores:
    """A case, lesion by lesion. `dsc` and `hd95_mm` are means over lesions and false positives; 1 and 0 without either."""

    lesions: list[TrueLesion] = field(default_factory=list)
    false_positives: int = 0
    dsc: float = 1.0
    hd95_mm: float = 0.0

    @property
    def detected(self) -> int:
        """Lesions of the truth that were found."""
        return sum(lesion.detected for lesion in self.lesions)

    @property
    def precision(self) -> float:
        """Share of what was found that is a lesion; 1 where nothing was found."""
        found = self.detected + self.false_positives
        return self.detected / found if found else 1.0

    @property
    def recall(self) -> float:
        """Share of the lesions that was found; 1 where there are none."""
        return self.detected / len(self.lesions) if self.lesions else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall, counted over lesions."""
        total = 2 * self.detected + self.false_positives + (len(self.lesions) - self.detected)
        return 2 * self.detected / total if total else 1.0


def score_lesions(
    mask: np.ndarray, truth: np.ndarray, spacing_kji_mm: Sequence[float], rules: LesionRules = GLIOMA_RULES
) -> LesionScores:
    """Score bool arrays (k, j, i) of one scan, lesion by lesion."""
    voxel_mm3 = float(np.prod([float(s) for s in spacing_kji_mm]))
    box = box_of(mask | truth)
    if box is None:
        return LesionScores()
    reach = dilation_voxels(spacing_kji_mm, rules.reach_mm)
    fill = [(n, n) for n in reach]
    mask, truth = np.pad(mask[box], fill), np.pad(truth[box], fill)
    parts, part_count = ndimage.label(mask, TOUCHING)
    groups, group_count = ndimage.label(dilated(truth, reach), TOUCHING)
    places = ndimage.find_objects(groups)
    taken = np.zeros(part_count + 1, bool)
    scored = []
    for number in range(1, group_count + 1):
        place = places[number - 1]
        group = groups[place] == number  # a dilated lesion
        belonging = np.unique(parts[place][group])
        belonging = belonging[belonging > 0]
        taken[belonging] = True
        volume_mm3 = float((truth[place] & group).sum()) * voxel_mm3
        if volume_mm3 <= rules.ignored_mm3:
            continue
        lesion = np.zeros_like(truth)
        lesion[place] = truth[place] & group
        found = np.isin(parts, belonging)
        around = box_of(lesion | found)
        assert around is not None
        scored.append(
            TrueLesion(
                volume_mm3 / 1000.0,
                bool(belonging.size),
                dice(found[around], lesion[around]),
                hausdorff95_mm(found[around], lesion[around], spacing_kji_mm),
            )
        )
    false_positives = part_count - int(taken.sum())
    counted = len(scored) + false_positives
    if not counted:
        return LesionScores()
    return LesionScores(
        scored,
        false_positives,
        sum(lesion.dsc for lesion in scored) / counted,
        (sum(lesion.hd95_mm for lesion in scored) + ABSENT_MM * false_positives) / counted,
    )


def dilation_voxels(spacing_kji_mm: Sequence[float], reach_mm: float) -> tuple[int, ...]:
    """Voxels along each axis that `reach_mm` comes to, rounded."""
    return tuple(int(reach_mm / float(s) + 0.5) for s in spacing_kji_mm)


def dilated(mask: np.ndarray, reach: Sequence[int]) -> np.ndarray:
    """`mask` grown by `reach` voxels along each axis, one voxel at a time with the challenge's structuring element."""
    for step in range(max(reach)):
        idle = [axis for axis in range(3) if step >= reach[axis]]
        structure = EDGES.copy()
        for axis in idle:
            centre = np.moveaxis(structure, axis, 0)
            centre[0] = centre[2] = False
        mask = ndimage.binary_dilation(mask, structure)
    return mask
