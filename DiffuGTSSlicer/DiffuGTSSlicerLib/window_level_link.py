"""Equal window and level of two volumes: whichever the user changes, the other follows."""

from __future__ import annotations

from typing import Any

import slicer
import vtk


class WindowLevelLink(slicer.util.VTKObservationMixin):
    """Ties two volumes together until `end`; the first gives window and level to begin with."""

    def __init__(self, first: slicer.vtkMRMLScalarVolumeNode, second: slicer.vtkMRMLScalarVolumeNode) -> None:
        super().__init__()
        self._displays = [node.GetScalarVolumeDisplayNode() for node in (first, second)]
        if None in self._displays:
            self._displays = []
            return
        self._follow(self._displays[0])
        for display in self._displays:
            self.addObserver(display, vtk.vtkCommand.ModifiedEvent, self._follow)

    def end(self) -> None:
        """Let them go their own ways."""
        self.removeObservers()
        self._displays = []

    def _follow(self, changed: Any, _event: Any = None) -> None:
        for display in self._displays:
            equal = (display.GetWindow(), display.GetLevel()) == (changed.GetWindow(), changed.GetLevel())
            if display is not changed and not equal:
                display.SetAutoWindowLevel(False)
                display.SetWindowLevel(changed.GetWindow(), changed.GetLevel())
