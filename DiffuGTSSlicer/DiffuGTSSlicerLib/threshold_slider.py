"""The threshold as a slider, with the distribution of the scores above it, so that moving it is informed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import qt

STEPS = 100
"""Of the slider, from 0 to 1."""

WIDTH, HEIGHT = 320, 40
"""Pixels of the painted distribution; the label stretches it to the slider's width."""

BELOW = (150, 150, 150)
"""Colour of what is left out: readable on light and dark panels."""


class ThresholdSlider:
    """Keeps a slider, a number field and the picture of the distribution together.

    Args:
        slider: a QSlider.
        field: a QDoubleSpinBox.
        picture: a QLabel right above the slider.
        on_moved: called with the threshold 0..1 whenever the user moves it.
    """

    def __init__(
        self, slider: qt.QSlider, field: qt.QDoubleSpinBox, picture: qt.QLabel, on_moved: Callable[[float], None]
    ) -> None:
        self._slider, self._field, self._picture, self._on_moved = slider, field, picture, on_moved
        self._threshold = 0.5
        self._counts = np.zeros(1)
        self._colour = (1.0, 0.0, 0.0)
        slider.setRange(0, STEPS)
        picture.setScaledContents(True)
        slider.connect("valueChanged(int)", self._slid)
        field.connect("valueChanged(double)", self._moved)

    @property
    def threshold(self) -> float:
        """Where it stands, 0..1."""
        return self._threshold

    def show(self, threshold: float, counts: np.ndarray, colour: tuple[float, float, float]) -> None:
        """Show a finding's threshold, the voxels per equal part of 0..1 and the finding's colour, (r, g, b) 0..1."""
        self._counts, self._colour = counts, colour
        self._put(threshold)

    def _slid(self, position: int) -> None:
        self._moved(position / STEPS)

    def _moved(self, threshold: float) -> None:
        self._put(threshold)
        self._on_moved(threshold)

    def _put(self, threshold: float) -> None:
        self._threshold = threshold
        for widget, value in ((self._slider, round(threshold * STEPS)), (self._field, threshold)):
            widget.blockSignals(True)
            widget.setValue(value)
            widget.blockSignals(False)
        self._picture.setPixmap(_painted(self._counts, threshold, self._colour))


def _painted(counts: np.ndarray, threshold: float, colour: tuple[float, float, float]) -> qt.QPixmap:
    """Bars of logarithmic height, coloured above the threshold and grey below it, with a line at it."""
    pixmap = qt.QPixmap(WIDTH, HEIGHT)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(pixmap)
    above, below = qt.QColor(*(round(255 * c) for c in colour)), qt.QColor(*BELOW)
    heights = np.log1p(counts) / max(float(np.log1p(counts).max()), 1e-9)
    edges = np.linspace(0, WIDTH, len(counts) + 1).round().astype(int)
    for number, height in enumerate(heights):
        left, right, top = int(edges[number]), int(edges[number + 1]), HEIGHT - round(float(height) * (HEIGHT - 2))
        middle = (number + 0.5) / len(counts)
        painter.fillRect(
            qt.QRect(left, top, right - left, HEIGHT - top), qt.QBrush(above if middle > threshold else below)
        )
    painter.fillRect(qt.QRect(min(round(threshold * WIDTH), WIDTH - 2), 0, 2, HEIGHT), qt.QBrush(qt.QColor(90, 90, 90)))
    painter.end()
    return pixmap
