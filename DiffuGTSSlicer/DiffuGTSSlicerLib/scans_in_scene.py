"""The scans among the volumes of a scene, and the one that is looked at."""

from __future__ import annotations

import slicer

from DiffuGTSSlicerLib.provenance import ROLE


def scans_of(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLScalarVolumeNode]:
    """The volumes that a user may want to segment, in the order of the scene."""
    return [node for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode", scene) if _is_scan(node)]


def shown_volume(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """The volume behind the Red view, if it is one that a user may want to segment; else the first such in the scene."""
    view = red_view(scene)
    shown = scene.GetNodeByID(view.GetBackgroundVolumeID() or "") if view is not None else None
    if shown is not None and _is_scan(shown):
        return shown
    return next(iter(scans_of(scene)), None)


def red_view(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLSliceCompositeNode | None:
    """What the Red view shows, None where there is no such view."""
    return scene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")


def _is_scan(node: slicer.vtkMRMLNode) -> bool:
    """No label map or vector volume, no result of ours, nothing that Slicer hides."""
    plain = node.GetClassName() == "vtkMRMLScalarVolumeNode"
    return plain and not node.GetAttribute(ROLE) and not node.GetHideFromEditors()
