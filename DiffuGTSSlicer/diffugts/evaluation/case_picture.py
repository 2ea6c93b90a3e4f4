"""One picture of an evaluated case: scan, truth, mask, heat map and pseudo-healthy scan of the same axial slice.

The slice is the truth's largest. Where most of the mask lies elsewhere, a second row shows the slice in which it is largest:
a false positive is seen, not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from diffugts.evaluation.methods import Prediction
from diffugts.findings.axial_view import AxialView
from diffugts.findings.picture import BACKGROUND, LUNG_BELOW_HU, LUNG_HU, QUIET, SOFT_TISSUE_HU, TEXT
from diffugts.scans.scan import Scan

TRUTH_COLOUR, MASK_COLOUR = "#5bd17f", "#ff9d3c"
"""Green and orange are told apart with any colour vision by their lightness."""

PANES = ("Scan", "Truth", "Mask", "Score", "Pseudo-healthy")
PANE_INCHES = (2.5, 3.1)
"""Largest width and height of a pane."""

GAP_INCHES = 0.05
DOTS_PER_INCH = 110
LOWEST_SHOWN = 0.15


@dataclass(frozen=True)
class _Views:
    """What is shown, as volumes in axial view, or as one slice of each; None where the method has no such answer."""

    scan: np.ndarray
    truth: np.ndarray
    mask: np.ndarray
    score: np.ndarray | None
    healthy: np.ndarray | None

    def at(self, number: int) -> _Views:
        """One slice."""
        score, healthy = (None if volume is None else volume[number] for volume in (self.score, self.healthy))
        return _Views(self.scan[number], self.truth[number], self.mask[number], score, healthy)


def draw_case(scan: Scan, truth: np.ndarray, prediction: Prediction, path: Path) -> None:
    """Draw one method's answer to a case into a PNG. Raises OSError."""
    view = AxialView.of(scan.geometry)
    score, healthy = (
        None if volume is None else view.turned(volume) for volume in (prediction.score_map, prediction.pseudo_healthy)
    )
    volumes = _Views(view.turned(scan.voxels), view.turned(truth), view.turned(prediction.mask), score, healthy)
    slices = shown_slices(volumes.truth, volumes.mask, volumes.score)
    window = grey_scale(scan, truth if truth.any() else prediction.mask)
    rows, columns = volumes.scan.shape[1:]
    extent = (columns * view.spacing_mm[2], rows * view.spacing_mm[1])
    figure, panes = _figure(extent, len(slices))
    for row, number in zip(panes, slices):
        _draw_row(row, volumes.at(number), extent, window, prediction)
        _say(row[0], f"slice {number + 1} of {len(volumes.scan)}", 0.03, QUIET, 7)
    figure.savefig(path, dpi=DOTS_PER_INCH, facecolor=BACKGROUND)


def shown_slices(truth: np.ndarray, mask: np.ndarray, score: np.ndarray | None) -> list[int]:
    """Which slices (first axis) are shown, one or two."""
    true_sizes, found_sizes = truth.sum((1, 2)), mask.sum((1, 2))
    if not true_sizes.any():
        if found_sizes.any():
            return [int(found_sizes.argmax())]
        peaks = score.max((1, 2)) if score is not None else np.zeros(len(truth))
        return [int(peaks.argmax()) if peaks.any() else len(truth) // 2]
    slices = [int(true_sizes.argmax())]
    elsewhere = int(found_sizes.argmax())
    beside = found_sizes.any() and not (mask[elsewhere] & truth[elsewhere]).any()
    return [*slices, elsewhere] if beside and elsewhere != slices[0] else slices


def grey_scale(scan: Scan, where: np.ndarray) -> tuple[float, float]:
    """Lowest and highest value shown, in the scan's unit: the lung's window round a lesion in the lung."""
    if scan.modality == "CT":
        places = np.argwhere(where)
        if len(places):
            low, high = places.min(0) - 5, places.max(0) + 6
            around = scan.voxels[tuple(slice(max(0, int(a)), int(b)) for a, b in zip(low, high))]
            if float(np.median(around)) < LUNG_BELOW_HU:
                return LUNG_HU
        return SOFT_TISSUE_HU
    sample = scan.voxels[::2, ::2, ::2]
    inside = sample[sample > sample.min()]
    if not inside.size:
        return 0.0, 1.0
    low, high = np.percentile(inside, (1, 99.5))
    return float(low), max(float(high), float(low) + 1e-6)


def _draw_row(
    panes: list[Axes],
    shown: _Views,
    extent: tuple[float, float],
    window: tuple[float, float],
    prediction: Prediction,
) -> None:
    for axes, title in zip(panes, PANES):
        image = shown.healthy if title == PANES[4] and shown.healthy is not None else shown.scan
        axes.imshow(
            image, extent=(0, *extent, 0), cmap="gray", vmin=window[0], vmax=window[1], interpolation="bilinear"
        )
        _say(axes, title, 0.97, TEXT, 9)
    _outline(panes[1], shown.truth, extent, TRUTH_COLOUR)
    _outline(panes[2], shown.truth, extent, TRUTH_COLOUR, 0.8)
    _outline(panes[2], shown.mask, extent, MASK_COLOUR)
    if shown.score is None:
        _blank(panes[3], "this method has\nno score map")
    else:
        panes[3].imshow(
            np.ma.masked_less(shown.score, LOWEST_SHOWN),
            extent=(0, *extent, 0),
            cmap=colormaps["inferno"],
            vmin=0,
            vmax=1,
            alpha=0.62,
            interpolation="nearest",
        )
        _outline(panes[3], shown.score > prediction.threshold, extent, "white", 0.7)
        _say(panes[3], f"highest here {float(shown.score.max()):.2f}", 0.03, QUIET, 7)
    if shown.healthy is None:
        _blank(panes[4], "nothing was\npainted anew")


def _figure(extent: tuple[float, float], rows: int) -> tuple[Figure, list[list[Axes]]]:
    """A figure of `rows` rows of panes, edge to edge, in the slice's own proportions."""
    width = min(PANE_INCHES[0], PANE_INCHES[1] * extent[0] / extent[1])
    height = width * extent[1] / extent[0]
    total = (len(PANES) * width + (len(PANES) - 1) * GAP_INCHES, rows * height + (rows - 1) * GAP_INCHES)
    figure = Figure(figsize=total, facecolor=BACKGROUND)
    FigureCanvasAgg(figure)
    grid = []
    for row in range(rows):
        bottom = total[1] - (row + 1) * height - row * GAP_INCHES
        places = [
            (n * (width + GAP_INCHES) / total[0], bottom / total[1], width / total[0], height / total[1])
            for n in range(len(PANES))
        ]
        grid.append([figure.add_axes(place, facecolor="black", xticks=[], yticks=[]) for place in places])
        for axes in grid[-1]:
            axes.spines[:].set_visible(False)
    return figure, grid


def _outline(axes: Axes, mask: np.ndarray, extent: tuple[float, float], colour: str, width: float = 1.3) -> None:
    if not mask.any() or min(mask.shape) < 2:
        return
    padded = np.pad(mask.astype(float), 1)
    x = (np.arange(padded.shape[1]) - 0.5) * extent[0] / mask.shape[1]
    y = (np.arange(padded.shape[0]) - 0.5) * extent[1] / mask.shape[0]
    axes.contour(x, y, padded, [0.5], colors=[colour], linewidths=width)
    axes.set(xlim=(0, extent[0]), ylim=(extent[1], 0))


def _blank(axes: Axes, sentence: str) -> None:
    for image in list(axes.images):
        image.set_alpha(0.25)
    _say(axes, sentence, 0.5, QUIET, 8)


def _say(axes: Axes, text: str, height: float, colour: str, size: float) -> None:
    """A line at a relative height, on the left above and below, centred between."""
    centred = 0.2 < height < 0.8
    axes.text(
        0.5 if centred else 0.03,
        height,
        text,
        transform=axes.transAxes,
        color=colour,
        fontsize=size,
        ha="center" if centred else "left",
        va="center" if centred else ("top" if height > 0.5 else "bottom"),
        path_effects=[Stroke(linewidth=2, foreground="black", alpha=0.7), Normal()],
    )
