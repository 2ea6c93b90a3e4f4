"""A look at the chosen volume before anything runs: what does not fit the model, and what the job will take.

Warnings, never obstacles: what cannot be segmented at all is refused by `export.require_suitable`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.provenance import ROLE
from DiffuGTSSlicerLib.scan_kind import ScanKind, sampled_voxels
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

COARSE_TO_MODEL = 1.5
"""Slices farther apart than so many times the model's spacing are coarse: what it sees between them is interpolated."""

SLICES_PER_LESION = 2
"""A lesion is seen safely where it is cut by two slices."""

SMALLEST_FIELD_MM = 60.0
"""Below, a scan shows too little of the anatomy around: no training crop of the compact model was smaller."""

LARGEST_FIELD_MM = 1000.0
CT_SOFT_TISSUE_HU = (-250, 350)
CT_WITH_OFFSET = (900, 1300)
"""Soft tissue of a CT that was stored with 1024 added to its Hounsfield units."""


@dataclass(frozen=True)
class ModelLimits:
    """What a model was made for: its kinds of scan, the voxels it looks at, and from which score on it marks by itself.

    `thresholds` are those of quality levels that have one of their own.
    """

    modalities: tuple[str, ...] = ("CT", "MR")
    spacing_mm: float = 2.0
    threshold: float | None = None
    thresholds: Mapping[str, float] = field(default_factory=dict)

    def threshold_of(self, quality: str) -> float | None:
        """From which score on the model marks by itself at a quality level; None where the model does not say."""
        return self.thresholds.get(quality, self.threshold)

    @classmethod
    def of(cls, folder: Path | None) -> ModelLimits:
        """The limits that a model's folder states; the usual ones where it cannot be read (Setup says why then)."""
        try:
            facts = json.loads((folder / "preset.json").read_text(encoding="utf-8")) if folder is not None else {}
            threshold = facts.get("threshold")
            levels = {name: level.get("calibration") for name, level in facts.get("qualities", {}).items()}
            return cls(
                tuple(facts.get("modalities", cls.modalities)),
                float(facts.get("spacing_mm", cls.spacing_mm)),
                float(threshold) if threshold is not None else None,
                {name: float(measured["threshold"]) for name, measured in levels.items() if measured is not None},
            )
        except (OSError, ValueError, TypeError, AttributeError, KeyError):
            return cls()


def warnings_about(
    volume: slicer.vtkMRMLScalarVolumeNode, geometry: VolumeGeometry, kind: ScanKind, limits: ModelLimits
) -> tuple[str, ...]:
    """Sentences on what may make the result poor; none where nothing is unusual. Takes milliseconds: voxels are sampled."""
    sample = sampled_voxels(volume)
    return (
        *_about_origin(volume),
        *_about_modality(kind, limits),
        *_about_spacing(geometry, limits),
        *_about_field_of_view(geometry),
        *_about_intensities(sample, kind),
    )


def _about_origin(volume: slicer.vtkMRMLScalarVolumeNode) -> list[str]:
    found = []
    if volume.GetAttribute(ROLE):
        found.append(_("This volume is itself a result of DiffuGTS, not a scan."))
    browsers = slicer.util.getNodesByClass("vtkMRMLSequenceBrowserNode", volume.GetScene())
    if any(browser.IsProxyNodeID(volume.GetID()) for browser in browsers):
        found.append(_("This volume is one frame of a time series: only the frame that is shown now is segmented."))
    return found


def _about_modality(kind: ScanKind, limits: ModelLimits) -> list[str]:
    if kind.usable and kind.modality not in limits.modalities:
        known = ", ".join(limits.modalities)
        return [_("The model was trained on {known}, this is {met}.").format(known=known, met=kind.modality)]
    return []


def _about_spacing(geometry: VolumeGeometry, limits: ModelLimits) -> list[str]:
    coarsest = float(max(geometry.spacing_mm))
    if coarsest <= COARSE_TO_MODEL * limits.spacing_mm:
        return []
    return [
        _("Slices are {apart} mm apart: lesions under {size:.0f} mm may be missed.").format(
            apart=f"{coarsest:.1f}".removesuffix(".0"), size=SLICES_PER_LESION * coarsest
        )
    ]


def _about_field_of_view(geometry: VolumeGeometry) -> list[str]:
    extent = geometry.spacing_mm * geometry.dimensions
    if min(extent) < SMALLEST_FIELD_MM:
        text = _("Only {size:.0f} mm of the body are seen along one axis: too little around a lesion to tell it by.")
        return [text.format(size=min(extent))]
    if max(extent) > LARGEST_FIELD_MM:
        text = _("The scan is {size:.1f} m long: a cropped volume takes less time and memory.")
        return [text.format(size=max(extent) / 1000.0)]
    return []


def _about_intensities(sample: np.ndarray, kind: ScanKind) -> list[str]:
    finite = sample[np.isfinite(sample)] if sample.dtype.kind == "f" else sample
    if finite.size == 0:
        return []  # said when the job begins, after a look at every voxel
    found = []
    if finite.size < sample.size:
        found.append(_("Some voxels are not numbers (NaN); they are taken for the scan's lowest value."))
    lowest, highest = float(finite.min()), float(finite.max())
    if kind.modality == "CT":
        found += _about_hounsfield(finite, lowest, highest)
    elif kind.modality == "MR" and np.unique(finite).size <= 3:
        found.append(_("The volume has hardly any grey values: it may be a mask, not a scan."))
    return found


def _about_hounsfield(sample: np.ndarray, lowest: float, highest: float) -> list[str]:
    if lowest >= 0:
        with_offset = np.mean((sample >= CT_WITH_OFFSET[0]) & (sample <= CT_WITH_OFFSET[1]))
        if with_offset >= 0.05:
            return [_("The CT seems to be stored with 1024 added: subtract it first, or water is taken for bone.")]
        return [
            _(
                "No voxel is below 0 ({low:g} to {high:g}), as in a CT that was windowed: in Hounsfield units air is "
                "-1000 and fat about -100."
            ).format(low=lowest, high=highest)
        ]
    tissue = np.mean((sample >= CT_SOFT_TISSUE_HU[0]) & (sample <= CT_SOFT_TISSUE_HU[1]))
    if tissue < 0.02:
        return [_("Hardly any voxel has the Hounsfield units of soft tissue: is this a CT of a body?")]
    return []
