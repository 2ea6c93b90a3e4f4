"""The evaluation that stands in docs/benchmarks.md: every validation case, every quality, every stage.

Nothing here is ever trained on or chosen by: thresholds and weights come with the model.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from diffugts.encoded import EncodedScan
from diffugts.evaluation.cases import EvaluationCase, tumour_free_cases, validation_cases
from diffugts.evaluation.measures import HoleEffect, centred_ellipsoid, dice, hole_effect, psnr, smooth_fill
from diffugts.evaluation.speed import peak_memory_mb
from diffugts.foundation.body import filled_body
from diffugts.generated.lesions import apply_lesion, draw_lesion
from diffugts.generated.tissue import LesionKind, tissue_mask
from diffugts.pipeline import DiffuGTSPipeline

QUALITIES = ("fast", "standard", "thorough")
WORDS = ("soft tissue sarcoma", "liver tumour", "a healthy thigh")
PARAPHRASES = (
    "soft tissue sarcoma",
    "malignant soft tissue tumour",
    "malignant neoplasm of the leg",
    "sarcoma of the thigh",
)
"""The third is one of the wordings held out of training."""


@dataclass
class CaseRow:
    """One case's figures. `dice` and `seconds` by quality; volumes in ml; `effect` of inpainting the true mask."""

    name: str
    folder: str
    description: str
    tumour_ml: float
    ellipsoid_dice: float
    dice: dict[str, float] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    found_ml: dict[str, float] = field(default_factory=dict)
    verdict: str = ""
    highest_score: float = 0.0
    anomaly_score: float = 0.0
    oracle_dice: float = 0.0
    effect: HoleEffect | None = None


@dataclass
class Report:
    """All figures of one evaluation."""

    cases: list[CaseRow] = field(default_factory=list)
    tumour_free: list[CaseRow] = field(default_factory=list)
    words: list[dict[str, float]] = field(default_factory=list)
    paraphrase_dice: list[dict[str, float]] = field(default_factory=list)
    counterfactual: list[dict[str, float]] = field(default_factory=list)
    peak_rss_mb: float = 0.0


def evaluate(
    pipeline: DiffuGTSPipeline,
    data: Path,
    qualities: Sequence[str] = QUALITIES,
    say: Callable[[str], None] = print,
) -> Report:
    """Run every case of `data`; `say` is told one line a case."""
    report = Report()
    for case in validation_cases(data):
        row, encoded = run_case(pipeline, case, qualities)
        report.cases.append(row)
        if case.folder == "sarcoma":
            report.words.append(word_scores(pipeline, encoded))
            report.paraphrase_dice.append(paraphrase_agreement(pipeline, encoded))
        say(
            f"{row.name}: DSC {row.dice}, {row.verdict}, highest {row.highest_score:.2f}, sd ratio {_ratio(row.effect)}"
        )
    for case in tumour_free_cases(data):
        row, encoded = run_case(pipeline, case, qualities)
        report.tumour_free.append(row)
        report.counterfactual.extend(counterfactuals(pipeline, encoded, seed=len(report.tumour_free)))
        say(f"{row.name}: false positives {row.found_ml} ml, highest {row.highest_score:.2f}")
    report.peak_rss_mb = peak_memory_mb()
    return report


def run_case(pipeline: DiffuGTSPipeline, case: EvaluationCase, qualities: Sequence[str]) -> tuple[CaseRow, EncodedScan]:
    """One case at every quality, from the file each time, as a user would."""
    scan = case.scan()
    truth = case.truth(scan)
    spacing_kji = tuple(reversed(scan.geometry.spacing_mm))
    row = CaseRow(
        case.name,
        case.folder,
        case.description,
        float(truth.sum()) * scan.geometry.voxel_ml,
        dice(centred_ellipsoid(truth.shape, spacing_kji), truth),
    )
    for quality in qualities:
        start = time.perf_counter()
        result = pipeline(case.scan(), [case.description], quality)
        row.seconds[quality] = time.perf_counter() - start
        finding = result.findings[0]
        row.dice[quality] = dice(finding.mask, truth)
        row.found_ml[quality] = float(finding.mask.sum()) * scan.geometry.voxel_ml
        row.verdict, row.highest_score = finding.verdict.value, finding.highest_score
        row.anomaly_score = finding.anomaly_score
        if truth.any():
            thresholds = np.arange(0.1, 0.95, 0.05)
            row.oracle_dice = max(dice(finding.score_map > t, truth) for t in thresholds)
    encoded = pipeline.encode(scan)
    if truth.any():
        row.effect = true_mask_effect(pipeline, encoded, truth)
    return row, encoded


def true_mask_effect(pipeline: DiffuGTSPipeline, encoded: EncodedScan, truth: np.ndarray) -> HoleEffect:
    """What inpainting does to a tumour when its true mask is the hole (working grid, in the scan's own unit)."""
    grid = encoded.grid
    mask = on_grid(encoded, truth)
    healthy = pipeline.inpaint(encoded, pipeline.hole(encoded, mask), pipeline.preset.qualities["standard"].steps)
    body = filled_body(grid.intensities, grid.modality)
    return hole_effect(
        grid.curve.inverse(grid.intensities), grid.curve.inverse(healthy.intensities), mask, healthy.hole, body
    )


def on_grid(encoded: EncodedScan, mask: np.ndarray) -> np.ndarray:
    """A mask of the scan's grid, bool, on the working grid (nearest voxel)."""
    import SimpleITK as sitk

    from diffugts.scans.working_grid import oriented

    reference = encoded.grid.geometry.image(np.zeros(encoded.grid.geometry.shape, np.uint8))
    label = oriented(encoded.scan.geometry.image(mask))
    return sitk.GetArrayFromImage(sitk.Resample(label, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0)) > 0


def word_scores(pipeline: DiffuGTSPipeline, encoded: EncodedScan) -> dict[str, float]:
    """Highest score of each of `WORDS` on one scan."""
    return {a.description.text: float(a.score.max()) for a in pipeline.attend(encoded, WORDS)}


def paraphrase_agreement(pipeline: DiffuGTSPipeline, encoded: EncodedScan) -> dict[str, float]:
    """DSC between the first paraphrase's mask and each other's."""
    masks = {a.description.text: a.score > pipeline.preset.threshold for a in pipeline.attend(encoded, PARAPHRASES)}
    first = masks[PARAPHRASES[0]]
    return {text: dice(mask, first) for text, mask in masks.items() if text != PARAPHRASES[0]}


def counterfactuals(
    pipeline: DiffuGTSPipeline, encoded: EncodedScan, seed: int, count: int = 2
) -> Iterator[dict[str, float]]:
    """Generated lesions in a real scan, where the healthy truth is known: PSNR in the hole, ours and a smooth fill's."""
    grid = encoded.grid
    rng = np.random.default_rng(1000 + seed)
    kind = LesionKind.BRAIN if grid.modality == "MR" else LesionKind.SOFT
    body = filled_body(grid.intensities, grid.modality)
    for _ in range(count):
        tissue = tissue_mask(grid.intensities, grid.modality, kind)
        plan = draw_lesion(rng, tissue, grid.modality, kind, radius_mm=(6.0, 16.0))
        if plan is None:
            continue
        with_lesion, mask = apply_lesion(grid.intensities, plan, tissue)
        scan = encoded.scan.with_voxels(encoded.scan.voxels)
        ill = pipeline.encode_grid(scan, grid, with_lesion)
        healthy = pipeline.inpaint(ill, pipeline.hole(ill, mask), pipeline.preset.qualities["standard"].steps)
        expected = pipeline.inpaint(ill, pipeline.hole(ill, mask), 0)
        baseline = smooth_fill(with_lesion, healthy.hole, body)
        yield {
            "expected_db": psnr(expected.intensities, grid.intensities, healthy.hole),
            "textured_db": psnr(healthy.intensities, grid.intensities, healthy.hole),
            "smooth_fill_db": psnr(baseline, grid.intensities, healthy.hole),
            "lesion_db": psnr(with_lesion, grid.intensities, healthy.hole),
        }


def _ratio(effect: HoleEffect | None) -> str:
    return f"{effect.sd_ratio:.2f} nearer={effect.nearer}" if effect else "-"
