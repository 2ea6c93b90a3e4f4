"""What is asked of a scan with a known tumour, and which of two texts should score higher there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from scipy import ndimage

from diffugts.evaluation.word_tables import DENSITY, HEALTHY, NONSENSE, OF_OTHER_ORGANS, Wordings
from diffugts.scans.scan import Scan

RING_MM = (4.0, 12.0)
"""The tissue around a lesion that its density is compared with: from and to this distance."""

LEAST_CONTRAST = 0.5
"""Standard deviations of the ring by which a lesion must be darker or brighter to be called so."""

LEAST_OFFSET_MM = 20.0
"""Distance from the middle of the body beyond which a lesion lies on one side."""

AIR_HU = -300.0


class Category(str, Enum):
    """Kinds of texts."""

    SYNONYM = "synonym"
    PARAPHRASE = "paraphrase"
    OTHER_ORGAN = "another organ's tumour"
    ABSENT = "a tumour that is not there"
    TWIN = "the same words, no tumour"
    HEALTHY = "health"
    NONSENSE = "nonsense"
    DENSITY = "density"
    LOCATION = "location"


SAME = (Category.SYNONYM, Category.PARAPHRASE)
"""Both texts mean the same: masks should agree."""

NOTHING_THERE = (Category.OTHER_ORGAN, Category.ABSENT, Category.TWIN, Category.HEALTHY, Category.NONSENSE)
"""The second text describes nothing that is there: nothing should be marked for it."""


@dataclass(frozen=True)
class WordSubject:
    """A scan with a tumour to ask about. `truth` bool (k, j, i); `twin` the same body without it, where there is one."""

    name: str
    scan: Scan
    truth: np.ndarray
    wordings: Wordings
    twin: Scan | None = None


@dataclass(frozen=True)
class Question:
    """Two texts on one scan. The first should score higher, or, for `SAME`, the second like it.

    `on_twin`: the second is asked of the twin.
    """

    category: Category
    first: str
    second: str
    on_twin: bool = False


def questions_of(subject: WordSubject) -> list[Question]:
    """All questions of one subject, always in the same order."""
    w, reference = subject.wordings, subject.wordings.reference
    others = [text for region, texts in OF_OTHER_ORGANS.items() if region != w.region for text in texts]
    texts = [
        *((Category.SYNONYM, text) for text in w.synonyms),
        *((Category.PARAPHRASE, text) for text in w.paraphrases),
        *((Category.OTHER_ORGAN, text) for text in others),
        *((Category.ABSENT, text) for text in w.absent),
        *((Category.HEALTHY, text.format(organ=w.organ)) for text in HEALTHY),
        *((Category.NONSENSE, text) for text in NONSENSE),
    ]
    questions = [Question(category, reference, text) for category, text in texts]
    if subject.twin is not None:
        questions.append(Question(Category.TWIN, reference, reference, on_twin=True))
    questions.append(Question(Category.LOCATION, f"mass in the {w.place}", f"mass in the {w.other_place}"))
    side = lesion_side(subject.scan, subject.truth) if w.sided else None
    if side is not None:
        other = "right" if side == "left" else "left"
        questions.append(Question(Category.LOCATION, f"{reference} on the {side}", f"{reference} on the {other}"))
    darker, brighter = DENSITY[subject.scan.modality]
    contrast = lesion_contrast(subject.scan, subject.truth)
    if abs(contrast) >= LEAST_CONTRAST:
        right, wrong = (darker, brighter) if contrast < 0 else (brighter, darker)
        questions.append(Question(Category.DENSITY, f"{right} {reference}", f"{wrong} {reference}"))
    return questions


def lesion_contrast(scan: Scan, truth: np.ndarray) -> float:
    """Median of a lesion against that of the tissue around it, in that tissue's standard deviations; 0 without any."""
    spacing = scan.geometry.spacing_mm[::-1]
    distance = ndimage.distance_transform_edt(~truth, sampling=spacing)
    ring = (distance > RING_MM[0]) & (distance <= RING_MM[1]) & _body(scan)
    if not truth.any() or not ring.any():
        return 0.0
    around = scan.voxels[ring]
    return float((np.median(scan.voxels[truth]) - np.median(around)) / (around.std() + 1e-6))


def lesion_side(scan: Scan, truth: np.ndarray) -> str | None:
    """ "left" or "right" of the body's middle, the patient's own; None near it or without a lesion."""
    body = _body(scan)
    if not truth.any() or not body.any():
        return None
    offset = _middle_x(scan, truth) - _middle_x(scan, body)
    if abs(offset) < LEAST_OFFSET_MM:
        return None
    return "left" if offset > 0 else "right"  # LPS: x grows towards the patient's left


def _body(scan: Scan) -> np.ndarray:
    """Voxels that are no air, roughly: enough to find a body's middle, and tissue round a lesion."""
    lowest = AIR_HU if scan.modality == "CT" else 0.05 * float(np.percentile(scan.voxels, 99))
    return scan.voxels > lowest


def _middle_x(scan: Scan, mask: np.ndarray) -> float:
    k, j, i = (float(values.mean()) for values in np.nonzero(mask))
    return float((scan.geometry.ijk_to_lps @ [i, j, k, 1.0])[0])
