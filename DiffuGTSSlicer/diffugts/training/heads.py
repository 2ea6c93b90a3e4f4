"""Trained heads put into a copy of the model whose foundation they were trained on.

The foundation's files are copied as they are. How scores are read is measured on the scans that were kept from training, as
far as there are any with a tumour; without them it is that of no model in particular. Nothing is fitted to residuals: the
mask is the attention's.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from diffugts.appearance_fusion import AppearanceFusion
from diffugts.attention import AnomalyAttention
from diffugts.calibration import Calibration
from diffugts.descriptions.bank import EmbeddingBank, common_prompts
from diffugts.descriptions.encoder import load_text_encoder
from diffugts.errors import ModelError, RequestError
from diffugts.evaluation.measures import dice
from diffugts.evaluation.reliability import LEAST_SCORE
from diffugts.foundation.features import feature_channels
from diffugts.generated.phantom import Body, draw_phantom
from diffugts.maisi.conversion import CARD, WITHOUT_ATTENTION
from diffugts.models import load_pipeline
from diffugts.pipeline import BANK_FILE, DiffuGTSPipeline
from diffugts.preset import ModelPreset, QualityLevel
from diffugts.refinement import RefinementWeights
from diffugts.scans.intensity import IntensityCurve
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import ScanOnGrid
from diffugts.training.assembly import calibrated
from diffugts.training.attention import all_volumes, is_held_out
from diffugts.training.calibration import CALIBRATION_SEEDS, calibrate
from diffugts.training.configuration import with_left_out
from diffugts.training.described_volumes import patient_of
from diffugts.training.grid import TrainingGrid
from diffugts.training.looks import Look, Way, WholeScan
from diffugts.training.volumes import Volume
from diffugts.views import looks_in_words

SARCOMA, ANY_TUMOUR = "soft tissue sarcoma", "tumour"
"""What this project's own held-out scans are asked for, and scans without a tumour."""

THRESHOLDS = tuple(round(0.2 + 0.05 * n, 2) for n in range(13))
MARKED_WHERE_NOTHING_ML = 10.0
"""Mean volume that a threshold may mark in held-out scans without a tumour."""

BODIES: tuple[tuple[Body, str], ...] = tuple((body, "MR" if body == "head" else "CT") for body in get_args(Body))
"""Generated bodies, tumour-free, that are asked for what is looked for, and their modality."""


@dataclass(frozen=True)
class HeldOutAnswer:
    """What the attention says of one scan it was not trained on: DSC and marked volume by threshold of the unscaled score.

    `look` holds the scan's score and truth where the score is not next to nothing: all that a calibration reads.
    """

    look: Look
    is_ill: bool
    dice: dict[float, float]
    marked_ml: dict[float, float]


Answers = dict[Way, list[HeldOutAnswer]]
"""By way of looking."""


def assemble_heads(
    model: Path,
    volumes: Path,
    attention: Path,
    output: Path,
    device: str = "cpu",
    random_weights: bool = False,
    say: Callable[[str], None] = print,
) -> ModelPreset:
    """Write `output`: the model in the folder `model` with the trained `attention`; returns its preset.

    `volumes` are those that the attention was trained on, packed. What was measured is written beside the training's runs,
    to `assembly.json`. `output` appears only once it is whole; a mark of random weights stays.

    Raises:
        ModelError: `model` is none, or of random weights without `random_weights`; `output` holds something already.
        RequestError: there is no trained attention, or it was made for another foundation.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ModelError(f"'{output}' exists already and is not empty. Choose another folder, or remove it first.")
    pipeline = load_pipeline(model, device, random_weights)
    # What an appearance network is worth beside these heads nobody has measured.
    pipeline.register_modules(attention=_fitting(attention, pipeline).to(device), appearance=None)
    pipeline.preset = _for_new_heads(pipeline.preset, output.name)
    bank = pipeline.reader.bank or EmbeddingBank.build(
        load_text_encoder(pipeline.preset.text_encoder), common_prompts()
    )
    pipeline.reader.bank = bank
    pipeline.preset, measured = with_bounds(pipeline, held_out_answers(pipeline, volumes, say))
    unfinished = output.with_name(output.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        shutil.copytree(model, unfinished, ignore=shutil.ignore_patterns("attention", "appearance"))
        pipeline.attention.save_pretrained(unfinished / "attention")
        pipeline.save_config(unfinished)
        pipeline.preset.save(unfinished)
        bank.save(unfinished / BANK_FILE)
        _write_card(unfinished, volumes, attention.parent, measured)
        if output.exists():
            output.rmdir()
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    (volumes.parent / "assembly.json").write_text(json.dumps(measured, indent=2), encoding="utf-8")
    say(json.dumps(measured, indent=2))
    return pipeline.preset


def held_out_answers(pipeline: DiffuGTSPipeline, volumes: Path, say: Callable[[str], None] = print) -> Answers:
    """Answers on the scans kept from training, each asked for what is marked in it or could be."""
    answers: Answers = {way: [] for way in pipeline.preset.ways_of_looking}
    for volume in all_volumes(volumes):
        if volume.modality not in pipeline.preset.modalities:
            continue
        if is_held_out(volume):
            description = volume.description or SARCOMA
        elif volume.body_part == "brain" and volume.healthy.all() and not volume.description:
            description = ANY_TUMOUR
        else:
            continue
        for way, answer in answered(pipeline, volume, description).items():
            answers[way].append(answer)
        say(f"{volume.name}: asked for '{description}'")
    return answers


def answered(pipeline: DiffuGTSPipeline, volume: Volume, description: str) -> dict[Way, HeldOutAnswer]:
    """The attention's answers to one description on a packed volume, by way of looking."""
    intensities, g = volume.intensities.astype(np.float32), volume.spacing_mm
    k, j, i = intensities.shape
    geometry = Geometry((i, j, k), (g, g, g), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    is_ct = volume.modality == "CT"
    curve = IntensityCurve(*pipeline.preset.ct_curve) if is_ct else IntensityCurve((0.0, 1.3), (0.0, 1.3))
    grid = ScanOnGrid(intensities, geometry, curve, geometry, volume.modality, volume.sequence)
    scan = Scan(intensities, geometry, volume.modality, volume.sequence, volume.name)
    truth = np.asarray(volume.tumour)
    encoded = pipeline.encode_grid(scan, grid, intensities, views=pipeline.preset.all_views)
    answers = {}
    for way in pipeline.preset.ways_of_looking:
        attention = pipeline.attend(encoded.seen_by(way), [description])[0]
        score = pipeline.on_working_grid(encoded, attention.score)
        masks = {threshold: score > threshold for threshold in THRESHOLDS}
        told = score >= min(LEAST_SCORE, float(score.max()))
        answers[way] = HeldOutAnswer(
            Look(volume.name, patient_of(volume.name), score[told][None], truth[told][None], attention.anomaly_score),
            bool(truth.any()),
            {threshold: dice(mask, truth) for threshold, mask in masks.items()},
            {threshold: float(mask.sum()) * g**3 / 1000 for threshold, mask in masks.items()},
        )
    return answers


def with_bounds(pipeline: DiffuGTSPipeline, answers: Answers) -> tuple[ModelPreset, dict[str, Any]]:
    """The preset with the calibration that held-out scans choose, and what was measured; as it is where none holds a tumour.

    The threshold has the highest mean DSC of those that mark little in scans without a tumour. How scores are read is then
    measured as for the compact model (`calibration.calibrate`); scans without a tumour are generated bodies as well.
    """
    counts = [sum(a.is_ill is ill for a in next(iter(answers.values()))) for ill in (True, False)]
    measured: dict[str, Any] = dict(zip(("held out with a tumour", "held out without"), counts))
    if not counts[0]:
        return pipeline.preset, measured
    absent = generated_scans(pipeline)
    calibrations: dict[Way, Calibration] = {}
    for way, looked in answers.items():
        ill, free = [a for a in looked if a.is_ill], [a for a in looked if not a.is_ill]
        means = {t: float(np.mean([a.dice[t] for a in ill])) for t in ill[0].dice}
        marked = {t: float(np.mean([a.marked_ml[t] for a in free])) if free else 0.0 for t in means}
        quiet = [t for t, volume_ml in marked.items() if volume_ml <= MARKED_WHERE_NOTHING_ML] or [max(means)]
        cut = max(quiet, key=lambda t: means[t])
        looks = [a.look for a in ill], [a.look for a in free]
        margin = pipeline.preset.uncertain_margin
        calibrations[way], figures = calibrate(cut, *looks, {}, absent[way], margin)
        measured[looks_in_words(way)] = {
            "threshold_unscaled": cut,
            "dice_by_threshold_unscaled": {f"{t:.2f}": round(value, 4) for t, value in means.items()},
            "marked_ml_by_threshold_unscaled": {f"{t:.2f}": round(value, 2) for t, value in marked.items()},
            **figures,
        }
    return calibrated(pipeline.preset, calibrations), measured


def generated_scans(pipeline: DiffuGTSPipeline) -> dict[Way, dict[str, WholeScan]]:
    """Scores of tumour-free generated bodies of the kinds that the model knows, asked for any tumour, by way of looking."""
    ways = pipeline.preset.ways_of_looking
    found: dict[Way, dict[str, WholeScan]] = {way: {} for way in ways}
    for body, modality in BODIES:
        for seed in CALIBRATION_SEEDS if modality in pipeline.preset.modalities else ():
            scan = draw_phantom(seed, body, "MR" if modality == "MR" else "CT").scan
            encoded = pipeline.encode(scan, views=pipeline.preset.all_views)
            for way in ways:
                attention = pipeline.attend(encoded.seen_by(way), [ANY_TUMOUR])[0]
                highest = float(pipeline.on_working_grid(encoded, attention.score).max())
                found[way][f"generated {body} {seed}"] = WholeScan(highest, attention.anomaly_score)
    return found


def _fitting(folder: Path, pipeline: DiffuGTSPipeline) -> AnomalyAttention:
    """The trained attention, its weights as they will be stored. Raises RequestError where there is none that fits."""
    if not (folder / "config.json").is_file():
        raise RequestError(
            f"There is no trained attention in '{folder}'. Run `diffugts train attention` with --model first."
        )
    attention = AnomalyAttention.from_pretrained(folder).eval().requires_grad_(False)
    made_for = dict(zip(attention.strides, attention.config["channels"]))
    given = feature_channels(pipeline.autoencoder, pipeline.denoiser)
    if made_for != given:
        raise RequestError(
            f"The attention in '{folder}' reads features of {made_for} channels, and the foundation gives {given}. "
            "It was trained on another model: train one on this."
        )
    return attention.half().float()


def _for_new_heads(preset: ModelPreset, name: str) -> ModelPreset:
    """A preset without what was measured of other heads; its bounds until they are chosen are those of no model in particular."""
    plain = ModelPreset("", "")
    levels = {
        key: QualityLevel(level.inpaint, level.steps, level.seeds, level.views)
        for key, level in preset.qualities.items()
    }
    return replace(
        preset,
        name=name,
        title=f"{preset.title}, heads trained on other data",
        threshold=plain.threshold,
        least_anomaly_score=plain.least_anomaly_score,
        appearance=AppearanceFusion(),
        refinement=RefinementWeights(),
        qualities=levels,
    )


def _write_card(folder: Path, volumes: Path, run: Path, measured: dict[str, Any]) -> None:
    card = (folder / CARD).read_text(encoding="utf-8") if (folder / CARD).is_file() else f"# {folder.stem}\n"
    grid = TrainingGrid.of_packed(volumes)
    count, apart = 0, []
    for volume in all_volumes(volumes):
        count += 1
        if is_held_out(volume):
            apart.append(volume.name)
    preset = ModelPreset.load(folder)
    heads = f"""
## Heads

The attention was trained by `diffugts train attention` on {count - len(apart)} scans at {grid.spacing_mm:g} mm. Kept from
training ({len(apart)}): {", ".join(apart) or "none"}. Threshold {preset.threshold:g}, least anomaly score
{preset.least_anomaly_score:g}; {"chosen on these" if measured["held out with a tumour"] else "not chosen on any scan"}.
Nothing else was measured of these heads.
"""
    card = card.replace(WITHOUT_ATTENTION, "").rstrip() + "\n" + heads
    (folder / CARD).write_text(with_left_out(card, run), encoding="utf-8")
