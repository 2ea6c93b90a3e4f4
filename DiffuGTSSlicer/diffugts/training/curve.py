"""The curves of a training run, as a picture: its loss, and every figure of its validations, over its minutes."""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

FILE = "curve.png"
NO_FIGURES = {"step", "minutes", "skipped"}
COLUMNS = 3
PANE_INCHES = (3.6, 2.2)


def draw_curves(lines: Iterable[dict[str, float]], folder: Path) -> Path:
    """Write `folder`/curve.png from the lines of a run's log, one pane each: figures have units of their own.

    The picture before is replaced as a whole.
    """
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for line in lines:
        for name in line.keys() - NO_FIGURES:
            curves[name].append((line["minutes"], line[name]))
    names = sorted(curves, key=lambda name: (name != "loss", name))
    rows = max(1, math.ceil(len(names) / COLUMNS))
    figure = Figure((PANE_INCHES[0] * COLUMNS, PANE_INCHES[1] * rows), layout="constrained")
    FigureCanvasAgg(figure)  # no window, whatever matplotlib would choose on this machine
    for number, name in enumerate(names, start=1):
        pane = figure.add_subplot(rows, COLUMNS, number)
        pane.plot(*zip(*curves[name]), linewidth=1, marker="" if name == "loss" else "o", markersize=3)
        pane.set_title(name, fontsize=9)
        pane.set_xlabel("minutes", fontsize=8)
        pane.tick_params(labelsize=8)
        pane.grid(alpha=0.3)
    unfinished = folder / (FILE + ".new")
    figure.savefig(unfinished, format="png", dpi=100)
    os.replace(unfinished, folder / FILE)
    return folder / FILE
