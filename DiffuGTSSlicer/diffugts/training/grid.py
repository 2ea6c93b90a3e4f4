"""The grid that training volumes are packed to: a model's own, so that its heads learn from what they will see.

Lesions, look-alikes and changes of contrast are drawn in the compact model's intensities, which `generated/` speaks.
Both CT curves are monotone from -1000 to 1000 HU, so that a crop goes there and comes back.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from diffugts.errors import RequestError
from diffugts.foundation.autoencoder import CELL
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.preset import ModelPreset
from diffugts.scans.intensity import COMPACT_CT_CURVE, MR_CEILING, IntensityCurve
from diffugts.scans.working_grid import to_working_grid

if TYPE_CHECKING:
    from diffugts.scans.scan import Scan
    from diffugts.scans.working_grid import ScanOnGrid

FILE_NAME = "grid.json"
COMPACT = IntensityCurve(*COMPACT_CT_CURVE)


@dataclass(frozen=True)
class TrainingGrid:
    """Spacing and intensities of a model's working grid, the kinds of scan it knows, and the sides its crops may have.

    `spacing_mm`, `ct_curve`, `mr_range` and `modalities` as in `ModelPreset`, the compact model's where nothing is said;
    `multiple` of voxels that the sides of a crop are.
    """

    spacing_mm: float = 2.0
    ct_curve: tuple[tuple[float, ...], tuple[float, ...]] = COMPACT_CT_CURVE
    mr_range: str = "foreground"
    modalities: tuple[str, ...] = ("CT", "MR")
    multiple: int = 16

    @classmethod
    def of_model(cls, folder: Path) -> TrainingGrid:
        """That of a model folder. Raises ModelError where it is none."""
        preset = ModelPreset.load(folder)
        levels = len(HoleDenoiser.load_config(folder / "denoiser")["channels"])
        return cls(preset.spacing_mm, preset.ct_curve, preset.mr_range, preset.modalities, CELL * 2 ** (levels - 1))

    @classmethod
    def of_packed(cls, folder: Path) -> TrainingGrid:
        """That of packed volumes; the compact model's where the folder does not say."""
        path = folder / FILE_NAME
        if not path.is_file():
            return cls()
        facts = json.loads(path.read_text(encoding="utf-8"))
        facts["ct_curve"] = tuple(tuple(knots) for knots in facts["ct_curve"])
        return cls(**facts | {"modalities": tuple(facts["modalities"])})

    def claim(self, folder: Path, others: str) -> None:
        """Say in a folder that its volumes are on this grid.

        Raises RequestError where it holds volumes on another grid, or ones of another kind (`others`, a pattern of files).
        """
        if any(folder.glob(others)):
            raise RequestError(
                f"'{folder}' holds volumes that were packed from another kind of data. Give another folder with --runs, or "
                "remove that one."
            )
        if any(folder.glob("*/facts.json")) or any(folder.glob("*.npz")):
            self._require_the_same(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FILE_NAME).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    def _require_the_same(self, folder: Path) -> None:
        if TrainingGrid.of_packed(folder) != self:
            raise RequestError(
                f"'{folder}' holds volumes on another model's grid ({TrainingGrid.of_packed(folder).spacing_mm:g} mm, "
                f"expected {self.spacing_mm:g} mm). Give another folder with --runs, or remove that one."
            )

    def scan(self, scan: Scan) -> ScanOnGrid:
        """A scan on this grid, as the model's own pipeline brings it there. Raises ScanError."""
        return to_working_grid(scan, self.spacing_mm, self.ct_curve, self.mr_range)

    @property
    def mr_ceiling(self) -> float:
        """MR model intensity that none exceeds: `all voxels` knows none."""
        return MR_CEILING if self.mr_range == "foreground" else float("inf")

    def drawn(self, intensities: np.ndarray, modality: str) -> np.ndarray:
        """Model intensities, float32, as the compact model's: what lesions are drawn in."""
        return COMPACT.forward(self._curve.inverse(intensities)) if self._differs(modality) else intensities

    def seen(self, intensities: np.ndarray, modality: str) -> np.ndarray:
        """What `drawn` gave, as this model's intensities, float32."""
        return self._curve.forward(COMPACT.inverse(intensities)) if self._differs(modality) else intensities

    @property
    def _curve(self) -> IntensityCurve:
        return IntensityCurve(*self.ct_curve)

    def _differs(self, modality: str) -> bool:
        return modality == "CT" and self.ct_curve != COMPACT_CT_CURVE
