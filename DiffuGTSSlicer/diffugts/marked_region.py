"""What the frozen foundation alone can say of a region that the user marked.

A foundation without a trained attention cannot search for what words describe. Given a box or a rough mask it can still
paint healthy tissue there and show where the scan differs from it: a pseudo-healthy scan, a residual and a mask inside
the region. The words name the result and steer nothing.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import SimpleITK as sitk

from diffugts.encoded import EncodedScan
from diffugts.errors import RequestError
from diffugts.findings.finding import Finding, Segmentation
from diffugts.findings.lesions import VerdictRule, cut, measure_lesions, verdict
from diffugts.foundation.autoencoder import CELL
from diffugts.foundation.body import filled_body
from diffugts.inpainting import CONTEXT_CELLS, hole_cells, painted_voxels
from diffugts.protocol import ProgressCallback, Quality, Region
from diffugts.pseudo_healthy import PseudoHealthy, on_scan_grid
from diffugts.scans.region import marked_voxels, marked_working_voxels
from diffugts.scans.working_grid import ScanOnGrid

if TYPE_CHECKING:
    from diffugts.pipeline import DiffuGTSPipeline
    from diffugts.preset import QualityLevel

LEAST_DIFFERENCE = {"CT": 20.0, "MR": 0.05}
"""Differences below this are noise and never make a mask: HU for CT, share of the bright tissue for MR."""

WORDS_UNUSED = (
    "The words were not used: this model has no trained attention, only the frozen foundation. Marked is what differs, "
    "inside the region you gave, from the tissue that the foundation paints there; nothing was searched outside it."
)
MAY_PAINT_TUMOUR = (
    "The foundation was trained on scans of patients, tumours included, so it may paint a tumour again: a small "
    "difference does not mean healthy tissue."
)
NO_ANOMALY_SCORE = "The anomaly score is the map's highest score; this model has none of its own."


@dataclass(frozen=True)
class MarkedRegion:
    """What was found: `score` float32 (k, j, i) on the scan's own grid, 0 outside the region, 0.5 at the cut; the
    pseudo-healthy scan, residual and hole, also on the scan's own grid; `notes` sentences for the user.
    """

    score: np.ndarray
    pseudo_healthy: np.ndarray
    residual: np.ndarray
    hole: np.ndarray
    notes: tuple[str, ...]


def examine_marked_region(
    pipeline: DiffuGTSPipeline,
    scan: EncodedScan,
    marked: Region | np.ndarray,
    level: QualityLevel,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> MarkedRegion:
    """Paint a marked region anew and compare.

    `marked` is a box in RAS mm or a mask, bool (k, j, i) on the scan's own grid. Only the region's surroundings pass
    through the networks. Raises RequestError where the region lies outside the patient.
    """
    grid = scan.grid
    allowed = marked_voxels(scan.scan.geometry, marked)
    mask = marked_working_voxels(grid, marked)
    if not mask.any():
        raise RequestError(
            "The marked region lies outside the part of the scan that shows the patient, or is smaller than the "
            f"{pipeline.preset.spacing_mm:g} mm that the model sees. Move it there, or make it larger."
        )
    cells = pipeline.crop_cells
    box = surroundings(mask, cells * CELL)
    part = grid.part(box)
    encoded = pipeline.encode_latents(scan, part, progress)
    # The lungs are inside the body only where a whole section shows that they are enclosed.
    body = filled_body(grid.intensities[box[0]], grid.modality, grid.body_intensity)[:, box[1], box[2]]
    hole = hole_cells(mask[box] & body, encoded.latents.shape[2:], pipeline.preset.dilation_cells, body)
    if not hole.any():
        raise RequestError("The marked region holds almost nothing of the patient. Make it larger, or move it.")
    painted = painted_voxels(mask[box] & body, hole)
    healthy = pipeline.inpaint(encoded, hole, level.steps, range(seed, seed + level.seeds), progress, painted)
    score = part.to_scan(difference_score(part, healthy, mask[box]))
    notes = [WORDS_UNUSED, MAY_PAINT_TUMOUR]
    if cells < pipeline.preset.crop_cells:
        side = round(cells * CELL * pipeline.preset.spacing_mm)
        usual = round(pipeline.preset.crop_cells * CELL * pipeline.preset.spacing_mm)
        notes.append(
            f"On the CPU the foundation saw about {side} mm around the region instead of {usual} mm, for speed; it was "
            "trained on larger fields of view."
        )
    notes += encoded.notes
    score = np.where(allowed, score, np.float32(0)).astype(np.float32)
    return MarkedRegion(score, *on_scan_grid(encoded, healthy), tuple(notes))


def segment_marked_region(
    pipeline: DiffuGTSPipeline,
    scan: EncodedScan,
    descriptions: Sequence[str],
    marked: Region | np.ndarray,
    quality: Quality,
    rule: VerdictRule,
    smallest_lesion_ml: float,
    seed: int,
    progress: ProgressCallback | None,
) -> Segmentation:
    """A marked region's segmentation, as the pipeline returns it: the same score map for every description."""
    start = time.perf_counter()
    found = examine_marked_region(pipeline, scan, marked, pipeline.preset.qualities[quality.value], seed, progress)
    inpainted = time.perf_counter()
    mask = cut(found.score, rule.threshold, smallest_lesion_ml, scan.scan.geometry)
    lesions = measure_lesions(mask, found.score, scan.scan)
    highest = float(found.score.max())
    findings = []
    for description in pipeline.understand(descriptions):
        decision, notes = verdict(description.text, found.score, lesions, highest, rule)
        findings.append(
            Finding(
                description=description.text,
                score_map=found.score,
                mask=mask,
                verdict=decision,
                highest_score=highest,
                anomaly_score=highest,
                threshold=rule.threshold,
                lesions=lesions,
                notes=[*description.notes, *notes, NO_ANOMALY_SCORE],
            )
        )
    return Segmentation(
        scan=scan.scan,
        findings=findings,
        pseudo_healthy=found.pseudo_healthy,
        residual=found.residual,
        hole=found.hole,
        quality=quality,
        seed=seed,
        timings_s={"inpaint_s": inpainted - start, "measure_s": time.perf_counter() - inpainted},
        model=pipeline.identity,
        device=str(pipeline.device),
        notes=[*scan.scan.notes, *found.notes],
        rough_mask=None if isinstance(marked, Region) else marked_voxels(scan.scan.geometry, marked),
    )


def surroundings(mask: np.ndarray, smallest: int) -> tuple[slice, slice, slice]:
    """Slices (k, j, i) around a mask with context, at least `smallest` voxels long where the volume is."""
    slices = []
    for axis, size in enumerate(mask.shape):
        seen = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = int(seen[0]) - CONTEXT_CELLS * CELL, int(seen[-1]) + 1 + CONTEXT_CELLS * CELL
        missing = max(0, smallest - (high - low))
        low, high = low - missing // 2, high + missing - missing // 2
        # Towards a border the context is taken from the other side.
        low, high = low - max(0, high - size), high + max(0, -low)
        slices.append(slice(max(0, low), min(size, high)))
    return slices[0], slices[1], slices[2]


def difference_score(grid: ScanOnGrid, healthy: PseudoHealthy, marked: np.ndarray) -> np.ndarray:
    """How far scan and pseudo-healthy scan differ, 0..1 (k, j, i), 0 outside `marked`.

    0.5 is Otsu's threshold of the differences in the region, but never less than `LEAST_DIFFERENCE`.
    """
    differences = np.where(marked & healthy.hole, healthy.pixel_residual, np.float32(0))
    least = LEAST_DIFFERENCE[grid.modality]
    if grid.modality == "CT":
        units, model = grid.curve.units, grid.curve.model
        least *= (model[-1] - model[0]) / (units[-1] - units[0])
    cut = max(least, _otsu(differences[marked & healthy.hole]))
    return np.clip(differences / (2 * cut), 0, 1).astype(np.float32)


def _otsu(values: Sequence[float] | np.ndarray) -> float:
    values = np.asarray(values, np.float32)
    if values.size < 2 or float(values.max()) <= float(values.min()):
        return 0.0
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(128)
    otsu.Execute(sitk.GetImageFromArray(values[None]))
    return float(otsu.GetThreshold())
