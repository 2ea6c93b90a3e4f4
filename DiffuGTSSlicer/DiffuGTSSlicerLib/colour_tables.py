"""Colour tables of the score map and the residual.

Slicer brings inferno as a file of the application; where that is absent, the table is made here and added once. The
diverging table is always made here.
"""

from __future__ import annotations

import numpy as np
import slicer

INFERNO_ID = "vtkMRMLColorTableNodeFileInferno.txt"
INFERNO_NAME, DIVERGING_NAME = "DiffuGTS Inferno", "DiffuGTS Residual"

INFERNO = (
    (0.0015, 0.0005, 0.0139),
    (0.0874, 0.0446, 0.2248),
    (0.2582, 0.0386, 0.4065),
    (0.4163, 0.0902, 0.4329),
    (0.5783, 0.1480, 0.4044),
    (0.7357, 0.2159, 0.3302),
    (0.8650, 0.3168, 0.2261),
    (0.9545, 0.4687, 0.0999),
    (0.9876, 0.6453, 0.0399),
    (0.9646, 0.8434, 0.2734),
    (0.9884, 0.9984, 0.6449),
)
"""Inferno (van der Walt and Smith, CC0) at every tenth of its range."""

DIVERGING = (
    (0.230, 0.299, 0.754),
    (0.554, 0.690, 0.996),
    (0.865, 0.865, 0.865),
    (0.957, 0.604, 0.484),
    (0.706, 0.016, 0.150),
)
"""Cool to warm (Moreland 2009): blue below 0, grey at 0, red above."""

ENTRIES = 256


def inferno(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorNode:
    """Slicer's inferno, or ours."""
    return scene.GetNodeByID(INFERNO_ID) or _table(scene, INFERNO_NAME, INFERNO)


def diverging(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorNode:
    """Blue through grey to red."""
    return _table(scene, DIVERGING_NAME, DIVERGING)


def _table(
    scene: slicer.vtkMRMLScene, name: str, anchors: tuple[tuple[float, float, float], ...]
) -> slicer.vtkMRMLColorTableNode:
    existing = scene.GetFirstNode(name, "vtkMRMLColorTableNode")
    if existing is not None and existing.GetNumberOfColors() == ENTRIES:
        return existing
    table = slicer.vtkMRMLColorTableNode()
    table.SetName(name)
    table.SetTypeToUser()
    table.SetAttribute("Category", "DiffuGTS")
    table.SetNumberOfColors(ENTRIES)
    places = np.linspace(0, 1, len(anchors))
    colours = [np.interp(np.linspace(0, 1, ENTRIES), places, channel) for channel in np.transpose(anchors)]
    for number, (red, green, blue) in enumerate(zip(*colours)):
        table.SetColor(number, f"{number / (ENTRIES - 1):.3f}", red, green, blue)
    return scene.AddNode(table)
