"""The pictures of the README show the panel as it is now."""

from __future__ import annotations

import numpy as np
import pytest
import screenshots
from host.pictures import share_of_difference
from opened_module import environment, module, panel  # noqa: F401 - fixtures
from PIL import Image
from PySide6 import QtGui, QtWidgets

FONT = "DejaVu Sans"
"""Qt's font on the machine that drew the pictures; with another one every word lies elsewhere."""

NAMES = ("setup", "describe", "running", "findings", "module", "compare", "residual")


def share_of_difference_to(name: str, drawn: np.ndarray) -> float:
    """Of a picture drawn now to the one in the README."""
    used = QtGui.QFontInfo(QtWidgets.QApplication.font()).family()
    if used != FONT:
        pytest.skip(f"drawn with the font {used}, the pictures with {FONT}")
    with Image.open(screenshots.FOLDER / f"{name}.png") as picture:
        kept = np.asarray(picture.convert("RGB"))
    assert drawn.shape == kept.shape, "run make screenshots and look at the pictures"
    return share_of_difference(drawn, kept)


def test_the_section_describe_looks_as_in_the_readme(host, panel, scene) -> None:  # noqa: F811
    differing = share_of_difference_to("describe", screenshots.describe_picture(host, panel))
    # The scripted worker of the tests knows no device and no time: one line and one field differ.
    assert differing < 0.04, f"{differing:.1%} of the picture differs: run make screenshots and look at the pictures"


def test_the_section_setup_looks_as_in_the_readme(host, module, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr("DiffuGTSSlicerLib.setup_section.nvidia_driver_found", lambda: False)
    differing = share_of_difference_to("setup", screenshots.setup_picture(host))
    # What is free on the disk differs, in a few digits.
    assert differing < 0.005, f"{differing:.1%} of the picture differs: run make screenshots and look at the pictures"


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_there_and_is_not_empty(name: str, host) -> None:
    with Image.open(screenshots.FOLDER / f"{name}.png") as picture:
        assert picture.convert("L").getextrema() != (0, 0) and len(picture.convert("RGB").getcolors(1 << 24) or []) > 20
        assert picture.width <= 1600
