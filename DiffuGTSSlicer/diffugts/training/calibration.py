"""From which image-level anomaly score on a finding is called found and not uncertain: chosen on training and generated scans.

The score of a scan with a tumour should reach the bound, that of one without should not. Where the two overlap, missing a
tumour's "found" is the lesser harm: the finding is still drawn, and called uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np

from diffugts.generated.phantom import Body, demo_case, draw_phantom
from diffugts.pipeline import DiffuGTSPipeline

ERROR_RATE = 0.1
"""Of scans with a tumour below the bound, and of scans without one above it, where both can be had."""

CALIBRATION_SEEDS = tuple(range(400, 404))
"""Generated bodies that no training draws and no demo shows."""

LOWEST_BOUND, HIGHEST_BOUND = 0.3, 0.97


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


def generated_anomaly_scores(pipeline: DiffuGTSPipeline) -> tuple[dict[str, float], dict[str, float]]:
    """Anomaly scores of generated bodies with one lesion, and of the same bodies without it, asked for that lesion."""
    present: dict[str, float] = {}
    absent: dict[str, float] = {}
    for body in get_args(Body):
        for seed in CALIBRATION_SEEDS:
            diseased, _, description = demo_case(seed, body)
            healthy = draw_phantom(seed, body, "MR" if diseased.modality == "MR" else "CT").scan
            for scan, scores in ((diseased, present), (healthy, absent)):
                attention = pipeline.attend(pipeline.encode(scan), [description])[0]
                scores[f"generated {body} {seed}"] = attention.anomaly_score
    return present, absent
