"""Opening the Segment Editor on a finding."""

from __future__ import annotations

import slicer


def edit_segment(
    segmentation: slicer.vtkMRMLSegmentationNode, segment_id: str, scan: slicer.vtkMRMLScalarVolumeNode | None
) -> None:
    """Show the module Segment Editor with a finding's segment chosen and its scan as the source volume.

    Findings may overlap, so that painting in one must not erase another: overwriting other segments is switched off.
    """
    slicer.util.selectModule("SegmentEditor")
    editor = slicer.util.getModuleWidget("SegmentEditor").editor
    editor.setSegmentationNode(segmentation)
    if scan is not None:
        editor.setSourceVolumeNode(scan)
    editor.setCurrentSegmentID(segment_id)
    parameters = editor.mrmlSegmentEditorNode()
    parameters.SetOverwriteMode(parameters.OverwriteNone)
