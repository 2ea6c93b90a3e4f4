"""How the attention sees training scans and generated bodies: once, and averaged with the mirrored scan.

Both at the price of one encoding more; `QualityLevel.mirror` says which of the two a quality level does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np

from diffugts.encoded import EncodedScan
from diffugts.generated.phantom import Body, demo_case, draw_phantom
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.intensity import IntensityCurve
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import ScanOnGrid
from diffugts.training.volumes import SPACING_MM, Volume


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


def encoded_volume(pipeline: DiffuGTSPipeline, volume: Volume, mirror: bool = False) -> EncodedScan:
    """A packed volume as the pipeline sees a scan: it is on the working grid already."""
    intensities = volume.intensities.astype(np.float32)
    k, j, i = intensities.shape
    geometry = Geometry((i, j, k), (SPACING_MM,) * 3, (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    same = IntensityCurve((0.0, 1.3), (0.0, 1.3))
    grid = ScanOnGrid(intensities, geometry, same, geometry, volume.modality, volume.sequence)
    scan = Scan(intensities, geometry, volume.modality, volume.sequence, volume.name)
    return pipeline.encode_grid(scan, grid, intensities, mirror=mirror)


def looks_at(pipeline: DiffuGTSPipeline, volume: Volume, description: str) -> dict[bool, Look]:
    """The attention's answers to one description on a packed volume: without and with the mirrored scan."""
    looks = {}
    for mirror, encoded in _both(encoded_volume(pipeline, volume, mirror=True)).items():
        score, anomaly_score = _seen(pipeline, encoded, description)
        looks[mirror] = Look(volume.name, volume.patient, score, volume.tumour, anomaly_score)
    return looks


def looks_at_generated_bodies(
    pipeline: DiffuGTSPipeline, seeds: Sequence[int]
) -> tuple[dict[bool, dict[str, WholeScan]], dict[bool, dict[str, WholeScan]]]:
    """Generated bodies with one lesion, and the same bodies without it, asked for that lesion: by mirror and name."""
    present: dict[bool, dict[str, WholeScan]] = {False: {}, True: {}}
    absent: dict[bool, dict[str, WholeScan]] = {False: {}, True: {}}
    for body in get_args(Body):
        for seed in seeds:
            diseased, _, description = demo_case(seed, body)
            healthy = draw_phantom(seed, body, "MR" if diseased.modality == "MR" else "CT").scan
            for scan, found in ((diseased, present), (healthy, absent)):
                for mirror, encoded in _both(pipeline.encode(scan, mirror=True)).items():
                    score, anomaly_score = _seen(pipeline, encoded, description)
                    found[mirror][f"generated {body} {seed}"] = WholeScan(float(score.max()), anomaly_score)
    return present, absent


def _seen(pipeline: DiffuGTSPipeline, encoded: EncodedScan, description: str) -> tuple[np.ndarray, float]:
    """Unscaled score on the working grid, where peaks are lower than on the attention's own, and image-level score."""
    attention = pipeline.attend(encoded, [description])[0]
    return pipeline.on_working_grid(encoded, attention.score), attention.anomaly_score


def _both(encoded: EncodedScan) -> dict[bool, EncodedScan]:
    return {False: replace(encoded, mirrored=None), True: encoded}
