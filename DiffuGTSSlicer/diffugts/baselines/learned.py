"""A trained baseline network as a method that can be evaluated."""

from __future__ import annotations

import time
from pathlib import Path

from safetensors import SafetensorError

from diffugts.baselines.network import SegmentationNetwork
from diffugts.baselines.regions import SPACING_MM
from diffugts.baselines.windows import tumour_probability
from diffugts.errors import ModelError
from diffugts.evaluation.methods import Prediction, prediction_of_mask
from diffugts.findings.lesions import cut
from diffugts.models import weights_sha256
from diffugts.scans.intensity import COMPACT_CT_CURVE
from diffugts.scans.scan import Scan
from diffugts.scans.working_grid import to_working_grid

THRESHOLD = 0.5
SMALLEST_LESION_ML = 0.1
"""What DiffuGTS leaves out unless told otherwise: specks weigh on both alike."""


class LearnedBaseline:
    """A network that was trained without words: it answers the same to every description."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        """Load a training run's folder, or its `last`. Raises ModelError where there is no such network."""
        place = folder / "last" if (folder / "last").is_dir() else folder
        if not (place / SegmentationNetwork.config_name).is_file():
            raise ModelError(
                f"'{folder}' is no trained baseline: it holds no {SegmentationNetwork.config_name}. Train one with "
                "`diffugts baseline train`, or give one of the simple ones by name."
            )
        try:
            network = SegmentationNetwork.load(place)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelError(
                f"The network in '{place}' cannot be loaded: {str(error).strip()} Train it again."
            ) from error
        self.network = network.eval().requires_grad_(False).to(device)
        self.recipe = str(self.network.config["recipe"])
        self._identity = {"method": f"{self.recipe} (trained, no words)", "weights_sha256": weights_sha256(place)}

    @property
    def name(self) -> str:
        return self.recipe

    @property
    def identity(self) -> dict[str, str]:
        return self._identity

    def segment(self, scan: Scan, description: str) -> Prediction:
        """The network's mask; a score map of its probabilities. Raises ScanError."""
        start = time.perf_counter()
        grid = to_working_grid(scan, SPACING_MM, COMPACT_CT_CURVE)
        probability = tumour_probability(
            self.network, grid.intensities, grid.modality, mirror=self.recipe == "nnunet"
        )  # fmt: skip
        score = grid.to_scan(probability)
        mask = cut(score, THRESHOLD, SMALLEST_LESION_ML, scan.geometry)
        return prediction_of_mask(mask, time.perf_counter() - start, score, THRESHOLD)
