"""Where nodes lie in the subject hierarchy."""

from __future__ import annotations

import slicer


def put_beside(source: slicer.vtkMRMLNode, node: slicer.vtkMRMLNode) -> None:
    """Put a node into the folder of another."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(node.GetScene())
    beside = hierarchy.GetItemByDataNode(source)
    parent = hierarchy.GetItemParent(beside) if beside else hierarchy.GetSceneItemID()
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:  # the application makes the item when a node is added; without it, it is made here
        hierarchy.CreateItem(parent, node)
