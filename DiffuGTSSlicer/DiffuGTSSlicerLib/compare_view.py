"""Three linked panes: scan with outline, scan with heat map, pseudo-healthy scan (or the residual).

The panes have view nodes of their own and a view group of their own, so that nothing in the user's views is changed. What
is changed for the time being, the layout and where and how the segments are drawn, is put back by `leave`. A scene
saved meanwhile opens in the layout of whoever opens it: this one may not be known there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Protocol

import numpy as np
import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.compare_layout import LAYOUT_ID, VIEW_GROUP, Pane, Plane, layout_description
from DiffuGTSSlicerLib.outline_drawing import begin_outline, end_all_outlines
from DiffuGTSSlicerLib.pane_fit import PaneFit
from DiffuGTSSlicerLib.pane_label import PaneLabel
from DiffuGTSSlicerLib.slice_place import go_to, place_looked_at, set_crosshair
from DiffuGTSSlicerLib.window_level_link import WindowLevelLink

MAP_OPACITY = 0.6

USERS_VIEW = "Red"
"""The view of the user's whose place the panes take over to begin with."""

HALF_FADED = 0.5


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


class CompareView:
    """The comparison; one per module.

    Args:
        scene: the scene.
        layout_manager: `slicer.app.layoutManager()`; None where Slicer runs without its window.
        make_label: makes the label of a pane (a qMRMLSliceWidget): something with `say(text)` and `remove()`.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        layout_manager: LayoutManager | None,
        make_label: Callable[[Any], PaneLabel] = PaneLabel,
    ) -> None:
        self.scene = scene
        self._manager, self._make_label = layout_manager, make_label
        self._compared: Compared | None = None
        self._earlier_layout: int | None = None
        self._link: WindowLevelLink | None = None
        self._labels: dict[Pane, PaneLabel] = {}
        self._legend_ids: list[str] = []
        self._fit = PaneFit(self._fit_panes)
        self._third, self._plane, self._fade = ThirdPane.PSEUDO_HEALTHY, Plane.AXIAL, 1.0

    @property
    def possible(self) -> bool:
        """Whether there are views at all: without a main window there are none."""
        return self._manager is not None

    @property
    def _views(self) -> LayoutManager:
        if self._manager is None:
            raise RuntimeError("without a main window there are no views to compare in; ask `possible` first")
        return self._manager

    @property
    def active(self) -> bool:
        """Whether the panes are shown."""
        return self._earlier_layout is not None and self.layout_node.GetViewArrangement() == LAYOUT_ID

    @property
    def left_by_user(self) -> bool:
        """Whether the user chose another layout while the panes were shown; `leave` then puts back everything else."""
        return self._earlier_layout is not None and self.layout_node.GetViewArrangement() != LAYOUT_ID

    @property
    def fade(self) -> float:
        """How much of the third pane's own volume is seen: 0 the scan alone, 1 it alone."""
        return self._fade

    @property
    def third(self) -> ThirdPane:
        """What the right pane shows."""
        return self._third

    @property
    def compared(self) -> Compared | None:
        """What is compared now."""
        return self._compared

    @property
    def layout_node(self) -> slicer.vtkMRMLLayoutNode:
        """Where the application keeps its layout."""
        return self._views.layoutLogic().GetLayoutNode()

    def enter(self, compared: Compared) -> None:
        """Show the panes, or show other nodes in them; the same scan stays at the slice that is looked at."""
        layout, same_scan = self.layout_node, self._compared is not None and self._compared.scan is compared.scan
        begins = not self.active
        self._put_back()
        if begins:
            description = layout_description()
            if not layout.SetLayoutDescription(LAYOUT_ID, description):
                layout.AddLayoutDescription(LAYOUT_ID, description)
            self._earlier_layout = layout.GetViewArrangement()
            layout.SetViewArrangement(LAYOUT_ID)
            layout.SetSaveWithScene(False)
        for node in self._slice_nodes():
            node.SetViewGroup(VIEW_GROUP)  # a scene that was saved while comparing brings another one
        self._compared = compared
        if compared.pseudo_healthy is None and compared.residual is not None:
            self._third = ThirdPane.RESIDUAL
        elif compared.residual is None:
            self._third = ThirdPane.PSEUDO_HEALTHY
        self._labels = {pane: self._make_label(self._widget(pane)) for pane in Pane}
        self._fill_panes()
        self._draw()
        if compared.pseudo_healthy is not None:
            self._link = WindowLevelLink(compared.scan, compared.pseudo_healthy)
        if begins or not same_scan:
            self.show_plane(self._plane, self._place_in(USERS_VIEW))

    def leave(self) -> None:
        """Put the earlier layout and drawing back. Where the user has chosen another layout meanwhile, that one stays."""
        if self._earlier_layout is None:
            return
        active, layout = self.active, self.layout_node
        self._fit.end()
        self._put_back()
        if active:
            layout.SetViewArrangement(self._earlier_layout)
        layout.SetSaveWithScene(True)
        self._earlier_layout = self._compared = None

    def show_third(self, what: ThirdPane) -> None:
        """Show the pseudo-healthy volume or the residual in the right pane."""
        self._third = what
        self._fill_panes()
        self._remove_legends()
        self._add_legends()

    def show_plane(self, plane: Plane, at_ras_mm: np.ndarray | None = None) -> None:
        """Turn all panes to a plane and show the whole scan in it, at a place or at the one that is looked at."""
        self._plane = plane
        if self._compared is None:
            return
        place = self._place_in(Pane.SCAN.tag) if at_ras_mm is None else at_ras_mm
        for node in self._slice_nodes():
            node.SetOrientation(plane.value)
            if place is not None:
                node.JumpSliceByCentering(*place)
        if place is not None:
            set_crosshair(self.scene, place)  # where it is found again from any plane
        self._fit.begin(self._slice_nodes())

    def _fit_panes(self) -> None:
        """Show the whole scan in every pane, in the slice that is looked at."""
        if not self.active or self._compared is None:
            return
        place = self._place_in(Pane.SCAN.tag)
        for pane in Pane:
            self._widget(pane).sliceLogic().FitSliceToBackground()
        for node in self._slice_nodes():
            if place is not None and _holds(self._compared.scan, place):
                go_to(node, place)

    def _slice_nodes(self) -> list[slicer.vtkMRMLSliceNode]:
        return [self._widget(pane).sliceLogic().GetSliceNode() for pane in Pane]

    def show_score_map(self, score_map: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Show another description's map in the middle."""
        if self._compared is not None:
            self._put_back_drawing()
            self._compared = replace(self._compared, score_map=score_map)
            self._fill_panes()
            self._draw()

    def set_fade(self, fade: float) -> None:
        """Blend the right pane between the scan (0) and its own volume (1)."""
        self._fade = min(max(float(fade), 0.0), 1.0)
        if self._compared is not None:
            self._composite(Pane.HEALTHY).SetForegroundOpacity(self._fade)
            self._say_third()

    def blink(self) -> None:
        """Go to the other end of the fade: what differs between the two jumps to the eye."""
        self.set_fade(0.0 if self._fade >= HALF_FADED else 1.0)

    # -- the panes ---------------------------------------------------------------------------------------------------

    def _fill_panes(self) -> None:
        seen = self._compared
        if seen is None:
            return
        self._show(Pane.SCAN, seen.scan, None, 0.0, _("Scan with outline"))
        words = _("Score map: brighter is more likely") if seen.score_map else _("The score map was deleted")
        self._show(Pane.SCORE, seen.scan, seen.score_map, MAP_OPACITY, words)
        self._show(Pane.HEALTHY, seen.scan, self._third_volume(), self._fade, "")
        self._say_third()

    def _third_volume(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        seen = self._compared
        if seen is None:
            return None
        return seen.residual if self._third is ThirdPane.RESIDUAL else seen.pseudo_healthy

    def _say_third(self) -> None:
        """The pane says what is seen in it right now: blinking back to the scan must not be taken for healthy tissue."""
        residual = self._third is ThirdPane.RESIDUAL
        own = _("Residual: scan minus pseudo-healthy") if residual else _("Pseudo-healthy")
        if self._third_volume() is None:
            words = _("Scan (this run has no pseudo-healthy scan)")
        elif self._fade == 0:
            words = _("Scan")
        elif self._fade < 1:
            words = _("{what}, {share} % over the scan").format(what=own, share=round(100 * self._fade))
        else:
            words = own
        self._labels[Pane.HEALTHY].say(words)
        node = self._widget(Pane.HEALTHY).sliceLogic().GetSliceNode()
        node.SetLayoutLabel(_("Residual") if residual else _("Healthy"))

    def _show(
        self,
        pane: Pane,
        scan: slicer.vtkMRMLScalarVolumeNode,
        foreground: slicer.vtkMRMLScalarVolumeNode | None,
        opacity: float,
        words: str,
    ) -> None:
        composite = self._composite(pane)
        composite.SetDoPropagateVolumeSelection(False)  # a volume loaded elsewhere must not take the pane's place
        composite.SetBackgroundVolumeID(scan.GetID())
        composite.SetForegroundVolumeID(foreground.GetID() if foreground is not None else None)
        composite.SetLabelVolumeID(None)
        composite.SetForegroundOpacity(opacity)
        composite.SetLinkedControl(True)
        composite.SetHotLinkedControl(True)
        self._labels[pane].say(words)

    def _place_in(self, tag: str) -> np.ndarray | None:
        """The place that is looked at in a slice view, RAS mm."""
        node = self.scene.GetSingletonNode(tag, "vtkMRMLSliceNode")
        return place_looked_at(node) if node is not None else None

    def _widget(self, pane: Pane) -> Any:
        return self._views.sliceWidget(pane.tag)

    def _composite(self, pane: Pane) -> slicer.vtkMRMLSliceCompositeNode:
        return self._widget(pane).sliceLogic().GetSliceCompositeNode()

    def _view_id(self, pane: Pane) -> str:
        return str(self._widget(pane).sliceLogic().GetSliceNode().GetID())

    # -- segments and legend -----------------------------------------------------------------------------------------

    def _draw(self) -> None:
        """Outlines in the left pane and in the user's own views, not over the map and the healthy tissue; legends."""
        seen = self._compared
        if seen is None:
            return
        if seen.segmentation is not None:
            hidden = {self._view_id(Pane.SCORE), self._view_id(Pane.HEALTHY)}
            begin_outline(seen.segmentation, self._view_id(Pane.SCAN), hidden)
        self._add_legends()

    def _add_legends(self) -> None:
        """What the colours stand for; the residual's only while it is shown."""
        seen = self._compared
        if seen is None:
            return
        if seen.score_map is not None:
            self._add_legend(seen.score_map, Pane.SCORE, _("Score"), 6)  # steps of 0.2: the labels have one decimal
        if seen.residual is not None and self._third is ThirdPane.RESIDUAL:
            self._add_legend(seen.residual, Pane.HEALTHY, _("Difference"), 5)

    def _add_legend(self, volume: slicer.vtkMRMLScalarVolumeNode, pane: Pane, title: str, labels: int) -> None:
        logic = slicer.vtkSlicerColorLogic
        if logic.GetColorLegendDisplayNode(volume) is not None:
            return  # the user's own legend stays as it is
        legend = logic.AddDefaultColorLegendDisplayNode(volume)
        legend.SetTitleText(title)
        legend.SetNumberOfLabels(labels)
        legend.SetSize(0.1, 0.35)  # what lies under it is seen in the left pane, but better in this one
        legend.SetSaveWithScene(False)
        legend.SetViewNodeIDs([self._view_id(pane)])
        self._legend_ids.append(legend.GetID())

    def _remove_legends(self) -> None:
        legend_ids, self._legend_ids = self._legend_ids, []
        for legend in filter(None, map(self.scene.GetNodeByID, legend_ids)):
            self.scene.RemoveNode(legend)

    def _put_back_drawing(self) -> None:
        end_all_outlines(self.scene)
        self._remove_legends()

    def _put_back(self) -> None:
        """Everything but the layout."""
        self._put_back_drawing()
        link, self._link = self._link, None
        if link is not None:
            link.end()
        labels, self._labels = self._labels, {}
        for label in labels.values():
            label.remove()


def _holds(volume: slicer.vtkMRMLScalarVolumeNode, ras_mm: np.ndarray) -> bool:
    """Whether a place lies in the box around a volume."""
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    return bool((bounds[::2] <= ras_mm).all() and (ras_mm <= bounds[1::2]).all())
