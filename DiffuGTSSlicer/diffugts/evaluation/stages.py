"""What each stage brings: the mask of one case with the stages added one after the other, those that are off as well.

Attention as every quality level looks, from one look to the most; then, looked at as `standard` looks, each kind of residual
refinement (`diffugts.refinement`) on top of it. A model that refines by weights of its own is measured with these. Beside them
stand weights that nobody fitted: a residual enters in units of the logit, so that what healthy tissue typically has
(`RefinementWeights.pixel_scale`) leaves the score where it is. Fitting them to the cases that are evaluated would flatter them;
what fitted weights reach on held-out training patients, `diffugts train assemble` says.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from diffugts.calibration import Calibration
from diffugts.described_search import painted_over, refined_map, suspicion
from diffugts.encoded import EncodedScan
from diffugts.evaluation.overlap import dice
from diffugts.findings.lesions import VerdictRule, finding_mask
from diffugts.pipeline import Attention, DiffuGTSPipeline
from diffugts.preset import ModelPreset
from diffugts.refinement import RefinementWeights
from diffugts.views import View, looks_in_words

STAGED = "standard"
"""The quality level whose stages are taken apart."""

ALL_REGIONS = "regions that are uncertain alone kept beside certain ones"
OWN_REFINEMENT = "residual refinement, the model's own weights"

SMALLEST_LESION_ML = 0.1
"""As `DiffuGTSPipeline` has it."""

LITTLE, FULL = 0.25, 1.0
LEAST_CONTRAST = 0.5
"""Pooled standard deviations by which a region must differ from its shell, where rejection is tried."""


@dataclass(frozen=True)
class StageResult:
    """One case's mask up to one stage.

    `levels` the quality levels that have the stage switched on; `against` the stage that it is added to, None for the first;
    `dsc` against the truth; `marked_ml` the mask's volume.
    """

    stage: str
    levels: list[str]
    against: str | None
    dsc: float
    marked_ml: float


def stage_results(
    pipeline: DiffuGTSPipeline, encoded: EncodedScan, description: str, truth: np.ndarray, seed: int = 0
) -> list[dict[str, Any]]:
    """Every `StageResult` of a case, as it is kept; `truth` is bool (k, j, i) on the scan's own grid.

    The stages that need more views than `encoded` has are encoded again.
    """
    preset, geometry = pipeline.preset, encoded.scan.geometry
    staged_views = preset.qualities[STAGED].views
    if not encoded.further.keys() >= set(preset.all_views):
        encoded = pipeline.encode(encoded.scan, views=preset.all_views)
    results: list[StageResult] = []

    def measured(
        stage: str, levels: list[str], against: str | None, score: np.ndarray, rule: VerdictRule
    ) -> StageResult:
        mask = finding_mask(score, rule, SMALLEST_LESION_ML, geometry)[0]
        marked = float(np.count_nonzero(mask)) * geometry.voxel_ml
        return StageResult(stage, levels, against, dice(mask, truth), marked)

    attended: dict[tuple[View, ...], tuple[StageResult, Attention, np.ndarray]] = {}
    for way in preset.ways_of_looking:
        levels = [name for name, level in preset.qualities.items() if level.views == way]
        calibration, against = preset.calibration(levels[0]), results[0].stage if results else None
        seen = encoded.seen_by(way)
        attention = pipeline.attend(seen, [description])[0]
        score = calibration.scaled(pipeline.score_map(seen, attention.score))
        results.append(measured(attention_stage(way), levels, against, score, pipeline.rule(calibration)))
        attended[way] = results[-1], attention, score
    staged, attention, score = attended[staged_views]
    encoded, calibration = encoded.seen_by(staged_views), preset.calibration(STAGED)
    rule = pipeline.rule(calibration)
    results.append(measured(ALL_REGIONS, [], staged.stage, score, replace(rule, certain_alone=False)))
    for name, levels, refined in _refined_maps(pipeline, encoded, attention, calibration, score, seed):
        if refined is None:
            results.append(replace(staged, stage=name, levels=levels, against=staged.stage))
        else:
            results.append(measured(name, levels, staged.stage, refined, rule))
    return [asdict(result) for result in results]


def attention_stage(way: tuple[View, ...]) -> str:
    """What the attention's stage is called, by its way of looking."""
    return f"attention, {looks_in_words(way)}"


def _refined_maps(
    pipeline: DiffuGTSPipeline,
    encoded: EncodedScan,
    attention: Attention,
    calibration: Calibration,
    score: np.ndarray,
    seed: int,
) -> Iterator[tuple[str, list[str], np.ndarray | None]]:
    """Name, quality levels and score map (k, j, i) on the scan's own grid of each refinement of one attention.

    `score` is its scaled map there; where nothing is suspected, nothing is painted and nothing to refine: None.
    """
    threshold = calibration.threshold
    suspected, unsuspicious = suspicion(
        pipeline, encoded, [attention], calibration, pipeline.rule(calibration), SMALLEST_LESION_ML
    )
    level = pipeline.preset.qualities[STAGED]
    healthy = painted_over(pipeline, encoded, suspected, unsuspicious, level, seed, None)
    if healthy is None:
        yield from ((name, levels, None) for name, (levels, _) in refinements(pipeline.preset).items())
        return
    working = calibration.scaled(pipeline.on_working_grid(encoded, attention.score))
    feature = pipeline.on_working_grid(encoded, pipeline.feature_residual(encoded, healthy, attention.description))
    for name, (levels, weights) in refinements(pipeline.preset).items():
        yield name, levels, refined_map(encoded, healthy, feature, working, score, threshold, weights)


def refinements(preset: ModelPreset) -> dict[str, tuple[list[str], RefinementWeights]]:
    """What is tried on top of the attention: by name the quality levels that do so, and the weights."""
    own = preset.refinement
    scale = own.pixel_scale
    tried: dict[str, tuple[list[str], RefinementWeights]] = {}
    if own.changes_mask:
        tried[OWN_REFINEMENT] = ([name for name, q in preset.qualities.items() if q.inpaint and q.refine], own)
    for weight in (LITTLE, FULL):
        pixel = RefinementWeights(pixel=weight, bias=-weight, pixel_scale=scale)
        tried[f"pixel residual, weight {weight:g}"] = ([], pixel)
    for weight in (LITTLE, FULL):
        tried[f"feature residual, weight {weight:g}"] = ([], RefinementWeights(feature=weight, pixel_scale=scale))
    both = RefinementWeights(pixel=LITTLE, feature=LITTLE, bias=-LITTLE, pixel_scale=scale)
    tried[f"both residuals, weight {LITTLE:g}"] = ([], both)
    rejecting = RefinementWeights(pixel_scale=scale, rejection=LEAST_CONTRAST)
    tried[f"rejection of regions below contrast {LEAST_CONTRAST:g}"] = ([], rejecting)
    return tried
