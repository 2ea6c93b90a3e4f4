"""Three linked panes: scan with outline, scan with heat map, pseudo-healthy scan (or the residual).

The panes have view nodes of their own and a view group of their own, so that nothing in the user's views is changed. What
is changed for the time being, the layout and where and how the segments are drawn, is put back by `leave`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol
from xml.sax.saxutils import quoteattr

import slicer
import vtk

LAYOUT_ID = 9471
VIEW_GROUP = 47

MAP_OPACITY = 0.6


class Pane(Enum):
    """The panes from left to right: the tag of the slice view and the word on its bar."""

    SCAN = ("DiffuGTSScan", "Scan", "#F34A33")
    SCORE = ("DiffuGTSScore", "Score", "#EDD54C")
    HEALTHY = ("DiffuGTSHealthy", "Healthy", "#6EB04B")

    @property
    def tag(self) -> str:
        """The slice view's singleton tag, by which the layout manager knows it."""
        return self.value[0]


class ThirdPane(Enum):
    """What the right pane shows over the scan."""

    PSEUDO_HEALTHY = "pseudo-healthy"
    RESIDUAL = "residual"


class LayoutManager(Protocol):
    """What is needed of `slicer.app.layoutManager()`."""

    def sliceWidget(self, name: str) -> Any: ...
    def layoutLogic(self) -> Any: ...


@dataclass(frozen=True)
class Compared:
    """The nodes that are compared; None for what a result does not have."""

    scan: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode | None = None
    score_map: slicer.vtkMRMLScalarVolumeNode | None = None
    pseudo_healthy: slicer.vtkMRMLScalarVolumeNode | None = None
    residual: slicer.vtkMRMLScalarVolumeNode | None = None


@dataclass(frozen=True)
class _Drawn:
    """How a segmentation was drawn before."""

    display_id: str
    view_ids: tuple[str, ...]
    filled: bool


class CompareView:
    """The comparison; one per module.

    Args:
        scene: the scene.
        layout_manager: `slicer.app.layoutManager()`.
        label: writes words into a pane's corner: (pane's slice widget, text).
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        layout_manager: LayoutManager,
        label: Callable[[Any, str], None] | None = None,
    ) -> None:
        self._scene, self._manager, self._label = scene, layout_manager, label or write_in_corner
        self._compared: Compared | None = None
        self._earlier_layout: int | None = None
        self._drawn: _Drawn | None = None
        self._legend_id = ""
        self._third = ThirdPane.PSEUDO_HEALTHY
        self._fade = 1.0

    @property
    def active(self) -> bool:
        """Whether the panes are shown."""
        return self._earlier_layout is not None and self._layout_node().GetViewArrangement() == LAYOUT_ID

    @property
    def fade(self) -> float:
        """How much of the third pane's own volume is seen: 0 the scan alone, 1 it alone."""
        return self._fade

    def enter(self, compared: Compared) -> None:
        """Show the panes, or show other nodes in them."""
        layout = self._layout_node()
        if not self.active:
            self._earlier_layout = layout.GetViewArrangement()
            description = layout_description()
            if not layout.SetLayoutDescription(LAYOUT_ID, description):
                layout.AddLayoutDescription(LAYOUT_ID, description)
            layout.SetViewArrangement(LAYOUT_ID)
        self._put_back_drawing()
        self._remove_legend()
        self._compared = compared
        if compared.pseudo_healthy is None and compared.residual is not None:
            self._third = ThirdPane.RESIDUAL
        self._fill_panes()
        self._draw_outline()
        self._add_legend()
        self._fit()

    def leave(self) -> None:
        """Put the earlier layout and drawing back. Where the user has chosen another layout meanwhile, that one stays."""
        self._put_back_drawing()
        self._remove_legend()
        if self.active:
            self._layout_node().SetViewArrangement(self._earlier_layout)
        self._earlier_layout = self._compared = None

    def show_third(self, what: ThirdPane) -> None:
        """Show the pseudo-healthy volume or the residual in the right pane."""
        self._third = what
        self._fill_panes()

    def show_score_map(self, score_map: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show another description's map in the middle."""
        if self._compared is None:
            return
        seen = self._compared
        self._remove_legend()
        self._compared = Compared(seen.scan, seen.segmentation, score_map, seen.pseudo_healthy, seen.residual)
        self._fill_panes()
        self._add_legend()

    def set_fade(self, fade: float) -> None:
        """Blend the right pane between the scan (0) and its own volume (1)."""
        self._fade = min(max(float(fade), 0.0), 1.0)
        if self._compared is not None:
            self._composite(Pane.HEALTHY).SetForegroundOpacity(self._fade)

    def blink(self) -> None:
        """Go to the other end of the fade: what differs between the two jumps to the eye."""
        self.set_fade(0.0 if self._fade >= 0.5 else 1.0)

    def jump_to(self, ras_mm: tuple[float, float, float]) -> None:
        """Centre the three panes on a place; other views stay where they are."""
        for pane in Pane:
            node = self._scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode")
            if node is not None:
                node.JumpSliceByCentering(*ras_mm)

    # -- the panes ---------------------------------------------------------------------------------------------------

    def _fill_panes(self) -> None:
        seen = self._compared
        if seen is None:
            return
        residual = self._third is ThirdPane.RESIDUAL
        third = seen.residual if residual else seen.pseudo_healthy
        words = "Residual: scan minus pseudo-healthy" if residual else "Pseudo-healthy"
        if third is None:
            words = "No pseudo-healthy volume: quality Fast, or nothing found"
        self._show(Pane.SCAN, seen.scan, None, 0.0, "Scan with outline")
        self._show(Pane.SCORE, seen.scan, seen.score_map, MAP_OPACITY, "Score map")
        self._show(Pane.HEALTHY, seen.scan, third, self._fade, words)

    def _show(
        self,
        pane: Pane,
        background: slicer.vtkMRMLScalarVolumeNode,
        foreground: slicer.vtkMRMLScalarVolumeNode | None,
        opacity: float,
        words: str,
    ) -> None:
        composite = self._composite(pane)
        composite.SetDoPropagateVolumeSelection(False)  # a volume loaded elsewhere must not take the pane's place
        composite.SetBackgroundVolumeID(background.GetID())
        composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        composite.SetLabelVolumeID(None)
        composite.SetForegroundOpacity(opacity)
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)
        self._label(self._manager.sliceWidget(pane.tag), words)

    def _fit(self) -> None:
        for pane in Pane:
            logic = self._manager.sliceWidget(pane.tag).sliceLogic()
            logic.FitSliceToBackground()

    def _composite(self, pane: Pane) -> slicer.vtkMRMLSliceCompositeNode:
        return self._manager.sliceWidget(pane.tag).sliceLogic().GetSliceCompositeNode()

    def _view_id(self, pane: Pane) -> str:
        return str(self._manager.sliceWidget(pane.tag).sliceLogic().GetSliceNode().GetID())

    def _layout_node(self) -> slicer.vtkMRMLLayoutNode:
        return self._manager.layoutLogic().GetLayoutNode()

    # -- segments and legend -----------------------------------------------------------------------------------------

    def _draw_outline(self) -> None:
        """Outlines in the left pane and in every other view of the user's, not over the map and the healthy tissue."""
        node = self._compared.segmentation if self._compared else None
        display = node.GetDisplayNode() if node is not None else None
        if display is None:
            return
        before = tuple(display.GetViewNodeIDs() or ())
        self._drawn = _Drawn(display.GetID(), before, bool(display.GetVisibility2DFill()))
        hidden = {self._view_id(pane) for pane in (Pane.SCORE, Pane.HEALTHY)}
        if before:
            shown = [*(view for view in before if view not in hidden), self._view_id(Pane.SCAN)]
        else:
            views = [*slicer.util.getNodesByClass("vtkMRMLSliceNode"), *slicer.util.getNodesByClass("vtkMRMLViewNode")]
            shown = [view.GetID() for view in views if view.GetID() not in hidden]
        display.SetViewNodeIDs(list(dict.fromkeys(shown)))
        display.SetVisibility2DFill(False)

    def _put_back_drawing(self) -> None:
        drawn, self._drawn = self._drawn, None
        display = self._scene.GetNodeByID(drawn.display_id) if drawn is not None else None
        if drawn is None or display is None:
            return
        display.SetViewNodeIDs(list(drawn.view_ids))
        display.SetVisibility2DFill(drawn.filled)

    def _add_legend(self) -> None:
        score_map = self._compared.score_map if self._compared else None
        logic = slicer.vtkSlicerColorLogic
        if score_map is None or logic.GetColorLegendDisplayNode(score_map) is not None:
            return  # the user's own legend stays as it is
        legend = logic.AddDefaultColorLegendDisplayNode(score_map)
        legend.SetTitleText("Score")
        legend.SetViewNodeIDs([self._view_id(Pane.SCORE)])
        self._legend_id = legend.GetID()

    def _remove_legend(self) -> None:
        legend, self._legend_id = self._scene.GetNodeByID(self._legend_id) if self._legend_id else None, ""
        if legend is not None:
            self._scene.RemoveNode(legend)


def layout_description() -> str:
    """The layout as Slicer's XML: three slice views beside each other, all axial, linked among themselves only."""
    items = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag={quoteattr(pane.tag)}>'
        '<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{pane.value[1]}</property>'
        f'<property name="viewcolor" action="default">{pane.value[2]}</property>'
        f'<property name="viewgroup" action="default">{VIEW_GROUP}</property>'
        "</view></item>"
        for pane in Pane
    )
    return f'<layout type="horizontal" split="true">{items}</layout>'


def write_in_corner(slice_widget: Any, text: str) -> None:
    """Write into the upper left corner of a slice view."""
    view = slice_widget.sliceView()
    view.cornerAnnotation().SetText(vtk.vtkCornerAnnotation.UpperLeft, text)
    view.scheduleRender()
