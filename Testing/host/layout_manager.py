"""The stand-in for Slicer's layout manager: arranges slice views as the layout node's description says.

The layout node, the layout logic that makes the view nodes, and the slice logics are the real ones. 3D, table and plot
views are places that say what would be there.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import slicer
import vtk
from PySide6 import QtCore, QtWidgets

from host.mrml_observation import Observations
from host.stand_in_classes import STAND_INS
from host.view_widgets import qMRMLSliceWidget

Property, Signal = QtCore.Property, QtCore.Signal


@STAND_INS.add
class qSlicerLayoutManager(QtCore.QObject):
    """Shows the current layout in an area of the main window."""

    layoutChanged = Signal(int)

    def __init__(self, layout_logic: Any, area: QtWidgets.QWidget) -> None:
        super().__init__()
        self._layout_logic = layout_logic
        self._area = area
        self._area.setLayout(QtWidgets.QVBoxLayout())
        self._area.layout().setContentsMargins(0, 0, 0, 0)
        self._slice_widgets: dict[str, qMRMLSliceWidget] = {}
        self._shown = (-1, "")
        self._observations = Observations(self)
        layout_node = layout_logic.GetLayoutNode()
        self._observations.add(layout_node, vtk.vtkCommand.ModifiedEvent, qSlicerLayoutManager._arrange)
        self._arrange()

    def _arrange(self) -> None:
        """Build the current layout anew, reusing the slice widgets of view nodes that had one."""
        node = self._layout_logic.GetLayoutNode()
        wanted = (node.GetViewArrangement(), node.GetCurrentLayoutDescription() or "")
        if wanted == self._shown or not wanted[1]:
            return
        changed = wanted[0] != self._shown[0]
        self._shown = wanted
        for widget in self._slice_widgets.values():
            widget.setParent(self._area)
            widget.hide()
        while self._area.layout().count():
            item = self._area.layout().takeAt(0)
            if item.widget() is not None:
                item.widget().deleteLater()
        self._area.layout().addWidget(self._arranged(ElementTree.fromstring(wanted[1])))
        if changed:
            self.layoutChanged.emit(wanted[0])

    def _arranged(self, layout: ElementTree.Element) -> QtWidgets.QWidget:
        kind = layout.get("type", "vertical")
        if kind not in ("horizontal", "vertical", "grid", "tab"):
            raise NotImplementedError(f"this host does not arrange layouts of type '{kind}'")
        box = QtWidgets.QWidget()
        places = QtWidgets.QGridLayout(box)
        places.setContentsMargins(0, 0, 0, 0)
        places.setSpacing(2)
        for index, item in enumerate(layout.findall("item")):
            child = item.find("layout")
            widget = self._view(item.find("view")) if child is None else self._arranged(child)
            row, column = (0, index) if kind == "horizontal" else (index, 0)
            if kind == "grid":
                row, column = int(item.get("row", 0)), int(item.get("column", 0))
            places.addWidget(widget, row, column, int(item.get("rowspan", 1)), int(item.get("colspan", 1)))
            widget.setVisible(kind != "tab" or index == 0)
        return box

    def _view(self, view: ElementTree.Element) -> QtWidgets.QWidget:
        tag, node_class = view.get("singletontag", ""), view.get("class", "")
        if node_class != "vtkMRMLSliceNode":
            return QtWidgets.QLabel(f"{node_class.removeprefix('vtkMRML').removesuffix('Node')} {tag}: not drawn here")
        if tag not in self._slice_widgets:
            widget = qMRMLSliceWidget(self._area)
            widget.setObjectName(f"qMRMLSliceWidget{tag}")
            widget.setMRMLSliceNode(self.mrmlScene().GetSingletonNode(tag, node_class))
            self._slice_widgets[tag] = widget
        return self._slice_widgets[tag]

    def setLayout(self, layout: int) -> None:
        self._layout_logic.GetLayoutNode().SetViewArrangement(int(layout))

    def layoutLogic(self) -> Any:
        return self._layout_logic

    def mrmlScene(self) -> Any:
        return self._layout_logic.GetMRMLScene()

    def mrmlSliceLogics(self) -> Any:
        return slicer.app.applicationLogic().GetSliceLogics()

    def sliceViewNames(self) -> tuple[str, ...]:
        return tuple(self._slice_widgets)

    def sliceWidget(self, name: str) -> qMRMLSliceWidget | None:
        return self._slice_widgets.get(name)

    def resetSliceViews(self) -> None:
        for widget in self._slice_widgets.values():
            widget.fitSliceToBackground()

    def resetThreeDViews(self) -> None:
        """Nothing to reset: there is no 3D view here."""

    def activeMRMLThreeDViewNode(self) -> None:
        return None

    def _close(self) -> None:
        self._observations.end()
        for widget in self._slice_widgets.values():
            widget.sliceView()._close()

    layout = Property(int, lambda self: self._layout_logic.GetLayoutNode().GetViewArrangement(), setLayout)
    threeDViewCount = Property(int, lambda self: 0)
    tableViewCount = Property(int, lambda self: 0)
    plotViewCount = Property(int, lambda self: 0)
