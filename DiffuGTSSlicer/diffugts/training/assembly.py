"""Putting a trained model together: the parts, the calibration of each quality level, the fusion weights, the embedding bank.

Calibration (`training.calibration`) and fusion weights are chosen on the training patients held out from the attention's
training and on tumour-free training scans, never on validation scans. Scans are looked at as the quality level looks: once,
or averaged over several views. Residuals earn a place in the mask only by raising the mean DSC of patients they were
not fitted on (leave one patient out) by at least `LEAST_GAIN`; otherwise the weights stay (1, 0, 0, 0) and the residual
only explains.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from diffugts.appearance import AppearanceNetwork
from diffugts.attention import AnomalyAttention
from diffugts.calibration import Calibration
from diffugts.descriptions.bank import EmbeddingBank, common_prompts
from diffugts.descriptions.encoder import load_text_encoder
from diffugts.errors import RequestError
from diffugts.evaluation.measures import dice
from diffugts.foundation.autoencoder import ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.preset import ModelPreset
from diffugts.pseudo_healthy import PseudoHealthy
from diffugts.refinement import RefinementWeights, refined_score
from diffugts.training.appearance_choice import chosen_fusion
from diffugts.training.attention import HELD_OUT_PATIENTS
from diffugts.training.calibration import CALIBRATION_SEEDS, calibrate, logistic_regression
from diffugts.training.configuration import left_out_of, with_left_out
from diffugts.training.looks import Look, Way, encoded_volume, looks_at, looks_at_generated_bodies
from diffugts.training.volumes import SPACING_MM, Volume, read_volumes

CARD = "model_card.md"
DESCRIPTION, ANY_TUMOUR = "soft tissue sarcoma", "tumour"
REFINED = "standard"
"""The quality level that the fusion weights are fitted for."""

THRESHOLDS = np.arange(0.2, 0.85, 0.05)
MARKED_WHERE_NOTHING_ML = 10.0
"""Mean volume that a threshold may mark in tumour-free brains of the training data when asked for "tumour"."""

LEAST_GAIN = 0.005
FITTED_VOXELS = 8000


@dataclass(frozen=True)
class HeldOutScan:
    """One held-out training scan after attention and inpainting, on the working grid (k, j, i); `score` is scaled."""

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

    The inpainter of `runs`/inpainter/last and the appearance network of `runs`/appearance/last are part of it where there are
    some; the latter only where it helps (`appearance_choice`). What was measured on the way is written to
    `runs`/assembly.json. A model card already in `output` is kept; which categories the attention's run left out is said in it.
    """
    inpainter, appearance = runs / "inpainter" / "last", runs / "appearance" / "last"
    if appearance.is_dir():
        require_as_much_left_out(runs)
    pipeline = DiffuGTSPipeline(
        ScanAutoencoder.from_pretrained(runs / "autoencoder" / "last"),
        HoleDenoiser.from_pretrained(runs / "denoiser" / "last"),
        FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=1.0),
        AnomalyAttention.from_pretrained(runs / "attention" / "last"),
        preset=ModelPreset("compact", "Compact CT and MR model, 2 mm, trained by this project"),
        bank=EmbeddingBank.build(load_text_encoder(), common_prompts()),
        inpainter=HoleDenoiser.from_pretrained(inpainter) if inpainter.is_dir() else None,
        appearance=AppearanceNetwork.from_pretrained(appearance) if appearance.is_dir() else None,
    )
    held_out = [v for v in read_volumes(volumes) if v.name.startswith(HELD_OUT_PATIENTS)]
    silent = [v for v in read_volumes(volumes) if v.body_part == "brain" and v.healthy.all()]
    chosen: dict[str, Any] = {}
    if pipeline.appearance is not None:
        pipeline.appearance.half().float()  # as it will be stored
        asked = [(v, DESCRIPTION) for v in held_out], [(v, ANY_TUMOUR) for v in silent]
        views = pipeline.preset.qualities[REFINED].views
        fusion, chosen = chosen_fusion(pipeline, *asked, CALIBRATION_SEEDS, views, MARKED_WHERE_NOTHING_ML, LEAST_GAIN)
        pipeline.preset = replace(pipeline.preset, appearance=fusion)
        if not fusion.weight:
            pipeline.register_modules(appearance=None)
    ill = [looks_at(pipeline, volume, DESCRIPTION) for volume in held_out]
    free = [looks_at(pipeline, volume, ANY_TUMOUR) for volume in silent]
    present, absent = looks_at_generated_bodies(pipeline, CALIBRATION_SEEDS)
    levels, margin = pipeline.preset.qualities, pipeline.preset.uncertain_margin
    calibrations: dict[Way, Calibration] = {}
    figures: dict[str, Any] = {}
    for way in pipeline.preset.ways_of_looking:
        found, silence = [looks[way] for looks in ill], [looks[way] for looks in free]
        cut, by_threshold, marked_ml = best_threshold(found, silence)
        calibrations[way], measured = calibrate(cut, found, silence, present[way], absent[way], margin)
        figures[", ".join(name for name, level in levels.items() if level.views == way)] = {
            "threshold_unscaled": cut,
            "dice_by_threshold_unscaled": by_threshold,
            "marked_ml_by_threshold_unscaled": marked_ml,
            **measured,
        }
    pipeline.preset = calibrated(pipeline.preset, calibrations)
    scans = [held_out_scan(pipeline, volume) for volume in held_out]
    scale = float(np.median([np.median(s.healthy.pixel_residual[s.healthy.hole & ~s.truth]) for s in scans]))
    weights, gains = fusion_weights(scans, pipeline.preset.threshold, max(scale, 1e-3))
    pipeline.preset = replace(pipeline.preset, refinement=weights)
    card = (output / CARD).read_text(encoding="utf-8") if (output / CARD).is_file() else None
    if output.exists():
        shutil.rmtree(output)
    if pipeline.inpainter is not None:
        round_kernels(pipeline.inpainter)
    # Half precision halves the download; loading brings the weights back to single precision, exactly.
    for module in (
        pipeline.autoencoder,
        pipeline.denoiser,
        pipeline.inpainter,
        pipeline.attention,
        pipeline.appearance,
    ):
        if module is not None:
            module.half()
    pipeline.save_pretrained(output)
    card = with_left_out(card or "", runs / "attention")
    if card:
        (output / CARD).write_text(card, encoding="utf-8")
    measured = {"appearance": chosen, "calibration": figures, **gains}
    (runs / "assembly.json").write_text(json.dumps(measured, indent=2), encoding="utf-8")
    print(json.dumps(measured, indent=2))
    return pipeline.preset


def require_as_much_left_out(runs: Path) -> None:
    """Raise RequestError where the appearance network was shown tumours that the attention was not: the card would not be true."""
    shown = left_out_of(runs / "attention") - left_out_of(runs / "appearance")
    if shown:
        raise RequestError(
            f"The attention in '{runs}' was trained without tumours of: {', '.join(sorted(shown))}; its appearance network was "
            "shown them. Train it with the same --leave-out and without --initial, or remove its folder."
        )


@torch.no_grad()
def round_kernels(network: torch.nn.Module) -> None:
    """Round a network's kernels to what bfloat16 holds: its arithmetic does so in any case, and they pack a sixth smaller."""
    for parameter in network.parameters():
        if parameter.ndim > 1:
            parameter.copy_(parameter.bfloat16())


def best_threshold(ill: Sequence[Look], free: Sequence[Look]) -> tuple[float, dict[str, float], dict[str, float]]:
    """The threshold with the highest mean DSC of the `ill` of those that mark little in the tumour-`free` volumes.

    Also returns the mean DSC and the mean volume marked where there is nothing (ml) of every threshold. Where every
    threshold marks more than `MARKED_WHERE_NOTHING_ML`, the highest is taken. All are of the unscaled score.
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


def calibrated(preset: ModelPreset, calibrations: Mapping[Way, Calibration]) -> ModelPreset:
    """The preset whose quality levels have the calibration of their way of looking.

    The preset's own bounds, for whoever asks no quality level, are those of `standard`.
    """
    qualities = {
        name: replace(level, calibration=calibrations[level.views]) for name, level in preset.qualities.items()
    }
    usual = calibrations[preset.qualities[REFINED].views]
    return replace(
        preset, qualities=qualities, threshold=usual.threshold, least_anomaly_score=usual.least_anomaly_score
    )


def held_out_scan(pipeline: DiffuGTSPipeline, volume: Volume) -> HeldOutScan:
    """Attention, inpainting and residuals of one scan, as `standard` computes them."""
    level, calibration = pipeline.preset.qualities[REFINED], pipeline.preset.calibration(REFINED)
    encoded = encoded_volume(pipeline, volume, level.views)
    attention = pipeline.attend(encoded, [DESCRIPTION])[0]
    score = calibration.scaled(pipeline.on_working_grid(encoded, attention.score))
    hole = pipeline.hole(encoded, score > calibration.threshold)
    healthy = pipeline.inpaint(encoded, hole, level.steps)
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
    coefficients, bias = logistic_regression(np.concatenate(inputs), np.concatenate(truths))
    fitted = dict(zip(columns, coefficients))
    shift = float(np.log(threshold / (1 - threshold)))
    return RefinementWeights(fitted[0], fitted.get(1, 0.0), fitted.get(2, 0.0), bias + shift, pixel_scale)


def _refined_dice(scan: HeldOutScan, weights: RefinementWeights, threshold: float) -> float:
    refined = refined_score(scan.score, scan.healthy.pixel_residual, scan.feature, scan.healthy.hole, weights)
    return dice(refined > threshold, scan.truth)
