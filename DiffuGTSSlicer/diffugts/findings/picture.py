"""One picture of a finding: scan with outline, scan with heat map, pseudo-healthy scan, side by side.

Drawn through the axial slice in which the finding, or the largest of its lesions, is largest, or the score highest where
nothing was found, in radiological orientation (the patient's right on the left), with voxels in their true proportions
and one grey scale.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patheffects import Normal, Stroke

from diffugts.findings.axial_view import AxialView
from diffugts.findings.finding import Finding, Segmentation, Verdict
from diffugts.protocol import Quality
from diffugts.protocol.colours import colour
from diffugts.scans.scan import Geometry

BACKGROUND, TEXT, QUIET = "#101216", "#f4f5f7", "#9aa3ad"
VERDICT_COLOURS = {Verdict.FOUND: "#7fd4a0", Verdict.UNCERTAIN: "#f0c05a", Verdict.NOT_FOUND: "#c3c9d1"}

RESIDUAL_COLOURS = ("#9fd8ff", "#2f86d6", "#000000", "#d9741f", "#ffd9a0")
"""From the lowest to the highest difference; blue and orange are told apart with any colour vision."""

BEHIND_THE_BAR = "#6e6e6e"
"""The map is seen through: the colour bar lies on a grey like tissue, so that its colours are those of the map."""

LOWEST_SHOWN = 0.15
"""Scores below this are not coloured: the scan shall be seen through the map."""

SOFT_TISSUE_HU, LUNG_HU = (-160.0, 240.0), (-1350.0, 150.0)
LUNG_BELOW_HU = -400.0
"""Median around a finding below which it lies in the lung, and is shown in the lung's window."""

RESEARCH_USE = "For research use only. Not a medical device."

PANE_INCHES = (4.3, 5.2)
"""Largest width and height of a pane."""

HEAD, FOOT, EDGE, GAP, BAR = 0.78, 0.42, 0.16, 0.10, 0.72
"""Inches above, below and beside the panes, between them, and for the colour bar."""

DOTS_PER_INCH = 110

ROUND_LENGTHS_MM = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0)
"""Lengths that the scale bar may have."""


@dataclass(frozen=True)
class _Slice:
    """What is shown: one slice (row, column) of every volume, None where there is no such volume."""

    scan: np.ndarray
    score: np.ndarray
    mask: np.ndarray
    healthy: np.ndarray | None
    residual: np.ndarray | None
    spacing_mm: tuple[float, float]
    window: tuple[float, float]
    place: str

    @property
    def extent_mm(self) -> tuple[float, float]:
        """Width and height."""
        return self.scan.shape[1] * self.spacing_mm[1], self.scan.shape[0] * self.spacing_mm[0]


def draw_picture(segmentation: Segmentation, finding: Finding, path: Path, residual: bool = False) -> None:
    """Draw one finding of a segmentation into a PNG; `residual` adds a fourth pane where there is one. Raises OSError."""
    shown = _slice_of(segmentation, finding)
    outline = colour(next(n for n, other in enumerate(segmentation.findings) if other is finding))
    with_residual = residual and shown.residual is not None
    figure, panes, bar = _figure(shown.extent_mm, 4 if with_residual else 3)
    _draw_scan(panes[0], shown.scan, shown, "Scan, outline")
    _draw_outline(panes[0], shown, outline)
    _draw_scale(panes[0], shown)
    _draw_scan(panes[1], shown.scan, shown, "Scan, score map")
    heat = _draw_heat(panes[1], shown, finding.threshold)
    _draw_healthy(panes[2], shown, segmentation)
    if with_residual:
        _draw_residual(panes[3], shown, "HU" if segmentation.scan.modality == "CT" else "units")
    scale = figure.colorbar(heat, cax=bar)
    scale.ax.set_facecolor(BEHIND_THE_BAR)
    scale.outline.set_edgecolor(QUIET)
    scale.ax.tick_params(colors=QUIET, labelsize=8)
    scale.ax.axhline(finding.threshold, color="white", linewidth=1.2, linestyle=":")
    scale.set_label("score", color=QUIET, fontsize=9)
    _write_title(figure, finding)
    _write_line(figure, 0.5 * FOOT, RESEARCH_USE, QUIET, 9)
    _write_line(figure, 0.5 * FOOT, shown.place, QUIET, 9, right=True)
    with warnings.catch_warnings():
        # A description may hold signs the font lacks; they are drawn as boxes, which is no fault worth a line in the log.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, dpi=DOTS_PER_INCH, facecolor=BACKGROUND)


def _slice_of(segmentation: Segmentation, finding: Finding) -> _Slice:
    view = AxialView.of(segmentation.scan.geometry)
    scan, score = view.turned(segmentation.scan.voxels), view.turned(finding.score_map)
    mask = view.turned(finding.mask)
    sizes = mask.sum((1, 2))
    number = (
        _slice_of_largest(view, segmentation.scan.geometry, finding, sizes) if sizes.any() else _highest_slice(score)
    )
    window, words = _window(scan, mask[number] if sizes.any() else None, number, segmentation.scan.modality)
    healthy, residual = (
        None if volume is None else view.turned(volume)[number]
        for volume in (segmentation.pseudo_healthy, segmentation.residual)
    )
    place = f"axial slice {number + 1} of {len(scan)} from the feet · grey scale {words}"
    return _Slice(
        scan[number], score[number], mask[number], healthy, residual, view.spacing_mm[1:], window, place
    )  # fmt: skip


def _slice_of_largest(view: AxialView, geometry: Geometry, finding: Finding, sizes: np.ndarray) -> int:
    """The slice in which most is marked; of several lesions one near the middle of the largest, where most is marked there.

    A few false ones that lie in one slice would be shown instead of it otherwise.
    """
    if len(finding.lesions) < 2:
        return int(sizes.argmax())
    largest = max(finding.lesions, key=lambda lesion: lesion.volume_ml)
    middle = view.slice_at(largest.centroid_ras_mm, geometry)
    radius_mm = (3000 * largest.volume_ml / (4 * np.pi)) ** (1 / 3)
    reach = int(radius_mm / 2 / view.spacing_mm[0])
    first = max(0, middle - reach)
    near = sizes[first : middle + reach + 1]
    return first + int(near.argmax()) if near.any() else int(sizes.argmax())


def _highest_slice(score: np.ndarray) -> int:
    highest = score.max((1, 2))
    return int(highest.argmax()) if highest.any() else len(score) // 2


def _window(
    scan: np.ndarray, mask: np.ndarray | None, number: int, modality: str
) -> tuple[tuple[float, float], str]:  # fmt: skip
    """The grey scale of all panes, and how it is called: lung or soft tissue in CT, the scan's own percentiles in MR."""
    if modality == "CT":
        if mask is not None:
            rows, columns = (np.flatnonzero(mask.any(axis)) for axis in (1, 0))
            margin = 10
            around = scan[
                number,
                max(0, rows[0] - margin) : rows[-1] + margin + 1,
                max(0, columns[0] - margin) : columns[-1] + margin + 1,
            ]
            if float(np.median(around)) < LUNG_BELOW_HU:
                return LUNG_HU, f"{LUNG_HU[0]:g} to {LUNG_HU[1]:g} HU (lung)"
        return SOFT_TISSUE_HU, f"{SOFT_TISSUE_HU[0]:g} to {SOFT_TISSUE_HU[1]:g} HU (soft tissue)"
    sample = scan[::2, ::2, ::2]
    inside = sample[sample > sample.min()]
    low, high = np.percentile(inside, (1, 99.5)) if inside.size else (0.0, 1.0)
    return (float(low), max(float(high), float(low) + 1e-6)), f"{low:.4g} to {high:.4g}"


def _figure(extent_mm: tuple[float, float], count: int) -> tuple[Figure, list[Axes], Axes]:
    """A figure with `count` panes of a slice's proportions, and axes for the colour bar."""
    width = min(PANE_INCHES[0], PANE_INCHES[1] * extent_mm[0] / extent_mm[1])
    width = max(width, 8.2 / count)  # the lines above and below the panes need their place
    height = min(width * extent_mm[1] / extent_mm[0], PANE_INCHES[1])
    total = (2 * EDGE + count * width + (count - 1) * GAP + BAR, HEAD + height + FOOT)
    figure = Figure(figsize=total, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    panes = []
    for number in range(count):
        left = EDGE + number * (width + GAP)
        place = (left / total[0], FOOT / total[1], width / total[0], height / total[1])
        panes.append(figure.add_axes(place, facecolor="black", xticks=[], yticks=[]))
        panes[-1].spines[:].set_visible(False)
    left = EDGE + count * (width + GAP)
    bar = (left / total[0], (FOOT + 0.15 * height) / total[1], 0.14 / total[0], 0.7 * height / total[1])
    return figure, panes, figure.add_axes(bar)


def _draw_scan(axes: Axes, image: np.ndarray, shown: _Slice, label: str) -> None:
    low, high = shown.window
    _draw(axes, image, shown, cmap="gray", vmin=low, vmax=high, interpolation="bilinear")
    _label(axes, label)
    for text, x, y in (("R", 0.012, 0.5), ("L", 0.988, 0.5)):
        axes.text(
            x, y, text, transform=axes.transAxes, color=QUIET, fontsize=9, va="center",
            ha="left" if text == "R" else "right", path_effects=_halo(),
        )  # fmt: skip


def _draw(axes: Axes, image: np.ndarray, shown: _Slice, **style: object) -> AxesImage:
    """An image in millimetres from the slice's upper left corner."""
    width, height = shown.extent_mm
    return axes.imshow(image, extent=(0, width, height, 0), aspect="equal", **style)  # type: ignore[arg-type]


def _contour(axes: Axes, image: np.ndarray, shown: _Slice, level: float, closed: bool = False, **style: object) -> None:
    """A line at a level, between the voxels' centres; where `closed`, along the edge of the slice, too."""
    beyond = 1 if closed else 0
    image = np.pad(image, beyond)
    if min(image.shape) > 1 and image.min() <= level < image.max():
        width, height = shown.extent_mm
        x = (np.arange(image.shape[1]) + 0.5 - beyond) * shown.spacing_mm[1]
        y = (np.arange(image.shape[0]) + 0.5 - beyond) * shown.spacing_mm[0]
        axes.contour(x, y, image, [level], **style)
        axes.set(xlim=(0, width), ylim=(height, 0))


def _draw_outline(axes: Axes, shown: _Slice, outline: tuple[float, float, float]) -> None:
    for style in ({"colors": "black", "linewidths": 2.8, "alpha": 0.6}, {"colors": [outline], "linewidths": 1.6}):
        _contour(axes, shown.mask.astype(float), shown, 0.5, closed=True, **style)


def _draw_heat(axes: Axes, shown: _Slice, threshold: float) -> AxesImage:
    visible = np.ma.masked_less(shown.score, LOWEST_SHOWN)
    heat = _draw(axes, visible, shown, cmap=colormaps["inferno"], vmin=0, vmax=1, alpha=0.62, interpolation="nearest")
    _contour(axes, shown.score, shown, threshold, colors="white", linewidths=1.0, linestyles="dotted")
    if not visible.count():
        _say(axes, f"No score above {LOWEST_SHOWN:.2f} in this slice")
    return heat


def _draw_healthy(axes: Axes, shown: _Slice, segmentation: Segmentation) -> None:
    if shown.healthy is not None:
        _draw_scan(axes, shown.healthy, shown, "Pseudo-healthy")
        return
    _draw(axes, np.zeros_like(shown.scan), shown, cmap="gray", vmin=0, vmax=1)
    _label(axes, "Pseudo-healthy")
    fast = segmentation.quality is Quality.FAST
    _say(axes, "Not painted at quality 'fast'" if fast else "Nothing was marked,\nso nothing was painted", 0.5)


def _draw_residual(axes: Axes, shown: _Slice, unit: str) -> None:
    assert shown.residual is not None
    reach = max(float(np.abs(shown.residual).max()), 1e-6)
    around_zero = LinearSegmentedColormap.from_list("residual", RESIDUAL_COLOURS)
    _draw(axes, shown.residual, shown, cmap=around_zero, vmin=-reach, vmax=reach, interpolation="nearest")
    _contour(axes, shown.mask.astype(float), shown, 0.5, colors=QUIET, linewidths=0.8)
    _label(axes, "Residual")
    _say(axes, f"blue: scan below, orange: above pseudo-healthy, to ±{reach:.3g} {unit}")


def _draw_scale(axes: Axes, shown: _Slice) -> None:
    """A bar of a round length, at most a quarter of the width."""
    width, height = shown.extent_mm
    longest = max((length for length in ROUND_LENGTHS_MM if length <= width / 4), default=width / 4)
    x, y = 0.95 * width, 0.955 * height
    axes.plot([x - longest, x], [y, y], color=TEXT, linewidth=2, solid_capstyle="butt", path_effects=_halo(4))
    axes.text(
        x - longest / 2, y - 0.012 * height, f"{longest:g} mm", color=TEXT, fontsize=8, ha="center", va="bottom",
        path_effects=_halo(),
    )  # fmt: skip


def _label(axes: Axes, text: str) -> None:
    axes.text(
        0.02, 0.98, text, transform=axes.transAxes, color=TEXT, fontsize=11, va="top", path_effects=_halo()
    )  # fmt: skip


def _say(axes: Axes, text: str, height: float = 0.06) -> None:
    axes.text(
        0.5, height, text, transform=axes.transAxes, color=QUIET, fontsize=9, ha="center", va="center",
        path_effects=_halo(),
    )  # fmt: skip


def _halo(width: float = 2) -> list[Stroke | Normal]:
    return [Stroke(linewidth=width, foreground="black", alpha=0.7), Normal()]


def _write_title(figure: Figure, finding: Finding) -> None:
    text = "".join(sign if sign.isprintable() else " " for sign in finding.description)
    text = " ".join(text.split())
    room = int(9.2 * figure.get_figwidth())
    text = text if len(text) <= room else text[: room - 1] + "…"
    facts = [finding.verdict.value, f"highest score {finding.highest_score:.2f}"]
    if finding.lesions:
        count = len(finding.lesions)
        facts.append(f"{_volume_text(finding.volume_ml)} in {count} lesion{'s' if count != 1 else ''}")
        longest = max(lesion.longest_axial_diameter_mm for lesion in finding.lesions)
        facts.append(f"longest axial diameter {longest:.0f} mm")
    height = figure.get_figheight()
    _write_line(figure, height - 0.26, text, TEXT, 14)
    _write_line(figure, height - 0.55, " · ".join(facts), VERDICT_COLOURS[finding.verdict], 10.5)


def _volume_text(volume_ml: float) -> str:
    """Three digits: 0.12 ml, 3.4 ml, 527 ml."""
    digits = max(0, 2 - math.floor(math.log10(volume_ml))) if volume_ml > 0 else 0
    return f"{volume_ml:.{min(digits, 2)}f} ml" if volume_ml < 10 else f"{volume_ml:.{1 if volume_ml < 100 else 0}f} ml"


def _write_line(figure: Figure, y: float, text: str, tint: str, size: float, right: bool = False) -> None:
    """A line of text, `y` inches above the lower edge."""
    width, height = figure.get_size_inches()
    x = 1 - EDGE / width if right else EDGE / width
    figure.text(
        x, y / height, text, color=tint, fontsize=size, va="center", ha="right" if right else "left", parse_math=False
    )  # fmt: skip
