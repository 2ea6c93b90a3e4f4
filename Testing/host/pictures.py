"""Pictures of widgets and of slice views, as arrays and PNG files, and what tests ask of them.

A picture is a (height, width, 3) uint8 array, top row first.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PySide6 import QtGui, QtWidgets

from host.view_widgets import qimage_of, qMRMLSliceWidget

Colour = tuple[int, int, int]


def widget_picture(widget: QtWidgets.QWidget, width: int | None = None, height: int | None = None) -> np.ndarray:
    """The widget as it would be drawn, at the given size in pixels or the one its layout asks for."""
    widget.show()
    QtWidgets.QApplication.processEvents()
    hint = widget.property("sizeHint")
    widget.resize(width or hint.width(), height or hint.height())
    QtWidgets.QApplication.processEvents()
    return _array_of(widget.grab().toImage())


def picture_as_laid_out(widget: QtWidgets.QWidget) -> np.ndarray:
    """The widget as it lies in its window, at the size that it has there."""
    QtWidgets.QApplication.processEvents()
    return _array_of(widget.grab().toImage())


def views_picture(slice_widgets: Sequence[qMRMLSliceWidget], width: int = 400, height: int = 400) -> np.ndarray:
    """The slice views side by side, each of the size in pixels, without their bars."""
    pictures = []
    for each in slice_widgets:
        each.sliceView().resize(width, height)
        each.sliceView().forceRender()
        pictures.append(each.sliceView()._picture)
    return np.concatenate(pictures, axis=1)


def _array_of(image: QtGui.QImage) -> np.ndarray:
    image = image.convertToFormat(QtGui.QImage.Format.Format_RGB888)
    rows = np.frombuffer(image.constBits(), np.uint8).reshape(image.height(), image.bytesPerLine())
    return rows[:, : 3 * image.width()].reshape(image.height(), image.width(), 3).copy()


def save_png(picture: np.ndarray, path: Path | str) -> None:
    """Write the picture to a PNG file.

    Raises:
        OSError: it could not be written.
    """
    if not qimage_of(picture).save(str(path), "PNG"):
        raise OSError(f"the picture could not be written to {path}")


def share_of_colour(picture: np.ndarray, colour: Colour, tolerance: int = 12) -> float:
    """The share of pixels whose three channels differ from the colour by at most the tolerance."""
    difference = np.abs(picture.astype(np.int16) - np.array(colour, np.int16))
    return float((difference <= tolerance).all(axis=2).mean())


def share_of_difference(picture: np.ndarray, reference: np.ndarray, tolerance: int = 24) -> float:
    """The share of pixels that differ from the reference in any channel by more than the tolerance.

    Raises:
        ValueError: the pictures are not of the same size.
    """
    if picture.shape != reference.shape:
        raise ValueError(f"the picture is {picture.shape}, the reference {reference.shape}")
    difference = np.abs(picture.astype(np.int16) - reference.astype(np.int16))
    return float((difference > tolerance).any(axis=2).mean())
