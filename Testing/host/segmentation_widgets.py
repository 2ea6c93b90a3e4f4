"""Stand-ins for Slicer's segmentation widgets: the segments table and the Segment Editor's node selection."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from host.mrml_observation import Observations
from host.qmrml_widgets import qMRMLWidget
from host.stand_in_classes import STAND_INS

Property, Signal = QtCore.Property, QtCore.Signal


@STAND_INS.add
class qMRMLSegmentsTableView(qMRMLWidget):
    """The segments of a segmentation with colour and name; follows the segmentation."""

    selectionChanged = Signal(object, object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._table = QtWidgets.QTableWidget(0, 2, self)
        self._table.setHorizontalHeaderLabels(["Color", "Name"])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.itemSelectionChanged.connect(lambda: self.selectionChanged.emit(None, None))
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)
        self._segmentation_node = None
        self._observations = Observations(self)

    def setSegmentationNode(self, node: Any) -> None:
        self._observations.end()
        self._segmentation_node = node
        if node is not None:
            self._observations.add(node, vtk.vtkCommand.AnyEvent, qMRMLSegmentsTableView._fill)
        self._fill()

    def segmentationNode(self) -> Any:
        return self._segmentation_node

    def _ids(self) -> list[str]:
        if self._segmentation_node is None:
            return []
        segmentation = self._segmentation_node.GetSegmentation()
        return [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())]

    def _fill(self) -> None:
        ids = self._ids()
        self._table.setRowCount(len(ids))
        for row, segment_id in enumerate(ids):
            segment = self._segmentation_node.GetSegmentation().GetSegment(segment_id)
            colour = QtWidgets.QTableWidgetItem()
            colour.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            self._table.setItem(row, 0, colour)
            self._table.setItem(row, 1, QtWidgets.QTableWidgetItem(segment.GetName()))

    def selectedSegmentIDs(self) -> list[str]:
        ids = self._ids()
        return [ids[row] for row in sorted({index.row() for index in self._table.selectedIndexes()})]

    def setSelectedSegmentIDs(self, segment_ids: list[str]) -> None:
        self._table.clearSelection()
        for segment_id in segment_ids:
            self._table.selectRow(self._ids().index(segment_id))

    def clearSelection(self) -> None:
        self._table.clearSelection()

    def tableWidget(self) -> QtWidgets.QTableWidget:
        return self._table

    def segmentIDForRow(self, row: int) -> str:
        return self._ids()[row]

    def rowForSegmentID(self, segment_id: str) -> int:
        return self._ids().index(segment_id)

    segmentCount = Property(int, lambda self: len(self._ids()))
    headerVisible = Property(
        bool,
        lambda self: not self._table.horizontalHeader().isHidden(),
        lambda self, shown: self._table.horizontalHeader().setVisible(shown),
    )


@STAND_INS.add
class qMRMLSegmentEditorWidget(qMRMLWidget):
    """The Segment Editor as far as another module sets it up: its parameter node, segmentation, volume and segment.

    The nodes are kept in a real vtkMRMLSegmentEditorNode; no effect can be used.
    """

    segmentationNodeChanged = Signal(object)
    sourceVolumeNodeChanged = Signal(object)
    currentSegmentIDChanged = Signal(str)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._editor_node = None

    def mrmlSegmentEditorNode(self) -> Any:
        return self._editor_node

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._editor_node = node

    def _required_node(self) -> Any:
        if self._editor_node is None:
            raise RuntimeError("the Segment Editor has no parameter node: setMRMLSegmentEditorNode comes first")
        return self._editor_node

    def setSegmentationNode(self, node: Any) -> None:
        self._required_node().SetAndObserveSegmentationNode(node)
        self.segmentationNodeChanged.emit(node)

    def segmentationNode(self) -> Any:
        return self._editor_node.GetSegmentationNode() if self._editor_node else None

    def setSourceVolumeNode(self, node: Any) -> None:
        self._required_node().SetAndObserveSourceVolumeNode(node)
        self.sourceVolumeNodeChanged.emit(node)

    def sourceVolumeNode(self) -> Any:
        return self._editor_node.GetSourceVolumeNode() if self._editor_node else None

    def setCurrentSegmentID(self, segment_id: str) -> None:
        self._required_node().SetSelectedSegmentID(segment_id)
        self.currentSegmentIDChanged.emit(segment_id)

    def currentSegmentID(self) -> str:
        return self._editor_node.GetSelectedSegmentID() or "" if self._editor_node else ""

    def setActiveEffectByName(self, name: str) -> None:
        if name:
            raise RuntimeError(f"this host has no Segment Editor effects, so not '{name}'")

    def activeEffect(self) -> None:
        return None


@STAND_INS.add
class qMRMLSegmentationShow3DButton(QtWidgets.QPushButton):
    """Shows the closed surfaces of a segmentation in 3D."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__("Show 3D", parent)
        self.setCheckable(True)
        self._segmentation_node = None
        self.toggled.connect(self._show_3d)

    def setSegmentationNode(self, node: Any) -> None:
        self._segmentation_node = node

    def segmentationNode(self) -> Any:
        return self._segmentation_node

    def _show_3d(self, shown: bool) -> None:
        if self._segmentation_node is not None:
            if shown:
                self._segmentation_node.CreateClosedSurfaceRepresentation()
            self._segmentation_node.GetDisplayNode().SetVisibility3D(shown)
