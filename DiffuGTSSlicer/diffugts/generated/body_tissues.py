"""What tissues look like: their HU, and their MR signal relative to the brightest, as typical scans have them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True)
class Signal:
    """Mean of one tissue: `hu` in CT with contrast medium in the portal venous phase; MR signals as shares of 1000.

    `texture_hu` is the standard deviation of its own fine structure; in MR a tenth of it counts as per cent.
    """

    hu: float
    texture_hu: float
    t1: float
    t2: float
    flair: float

    def mean(self, modality: str, sequence: str | None) -> float:
        """HU for CT, 0 to 1000 for MR; T1 where no sequence is given."""
        if modality == "CT":
            return self.hu
        return 1000 * {"T1": self.t1, "T2": self.t2, "FLAIR": self.flair}[sequence or "T1"]

    def texture(self, modality: str, sequence: str | None) -> float:
        """Standard deviation in the same unit as the mean."""
        return self.texture_hu if modality == "CT" else self.mean(modality, sequence) * self.texture_hu / 250


class Tissue(Enum):
    """Tissues that bodies are painted with."""

    AIR = Signal(-1000, 0, 0.0, 0.0, 0.0)
    SKIN = Signal(15, 8, 0.42, 0.35, 0.35)
    FAT = Signal(-105, 8, 0.92, 0.80, 0.75)
    INNER_FAT = Signal(-98, 10, 0.86, 0.74, 0.70)
    MUSCLE = Signal(58, 7, 0.27, 0.22, 0.28)
    CORTICAL_BONE = Signal(1150, 60, 0.05, 0.04, 0.05)
    CANCELLOUS_BONE = Signal(270, 60, 0.55, 0.42, 0.35)
    FATTY_MARROW = Signal(-45, 12, 0.82, 0.62, 0.55)
    DISC = Signal(85, 8, 0.30, 0.50, 0.35)
    VESSEL = Signal(165, 4, 0.12, 0.12, 0.12)
    VEIN = Signal(140, 5, 0.16, 0.20, 0.16)
    NERVE = Signal(35, 5, 0.35, 0.40, 0.40)
    LIVER = Signal(108, 7, 0.46, 0.28, 0.35)
    SPLEEN = Signal(122, 6, 0.34, 0.46, 0.45)
    KIDNEY_CORTEX = Signal(185, 8, 0.40, 0.50, 0.42)
    KIDNEY_MEDULLA = Signal(150, 8, 0.32, 0.58, 0.45)
    PANCREAS = Signal(92, 14, 0.48, 0.36, 0.36)
    BILE = Signal(8, 3, 0.16, 0.98, 0.30)
    BOWEL_WALL = Signal(75, 8, 0.33, 0.38, 0.36)
    FLUID = Signal(14, 8, 0.20, 0.90, 0.25)
    STOOL = Signal(25, 40, 0.45, 0.35, 0.35)
    LUNG = Signal(-860, 25, 0.05, 0.05, 0.05)
    MYOCARDIUM = Signal(105, 6, 0.32, 0.33, 0.36)
    BLOOD = Signal(175, 5, 0.20, 0.40, 0.25)
    CSF = Signal(6, 3, 0.16, 1.0, 0.10)
    GREY_MATTER = Signal(38, 2, 0.52, 0.62, 0.60)
    WHITE_MATTER = Signal(29, 2, 0.74, 0.44, 0.48)
