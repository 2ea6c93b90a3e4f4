"""One case's figures, as they are kept on disk and read back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from diffugts.evaluation.lesionwise import LesionRules, LesionScores, TrueLesion, score_lesions
from diffugts.evaluation.methods import Prediction
from diffugts.evaluation.overlap import Overlap, measure_overlap
from diffugts.evaluation.reliability import ScoredTissue


@dataclass(frozen=True)
class Figures:
    """What one method reached on one case; `scored` where it has a score map."""

    overlap: Overlap
    lesions: LesionScores
    verdict: str
    highest_score: float
    anomaly_score: float | None
    threshold: float
    seconds: float
    scored: ScoredTissue | None = None

    @classmethod
    def of(
        cls, prediction: Prediction, truth: np.ndarray, spacing_kji_mm: tuple[float, ...], rules: LesionRules
    ) -> Figures:
        """Measure a prediction against the truth (k, j, i)."""
        scores, voxel_ml = prediction.score_map, float(np.prod(spacing_kji_mm)) / 1000
        return cls(
            overlap=measure_overlap(prediction.mask, truth, spacing_kji_mm),
            lesions=score_lesions(prediction.mask, truth, spacing_kji_mm, rules),
            verdict=prediction.verdict,
            highest_score=prediction.highest_score,
            anomaly_score=prediction.anomaly_score,
            threshold=prediction.threshold,
            seconds=prediction.seconds,
            scored=ScoredTissue.of(scores, truth, voxel_ml) if scores is not None else None,
        )


@dataclass(frozen=True)
class CaseRecord:
    """A finished case: `figures` by the methods' names; `studies` of the model beyond its mask, where there are any.

    `failure` is the sentence with which a case could not be evaluated; it has no figures then.
    """

    name: str
    folder: str
    description: str
    modality: str
    fingerprint: str
    truth_ml: float = 0.0
    figures: dict[str, Figures] = field(default_factory=dict)
    studies: dict[str, Any] = field(default_factory=dict)
    failure: str | None = None

    @property
    def has_tumour(self) -> bool:
        return self.truth_ml > 0

    def as_json(self) -> str:
        """The record as text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> CaseRecord:
        """Read it back. Raises ValueError, KeyError or TypeError for anything else."""
        facts = json.loads(text)
        facts["figures"] = {name: _figures(values) for name, values in facts["figures"].items()}
        return cls(**facts)


def _figures(values: dict[str, Any]) -> Figures:
    lesions = dict(values["lesions"])
    lesions["lesions"] = [TrueLesion(**lesion) for lesion in lesions["lesions"]]
    scored = ScoredTissue(**values["scored"]) if values.get("scored") else None
    parts = {"overlap": Overlap(**values["overlap"]), "lesions": LesionScores(**lesions), "scored": scored}
    return Figures(**{**values, **parts})
