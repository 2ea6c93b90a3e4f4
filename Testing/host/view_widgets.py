"""Stand-ins for the slice view widgets; what they show is drawn by Slicer's real displayable managers."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer
import vtk
from PySide6 import QtCore, QtGui, QtWidgets

from host.slice_rendering import SliceRendering
from host.stand_in_classes import STAND_INS

Property, Signal = QtCore.Property, QtCore.Signal


def qimage_of(picture: np.ndarray) -> QtGui.QImage:
    """A (height, width, 3) uint8 picture as an image of its own memory."""
    height, width, _ = picture.shape
    data = np.ascontiguousarray(picture)
    return QtGui.QImage(data.data, width, height, 3 * width, QtGui.QImage.Format.Format_RGB888).copy()


@STAND_INS.add
class qMRMLSliceView(QtWidgets.QWidget):
    """The picture of a slice. It is rendered when it is painted or `forceRender` is called."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slice_logic = None
        self._rendering: SliceRendering | None = None
        self._corner_annotation = vtk.vtkCornerAnnotation()
        self._corner_annotation.SetMaximumFontSize(16)
        self._picture: np.ndarray | None = None
        self.setMinimumSize(60, 60)

    def _show(self, slice_logic: Any) -> None:
        self._slice_logic = slice_logic

    def mrmlSliceNode(self) -> Any:
        return self._slice_logic.GetSliceNode()

    def _opened(self) -> SliceRendering:
        if self._rendering is None:
            self._rendering = SliceRendering(self._slice_logic, self._corner_annotation)
        return self._rendering

    def renderWindow(self) -> Any:
        return self._opened().window

    def interactor(self) -> Any:
        return self._opened().interactor

    def cornerAnnotation(self) -> Any:
        return self._corner_annotation

    def displayableManagerByClassName(self, class_name: str) -> Any:
        group = self._opened().displayable_managers
        managers = (group.GetNthDisplayableManager(i) for i in range(group.GetDisplayableManagerCount()))
        return next((each for each in managers if each.IsA(class_name)), None)

    def forceRender(self) -> None:
        self._picture = self._opened().picture(self.property("width"), self.property("height"))

    def scheduleRender(self) -> None:
        self.update()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        self.forceRender()
        QtGui.QPainter(self).drawImage(0, 0, qimage_of(self._picture))

    def _close(self) -> None:
        if self._rendering is not None:
            self._rendering.close()
            self._rendering = None


@STAND_INS.add
class qMRMLSliceControllerWidget(QtWidgets.QWidget):
    """The bar over a slice view: its label on its colour, and the functions that modules call on it."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slice_logic = None
        self.setFixedHeight(22)

    def _show(self, slice_logic: Any) -> None:
        self._slice_logic = slice_logic

    def sliceLogic(self) -> Any:
        return self._slice_logic

    def mrmlSliceNode(self) -> Any:
        return self._slice_logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._slice_logic.GetSliceCompositeNode()

    def fitSliceToBackground(self) -> None:
        self._slice_logic.FitSliceToBackground()

    def setSliceVisible(self, shown: bool) -> None:
        self.mrmlSliceNode().SetSliceVisible(int(shown))

    def setSliceLink(self, linked: bool) -> None:
        self.mrmlSliceCompositeNode().SetLinkedControl(linked)

    def setHotLinked(self, linked: bool) -> None:
        self.mrmlSliceCompositeNode().SetHotLinkedControl(linked)

    def setSliceOffsetValue(self, offset: float) -> None:
        """Move the slice to the offset in mm as the user's slider does, so that linked views follow."""
        self._slice_logic.StartSliceOffsetInteraction()
        self._slice_logic.SetSliceOffset(offset)
        self._slice_logic.EndSliceOffsetInteraction()

    def setForegroundOpacity(self, opacity: float) -> None:
        self.mrmlSliceCompositeNode().SetForegroundOpacity(opacity)

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        node = self.mrmlSliceNode()
        painter = QtGui.QPainter(self)
        colour = QtGui.QColor.fromRgbF(*node.GetLayoutColor())
        area = QtCore.QRect(0, 0, self.property("width"), self.property("height"))
        painter.fillRect(area, colour)
        painter.setPen(QtGui.QColor("black" if colour.lightnessF() > 0.4 else "white"))
        text = f"{node.GetLayoutLabel()}   {node.GetOrientation()}   {self._slice_logic.GetSliceOffset():.1f} mm"
        painter.drawText(area.adjusted(8, 0, 0, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, text)


@STAND_INS.add
class qMRMLSliceWidget(QtWidgets.QWidget):
    """A slice view with its bar and its real slice logic."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slice_logic = None
        self._view = qMRMLSliceView(self)
        self._controller = qMRMLSliceControllerWidget(self)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._controller)
        layout.addWidget(self._view, 1)

    def setMRMLSliceNode(self, node: Any) -> None:
        """Make the slice logic for a slice node of the scene and register it with the application, as Slicer does."""
        application_logic = slicer.app.applicationLogic()
        self._slice_logic = slicer.vtkMRMLSliceLogic()
        self._slice_logic.SetMRMLApplicationLogic(application_logic)
        self._slice_logic.SetMRMLScene(node.GetScene())
        application_logic.GetSliceLogics().AddItem(self._slice_logic)
        self._slice_logic.SetSliceNode(node)
        self._view._show(self._slice_logic)
        self._controller._show(self._slice_logic)

    def sliceLogic(self) -> Any:
        return self._slice_logic

    def mrmlSliceNode(self) -> Any:
        return self._slice_logic.GetSliceNode()

    def mrmlSliceCompositeNode(self) -> Any:
        return self._slice_logic.GetSliceCompositeNode()

    def sliceView(self) -> qMRMLSliceView:
        return self._view

    def sliceController(self) -> qMRMLSliceControllerWidget:
        return self._controller

    def fitSliceToBackground(self) -> None:
        self._slice_logic.FitSliceToBackground()

    def setSliceOrientation(self, orientation: str) -> None:
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceOrientation = Property(
        str, lambda self: self.mrmlSliceNode().GetOrientation(), lambda self, name: self.setSliceOrientation(name)
    )
    sliceViewName = Property(str, lambda self: self.mrmlSliceNode().GetLayoutName())
    sliceViewLabel = Property(
        str,
        lambda self: self.mrmlSliceNode().GetLayoutLabel(),
        lambda self, text: self.mrmlSliceNode().SetLayoutLabel(text),
    )
