"""A score map over the scan in the user's own slice views, and what they showed before put back."""

from __future__ import annotations

from dataclasses import dataclass, field

import slicer

from DiffuGTSSlicerLib.compare_layout import Pane
from DiffuGTSSlicerLib.compare_view import MAP_OPACITY
from DiffuGTSSlicerLib.provenance import ROLE
from DiffuGTSSlicerLib.results import SCORE_MAP


@dataclass
class ScoreOverlay:
    """Shows one map at a time in every slice view but the compare panes, which belong to the comparison."""

    scene: slicer.vtkMRMLScene
    _before: dict[str, tuple[str, float]] = field(default_factory=dict)

    def shown_map_id(self) -> str:
        """The score map that is over the scan now, "" for none; also in a scene that was loaded with one."""
        for composite in self._composites():
            node = self.scene.GetNodeByID(composite.GetForegroundVolumeID() or "")
            if node is not None and node.GetAttribute(ROLE) == SCORE_MAP:
                return str(node.GetID())
        return ""

    def show(self, map_node: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Lay a map over what the views show; an earlier map gives way to it."""
        for composite in self._composites():
            now = self.scene.GetNodeByID(composite.GetForegroundVolumeID() or "")
            if now is None or now.GetAttribute(ROLE) != SCORE_MAP:
                self._before[composite.GetID()] = (
                    composite.GetForegroundVolumeID() or "",
                    composite.GetForegroundOpacity(),
                )
            composite.SetForegroundVolumeID(map_node.GetID())
            composite.SetForegroundOpacity(MAP_OPACITY)

    def hide(self) -> None:
        """Take the map away. A view in which the user has chosen something else meanwhile is left alone."""
        for composite in self._composites():
            now = self.scene.GetNodeByID(composite.GetForegroundVolumeID() or "")
            if now is None or now.GetAttribute(ROLE) != SCORE_MAP:
                continue
            volume_id, opacity = self._before.get(composite.GetID(), ("", 0.0))
            present = volume_id and self.scene.GetNodeByID(volume_id) is not None
            composite.SetForegroundVolumeID(volume_id if present else None)
            composite.SetForegroundOpacity(opacity)
        self._before.clear()

    def _composites(self) -> list[slicer.vtkMRMLSliceCompositeNode]:
        panes = {pane.tag for pane in Pane}
        composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode", self.scene)
        return [composite for composite in composites if composite.GetLayoutName() not in panes]
