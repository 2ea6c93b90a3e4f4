"""A scan searched for what descriptions say: all four stages, from its features to the findings.

What the pipeline does where its model has a trained attention; `marked_region` is what is left to one without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from diffugts.encoded import EncodedScan
from diffugts.errors import Cancelled
from diffugts.findings.finding import Finding, Segmentation
from diffugts.findings.lesions import VerdictRule, finding_mask, left_out_in_words, measure_lesions, verdict
from diffugts.inpainting import painted_voxels
from diffugts.protocol import ProgressCallback, Quality, Region, Stage
from diffugts.pseudo_healthy import PseudoHealthy, on_scan_grid
from diffugts.refinement import RefinementWeights, refined_score, without_indifferent_regions
from diffugts.scans.region import marked_voxels, marked_working_voxels
from diffugts.stage_progress import StageProgress, timed

UNSUSPICIOUS = 0.25
"""Share of the threshold below which tissue beside a finding is taken for healthy (docs/decisions.md)."""

if TYPE_CHECKING:
    from diffugts.calibration import Calibration
    from diffugts.foundation.features import Check
    from diffugts.pipeline import Attention, DiffuGTSPipeline
    from diffugts.preset import QualityLevel


def segment_described(
    pipeline: DiffuGTSPipeline,
    scan: EncodedScan,
    descriptions: Sequence[str],
    region: Region | np.ndarray | None,
    quality: Quality,
    rule: VerdictRule,
    smallest_lesion_ml: float,
    seed: int,
    progress: ProgressCallback | None,
    timings: dict[str, float],
) -> Segmentation:
    """What `DiffuGTSPipeline.__call__` returns, and raises, for a scan that is encoded; adds its stages to `timings`, seconds."""
    level = pipeline.preset.qualities[quality.value]
    refining = level.inpaint and level.refine and pipeline.preset.refinement.changes_mask
    calibration = pipeline.preset.calibration(quality.value)
    allowed = marked_voxels(scan.scan.geometry, region) if region is not None else None
    asked = pipeline.understand(descriptions)
    attentions: list[Attention] = []
    maps: list[np.ndarray] = []
    findings: list[Finding] = []
    volumes: tuple[np.ndarray | None, ...] = (None, None, None)
    cancelled = False

    def finish(score: np.ndarray) -> None:
        with timed(timings, "measure_s"):
            findings.append(_finding(scan, attentions[len(findings)], score, rule, smallest_lesion_ml))

    try:
        attending = StageProgress(progress, Stage.ATTENDING, len(asked), done=-1)
        for description in asked:
            attending()
            with timed(timings, "attend_s"):
                attentions.append(pipeline.attend_one(scan, description, attending.again))
                maps.append(calibration.scaled(pipeline.score_map(scan, attentions[-1].score, allowed)))
            if not refining:
                finish(maps[-1])
        attending()
        healthy = None
        if level.inpaint:
            with timed(timings, "inpaint_s"):
                within = marked_working_voxels(scan.grid, region) if region is not None else None
                suspected, unsuspicious = suspicion(
                    pipeline, scan, attentions, calibration, rule, smallest_lesion_ml, within
                )
                healthy = painted_over(pipeline, scan, suspected, unsuspicious, level, seed, progress, refining)
        if healthy is not None:
            layers = pipeline.layers() if refining and pipeline.preset.refinement.feature else 0
            steps = 1 + len(asked) * (1 + layers) if refining else 1
            check = StageProgress(progress, Stage.REFINING, steps, done=-1)
            check()
            with timed(timings, "refine_s"):
                volumes = _within(allowed, scan, *on_scan_grid(scan, healthy))
        for attention, score in zip(attentions[len(findings) :], maps[len(findings) :]):
            if healthy is not None:
                with timed(timings, "refine_s"):
                    score = refined(pipeline, scan, attention, healthy, score, calibration, rule.threshold, check)
            finish(score)
    except Cancelled:
        if not findings:
            raise
        cancelled = True
    return Segmentation(
        scan=scan.scan,
        findings=findings,
        pseudo_healthy=volumes[0],
        residual=volumes[1],
        hole=volumes[2],
        quality=quality,
        seed=seed,
        timings_s=timings,
        model=pipeline.identity,
        device=str(pipeline.device),
        notes=[*scan.scan.notes, *scan.notes],
        cancelled=cancelled,
        unfinished=tuple(description.text for description in asked[len(findings) :]),
        rough_mask=allowed if isinstance(region, np.ndarray) else None,
    )


def suspicion(
    pipeline: DiffuGTSPipeline,
    scan: EncodedScan,
    attentions: Sequence[Attention],
    calibration: Calibration,
    rule: VerdictRule,
    smallest_lesion_ml: float,
    within: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """What any of the findings would mark `within` the allowed voxels, and where all scaled scores say next to nothing.

    Both bool (k, j, i) of the working grid, as `within` is; None allows all.
    """
    suspected = np.zeros(scan.grid.intensities.shape, bool)
    unsuspicious = ~suspected
    silent = UNSUSPICIOUS * min(rule.threshold, calibration.threshold)
    for attention in attentions:  # one map at a time: there may be fifty descriptions
        working = calibration.scaled(pipeline.on_working_grid(scan, attention.score))
        unsuspicious &= working < silent
        if within is not None:
            working = np.where(within, working, np.float32(0))
        suspected |= finding_mask(working, rule, smallest_lesion_ml, scan.grid.geometry)[0]
    return suspected, unsuspicious


def painted_over(
    pipeline: DiffuGTSPipeline,
    scan: EncodedScan,
    suspected: np.ndarray,
    unsuspicious: np.ndarray,
    level: QualityLevel,
    seed: int,
    progress: ProgressCallback | None,
    compare: bool = True,
) -> PseudoHealthy | None:
    """All that is suspected, bool (k, j, i) of the working grid, painted anew at once; None where nothing is.

    Its level is taken from what is `unsuspicious` around it: a mask may be short of its tumour. Residuals need `compare`.
    """
    if not suspected.any():
        return None
    seeds = list(range(seed, seed + level.seeds))
    hole = pipeline.hole(scan, suspected)
    painted = painted_voxels(suspected, hole)
    return pipeline.inpaint(scan, hole, level.steps, seeds, progress, painted, unsuspicious, compare)


def _within(
    allowed: np.ndarray | None, scan: EncodedScan, pseudo_healthy: np.ndarray, residual: np.ndarray, hole: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What was painted, on the scan's own grid (k, j, i), limited to the allowed voxels, in place; all of it for None.

    The margin and the soft edge of what is painted reach some voxels beyond what is suspected, and so beyond a region.
    """
    if allowed is not None:
        np.copyto(pseudo_healthy, scan.scan.voxels, where=~allowed, casting="same_kind")
        np.copyto(residual, 0, where=~allowed)
        hole &= allowed
    return pseudo_healthy, residual, hole


def refined(
    pipeline: DiffuGTSPipeline,
    scan: EncodedScan,
    attention: Attention,
    healthy: PseudoHealthy,
    score: np.ndarray,
    calibration: Calibration,
    threshold: float,
    check: Check,
) -> np.ndarray:
    """The scaled map `score` (k, j, i) of one attention on the scan's own grid, refined by the preset's weights."""
    weights = pipeline.preset.refinement
    working = calibration.scaled(pipeline.on_working_grid(scan, attention.score))
    check()
    feature = np.zeros_like(working)
    if weights.feature:
        residual = pipeline.feature_residual(scan, healthy, attention.description, check)
        feature = pipeline.on_working_grid(scan, residual)
    return refined_map(scan, healthy, feature, working, score, threshold, weights)


def refined_map(
    scan: EncodedScan,
    healthy: PseudoHealthy,
    feature: np.ndarray,
    working: np.ndarray,
    score: np.ndarray,
    threshold: float,
    weights: RefinementWeights,
) -> np.ndarray:
    """A score map (k, j, i) on the scan's own grid, refined by the residuals; 0 where `score` is 0.

    `working` and `score` are the scaled scores on the working grid and on the scan's own; `feature` is the feature residual
    on the working grid, logits.
    """
    refined = refined_score(working, healthy.pixel_residual, feature, healthy.hole, weights)
    kept = without_indifferent_regions(refined > threshold, healthy.signed, weights.rejection)
    refined = np.where((refined > threshold) & ~kept, np.minimum(refined, threshold), refined)
    return (scan.grid.to_scan(refined) * (score > 0)).astype(np.float32)


def _finding(
    scan: EncodedScan, attention: Attention, score: np.ndarray, rule: VerdictRule, smallest_lesion_ml: float
) -> Finding:
    mask, score, left_out = finding_mask(score, rule, smallest_lesion_ml, scan.scan.geometry)
    lesions = measure_lesions(mask, score, scan.scan)
    description = attention.description
    decision, notes = verdict(description.text, score, lesions, attention.anomaly_score, rule)
    if left_out is not None:
        notes = [*notes, left_out_in_words(left_out, rule.threshold)]
    return Finding(
        description=description.text,
        score_map=score,
        mask=mask,
        verdict=decision,
        highest_score=float(score.max()),
        anomaly_score=attention.anomaly_score,
        threshold=rule.threshold,
        lesions=lesions,
        notes=[*description.notes, *notes],
    )
