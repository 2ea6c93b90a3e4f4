"""Nodes that a panel shows something of: told once they have come to rest after a change."""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

REST_MS = 100
"""A region that is dragged changes many times a second; what it means is looked at when it stays."""


class WatchedNodes(VTKObservationMixin):
    """Calls `changed` after any of the nodes has changed its content, place or name."""

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._watched: tuple[slicer.vtkMRMLNode, ...] = ()
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(REST_MS)
        self._timer.connect("timeout()", changed)

    def watch(self, *nodes: slicer.vtkMRMLNode | None) -> None:
        """Watch these nodes, and no longer the earlier ones."""
        wanted = tuple(node for node in nodes if node is not None)
        if wanted == self._watched:
            return
        self.removeObservers()
        self._timer.stop()
        self._watched = wanted
        for node in wanted:
            for event in _events_of(node):
                self.addObserver(node, event, self._note)

    def _note(self, caller: object, event: str) -> None:
        self._timer.start()


def _events_of(node: slicer.vtkMRMLNode) -> tuple[int, ...]:
    events = [vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLTransformableNode.TransformModifiedEvent]
    if node.IsA("vtkMRMLVolumeNode"):
        events.append(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent)
    if node.IsA("vtkMRMLMarkupsNode"):
        events += [slicer.vtkMRMLMarkupsNode.PointModifiedEvent, slicer.vtkMRMLMarkupsNode.PointAddedEvent]
    return tuple(events)
