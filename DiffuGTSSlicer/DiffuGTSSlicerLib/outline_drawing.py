"""Segments drawn as outlines, in some views only, for as long as they are compared; then drawn as before.

How they were drawn before is kept on the display node, so that a scene that was saved in between is put right when it is
opened again.
"""

from __future__ import annotations

import json
from collections.abc import Collection

import slicer

BEFORE = "DiffuGTS.DrawnBefore"
"""Attribute of the display node: its view nodes and whether it was filled, as JSON."""


def begin_outline(segmentation: slicer.vtkMRMLSegmentationNode, shown_id: str, hidden_ids: Collection[str]) -> None:
    """Draw outlines in the view `shown_id` and wherever segments were drawn, but not in the views `hidden_ids`."""
    display = segmentation.GetDisplayNode()
    if display is None:
        return
    end_outline(segmentation)
    views = before = tuple(display.GetViewNodeIDs() or ())
    display.SetAttribute(BEFORE, json.dumps({"views": before, "filled": bool(display.GetVisibility2DFill())}))
    if not before:  # in all views
        kinds = ("vtkMRMLSliceNode", "vtkMRMLViewNode")
        nodes = (node for kind in kinds for node in slicer.util.getNodesByClass(kind, segmentation.GetScene()))
        views = tuple(node.GetID() for node in nodes)
    display.SetViewNodeIDs(list(dict.fromkeys([*(view for view in views if view not in hidden_ids), shown_id])))
    display.SetVisibility2DFill(False)


def end_outline(segmentation: slicer.vtkMRMLSegmentationNode) -> None:
    """Draw as before; nothing where it was not changed."""
    display = segmentation.GetDisplayNode()
    text = display.GetAttribute(BEFORE) if display is not None else None
    if text:
        before = json.loads(text)
        display.SetViewNodeIDs(before["views"])
        display.SetVisibility2DFill(before["filled"])
        display.RemoveAttribute(BEFORE)


def end_all_outlines(scene: slicer.vtkMRMLScene) -> None:
    """Draw every segmentation as before, also in a scene that was saved while comparing."""
    for segmentation in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene):
        end_outline(segmentation)
