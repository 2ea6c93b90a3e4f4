"""Going to a lesion in the scan: in the compare panes while they are shown, else in all slice views."""

from __future__ import annotations

import slicer

from DiffuGTSSlicerLib.compare_layout import LAYOUT_ID, Pane
from DiffuGTSSlicerLib.slice_place import go_to, set_crosshair


def jump_to(scene: slicer.vtkMRMLScene, ras_mm: tuple[float, float, float]) -> None:
    """Show a place (R, A, S) in mm in the slices. While panes are compared, the user's own views stay where they are."""
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    comparing = layout is not None and layout.GetViewArrangement() == LAYOUT_ID
    panes = {pane.tag for pane in Pane}
    set_crosshair(scene, ras_mm)
    for node in slicer.util.getNodesByClass("vtkMRMLSliceNode", scene):
        if not comparing or node.GetSingletonTag() in panes:
            go_to(node, ras_mm)
