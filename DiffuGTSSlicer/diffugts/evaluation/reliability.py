"""Do scores and verdicts mean what they say? Reliability of the score map, and what each verdict was worth.

A score is reliable when of all tissue scored 0.7 to 0.8 about three quarters are tumour. The expected calibration error
is the mean distance from that, weighted by tissue (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017).
Tissue that hardly scores is left out of it: the background of any scan is easy, and would hide the rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from diffugts.findings.finding import Verdict

BINS = 10
LEAST_SCORE = 0.1
"""From this score on tissue counts in the calibration error: a bin's edge."""


@dataclass(frozen=True)
class ScoredTissue:
    """Tissue of one case by its score, in `BINS` equal bins of 0 to 1: how much there is, its mean score, how much is tumour."""

    tissue_ml: list[float]
    mean_score: list[float]
    tumour_ml: list[float]

    @classmethod
    def of(cls, score_map: np.ndarray, truth: np.ndarray, voxel_ml: float) -> ScoredTissue:
        """From a score map 0..1 and the truth, both (k, j, i)."""
        bins = np.clip((score_map.ravel() * BINS).astype(np.int64), 0, BINS - 1)
        voxels = np.bincount(bins, minlength=BINS)
        scores = np.bincount(bins, weights=score_map.ravel(), minlength=BINS)
        tumour = np.bincount(bins, weights=truth.ravel(), minlength=BINS)
        means = np.divide(scores, voxels, out=np.zeros(BINS), where=voxels > 0)
        return cls((voxels * voxel_ml).tolist(), means.tolist(), (tumour * voxel_ml).tolist())


@dataclass(frozen=True)
class Reliability:
    """Of one bin over all cases: `share` of the tissue that is tumour, against the mean `score` it was given."""

    low: float
    high: float
    tissue_ml: float
    score: float
    share: float


def reliability(cases: Sequence[ScoredTissue]) -> list[Reliability]:
    """All bins that hold tissue, every ml alike."""
    rows = []
    for index in range(BINS):
        tissue = sum(case.tissue_ml[index] for case in cases)
        if tissue > 0:
            score = sum(case.tissue_ml[index] * case.mean_score[index] for case in cases) / tissue
            share = sum(case.tumour_ml[index] for case in cases) / tissue
            rows.append(Reliability(index / BINS, (index + 1) / BINS, tissue, score, share))
    return rows


def calibration_error(rows: Sequence[Reliability]) -> float:
    """Expected calibration error 0..1 of the tissue that scores at least `LEAST_SCORE`; NaN where none does."""
    counted = [row for row in rows if row.low >= LEAST_SCORE - 1e-9]
    tissue = sum(row.tissue_ml for row in counted)
    return sum(row.tissue_ml * abs(row.share - row.score) for row in counted) / tissue if tissue else float("nan")


@dataclass(frozen=True)
class VerdictWorth:
    """How often one verdict was given, and what lay behind it.

    `touched` cases have a tumour that the mask meets, `missed` one that it does not, `free` have none.
    """

    verdict: str
    touched: int
    missed: int
    free: int

    @property
    def cases(self) -> int:
        return self.touched + self.missed + self.free

    @property
    def right(self) -> int:
        """'Not found' is right where there is no tumour, every other verdict where the mask meets one."""
        return self.free if self.verdict == Verdict.NOT_FOUND.value else self.touched
