"""How a quality level's scores are read: scaled until they are as often right as they say, cut, and believed.

The attention's score promises too much. Scaling its logit (Platt, "Probabilistic Outputs for Support Vector Machines",
1999) keeps the order of all scores: the mask at a threshold is the mask at the scaled threshold of the scaled map.
How the figures are found: `training.calibration`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Calibration:
    """What was measured of one quality level's scores; without measured figures nothing is scaled.

    `scale` and `bias` of the score's logit. Of the scaled score: `threshold`, and `uncertain_range`, the highest scores
    (from, to) of a scan that settle nothing; None where too few scans could tell. `least_anomaly_score` of a finding that
    is called found: the image-level score, which is never scaled.
    """

    threshold: float
    least_anomaly_score: float
    uncertain_range: tuple[float, float] | None = None
    scale: float = 1.0
    bias: float = 0.0

    def scaled(self, score: np.ndarray) -> np.ndarray:
        """A score map of any shape, 0..1, scaled: 0 and 1 stay what they are. The map itself where nothing changes."""
        if (self.scale, self.bias) == (1.0, 0.0):
            return score
        scaled = np.empty_like(score)
        with np.errstate(divide="ignore", over="ignore"):
            for n, part in enumerate(score):  # slice by slice: the intermediate results of a whole scan take gigabytes
                logit = np.log(part / (1 - part))
                scaled[n] = 1 / (1 + np.exp(-(self.scale * logit + self.bias)))
        return scaled
