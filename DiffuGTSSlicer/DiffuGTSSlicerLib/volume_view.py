"""Showing a volume with its result in the user's own views, where several volumes have results."""

from __future__ import annotations

import slicer

from DiffuGTSSlicerLib.compare_layout import Pane
from DiffuGTSSlicerLib.finding_rows import scan_of_result
from DiffuGTSSlicerLib.provenance import RESULT, VOLUME_REFERENCE
from DiffuGTSSlicerLib.results import SEGMENTATION, nodes_of_result
from DiffuGTSSlicerLib.scans_in_scene import red_view


def show_volume(scene: slicer.vtkMRMLScene, volume: slicer.vtkMRMLScalarVolumeNode) -> None:
    """Show a volume in all slice views but the compare panes, whole where another one was shown before.

    Results of other volumes are hidden: their outlines would be drawn on this one.
    """
    layout_manager = slicer.app.layoutManager()
    for composite in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", scene):
        name = composite.GetLayoutName()
        if name in {pane.tag for pane in Pane} or composite.GetBackgroundVolumeID() == volume.GetID():
            continue
        composite.SetBackgroundVolumeID(volume.GetID())
        view = layout_manager.sliceWidget(name) if layout_manager is not None else None
        if view is not None:
            view.sliceLogic().FitSliceToBackground()
    for segmentation in _segmentations(scene):
        of_another = segmentation.GetNodeReferenceID(VOLUME_REFERENCE) != volume.GetID()
        if of_another and segmentation.GetDisplayNode() is not None:
            segmentation.GetDisplayNode().SetVisibility(False)


def show_volume_of(scene: slicer.vtkMRMLScene, result: str) -> None:
    """Show the volume of a result where the views show another one that has results of its own.

    Lesions would be looked for in the wrong scan otherwise. A volume without results is left there: it was put behind them
    by the user.
    """
    volume, shown = scan_of_result(scene, result), _looked_at(scene)
    another = any(node.GetNodeReferenceID(VOLUME_REFERENCE) == shown for node in _segmentations(scene))
    if volume is not None and another and shown != volume.GetID():
        show_volume(scene, volume)
        show_result(scene, result)


def show_result(scene: slicer.vtkMRMLScene, result: str) -> None:
    """Show the segments of a result."""
    for segmentation in nodes_of_result(scene, result).get(SEGMENTATION, []):
        if segmentation.GetDisplayNode() is not None:
            segmentation.GetDisplayNode().SetVisibility(True)


def hide_result_of_another_volume(scene: slicer.vtkMRMLScene, result: str) -> None:
    """Hide the segments of a result, unless its volume is the one that is looked at."""
    shown = _looked_at(scene)
    for segmentation in _segmentations(scene):
        of_another = segmentation.GetNodeReferenceID(VOLUME_REFERENCE) != shown
        if segmentation.GetAttribute(RESULT) == result and of_another and segmentation.GetDisplayNode() is not None:
            segmentation.GetDisplayNode().SetVisibility(False)


def _looked_at(scene: slicer.vtkMRMLScene) -> str | None:
    """The ID of the volume behind the Red view."""
    view = red_view(scene)
    return view.GetBackgroundVolumeID() if view is not None else None


def _segmentations(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLSegmentationNode]:
    """The segmentations of results."""
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
    return [node for node in nodes if node.GetAttribute(RESULT)]
