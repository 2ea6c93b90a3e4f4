"""Stands in for Slicer's subject hierarchy plugins: data nodes get an item when they are added, and lose it with the node.

In Slicer the plugins are Qt classes, so the wheel has the hierarchy node but nobody who fills it.
"""

from __future__ import annotations

from typing import Any

import slicer
import vtk
from vtk.util.misc import calldata_type

# The node classes that Slicer's own plugins put into the hierarchy.
SHOWN_CLASSES = (
    "vtkMRMLVolumeNode",
    "vtkMRMLSegmentationNode",
    "vtkMRMLMarkupsNode",
    "vtkMRMLModelNode",
    "vtkMRMLTableNode",
    "vtkMRMLTextNode",
    "vtkMRMLTransformNode",
    "vtkMRMLPlotChartNode",
    "vtkMRMLPlotSeriesNode",
    "vtkMRMLSequenceNode",
    "vtkMRMLVolumeRenderingDisplayNode",
)


def keep_subject_hierarchy_filled(scene: Any) -> None:
    """Observe the scene for the rest of its life."""

    @calldata_type(vtk.VTK_OBJECT)
    def added(_scene: Any, _event: str, node: Any) -> None:
        if not scene.IsImporting() and not scene.IsClosing():
            _add_item(scene, node)

    @calldata_type(vtk.VTK_OBJECT)
    def about_to_be_removed(_scene: Any, _event: str, node: Any) -> None:
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        if hierarchy is None or scene.IsClosing() or not _is_shown(node):
            return
        item = hierarchy.GetItemByDataNode(node)
        if item != hierarchy.GetInvalidItemID():
            hierarchy.RemoveItem(item, False, False)

    def imported(*_: Any) -> None:
        for index in range(scene.GetNumberOfNodes()):
            _add_item(scene, scene.GetNthNode(index))

    scene.AddObserver(scene.NodeAddedEvent, added)
    scene.AddObserver(scene.NodeAboutToBeRemovedEvent, about_to_be_removed)
    scene.AddObserver(scene.EndImportEvent, imported)


def _is_shown(node: Any) -> bool:
    return any(node.IsA(each) for each in SHOWN_CLASSES) and not node.GetHideFromEditors()


def _add_item(scene: Any, node: Any) -> None:
    if node is None or not _is_shown(node):
        return
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    if hierarchy.GetItemByDataNode(node) == hierarchy.GetInvalidItemID():
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
