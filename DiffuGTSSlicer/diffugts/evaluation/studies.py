"""What a model does beyond its mask: what its stages bring, how it fills holes and follows words, for docs/benchmarks.md.

Nothing here is ever trained on or chosen by: thresholds and weights come with the model.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import SimpleITK as sitk

from diffugts.encoded import EncodedScan
from diffugts.evaluation.cases import EvaluationCase
from diffugts.evaluation.measures import HoleEffect, centred_ellipsoid, dice, hole_effect, psnr, smooth_fill
from diffugts.evaluation.methods import Prediction
from diffugts.evaluation.stage_summary import STUDY
from diffugts.evaluation.stages import stage_results
from diffugts.foundation.body import filled_body
from diffugts.generated.lesions import apply_lesion, draw_lesion
from diffugts.generated.tissue import LesionKind, tissue_mask
from diffugts.inpainting import painted_voxels
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.pseudo_healthy import PseudoHealthy
from diffugts.scans.scan import Scan
from diffugts.scans.working_grid import oriented

WORDS = ("soft tissue sarcoma", "liver tumour", "a healthy thigh")
PARAPHRASES = (
    "soft tissue sarcoma",
    "malignant soft tissue tumour",
    "malignant neoplasm of the leg",
    "sarcoma of the thigh",
)
"""The third is one of the wordings held out of training."""

ONE_LOOK = "fast"
"""The quality level whose scores are read where a scan is looked at once."""

THRESHOLDS = np.arange(0.1, 0.95, 0.05)


class ModelStudies:
    """The studies of one model; called by an evaluation run for every case.

    `stages`: what each stage brings. `data_folder`: also what is asked of the project's own data folders alone, in which a group
    is known by its name and scans without a tumour are healthy tissue to draw lesions in.
    """

    def __init__(self, pipeline: DiffuGTSPipeline, stages: bool = True, data_folder: bool = True) -> None:
        self.pipeline, self.stages, self.data_folder = pipeline, stages, data_folder

    def __call__(self, case: EvaluationCase, scan: Scan, truth: np.ndarray, prediction: Prediction) -> dict[str, Any]:
        """Figures by study; which ones depends on what is known of the case."""
        pipeline = self.pipeline
        encoded = prediction.encoded or pipeline.encode(scan)
        figures: dict[str, Any] = {}
        if self.stages:
            figures[STUDY] = stage_results(pipeline, encoded, case.description, truth)
        if not self.data_folder:
            return figures
        encoded = encoded.seen_by(())
        if not truth.any():
            seed = 1000 + zlib.crc32(case.name.encode()) % 100_000
            return {**figures, "counterfactual": list(counterfactuals(pipeline, encoded, seed))}
        score = prediction.score_map
        figures |= {
            "ellipsoid_dice": dice(centred_ellipsoid(truth.shape, tuple(reversed(scan.geometry.spacing_mm))), truth),
            "hole": asdict(true_mask_effect(pipeline, encoded, truth)),
        }
        if score is not None:
            figures["best_threshold_dice"] = max(dice(score > threshold, truth) for threshold in THRESHOLDS)
        if case.folder == "sarcoma":
            figures["words"] = word_scores(pipeline, encoded)
            figures["paraphrase_dice"] = paraphrase_agreement(pipeline, encoded)
        return figures


def true_mask_effect(pipeline: DiffuGTSPipeline, encoded: EncodedScan, truth: np.ndarray) -> HoleEffect:
    """What inpainting does to a tumour when its true mask is painted over (working grid, in the scan's own unit)."""
    grid = encoded.grid
    mask = on_working_grid(encoded, truth)
    healthy = painted_over(pipeline, encoded, mask)
    body = filled_body(grid.intensities, grid.modality)
    return hole_effect(
        grid.curve.inverse(grid.intensities), grid.curve.inverse(healthy.intensities), mask, healthy.hole, body
    )


def painted_over(
    pipeline: DiffuGTSPipeline, encoded: EncodedScan, mask: np.ndarray, steps: int | None = None
) -> PseudoHealthy:
    """A mask, bool (k, j, i) of the working grid, painted over as the pipeline paints what it suspects."""
    hole = pipeline.hole(encoded, mask)
    usual = pipeline.preset.qualities["standard"].steps
    taken = usual if steps is None else steps
    return pipeline.inpaint(encoded, hole, taken, painted=painted_voxels(mask, hole), compare=False)


def on_working_grid(encoded: EncodedScan, mask: np.ndarray) -> np.ndarray:
    """A mask of the scan's grid, bool, on the working grid (nearest voxel)."""
    reference = encoded.grid.geometry.image(np.zeros(encoded.grid.geometry.shape, np.uint8))
    label = oriented(encoded.scan.geometry.image(mask))
    return sitk.GetArrayFromImage(sitk.Resample(label, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)) > 0


def word_scores(pipeline: DiffuGTSPipeline, encoded: EncodedScan) -> dict[str, float]:
    """Highest score of each of `WORDS` on one scan that was looked at once."""
    scaled = pipeline.preset.calibration(ONE_LOOK).scaled
    return {a.description.text: float(scaled(a.score).max()) for a in pipeline.attend(encoded, WORDS)}


def paraphrase_agreement(pipeline: DiffuGTSPipeline, encoded: EncodedScan) -> dict[str, float]:
    """DSC between the first paraphrase's mask and each other's."""
    calibration = pipeline.preset.calibration(ONE_LOOK)
    scores = {a.description.text: calibration.scaled(a.score) for a in pipeline.attend(encoded, PARAPHRASES)}
    masks = {text: score > calibration.threshold for text, score in scores.items()}
    first = masks[PARAPHRASES[0]]
    return {text: dice(mask, first) for text, mask in masks.items() if text != PARAPHRASES[0]}


def counterfactuals(
    pipeline: DiffuGTSPipeline, encoded: EncodedScan, seed: int, count: int = 2
) -> Iterator[dict[str, float]]:
    """Generated lesions in a real scan, where the healthy truth is known: PSNR of what is painted, ours and a smooth fill's."""
    grid = encoded.grid
    rng = np.random.default_rng(seed)
    kind = LesionKind.BRAIN if grid.modality == "MR" else LesionKind.SOFT
    body = filled_body(grid.intensities, grid.modality)
    for _ in range(count):
        tissue = tissue_mask(grid.intensities, grid.modality, kind)
        plan = draw_lesion(rng, tissue, grid.modality, kind, radius_mm=(6.0, 16.0))
        if plan is None:
            continue
        with_lesion, mask = apply_lesion(grid.intensities, plan, tissue)
        ill = pipeline.encode_grid(encoded.scan, grid, with_lesion)
        healthy, expected = painted_over(pipeline, ill, mask), painted_over(pipeline, ill, mask, 0)
        baseline = smooth_fill(with_lesion, healthy.painted, body)
        filled = {"expected": expected.intensities, "textured": healthy.intensities, "smooth_fill": baseline}
        yield {
            f"{name}_db": psnr(scan, grid.intensities, healthy.painted)
            for name, scan in {**filled, "lesion": with_lesion}.items()
        }
