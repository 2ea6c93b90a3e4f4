"""One picture of a finding: scan with outline, scan with heat map, pseudo-healthy scan, side by side.

Drawn through the slice in which the finding is largest, or the score highest where nothing was found, in radiological
orientation (the patient's right on the left) with voxels in their true proportions.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from diffugts.findings.colours import PALETTE
from diffugts.findings.finding import Finding, Segmentation
from diffugts.scans.scan import Geometry

BACKGROUND, TEXT, QUIET = "#101216", "#f2f2f2", "#9aa0a8"
LOWEST_SHOWN = 0.15
"""Scores below this are not coloured: the scan shall be seen through the map."""

RESEARCH_USE = "For research use. Not a medical device."


def draw_picture(segmentation: Segmentation, finding: Finding, path: Path) -> None:
    """Draw one finding into a PNG."""
    geometry = segmentation.scan.geometry
    scan = _upright(segmentation.scan.voxels, geometry)
    mask = _upright(finding.mask.astype(np.float32), geometry) > 0.5
    score = _upright(finding.score_map, geometry)
    spacing = _upright_spacing(geometry)
    healthy = None if segmentation.pseudo_healthy is None else _upright(segmentation.pseudo_healthy, geometry)
    number = int(mask.sum((1, 2)).argmax() if mask.any() else np.unravel_index(score.argmax(), score.shape)[0])
    window = _window(scan, segmentation.scan.modality)
    aspect = spacing[1] / spacing[2]
    height = scan.shape[1] * aspect / scan.shape[2] * 4.2
    figure = Figure(figsize=(13.2, max(2.6, min(height, 6.5)) + 1.25), facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    panes = figure.subplots(1, 3)
    figure.subplots_adjust(
        left=0.01, right=0.94, top=1 - 0.75 / figure.get_figheight(), bottom=0.4 / figure.get_figheight(), wspace=0.03
    )
    _pane(panes[0], scan[number], window, aspect, "Scan, outline")
    if mask[number].any():
        panes[0].contour(mask[number], [0.5], colors=[PALETTE[3]], linewidths=1.6)
    _pane(panes[1], scan[number], window, aspect, "Scan, score map")
    shown = np.ma.masked_less(score[number], LOWEST_SHOWN)
    heat = panes[1].imshow(
        shown, cmap=colormaps["inferno"], vmin=0, vmax=1, alpha=0.6, aspect=aspect, interpolation="bilinear"
    )
    panes[1].contour(score[number], [finding.threshold], colors=["white"], linewidths=0.7, linestyles="dotted")
    if healthy is not None:
        _pane(panes[2], healthy[number], window, aspect, "Pseudo-healthy")
    else:
        _pane(panes[2], np.full_like(scan[number], window[0]), window, aspect, "")
        reason = "nothing was inpainted" if segmentation.quality.value != "fast" else "not drawn at quality fast"
        panes[2].text(
            0.5,
            0.5,
            f"No pseudo-healthy scan:\n{reason}",
            transform=panes[2].transAxes,
            ha="center",
            va="center",
            color=QUIET,
        )
    bar = figure.colorbar(heat, cax=figure.add_axes((0.95, 0.22, 0.012, 0.5)))
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    bar.ax.tick_params(colors=QUIET, labelsize=8)
    bar.set_label("score", color=QUIET, fontsize=9)
    figure.text(0.01, 1 - 0.3 / figure.get_figheight(), _title(finding), color=TEXT, fontsize=13, va="center")
    figure.text(0.01, 0.18 / figure.get_figheight(), RESEARCH_USE, color=QUIET, fontsize=9, va="center")
    with warnings.catch_warnings():
        # A description may hold signs the font lacks; they are drawn as boxes, which is no fault worth a line in the log.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=110, facecolor=BACKGROUND)


def _title(finding: Finding) -> str:
    text = finding.description if len(finding.description) <= 70 else finding.description[:69] + "…"
    facts = f"{finding.verdict.value}, highest score {finding.highest_score:.2f}"
    if finding.lesions:
        count = len(finding.lesions)
        facts += f", {finding.volume_ml:.1f} ml in {count} lesion{'s' if count != 1 else ''}"
    return f"“{text}”: {facts}".replace("$", r"\$")


def _pane(axes: Axes, image: np.ndarray, window: tuple[float, float], aspect: float, label: str) -> None:
    axes.imshow(image, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect, interpolation="bilinear")
    axes.set_axis_off()
    axes.text(0.015, 0.985, label, transform=axes.transAxes, color=TEXT, fontsize=11, va="top")


def _window(scan: np.ndarray, modality: str) -> tuple[float, float]:
    """The grey scale of all panes: soft tissue in CT, the scan's own percentiles in MR."""
    if modality == "CT":
        return -160.0, 240.0
    inside = scan[scan > scan.min()]
    return (float(np.percentile(inside, 1)), float(np.percentile(inside, 99.5))) if inside.size else (0.0, 1.0)


def _upright(array: np.ndarray, geometry: Geometry) -> np.ndarray:
    """The array as axial slices (slice from feet to head, row from front to back, column from right to left)."""
    return sitk.GetArrayFromImage(sitk.DICOMOrient(geometry.image(np.ascontiguousarray(array)), "LPS"))


def _upright_spacing(geometry: Geometry) -> tuple[float, float, float]:
    small = sitk.Image(2, 2, 2, sitk.sitkUInt8)
    small.SetSpacing(geometry.spacing_mm)
    small.SetDirection(geometry.direction)
    x, y, z = sitk.DICOMOrient(small, "LPS").GetSpacing()
    return z, y, x
