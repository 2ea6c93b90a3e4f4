"""Putting a trained model together: the parts, the threshold, the fusion weights, the embedding bank.

Threshold and fusion weights are chosen on the training patients held out from the attention's training and on
tumour-free training scans, never on validation scans. Residuals earn a place in the mask only by raising the mean
DSC of patients they were not fitted on (leave one patient out) by at least `LEAST_GAIN`; otherwise the weights stay
(1, 0, 0, 0) and the residual only explains.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from diffugts.attention import AnomalyAttention
from diffugts.descriptions.bank import EmbeddingBank, common_prompts
from diffugts.descriptions.encoder import load_text_encoder
from diffugts.encoded import EncodedScan
from diffugts.evaluation.measures import dice
from diffugts.foundation.autoencoder import ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.preset import ModelPreset
from diffugts.pseudo_healthy import PseudoHealthy
from diffugts.refinement import RefinementWeights, refined_score
from diffugts.scans.intensity import IntensityCurve
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import ScanOnGrid
from diffugts.training.attention import HELD_OUT_PATIENTS
from diffugts.training.calibration import generated_anomaly_scores, least_anomaly_score
from diffugts.training.volumes import SPACING_MM, Volume, read_volumes

CARD = "model_card.md"
DESCRIPTION, ANY_TUMOUR = "soft tissue sarcoma", "tumour"
THRESHOLDS = np.arange(0.2, 0.85, 0.05)
MARKED_WHERE_NOTHING_ML = 10.0
"""Mean volume that a threshold may mark in tumour-free brains of the training data when asked for "tumour"."""

LEAST_GAIN = 0.005
FITTED_VOXELS = 8000


@dataclass(frozen=True)
class HeldOutScan:
    """One held-out training scan after attention and inpainting, on the working grid (k, j, i)."""

    patient: str
    truth: np.ndarray
    score: np.ndarray
    healthy: PseudoHealthy
    feature: np.ndarray

    def inputs(self, pixel_scale: float) -> np.ndarray:
        """Logit, scaled pixel residual and feature residual of the hole's voxels, (voxels, 3)."""
        hole = self.healthy.hole
        score = np.clip(self.score[hole], 1e-4, 1 - 1e-4)
        logit = np.log(score / (1 - score))
        return np.stack([logit, self.healthy.pixel_residual[hole] / pixel_scale, self.feature[hole]], axis=1)


def assemble_model(volumes: Path, runs: Path, output: Path) -> ModelPreset:
    """Write the model folder `output` from `runs`/{autoencoder,denoiser,attention}/last; returns its preset.

    What was measured on the way is written to `runs`/assembly.json. A model card already in `output` is kept.
    """
    pipeline = DiffuGTSPipeline(
        ScanAutoencoder.from_pretrained(runs / "autoencoder" / "last"),
        HoleDenoiser.from_pretrained(runs / "denoiser" / "last"),
        FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0),
        AnomalyAttention.from_pretrained(runs / "attention" / "last"),
        preset=ModelPreset("compact", "Compact CT and MR model, 2 mm, trained by this project"),
        bank=EmbeddingBank.build(load_text_encoder(), common_prompts()),
    )
    held_out = [v for v in read_volumes(volumes) if v.name.startswith(HELD_OUT_PATIENTS)]
    silent = [v for v in read_volumes(volumes) if v.body_part == "brain" and v.healthy.all()]
    ill = [looked_at(pipeline, volume, DESCRIPTION) for volume in held_out]
    free = [looked_at(pipeline, volume, ANY_TUMOUR) for volume in silent]
    threshold, by_threshold, marked_ml = best_threshold(ill, free)
    present, absent = generated_anomaly_scores(pipeline)
    present |= {look.name: look.anomaly_score for look in ill}
    absent |= {look.name: look.anomaly_score for look in free}
    bound = least_anomaly_score(list(present.values()), list(absent.values()))
    pipeline.preset = replace(pipeline.preset, threshold=threshold, least_anomaly_score=bound)
    scans = [held_out_scan(pipeline, volume) for volume in held_out]
    scale = float(np.median([np.median(s.healthy.pixel_residual[s.healthy.hole & ~s.truth]) for s in scans]))
    weights, gains = fusion_weights(scans, threshold, max(scale, 1e-3))
    pipeline.preset = replace(pipeline.preset, refinement=weights)
    card = (output / CARD).read_text(encoding="utf-8") if (output / CARD).is_file() else None
    if output.exists():
        shutil.rmtree(output)
    # Half precision halves the download; loading brings the weights back to single precision, exactly.
    for module in (pipeline.autoencoder, pipeline.denoiser, pipeline.attention):
        module.half()
    pipeline.save_pretrained(output)
    if card is not None:
        (output / CARD).write_text(card, encoding="utf-8")
    measured = {
        "threshold": threshold,
        "dice_by_threshold": by_threshold,
        "marked_ml_by_threshold": marked_ml,
        "least_anomaly_score": bound,
        "anomaly_scores_with_tumour": {name: round(value, 3) for name, value in present.items()},
        "anomaly_scores_without": {name: round(value, 3) for name, value in absent.items()},
        **gains,
    }
    (runs / "assembly.json").write_text(json.dumps(measured, indent=2), encoding="utf-8")
    print(json.dumps(measured, indent=2))
    return pipeline.preset


def encoded_volume(pipeline: DiffuGTSPipeline, volume: Volume) -> EncodedScan:
    """A packed volume as the pipeline sees a scan: it is on the working grid already."""
    intensities = volume.intensities.astype(np.float32)
    k, j, i = intensities.shape
    geometry = Geometry((i, j, k), (SPACING_MM,) * 3, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    same = IntensityCurve((0.0, 1.3), (0.0, 1.3))
    grid = ScanOnGrid(intensities, geometry, same, geometry, volume.modality, volume.sequence)
    scan = Scan(intensities, geometry, volume.modality, volume.sequence, volume.name)
    return pipeline.encode_grid(scan, grid, intensities)


@dataclass(frozen=True)
class Looked:
    """What the attention says of one training volume: `score` and `truth` (k, j, i), and the image-level score."""

    name: str
    score: np.ndarray
    truth: np.ndarray
    anomaly_score: float


def looked_at(pipeline: DiffuGTSPipeline, volume: Volume, description: str) -> Looked:
    """The attention's answer to one description on a packed volume."""
    encoded = encoded_volume(pipeline, volume)
    attention = pipeline.attend(encoded, [description])[0]
    score = pipeline.on_working_grid(encoded, attention.score)
    return Looked(volume.name, score, volume.tumour, attention.anomaly_score)


def best_threshold(ill: Sequence[Looked], free: Sequence[Looked]) -> tuple[float, dict[str, float], dict[str, float]]:
    """The threshold with the highest mean DSC of the `ill` of those that mark little in the tumour-`free` volumes.

    Also returns the mean DSC and the mean volume marked where there is nothing (ml) of every threshold. Where every
    threshold marks more than `MARKED_WHERE_NOTHING_ML`, the highest is taken.
    """
    found: dict[float, list[float]] = {float(t): [] for t in THRESHOLDS}
    marked: dict[float, list[float]] = {float(t): [] for t in THRESHOLDS}
    for look in ill:
        for threshold, values in found.items():
            values.append(dice(look.score > threshold, look.truth))
    for look in free:
        for threshold, values in marked.items():
            values.append(float((look.score > threshold).sum()) * SPACING_MM**3 / 1000)
    means = {threshold: float(np.mean(values)) for threshold, values in found.items()}
    marked_ml = {threshold: float(np.mean(values)) if values else 0.0 for threshold, values in marked.items()}
    quiet = [t for t, volume_ml in marked_ml.items() if volume_ml <= MARKED_WHERE_NOTHING_ML] or [max(means)]
    best = max(quiet, key=lambda t: means[t])
    by_name = [{f"{t:.2f}": round(value, 4) for t, value in of.items()} for of in (means, marked_ml)]
    return round(best, 2), by_name[0], by_name[1]


def held_out_scan(pipeline: DiffuGTSPipeline, volume: Volume) -> HeldOutScan:
    """Attention, inpainting and residuals of one scan, as `standard` computes them."""
    encoded = encoded_volume(pipeline, volume)
    attention = pipeline.attend(encoded, [DESCRIPTION])[0]
    score = pipeline.on_working_grid(encoded, attention.score)
    hole = pipeline.hole(encoded, score > pipeline.preset.threshold)
    healthy = pipeline.inpaint(encoded, hole, pipeline.preset.qualities["standard"].steps)
    feature = pipeline.on_working_grid(encoded, pipeline.feature_residual(encoded, healthy, attention.description))
    return HeldOutScan(volume.patient, volume.tumour, score, healthy, feature)


def fusion_weights(
    scans: list[HeldOutScan], threshold: float, pixel_scale: float
) -> tuple[RefinementWeights, dict[str, float]]:
    """Fusion weights fitted on all `scans` if they help patients they were not fitted on, and the DSC of each variant."""
    variants = {"pixel": (0, 1), "feature": (0, 2), "pixel and feature": (0, 1, 2), "attention alone": (0,)}
    base = float(np.mean([dice(s.score > threshold, s.truth) for s in scans]))
    reached = {"attention": base}
    for name, columns in variants.items():
        values = []
        for patient in sorted({s.patient for s in scans}):
            fitted = fit([s for s in scans if s.patient != patient], columns, pixel_scale, threshold)
            values += [_refined_dice(s, fitted, threshold) for s in scans if s.patient == patient]
        reached[name] = float(np.mean(values))
    best = max(variants, key=lambda name: reached[name])
    figures = {f"dsc with {name}": round(value, 4) for name, value in reached.items()}
    # Refitting the attention alone moves its threshold; a residual must beat that too, or it adds nothing.
    if best == "attention alone" or reached[best] < max(base, reached["attention alone"]) + LEAST_GAIN:
        return RefinementWeights(pixel_scale=pixel_scale), figures
    return fit(scans, variants[best], pixel_scale, threshold), figures


def fit(scans: list[HeldOutScan], columns: tuple[int, ...], pixel_scale: float, threshold: float) -> RefinementWeights:
    """Logistic regression of the truth on the chosen inputs, voxels of the holes, each scan alike.

    The bias is set so that probability 0.5 falls on `threshold`.
    """
    rng = np.random.default_rng(0)
    inputs, truths = [], []
    for scan in scans:
        values, truth = scan.inputs(pixel_scale)[:, list(columns)], scan.truth[scan.healthy.hole]
        chosen = rng.choice(len(values), min(FITTED_VOXELS, len(values)), replace=False)
        inputs.append(values[chosen])
        truths.append(truth[chosen])
    x = torch.from_numpy(np.concatenate(inputs)).float()
    y = torch.from_numpy(np.concatenate(truths)).float()
    weights = torch.zeros(len(columns) + 1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weights], max_iter=100)

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(x @ weights[:-1] + weights[-1], y)
        loss = loss + 1e-4 * weights.square().sum()
        loss.backward()
        return loss

    optimiser.step(closure)
    fitted = dict(zip(columns, weights[:-1].tolist()))
    shift = float(np.log(threshold / (1 - threshold)))
    return RefinementWeights(fitted[0], fitted.get(1, 0.0), fitted.get(2, 0.0), float(weights[-1]) + shift, pixel_scale)


def _refined_dice(scan: HeldOutScan, weights: RefinementWeights, threshold: float) -> float:
    refined = refined_score(scan.score, scan.healthy.pixel_residual, scan.feature, scan.healthy.hole, weights)
    return dice(refined > threshold, scan.truth)
