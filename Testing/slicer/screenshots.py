"""Draws the pictures in Resources/Screenshots anew: `make screenshots`, about a minute.

The module runs on the test host, not in Slicer: the panel is the module's own .ui on Qt's widgets with stand-ins for
Slicer's, the slice views are drawn by Slicer's real displayable managers. What the pictures show is real: the tutorial's
scan goes through the real worker and the compact model, as the user's click sends it.

    python Testing/slicer/screenshots.py [FOLDER]
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "DiffuGTSSlicer" / "DiffuGTSSlicer.py"
FOLDER = ROOT / "Resources" / "Screenshots"
DESCRIPTIONS = "soft tissue sarcoma in the thigh\nliver metastasis"
PANEL_WIDTH, PANEL_HEIGHT, WINDOW_SIZE, PANE = 505, 1500, (1600, 800), 430
"""Pixels: the panel, the window with panel and panes, a pane of the three by itself."""
WORKER_PYTHON = "DIFFUGTS_WORKER_PYTHON"
"""The variable that names the Python of the worker."""
SOFT_TISSUE_HU = (400.0, 40.0)
"""Window and level that a user would choose for soft tissue in CT."""
PATIENCE_S = 600.0


def load_tutorial_scan() -> Any:
    """The generated scan out of the module Sample Data, with a soft tissue window."""
    import SampleData

    from DiffuGTSSlicerLib import sample_data

    sample_data.register()
    volume = SampleData.downloadSample(sample_data.SAMPLE)
    display = volume.GetDisplayNode()
    display.AutoWindowLevelOff()
    display.SetWindowLevel(*SOFT_TISSUE_HU)
    return volume


def describe(panel: Any, volume: Any) -> None:
    """Choose volume and descriptions as the user does."""
    parameters = panel.logic.getParameterNode()
    parameters.volume = volume
    parameters.descriptions = DESCRIPTIONS


def section_picture(host: Any, section: Any) -> np.ndarray:
    """A section of the panel as it lies in a window high enough for the whole panel."""
    from host.pictures import picture_as_laid_out

    window, scroll_area = host.main_window, host.main_window.panel
    usual, size, seen = (scroll_area.minimumWidth, scroll_area.maximumWidth), window.size, window.visible
    scroll_area.setFixedWidth(PANEL_WIDTH)
    window.resize(WINDOW_SIZE[0], PANEL_HEIGHT)
    window.show()
    host.process_events(50)
    picture = picture_as_laid_out(section)
    scroll_area.minimumWidth, scroll_area.maximumWidth = usual
    window.resize(size)
    window.visible = seen
    return picture


def setup_picture(host: Any) -> np.ndarray:
    """The section Setup on the first day, when nothing is installed; it would install into a folder of this name."""
    from DiffuGTSSlicerLib.setup_settings import SetupSettings

    python = os.environ.pop(WORKER_PYTHON, None)
    settings = SetupSettings()
    settings.parent_folder = "/home/reader/.local/share"
    try:
        panel = host.open_module("DiffuGTSSlicer")
        host.process_events(200)
        return section_picture(host, panel.ui.setupCollapsibleButton)
    finally:
        host.unload_widget("DiffuGTSSlicer")
        settings.parent_folder = ""
        if python is not None:
            os.environ[WORKER_PYTHON] = python


def describe_picture(host: Any, panel: Any) -> np.ndarray:
    """The section Describe, filled in and ready."""
    describe(panel, load_tutorial_scan())
    host.process_events(300)  # the line above the button is written when typing pauses
    return section_picture(host, panel.ui.describeCollapsibleButton)


class Tour:
    """The way through the module; `save` gets every picture with its name."""

    def __init__(self, host: Any, save: Callable[[str, np.ndarray], None]) -> None:
        self.host, self.save = host, save

    def go(self) -> None:
        """Draw all pictures, in the order in which a user meets what they show."""
        host = self.host
        host.load_module(MODULE)
        self.save("setup", setup_picture(host))
        panel = host.open_module("DiffuGTSSlicer")
        environment = panel.logic.environment
        environment.check()
        host.wait_until(lambda: environment.activity is None, PATIENCE_S)
        self.save("describe", describe_picture(host, panel))
        self.segment(panel)
        self.save("findings", section_picture(host, panel.ui.findingsCollapsibleButton))
        self.compare(panel)
        host.unload_widget("DiffuGTSSlicer")

    def segment(self, panel: Any) -> None:
        """Press Segment; a picture while it inpaints."""
        jobs = panel.logic.jobs
        panel.ui.segmentButton.click()
        self.host.wait_until(lambda: not jobs.unfinished or _inpaints(jobs.unfinished[0]), PATIENCE_S)
        if jobs.unfinished:
            self.save("running", section_picture(self.host, panel.ui.describeCollapsibleButton))
        self.host.wait_until(lambda: not jobs.unfinished, PATIENCE_S)
        self.host.process_events(500)

    def compare(self, panel: Any) -> None:
        """The panes at the largest lesion: with the panel, by themselves, and with the residual."""
        from host.pictures import picture_as_laid_out, views_picture

        from DiffuGTSSlicerLib.compare_layout import Pane

        host, layout_manager = self.host, sys.modules["slicer"].app.layoutManager()
        host.main_window.panel.setFixedWidth(PANEL_WIDTH)
        host.main_window.resize(*WINDOW_SIZE)
        host.main_window.show()
        panel.ui.describeCollapsibleButton.collapsed = True
        panel.compareSection.ui.compareButton.click()
        host.process_events(300)
        panes = [layout_manager.sliceWidget(pane.tag) for pane in Pane]
        self.fit(panel, panes)
        self.save("module", picture_as_laid_out(host.main_window))
        views_picture(panes, PANE, PANE)  # the panes have to have their new size before the scan is fitted to it
        self.fit(panel, panes)
        self.save("compare", views_picture(panes, PANE, PANE))
        panel.compareSection.ui.residualButton.click()
        host.process_events(300)
        self.save("residual", views_picture(panes, PANE, PANE))
        panel.compareSection.ui.compareButton.click()

    def fit(self, panel: Any, panes: list[Any]) -> None:
        """Show the whole slice in every pane, and go to the largest lesion, from which fitting leads away."""
        for pane in panes:
            pane.fitSliceToBackground()
        lesions = panel.findingsSection.ui
        lesions.lesionsTable.setCurrentCell(-1, -1)
        lesions.nextButton.click()
        self.host.process_events(300)


def _inpaints(job: Any) -> bool:
    from diffugts.protocol import Stage

    return job.progress.stage == Stage.INPAINTING.value and job.progress.done > 0


def main() -> None:
    sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "DiffuGTSSlicer")]
    os.environ.setdefault(WORKER_PYTHON, sys.executable)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    import host

    running = host.start()
    from host.pictures import save_png

    def save(name: str, picture: np.ndarray) -> None:
        save_png(picture, folder / f"{name}.png")
        print(f"{name}.png: {picture.shape[1]} x {picture.shape[0]}")

    Tour(running, save).go()
    running.faults.check()


if __name__ == "__main__":
    main()
