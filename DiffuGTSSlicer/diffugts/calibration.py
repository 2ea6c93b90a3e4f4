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
        import torch  # not at file scope: presets are read where nothing is computed

        # On all cores and in one copy: a whole scan's map has tens of millions of voxels.
        logit = torch.from_numpy(np.ascontiguousarray(score)).logit()
        return logit.mul_(self.scale).add_(self.bias).sigmoid_().numpy()
