"""How much appearance counts beside the attention: chosen on scans that neither was trained on, before scores are calibrated.

Held-out patients alone would choose what suits the tumours that are marked in training; generated bodies with a lesion
stand for those that are not. Both count alike, at the threshold that suits each choice best of those that mark little in
tumour-free brains, and little in the held-out patients when these are asked for another organ's tumour.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from diffugts.appearance_fusion import AppearanceFusion
from diffugts.encoded import EncodedScan
from diffugts.evaluation.measures import dice
from diffugts.generated.phantom import Body, demo_case
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.interpolation import interpolated
from diffugts.training.looks import encoded_volume
from diffugts.training.volumes import SPACING_MM, Volume
from diffugts.views import View

NONE = AppearanceFusion()
CHOICES = (NONE, AppearanceFusion(0.25), AppearanceFusion(0.5))
"""No more than a half: at 1 patients gain a little more, and calibrated scores err half as much again (docs/decisions.md)."""

OTHER = "liver tumour"
"""What held-out patients, who have a sarcoma of a limb, are asked for besides."""

THRESHOLDS = tuple(round(0.1 + 0.05 * n, 2) for n in range(17))
"""Of the unscaled score."""


Asked = tuple[EncodedScan, str, np.ndarray | None, str]
"""A scan, what it is asked for, its truth (k, j, i) on the working grid or None where there is nothing, and its group."""


@dataclass(frozen=True)
class ChoiceFigures:
    """At the best threshold: mean DSC of held-out patients and of generated bodies; ml marked in tumour-free brains, and of
    patients asked for another organ's tumour."""

    threshold: float
    held_out: float
    generated: float
    marked_ml: float
    other_ml: float

    @property
    def mean(self) -> float:
        return (self.held_out + self.generated) / 2


def chosen_fusion(
    pipeline: DiffuGTSPipeline,
    held_out: Sequence[tuple[Volume, str]],
    free: Sequence[tuple[Volume, str]],
    seeds: Sequence[int],
    views: Collection[View],
    most_ml: float,
    least_gain: float,
) -> tuple[AppearanceFusion, dict[str, dict[str, float]]]:
    """The fusion of `CHOICES` with the best figures; none where it gains less than `least_gain`. Also all figures, by name.

    Scans are packed volumes with what they are asked for, seen with `views`; of the `free` ones, and of the held-out ones asked for
    `OTHER`, at most `most_ml` may be marked on average.
    """
    scans: list[Asked] = [
        (encoded_volume(pipeline, v, views), text, np.asarray(v.tumour), "held out") for v, text in held_out
    ]
    scans += [(encoded, OTHER, None, "other") for encoded, *_ in scans]
    scans += [(encoded_volume(pipeline, v, views), text, None, "free") for v, text in free]
    scans += list(_generated(pipeline, seeds, views))
    preset, reached = pipeline.preset, {}
    for choice in CHOICES:
        pipeline.preset = replace(preset, appearance=choice)
        reached[choice] = _figures(pipeline, scans, most_ml)
    pipeline.preset = preset
    best = max(CHOICES, key=lambda choice: reached[choice].mean)
    if reached[best].mean < reached[NONE].mean + least_gain:
        best = NONE
    return best, {_name(choice): _rounded(figures) for choice, figures in reached.items()}


def _generated(pipeline: DiffuGTSPipeline, seeds: Sequence[int], views: Collection[View]) -> Iterator[Asked]:
    for body in get_args(Body):
        for seed in seeds:
            scan, mask, text = demo_case(seed, body)
            encoded = pipeline.encode(scan, views=views)
            truth = interpolated(np.asarray(mask, np.float32), scan.geometry, encoded.grid.geometry) > 0.5
            yield encoded, text, truth, "generated"


def _figures(pipeline: DiffuGTSPipeline, scans: Sequence[Asked], most_ml: float) -> ChoiceFigures:
    found: dict[str, list[list[float]]] = {"held out": [], "other": [], "free": [], "generated": []}
    for encoded, text, truth, group in scans:
        score = pipeline.on_working_grid(encoded, pipeline.attend(encoded, [text])[0].score)
        if truth is None:
            found[group].append([float((score > t).sum()) * SPACING_MM**3 / 1000 for t in THRESHOLDS])
        else:
            found[group].append([dice(score > t, truth) for t in THRESHOLDS])
    means = {group: np.mean(values, axis=0) if values else np.zeros(len(THRESHOLDS)) for group, values in found.items()}
    each = [
        ChoiceFigures(*(float(value) for value in row))
        for row in zip(THRESHOLDS, means["held out"], means["generated"], means["free"], means["other"])
    ]
    quiet = [figures for figures in each if max(figures.marked_ml, figures.other_ml) <= most_ml] or each[-1:]
    return max(quiet, key=lambda figures: figures.mean)


def _name(choice: AppearanceFusion) -> str:
    return f"weight {choice.weight:g}" if choice.weight else "none"


def _rounded(figures: ChoiceFigures) -> dict[str, float]:
    return {
        "threshold_unscaled": figures.threshold,
        "held_out_dice": round(figures.held_out, 4),
        "generated_dice": round(figures.generated, 4),
        "marked_ml": round(figures.marked_ml, 2),
        "other_ml": round(figures.other_ml, 2),
    }
