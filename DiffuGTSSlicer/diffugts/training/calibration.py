"""What a quality level's scores mean, measured on training and generated scans: `calibrate` makes its `Calibration`.

Scale and bias of the score come from voxels of held-out training patients, by log loss: of tissue that scores 0.7 in a scan
that shows what is described, 70 % should be tumour. They are used only where they bring scans of patients that they were
not fitted on, tumour-free scans among them, nearer to the truth. When a verdict is uncertain follows from the scores of
whole scans, generated bodies among them: "found" must be wrong in no more than one in ten scans without a tumour, "not
found" in one in ten with one. Where the two overlap, missing a tumour's "found" is the lesser harm: it is drawn, and called
uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from diffugts.calibration import Calibration
from diffugts.evaluation.reliability import LEAST_SCORE, ScoredTissue, calibration_error, reliability
from diffugts.findings.lesions import VerdictRule
from diffugts.training.looks import Look, WholeScan
from diffugts.training.volumes import SPACING_MM

VOXEL_ML = SPACING_MM**3 / 1000
ERROR_RATE = 0.1
"""Of scans with a tumour below a bound, and of scans without one above it, where both can be had."""

LEAST_SCANS = 10
"""Of either kind: fewer cannot show what one in ten does."""

CALIBRATION_SEEDS = tuple(range(400, 404))
"""Generated bodies that no training draws and no demo shows."""

LOWEST_BOUND, HIGHEST_BOUND = 0.3, 0.97


def calibrate(
    cut: float,
    ill: Sequence[Look],
    free: Sequence[Look],
    present: Mapping[str, WholeScan],
    absent: Mapping[str, WholeScan],
    uncertain_margin: float,
) -> tuple[Calibration, dict[str, Any]]:
    """One way of looking: how its scores are read, and the figures that say why.

    `cut` is the threshold chosen for the unscaled score; `ill` and `free` are training scans with and without a tumour,
    `present` and `absent` further scans of both kinds. `uncertain_margin` around `cut` stands in for what they cannot tell.
    """
    scale, bias, errors = score_scale(ill, free)
    calibration = Calibration(cut, LOWEST_BOUND, scale=scale, bias=bias)
    present = {**present, **{look.name: look.whole for look in ill}}
    absent = {**absent, **{look.name: look.whole for look in free}}
    highest = [scan.highest for scan in (*present.values(), *absent.values())]
    scaled = calibration.scaled(np.array([cut, max(cut - uncertain_margin, 0.0), *highest])).round(4).tolist()
    threshold, near, with_tumour, without = (
        scaled[0],
        scaled[1],
        scaled[2 : len(present) + 2],
        scaled[len(present) + 2 :],
    )
    bound = least_anomaly_score([s.anomaly for s in present.values()], [s.anomaly for s in absent.values()])
    uncertain = uncertain_range(with_tumour, without, threshold, near)
    calibration = replace(calibration, threshold=threshold, least_anomaly_score=bound, uncertain_range=uncertain)
    rule = VerdictRule(threshold, uncertain_margin, bound, uncertain)
    figures = {
        "threshold": threshold,
        "scale": scale,
        "bias": bias,
        **errors,
        "uncertain_range": uncertain,
        "least_anomaly_score": bound,
        "scans_with_tumour": verdicts(rule, present, with_tumour),
        "scans_without": verdicts(rule, absent, without),
    }
    return calibration, figures


def score_scale(ill: Sequence[Look], free: Sequence[Look]) -> tuple[float, float, dict[str, float]]:
    """Scale and bias of the score's logit, and the calibration error without and with them.

    The error with them is that of every patient's scans as the other patients' scale them. Where it is no lower over all
    scans, or fewer than two patients have a tumour, the scores stay as they are: scale 1, bias 0.
    """
    patients = {look.patient for look in ill}
    looks = [*ill, *free]
    scaled = []
    for look in looks if len(patients) > 1 else ():
        scale, bias = fitted_scale([other for other in ill if other.patient != look.patient])
        scaled.append(Calibration(0.5, 0.5, scale=scale, bias=bias).scaled(look.score))
    errors = {}
    for name, count in (("", len(looks)), ("_with_tumour", len(ill))):
        errors[f"calibration_error{name}"] = _calibration_error(looks[:count], [look.score for look in looks[:count]])
        errors[f"calibration_error{name}_scaled_by_other_patients"] = _calibration_error(looks[:count], scaled[:count])
    if not errors["calibration_error_scaled_by_other_patients"] < errors["calibration_error"]:
        return 1.0, 0.0, errors
    scale, bias = fitted_scale(ill)
    return round(scale, 4), round(bias, 4), errors


def fitted_scale(ill: Sequence[Look]) -> tuple[float, float]:
    """Scale and bias by log loss of the tissue that scores at least `LEAST_SCORE`, each scan with a tumour alike.

    Lower scores are the easy background, which would decide alone. 1 and 0 where there is not both tumour and other tissue,
    or a higher score would mean less tumour.
    """
    logits, truths, weights = [], [], []
    for look in ill:
        scored = look.score >= LEAST_SCORE
        score = np.clip(look.score[scored].astype(np.float64), 1e-6, 1 - 1e-6)
        logits.append(np.log(score / (1 - score)))
        truths.append(look.truth[scored])
        weights.append(np.full(len(score), 1 / max(len(score), 1)))
    truth = np.concatenate(truths)
    if truth.all() or not truth.any():
        return 1.0, 0.0
    (scale,), bias = logistic_regression(np.concatenate(logits)[:, None], truth, np.concatenate(weights))
    return (scale, bias) if scale > 0 else (1.0, 0.0)


def logistic_regression(
    inputs: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None
) -> tuple[list[float], float]:
    """Coefficients and bias of the log odds of `truth` (n,) in `inputs` (n, columns), rows weighted by `weights` (n,)."""
    x = torch.from_numpy(inputs).float()
    y = torch.from_numpy(truth).float()
    weight = torch.from_numpy(weights / weights.mean()).float() if weights is not None else None
    fitted = torch.zeros(x.shape[1] + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([fitted], max_iter=100)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        logits = x @ fitted[:-1] + fitted[-1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y, weight)
        loss = loss + 1e-4 * fitted.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    *coefficients, bias = fitted.tolist()
    return coefficients, bias


def least_anomaly_score(present: Sequence[float], absent: Sequence[float]) -> float:
    """The bound between anomaly scores of scans with a tumour and of scans without one, 0..1.

    Half-way between the `ERROR_RATE` quantiles of the two where they part. Where they overlap, the quantile of the scans
    without a tumour: "found" must be believable. Raises ValueError where one of the two is empty.
    """
    if not len(present) or not len(absent):
        raise ValueError("the bound needs scans with a tumour and scans without one")
    with_tumour = float(np.quantile(present, ERROR_RATE))
    without = float(np.quantile(absent, 1 - ERROR_RATE))
    bound = (with_tumour + without) / 2 if without < with_tumour else without
    return round(float(np.clip(bound, LOWEST_BOUND, HIGHEST_BOUND)), 2)


def uncertain_range(
    present: Sequence[float], absent: Sequence[float], threshold: float, near: float
) -> tuple[float, float] | None:
    """From and to which highest score of a scan a verdict is uncertain; None where too few scans could tell.

    `present` and `absent` are the highest scaled scores of scans with and without a tumour. Below the range lie one in ten
    scans with a tumour, above it one in ten without (`ERROR_RATE`); the threshold is always in it, or at its edge. Where
    less than half of the scans without a tumour would lie below the range, no score tells that nothing is there: tumours that
    the model does not know look like healthy tissue. Then the range begins at `near`, a little below the threshold.
    """
    if min(len(present), len(absent)) < LEAST_SCANS:
        return None
    low = float(np.quantile(present, ERROR_RATE))
    if low < float(np.median(absent)):
        low = near
    high = min(float(np.quantile(absent, 1 - ERROR_RATE)), HIGHEST_BOUND)
    return round(min(low, threshold), 4), round(max(high, threshold), 4)


def verdicts(rule: VerdictRule, scans: Mapping[str, WholeScan], highest: Sequence[float]) -> dict[str, Any]:
    """How many of `scans` would be found, uncertain and not found, by their `highest` scaled scores, and both scores of each."""
    low, high = rule.uncertain_scores
    counts = {"found": 0, "uncertain": 0, "not found": 0}
    for scan, score in zip(scans.values(), highest, strict=True):
        believed = score >= high and score > rule.threshold and scan.anomaly >= rule.least_anomaly_score
        counts["found" if believed else "not found" if score <= low else "uncertain"] += 1
    each = {
        name: {"highest_score": round(score, 3), "anomaly_score": round(scan.anomaly, 3)}
        for (name, scan), score in zip(scans.items(), highest, strict=True)
    }
    return {**counts, "each": each}


def _calibration_error(looks: Sequence[Look], scores: Sequence[np.ndarray]) -> float:
    """NaN without scores."""
    tissue = [ScoredTissue.of(score, look.truth, VOXEL_ML) for look, score in zip(looks, scores)]
    return round(calibration_error(reliability(tissue)), 4)
