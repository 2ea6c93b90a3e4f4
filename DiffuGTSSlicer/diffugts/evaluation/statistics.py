"""Intervals and tests over cases: how sure a mean is, and whether two runs differ by more than chance."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2000
SIGNIFICANT = 0.05


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean, by resampling cases (percentile method); the value itself where there is only one.

    Raises ValueError without any value.
    """
    sample = np.asarray(values, float)
    if sample.size == 0:
        raise ValueError("there is no interval of no cases")
    if sample.size == 1 or np.ptp(sample) == 0:
        return float(sample.mean()), float(sample.mean())
    result = stats.bootstrap(
        (sample,),
        np.mean,
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        method="percentile",
        random_state=np.random.default_rng(seed),  # the name that every supported SciPy knows
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def share_interval(hits: int, total: int) -> tuple[float, float]:
    """95 % interval of a share, Wilson's; (0, 1) where nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    interval = stats.binomtest(hits, total).proportion_ci(CONFIDENCE, method="wilson")
    return float(interval.low), float(interval.high)


def paired_p_value(first: Sequence[float], second: Sequence[float]) -> float:
    """Two-sided p of Wilcoxon's signed-rank test on cases measured twice; 1 where no case differs.

    Raises ValueError where the two are not of the same length.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape:
        raise ValueError(f"{a.size} cases cannot be paired with {b.size}")
    differences = a - b
    if not np.any(np.abs(differences) > 1e-12):
        return 1.0
    with warnings.catch_warnings():  # a small sample with ties: told by the report's own footnote
        warnings.simplefilter("ignore")
        p = float(stats.wilcoxon(differences, zero_method="wilcox").pvalue)
    return 1.0 if math.isnan(p) else p


def holm(p_values: Sequence[float]) -> list[float]:
    """p values corrected for their number by Holm's step-down method, in the order given."""
    corrected = [1.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(np.argsort(p_values)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * float(p_values[int(index)])))
        corrected[int(index)] = highest
    return corrected
