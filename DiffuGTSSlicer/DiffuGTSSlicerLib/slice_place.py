"""The place that is looked at in a slice view, and going to another one without losing sight of the scan.

Slicer centres a view on the place it jumps to. Where the whole scan was seen, half of it is pushed out of the view then,
and the picture leaps from lesion to lesion; so only the slice is changed as long as the place is well inside the view.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

MARGIN = 0.08
"""Of a view's width and height: nearer to its edge a place is not well seen."""


def go_to(node: slicer.vtkMRMLSliceNode, place_ras_mm: np.ndarray | tuple[float, float, float]) -> None:
    """Show the slice through a place; centre the view on it only where it would not be seen otherwise."""
    if _is_seen(node, np.asarray(place_ras_mm)):
        node.JumpSliceByOffsetting(*place_ras_mm)
    else:
        node.JumpSliceByCentering(*place_ras_mm)


def place_looked_at(node: slicer.vtkMRMLSliceNode) -> np.ndarray:
    """The place in a view's slice that matters now, RAS mm: below the crosshair where that is seen, else the middle."""
    to_ras = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    normal, middle = to_ras[:3, 2] / np.linalg.norm(to_ras[:3, 2]), to_ras[:3, 3].copy()
    crosshair = _crosshair(node.GetScene())
    if crosshair is None:
        return middle
    place = np.array(crosshair.GetCrosshairRAS())
    place += normal * ((middle - place) @ normal)
    return place if _is_seen(node, place) else middle


def set_crosshair(scene: slicer.vtkMRMLScene, place_ras_mm: np.ndarray | tuple[float, float, float]) -> None:
    """Put the crosshair, shown or not, on a place."""
    crosshair = _crosshair(scene)
    if crosshair is not None:
        crosshair.SetCrosshairRAS(*place_ras_mm)


def _crosshair(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLCrosshairNode | None:
    return scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")


def _is_seen(node: slicer.vtkMRMLSliceNode, place_ras_mm: np.ndarray) -> bool:
    """Whether a place lies well inside a view, whatever its slice."""
    to_pixels = vtk.vtkMatrix4x4()
    vtk.vtkMatrix4x4.Invert(node.GetXYToRAS(), to_pixels)
    pixel = to_pixels.MultiplyPoint((*place_ras_mm, 1.0))[:2]
    return all(MARGIN * size <= x <= (1 - MARGIN) * size for x, size in zip(pixel, node.GetDimensions()[:2]))
