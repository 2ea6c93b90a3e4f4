"""What a model's weights were trained with, and how its results are cut: `preset.json` beside the weights.

One pipeline class serves every model; where models differ, they differ here.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from diffugts.appearance_fusion import AppearanceFusion
from diffugts.calibration import Calibration
from diffugts.errors import ModelError
from diffugts.refinement import RefinementWeights
from diffugts.scans.intensity import COMPACT_CT_CURVE
from diffugts.views import MIRRORED, View

FILE_NAME = "preset.json"

TWO_LOOKS = (MIRRORED,)
"""What `standard` and `thorough` see besides the scan as it is: more of them were no better (docs/decisions.md)."""


@dataclass(frozen=True)
class QualityLevel:
    """What one quality level does.

    `inpaint` draws the pseudo-healthy scan; `steps` of texture after the expected tissue; `seeds` drawn at once;
    `views` are further ones of the same scan that are attended to and averaged with it; `refine` applies the preset's fusion weights.
    `calibration` says how scores that were looked at in this way are read; None where it was not measured.
    """

    inpaint: bool
    steps: int = 0
    seeds: int = 1
    views: tuple[View, ...] = ()
    refine: bool = False
    calibration: Calibration | None = None


@dataclass(frozen=True)
class ModelPreset:
    """The choices that belong to a set of weights.

    `spacing_mm` of the working grid; `ct_curve` HU knots and model intensities; `mr_range` how MR is scaled (see
    `scans.intensity.MR_RANGES`); `threshold` of the score map, `uncertain_margin` around it and
    `least_anomaly_score` of a finding that is called found (`findings.lesions.VerdictRule`), where a quality level has no
    calibration of its own; `dilation_cells` and `start_sigma` of the inpainting; `crop_cells` that the denoiser sees at
    least along each axis, where the scan has them, and `crop_cells_on_cpu` where that would take too long; `text_encoder` a
    preset of `descriptions.encoder`, or a folder. `appearance` says how much its network counts beside the attention.
    `random_weights` marks a model that only times the machinery: it is refused where a result is wanted.
    """

    name: str
    title: str
    modalities: tuple[str, ...] = ("CT", "MR")
    spacing_mm: float = 2.0
    ct_curve: tuple[tuple[float, ...], tuple[float, ...]] = COMPACT_CT_CURVE
    mr_range: str = "foreground"
    text_encoder: str = "compact"
    threshold: float = 0.5
    uncertain_margin: float = 0.15
    least_anomaly_score: float = 0.5
    dilation_cells: int = 1
    start_sigma: float = 0.25
    crop_cells: int = 24
    crop_cells_on_cpu: int = 24
    random_weights: bool = False
    appearance: AppearanceFusion = AppearanceFusion()
    refinement: RefinementWeights = RefinementWeights()
    qualities: dict[str, QualityLevel] = field(
        default_factory=lambda: {
            "fast": QualityLevel(inpaint=False),
            "standard": QualityLevel(inpaint=True, steps=2, views=TWO_LOOKS, refine=True),
            "thorough": QualityLevel(inpaint=True, steps=4, seeds=3, views=TWO_LOOKS, refine=True),
        }
    )

    def calibration(self, quality: str) -> Calibration:
        """How a quality level's scores are read; unscaled, with the preset's own bounds, where that was not measured."""
        return self.qualities[quality].calibration or Calibration(self.threshold, self.least_anomaly_score)

    def save(self, folder: Path) -> None:
        """Write `preset.json` into a model folder."""
        (folder / FILE_NAME).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @property
    def ways_of_looking(self) -> list[tuple[View, ...]]:
        """The further views of the quality levels, each set once, the smallest first: what a calibration belongs to."""
        return sorted({level.views for level in self.qualities.values()}, key=len)

    @property
    def all_views(self) -> list[View]:
        """The views of all quality levels, each once: one encoding with these serves every way of looking."""
        return list(dict.fromkeys(view for way in self.ways_of_looking for view in way))

    @classmethod
    def load(cls, folder: Path) -> ModelPreset:
        """Read a model folder's `preset.json`. Raises ModelError where it is missing or not of this version."""
        path = folder / FILE_NAME
        if not path.is_file():
            raise ModelError(
                f"'{folder}' is not a model of this program: it holds no {FILE_NAME}. Choose another folder."
            )
        try:
            return cls._of(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(
                f"'{path}' cannot be understood ({error}). It may belong to another version of the program, or be "
                "damaged: install the model again."
            ) from error

    @classmethod
    def _of(cls, facts: dict[str, Any]) -> ModelPreset:
        unknown = set(facts) - {f.name for f in fields(cls)}
        if unknown:
            raise ValueError(f"unknown entries {sorted(unknown)}")
        facts["modalities"] = tuple(facts["modalities"])
        facts["ct_curve"] = tuple(tuple(knots) for knots in facts["ct_curve"])
        facts["appearance"] = AppearanceFusion(**facts.get("appearance", {}))  # models of before have none
        facts["refinement"] = RefinementWeights(**facts["refinement"])
        facts["qualities"] = {name: _quality_level(level) for name, level in facts["qualities"].items()}
        return cls(**facts)


def _quality_level(facts: dict[str, Any]) -> QualityLevel:
    if "mirror" in facts:  # written before there were other views
        facts["views"] = [asdict(MIRRORED)] if facts.pop("mirror") else []
    level = QualityLevel(**{**facts, "views": tuple(View(**view) for view in facts.get("views", ()))})
    if level.calibration is None:
        return level
    calibration = Calibration(**facts["calibration"])
    if calibration.uncertain_range is not None:
        low, high = calibration.uncertain_range
        calibration = replace(calibration, uncertain_range=(low, high))
    return replace(level, calibration=calibration)
