"""Panes that show the whole scan at whatever size they get, until the user zooms.

A view that was made just now gets its size when Qt lays it out, after everything that was asked for by then, and perhaps
more than once; Slicer then keeps the scale, so that a scan that filled the view lies small, or half outside, in it.
"""

from __future__ import annotations

from collections.abc import Callable

import qt
import slicer
import vtk
from slicer.util import VTKObservationMixin

Shown = tuple[tuple[int, ...], tuple[float, ...]]
"""A view's size in pixels and its field of view in mm, in its plane."""


class PaneFit(VTKObservationMixin):
    """Watches slice views, and has them fitted again when their size has changed.

    Args:
        fit: fits all of them.
    """

    def __init__(self, fit: Callable[[], None]) -> None:
        super().__init__()
        self._fit = fit
        self._fitted: dict[slicer.vtkMRMLSliceNode, Shown] = {}
        self._fitting = False
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)  # once for all views that are laid out together
        self._timer.connect("timeout()", self.fit)

    def begin(self, nodes: list[slicer.vtkMRMLSliceNode]) -> None:
        """Fit these views, and again whenever one gets another size."""
        self.end()
        self._fitted = {node: _shown(node) for node in nodes}
        for node in nodes:
            self.addObserver(node, vtk.vtkCommand.ModifiedEvent, self._changed)
        self.fit()

    def end(self) -> None:
        """Leave the views as they are."""
        self.removeObservers()
        self._timer.stop()
        self._fitted = {}

    def fit(self) -> None:
        """Fit the views now."""
        self._fitting = True
        try:
            self._fit()
        finally:
            self._fitting = False
        self._fitted = {node: _shown(node) for node in self._fitted}

    def _changed(self, node: slicer.vtkMRMLSliceNode, event: str) -> None:
        if self._fitting or self._timer.active or node not in self._fitted:
            return
        (old_size, old_field), (size, field) = self._fitted[node], _shown(node)
        if size != old_size:
            self._timer.start()
        elif field != old_field:
            self.end()  # the user has zoomed: what they look at stays


def _shown(node: slicer.vtkMRMLSliceNode) -> Shown:
    return tuple(node.GetDimensions()[:2]), tuple(node.GetFieldOfView()[:2])
