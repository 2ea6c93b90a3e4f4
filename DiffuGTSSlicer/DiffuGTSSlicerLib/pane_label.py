"""Words at the upper edge of a slice view.

Not its corner annotation: Slicer's Data Probe writes its own text into all four corners whenever the slice changes.
"""

from __future__ import annotations

from typing import Any

import vtk

FONT_SIZE = 16
BEHIND = 0.6
UPPER_MIDDLE = (0.5, 0.985)
"""Share of the view's width and height, from its lower left corner."""


class PaneLabel:
    """The words in one slice view (a qMRMLSliceWidget)."""

    def __init__(self, slice_widget: Any) -> None:
        self._view = slice_widget.sliceView()
        self._actor = vtk.vtkTextActor()
        self._actor.GetPositionCoordinate().SetCoordinateSystemToNormalizedViewport()
        self._actor.SetPosition(*UPPER_MIDDLE)
        words = self._actor.GetTextProperty()
        words.SetFontSize(FONT_SIZE)
        words.SetJustificationToCentered()
        words.SetVerticalJustificationToTop()
        words.SetColor(1.0, 1.0, 1.0)
        words.SetBackgroundColor(0.0, 0.0, 0.0)
        words.SetBackgroundOpacity(BEHIND)  # readable over bright tissue and over the residual's grey
        self._renderer = self._view.renderWindow().GetRenderers().GetItemAsObject(0)
        self._renderer.AddViewProp(self._actor)

    @property
    def text(self) -> str:
        """What it says."""
        return str(self._actor.GetInput() or "")

    def say(self, text: str) -> None:
        """Write other words."""
        self._actor.SetInput(text)
        self._view.scheduleRender()

    def remove(self) -> None:
        """Take the words away."""
        self._renderer.RemoveViewProp(self._actor)
        self._view.scheduleRender()
