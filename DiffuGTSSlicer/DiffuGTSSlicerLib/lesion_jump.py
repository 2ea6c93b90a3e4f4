"""Going to a place in the scan: in the compare panes while they are shown, else in all slice views."""

from __future__ import annotations

import slicer

from DiffuGTSSlicerLib.compare_layout import LAYOUT_ID, VIEW_GROUP

ALL_VIEW_GROUPS = -1


def jump_to(scene: slicer.vtkMRMLScene, ras_mm: tuple[float, float, float]) -> None:
    """Centre the slices on a place (R, A, S) in mm. While panes are compared, the user's own views stay where they are."""
    layout = scene.GetFirstNodeByClass("vtkMRMLLayoutNode")
    comparing = layout is not None and layout.GetViewArrangement() == LAYOUT_ID
    node = slicer.vtkMRMLSliceNode
    node.JumpAllSlices(scene, *ras_mm, node.CenteredJumpSlice, VIEW_GROUP if comparing else ALL_VIEW_GROUPS)
