"""The three compare panes look as they did: scan with outlines, score map, pseudo-healthy scan, each with its label.

The picture that they are compared with was drawn by this test from a made finding, and looked at. Where the panes are to look
otherwise, it is drawn again, and looked at again, by

    DIFFUGTS_PICTURES=Testing/slicer/pictures python -m pytest Testing/slicer/test_section_compare_picture.py
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
from host.pictures import save_png, share_of_difference, views_picture  # noqa: E402
from made_findings import made_finding  # noqa: E402
from made_sections import compare_section  # noqa: E402
from PIL import Image  # noqa: E402

from DiffuGTSSlicerLib.compare_layout import Pane  # noqa: E402
from DiffuGTSSlicerLib.lesion_jump import jump_to  # noqa: E402
from DiffuGTSSlicerLib.lesions import lesions_of  # noqa: E402

REFERENCE = Path(__file__).parent / "pictures" / "compare-panes.png"
PANE = 240
"""Pixels: large enough for outlines, colours and labels, small enough for the repository."""

ALLOWED = 0.005
"""The share of pixels that may differ: another Mesa draws edges and letters a little otherwise."""


@pytest.fixture
def panes(scene, tmp_path: Path, host):
    """Draws the panes of a made finding, as large as in the reference; with the section that shows them."""
    _, finding = made_finding(scene, tmp_path)
    lesion = lesions_of(finding, None)[1]  # the one that only the first finding marks
    panel, section, _ = compare_section(scene)
    section.show("1", "finding_1")
    section.ui.compareButton.click()
    views = [slicer.app.layoutManager().sliceWidget(pane.tag) for pane in Pane]

    def draw() -> np.ndarray:
        views_picture(views, PANE, PANE)  # the panes have to have their new size before the scan is fitted to it
        for view in views:
            view.fitSliceToBackground()
        jump_to(scene, lesion.centre_ras_mm)
        host.process_events(50)
        return views_picture(views, PANE, PANE)

    yield section, draw
    section.cleanup()
    panel.close()
    panel.deleteLater()


def test_the_panes_look_as_they_did(panes) -> None:
    _, draw = panes
    drawn = draw()
    if os.environ.get("DIFFUGTS_PICTURES"):
        save_png(drawn, Path(os.environ["DIFFUGTS_PICTURES"]) / REFERENCE.name)
    with Image.open(REFERENCE) as picture:
        kept = np.asarray(picture.convert("RGB"))
    differing = share_of_difference(drawn, kept)
    assert differing < ALLOWED, f"{differing:.1%} of the picture differs: look at it, and draw it again as said above"


def test_what_goes_missing_in_a_pane_is_seen(panes) -> None:
    """The comparison is no use if it lets a map or a pane's content go. Outlines are too thin for it: test_lib_compare_view.py."""
    section, draw = panes
    with Image.open(REFERENCE) as picture:
        kept = np.asarray(picture.convert("RGB"))

    def differing() -> float:
        return share_of_difference(draw(), kept)

    section.ui.residualButton.click()
    assert differing() > ALLOWED, "the residual in the third pane"
    section.ui.healthyButton.click()
    section.ui.fadeSlider.setValue(0)
    assert differing() > ALLOWED, "the scan in the third pane"
    section.ui.fadeSlider.setValue(100)
    section.show("1", "finding_3")
    assert differing() > ALLOWED, "another finding's map"
    section.show("1", "finding_1")
    assert differing() < ALLOWED
