"""What comes back: findings per description, and the segmentation of a scan that holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from diffugts.protocol import Quality
from diffugts.scans.scan import Scan


class Verdict(str, Enum):
    """Whether what was described was found."""

    FOUND = "found"
    NOT_FOUND = "not found"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True)
class Lesion:
    """One connected part of a finding.

    `longest_axial_diameter_mm` in the plane nearest to the patient's axial one; `centroid_ras_mm` (x, y, z) in RAS;
    `mean_intensity` in the scan's unit (HU for CT); scores 0..1.
    """

    label: int
    volume_ml: float
    longest_axial_diameter_mm: float
    centroid_ras_mm: tuple[float, float, float]
    mean_intensity: float
    mean_score: float
    highest_score: float


@dataclass
class Finding:
    """One description's outcome on the scan's own grid.

    `score_map` float32 (k, j, i) 0..1; `mask` bool (k, j, i); `anomaly_score` 0..1 for the whole scan; `notes` sentences.
    """

    description: str
    score_map: np.ndarray
    mask: np.ndarray
    verdict: Verdict
    highest_score: float
    anomaly_score: float
    threshold: float
    lesions: list[Lesion] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def volume_ml(self) -> float:
        """Volume of all lesions together."""
        return sum(lesion.volume_ml for lesion in self.lesions)


@dataclass(frozen=True)
class ModelIdentity:
    """Which weights made a result."""

    name: str
    folder: str
    weights_sha256: str


@dataclass
class Segmentation:
    """All that one request gives.

    `pseudo_healthy` and `residual` (scan minus pseudo-healthy) float32 (k, j, i) in the scan's unit, `hole` bool, where
    it was inpainted; None where nothing was inpainted. `cancelled` where the caller stopped it after some descriptions were
    finished; `unfinished` are those that were not. `rough_mask` bool (k, j, i) where the caller gave one: outside it nothing
    was looked for.
    """

    scan: Scan
    findings: list[Finding]
    pseudo_healthy: np.ndarray | None
    residual: np.ndarray | None
    hole: np.ndarray | None
    quality: Quality
    seed: int
    timings_s: dict[str, float]
    model: ModelIdentity
    device: str
    notes: list[str] = field(default_factory=list)
    cancelled: bool = False
    unfinished: tuple[str, ...] = ()
    rough_mask: np.ndarray | None = None
