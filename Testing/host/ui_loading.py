"""Loading .ui files as Slicer does, with stand-ins for promoted widgets.

Beyond what Qt checks, a property in the .ui file that its class lacks is an error (Qt only prints a warning), and so is
a class or a connection that does not exist. Dynamic properties, such as SlicerParameterName, carry stdset="0".
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

from PySide6 import QtCore, QtUiTools, QtWidgets

from host.pythonqt_manners import LOADING_UI_FILE
from host.signals_by_name import connect_by_name
from host.stand_in_classes import STAND_INS, explain_missing_class

# Properties that Designer writes on every widget of these kinds but that are read by the loader, not by the widget.
_READ_BY_LOADER = {
    "QTabWidget": {"currentIndex"},
    "QFormLayout": set(),
    "Line": {"orientation", "lineWidth"},
    "QLabel": {"buddy"},
}


class UiFileError(RuntimeError):
    """The .ui file names a class, property, signal or slot that Slicer does not have."""


class QUiLoader(QtUiTools.QUiLoader):
    """Qt's loader, which also makes the stand-ins for Slicer's and CTK's widgets."""

    def createWidget(self, class_name: str, parent: QtWidgets.QWidget | None = None, name: str = "") -> Any:
        if class_name in STAND_INS:
            widget = STAND_INS[class_name](parent)
            widget.setObjectName(name)
            return widget
        if class_name not in (*self.availableWidgets(), "QWidget", "Line"):
            raise UiFileError(str(explain_missing_class("ui", class_name)))
        return super().createWidget(class_name, parent, name)

    def load(self, device: QtCore.QIODevice, parent: QtWidgets.QWidget | None = None) -> QtWidgets.QWidget:
        """Build the widgets of an opened .ui file and make its connections.

        Raises:
            UiFileError: see the class; the message names every class, property and connection at fault.
        """
        root = ElementTree.fromstring(bytes(device.readAll().data()))
        widgets = root.findall(".//widget")
        unknown = {w.get("class") for w in widgets} - set(self.availableWidgets()) - {"QWidget", "Line"}
        unknown = {name for name in unknown if name not in STAND_INS}
        if unknown:
            raise UiFileError("; ".join(str(explain_missing_class("ui", name)) for name in sorted(unknown)))
        # C++ signatures such as mrmlSceneChanged(vtkMRMLScene*) are unknown to Qt here: connect them ourselves.
        connections = root.find("connections")
        if connections is not None:
            root.remove(connections)
        buffer = QtCore.QBuffer()
        buffer.setData(ElementTree.tostring(root))
        buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
        loading = LOADING_UI_FILE.set(True)
        try:
            top = super().load(buffer, parent)
        finally:
            LOADING_UI_FILE.reset(loading)
        if top is None:
            raise UiFileError(f"Qt could not load the .ui file: {self.errorString()}")
        faults = self._unknown_properties(top, widgets)
        for each in connections if connections is not None else ():
            faults += self._connect(top, *(each.findtext(tag, "") for tag in ("sender", "signal", "receiver", "slot")))
        if faults:
            raise UiFileError("; ".join(faults))
        return top

    @staticmethod
    def _child(top: QtWidgets.QWidget, name: str) -> QtCore.QObject | None:
        return top if top.property("objectName") == name else top.findChild(QtCore.QObject, name)

    def _unknown_properties(self, top: QtWidgets.QWidget, widgets: list[ElementTree.Element]) -> list[str]:
        faults = []
        for element in widgets:
            widget = self._child(top, element.get("name", ""))
            if widget is None:
                faults.append(f"widget {element.get('name')} was not made")
                continue
            class_name = element.get("class", "")
            known = _READ_BY_LOADER.get(class_name, set())
            for each in element.findall("property"):
                name = each.get("name", "")
                if each.get("stdset") != "0" and name not in known and widget.metaObject().indexOfProperty(name) < 0:
                    faults.append(f"{class_name} {element.get('name')} has no property '{name}'")
        return faults

    def _connect(self, top: QtWidgets.QWidget, sender: str, signal: str, receiver: str, slot: str) -> list[str]:
        source, target = self._child(top, sender), self._child(top, receiver)
        if source is None or target is None:
            return [f"connection {sender} -> {receiver}: no such widget"]
        connect_by_name(source, signal, target, slot)
        return []
