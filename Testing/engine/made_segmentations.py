"""Segmentations made by hand: small scans on any grid, with findings whose measures are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from diffugts.findings.finding import Finding, ModelIdentity, Segmentation, Verdict
from diffugts.findings.lesions import measure_lesions
from diffugts.protocol import Quality, Request
from diffugts.scans.scan import Geometry, Scan

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SAGITTAL = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
"""Columns i, j and k run to posterior, inferior and left, as sagittal series of a spine or a head do."""

STRAIGHT = Geometry((20, 16, 12), (1.5, 2.0, 4.0), (-40.0, 25.5, 300.25), AXIAL)

Box = tuple[slice, slice, slice]


def finding(
    description: str, scan: Scan, box: Box | None, score: float = 0.9, background: float = 0.05, threshold: float = 0.5
) -> Finding:
    """A finding whose mask is a box (k, j, i); its scores fall off to the background along i."""
    mask = np.zeros(scan.geometry.shape, bool)
    scores = np.full(scan.geometry.shape, background, np.float32)
    if box is not None:
        mask[box] = True
        scores[mask] = np.linspace(score, threshold + 0.01, int(mask.sum()), dtype=np.float32)
    return Finding(
        description,
        scores,
        mask,
        Verdict.NOT_FOUND if box is None else Verdict.FOUND,
        float(scores.max()),
        0.8,
        threshold,
        measure_lesions(mask, scores, scan),
        [] if box is not None else [f"Nothing above {threshold:.2f} for '{description}'."],
    )


def textured_scan(geometry: Geometry = STRAIGHT, modality: str = "CT") -> Scan:
    """A scan without two equal slices or columns, in HU."""
    k, j, i = np.meshgrid(*[np.linspace(0, 1, n) for n in geometry.shape], indexing="ij")
    return Scan((300 * i + 90 * j - 120 * k - 80).astype(np.float32), geometry, modality)


def segmentation(scan: Scan, findings: Sequence[Finding], inpainted: bool = True) -> Segmentation:
    """A segmentation with these findings; where `inpainted`, 200 is taken off the scan within the masks."""
    hole = np.any([f.mask for f in findings], axis=0)
    healthy = np.where(hole, scan.voxels - 200, scan.voxels).astype(np.float32)
    return Segmentation(
        scan,
        list(findings),
        healthy if inpainted else None,
        (scan.voxels - healthy) if inpainted else None,
        hole if inpainted else None,
        Quality.STANDARD if inpainted else Quality.FAST,
        7,
        {"read_s": 0.25, "attend_s": 1.5},
        ModelIdentity("made by hand", "/models/by-hand", "ab" * 32),
        "cpu",
        ["A note on the whole run."],
    )


def request_for(findings: Sequence[Finding], output: Path, image_format: str = "nrrd") -> Request:
    """The request that would have led to these findings."""
    return Request(
        scan="/patients/Doe^Jane/scan.nrrd",
        descriptions=tuple(f.description for f in findings),
        output=str(output),
        seed=7,
        image_format=image_format,
    )
