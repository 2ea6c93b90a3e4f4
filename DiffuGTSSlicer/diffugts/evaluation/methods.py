"""What is evaluated: anything that turns a scan and a description into a mask."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from diffugts.encoded import EncodedScan
from diffugts.findings.finding import Verdict
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.scan import Scan


@dataclass(frozen=True)
class Prediction:
    """A method's answer on the scan's own grid, arrays (k, j, i).

    `score_map` 0..1 and `pseudo_healthy` (the scan's unit) where the method has them; `threshold` is where the map was cut;
    `anomaly_score` of the scan as a whole, None where the method has none; `encoded` what a model kept of the scan, so that
    whoever looks further need not encode it again.
    """

    mask: np.ndarray
    score_map: np.ndarray | None
    pseudo_healthy: np.ndarray | None
    verdict: str
    highest_score: float
    anomaly_score: float | None
    threshold: float
    seconds: float
    encoded: EncodedScan | None = None


class Method(Protocol):
    """A way to segment. `name` is short, for tables; `identity` says what exactly it is, so that runs are not mixed."""

    @property
    def name(self) -> str: ...

    @property
    def identity(self) -> dict[str, str]: ...

    def segment(self, scan: Scan, description: str) -> Prediction: ...


class PipelineMethod:
    """DiffuGTS at one quality level, as a user's command runs it: encoding included."""

    def __init__(self, pipeline: DiffuGTSPipeline, quality: str, threshold: float | None = None, seed: int = 0) -> None:
        self.pipeline, self.quality, self.threshold, self.seed = pipeline, quality, threshold, seed

    @property
    def name(self) -> str:
        return self.quality

    @property
    def identity(self) -> dict[str, str]:
        own = self.pipeline.preset.calibration(self.quality).threshold
        threshold = own if self.threshold is None else self.threshold
        model = self.pipeline.identity
        return {
            "method": "DiffuGTS",
            "model": model.name,
            "weights_sha256": model.weights_sha256,
            "quality": self.quality,
            "threshold": f"{threshold:g}",
            "seed": str(self.seed),
        }

    def segment(self, scan: Scan, description: str) -> Prediction:
        """The finding of one description. Raises what the pipeline raises."""
        start = time.perf_counter()
        encoded = self.pipeline.encode(scan, views=self.pipeline.preset.qualities[self.quality].views)
        result = self.pipeline(encoded, [description], self.quality, threshold=self.threshold, seed=self.seed)
        seconds = time.perf_counter() - start
        finding = result.findings[0]
        return Prediction(
            mask=finding.mask,
            score_map=finding.score_map,
            pseudo_healthy=result.pseudo_healthy,
            verdict=finding.verdict.value,
            highest_score=finding.highest_score,
            anomaly_score=finding.anomaly_score,
            threshold=finding.threshold,
            seconds=seconds,
            encoded=encoded,
        )


def prediction_of_mask(
    mask: np.ndarray, seconds: float, score_map: np.ndarray | None = None, threshold: float = 0.5
) -> Prediction:
    """The answer of a method that has no verdict of its own: found where the mask holds anything."""
    found = bool(mask.any())
    highest = float(score_map.max()) if score_map is not None and score_map.size else float(found)
    verdict = Verdict.FOUND if found else Verdict.NOT_FOUND
    return Prediction(mask, score_map, None, verdict.value, highest, None, threshold, seconds)
