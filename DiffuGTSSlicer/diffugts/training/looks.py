"""How the attention sees training scans and generated bodies: as each quality level does, by its further views.

All ways of looking at the price of the one that looks most often: `QualityLevel.views` says which of them a level has.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from diffugts.encoded import EncodedScan
from diffugts.generated.phantom import Body, demo_case, draw_phantom
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.intensity import IntensityCurve
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import ScanOnGrid
from diffugts.training.volumes import SPACING_MM, Volume
from diffugts.views import View

Way = tuple[View, ...]
"""A way of looking: the views that are averaged with the scan as it is."""


@dataclass(frozen=True)
class WholeScan:
    """The two scores of a whole scan: the `highest` of its unscaled score map, and the image-level `anomaly` score."""

    highest: float
    anomaly: float


@dataclass(frozen=True)
class Look:
    """What the attention says of one training volume: unscaled `score` and `truth` (k, j, i), and the image-level score."""

    name: str
    patient: str
    score: np.ndarray
    truth: np.ndarray
    anomaly_score: float

    @property
    def whole(self) -> WholeScan:
        return WholeScan(float(self.score.max()), self.anomaly_score)


def encoded_volume(pipeline: DiffuGTSPipeline, volume: Volume, views: Collection[View] = ()) -> EncodedScan:
    """A packed volume as the pipeline sees a scan: it is on the working grid already."""
    intensities = volume.intensities.astype(np.float32)
    k, j, i = intensities.shape
    geometry = Geometry((i, j, k), (SPACING_MM,) * 3, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    same = IntensityCurve((0.0, 1.3), (0.0, 1.3))
    grid = ScanOnGrid(intensities, geometry, same, geometry, volume.modality, volume.sequence)
    scan = Scan(intensities, geometry, volume.modality, volume.sequence, volume.name)
    return pipeline.encode_grid(scan, grid, intensities, views=views)


def looks_at(pipeline: DiffuGTSPipeline, volume: Volume, description: str) -> dict[Way, Look]:
    """The attention's answers to one description on a packed volume, by way of looking."""
    looks = {}
    encoded = encoded_volume(pipeline, volume, pipeline.preset.all_views)
    for way in pipeline.preset.ways_of_looking:
        score, anomaly_score = _seen(pipeline, encoded.seen_by(way), description)
        looks[way] = Look(volume.name, volume.patient, score, volume.tumour, anomaly_score)
    return looks


def looks_at_generated_bodies(
    pipeline: DiffuGTSPipeline, seeds: Sequence[int]
) -> tuple[dict[Way, dict[str, WholeScan]], dict[Way, dict[str, WholeScan]]]:
    """Generated bodies with one lesion, and the same bodies without it, asked for that lesion: by way of looking and name."""
    ways = pipeline.preset.ways_of_looking
    present: dict[Way, dict[str, WholeScan]] = {way: {} for way in ways}
    absent: dict[Way, dict[str, WholeScan]] = {way: {} for way in ways}
    for body in get_args(Body):
        for seed in seeds:
            diseased, _, description = demo_case(seed, body)
            healthy = draw_phantom(seed, body, "MR" if diseased.modality == "MR" else "CT").scan
            for scan, found in ((diseased, present), (healthy, absent)):
                encoded = pipeline.encode(scan, views=pipeline.preset.all_views)
                for way in ways:
                    score, anomaly_score = _seen(pipeline, encoded.seen_by(way), description)
                    found[way][f"generated {body} {seed}"] = WholeScan(float(score.max()), anomaly_score)
    return present, absent


def _seen(pipeline: DiffuGTSPipeline, encoded: EncodedScan, description: str) -> tuple[np.ndarray, float]:
    """Unscaled score on the working grid, where peaks are lower than on the attention's own, and image-level score."""
    attention = pipeline.attend(encoded, [description])[0]
    return pipeline.on_working_grid(encoded, attention.score), attention.anomaly_score
