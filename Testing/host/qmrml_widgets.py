"""Stand-ins for Slicer's widgets that know the scene: the panel's top-level widget and the node selector."""

from __future__ import annotations

from typing import Any

import vtk
from PySide6 import QtCore, QtWidgets

from host.ctk_sections import ctkCollapsibleButton, split_text_and_parent
from host.mrml_observation import Observations
from host.stand_in_classes import STAND_INS

Property, Signal = QtCore.Property, QtCore.Signal


@STAND_INS.add
class qMRMLWidget(QtWidgets.QWidget):
    """The top-level widget of a panel: passes the scene on to the widgets connected to its signal."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@STAND_INS.add
class qSlicerWidget(QtWidgets.QWidget):
    """As qMRMLWidget, of the application's own widgets."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._scene = None

    def mrmlScene(self) -> Any:
        return self._scene

    def setMRMLScene(self, scene: Any) -> None:
        if scene is not self._scene:
            self._scene = scene
            self.mrmlSceneChanged.emit(scene)


@STAND_INS.add
class qMRMLCollapsibleButton(ctkCollapsibleButton):
    """A collapsible section that passes the scene on."""

    mrmlSceneChanged = Signal(object)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*split_text_and_parent(arguments))

    def setMRMLScene(self, scene: Any) -> None:
        self.mrmlSceneChanged.emit(scene)


@STAND_INS.add
class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Selects a node of the scene: lists the nodes of its types as they come, go and are renamed.

    Without "None" among the choices the first node becomes current by itself, as in Slicer.
    """

    currentNodeChanged = Signal(object)
    currentNodeIDChanged = Signal(str)
    nodeAdded = Signal(object)
    nodeAddedByUser = Signal(object)
    nodeActivated = Signal(object)
    mrmlSceneChanged = Signal(object)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._combo_box = QtWidgets.QComboBox(self)
        self._combo_box.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo_box)
        self._scene = None
        self._scene_observations = Observations(self)
        self._node_observations = Observations(self)
        self._node_types: list[str] = []
        self._hidden_types: list[str] = []
        self._attributes: list[tuple[str, str, Any]] = []
        self._listed_ids: list[str] = []
        self._current_id = ""
        self._none_display = "None"
        self._base_name = ""
        self._options = {
            "noneEnabled": False,
            "addEnabled": True,
            "removeEnabled": True,
            "renameEnabled": False,
            "editEnabled": False,
            "showHidden": False,
            "showChildNodeTypes": True,
            "selectNodeUponCreation": True,
        }
        self._filling = False
        self._combo_box.currentIndexChanged.connect(self._chosen)

    def setMRMLScene(self, scene: Any) -> None:
        self._scene_observations.end()
        self._scene = scene
        if scene is not None:
            for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndCloseEvent, scene.EndImportEvent):
                self._scene_observations.add(scene, event, qMRMLNodeComboBox._fill)
        self._fill()
        self.mrmlSceneChanged.emit(scene)

    def mrmlScene(self) -> Any:
        return self._scene

    def _offers(self, node: Any) -> bool:
        class_name = node.GetClassName()
        if node.GetHideFromEditors() and not self._options["showHidden"]:
            return False
        if any(node.IsA(each) for each in self._hidden_types):
            return False
        if not self._options["showChildNodeTypes"] and class_name not in self._node_types:
            return False
        return all(
            node.GetAttribute(name) is not None and value in (None, node.GetAttribute(name))
            for node_type, name, value in self._attributes
            if node.IsA(node_type)
        )

    def _fill(self) -> None:
        """List the nodes anew, keeping the current one where it is still there."""
        nodes = {}
        for node_type in self._node_types if self._scene is not None else ():
            for index in range(self._scene.GetNumberOfNodesByClass(node_type)):
                node = self._scene.GetNthNodeByClass(index, node_type)
                if self._offers(node):
                    nodes[node.GetID()] = node
        self._node_observations.end()
        for node in nodes.values():
            self._node_observations.add(node, vtk.vtkCommand.ModifiedEvent, qMRMLNodeComboBox._rename)
        self._listed_ids = ([""] if self._options["noneEnabled"] else []) + list(nodes)
        wanted = self._current_id if self._current_id in self._listed_ids else (self._listed_ids or [""])[0]
        self._filling = True
        self._combo_box.clear()
        for node_id in self._listed_ids:
            self._combo_box.addItem(nodes[node_id].GetName() if node_id else self._none_display)
        self._combo_box.setCurrentIndex(self._listed_ids.index(wanted) if wanted in self._listed_ids else -1)
        self._filling = False
        self._make_current(wanted)

    def _rename(self) -> None:
        for index, node_id in enumerate(self._listed_ids):
            node = self._scene.GetNodeByID(node_id) if node_id else None
            if node is not None and self._combo_box.itemText(index) != node.GetName():
                self._combo_box.setItemText(index, node.GetName())

    def _chosen(self, index: int) -> None:
        if not self._filling:
            self._make_current(self._listed_ids[index] if index >= 0 else "")

    def _make_current(self, node_id: str) -> None:
        if node_id != self._current_id:
            self._current_id = node_id
            self.currentNodeChanged.emit(self.currentNode())
            self.currentNodeIDChanged.emit(node_id)

    def currentNode(self) -> Any:
        return self._scene.GetNodeByID(self._current_id) if self._scene is not None and self._current_id else None

    def setCurrentNode(self, node: Any) -> None:
        self.setCurrentNodeID(node if isinstance(node, str) else "" if node is None else node.GetID())

    def setCurrentNodeID(self, node_id: str) -> None:
        node_id = node_id or ""
        if node_id in self._listed_ids:
            self._combo_box.setCurrentIndex(self._listed_ids.index(node_id))
            self._make_current(node_id)
        elif node_id == "":
            self._combo_box.setCurrentIndex(-1)
            self._make_current("")

    def setCurrentNodeIndex(self, index: int) -> None:
        self.setCurrentNodeID(self._node_ids()[index])

    def _node_ids(self) -> list[str]:
        return [each for each in self._listed_ids if each]

    def nodeCount(self) -> int:
        return len(self._node_ids())

    def nodeFromIndex(self, index: int) -> Any:
        return self._scene.GetNodeByID(self._node_ids()[index])

    def addNode(self, node_type: str | None = None) -> Any:
        node_type = node_type or self._node_types[0]
        name = self._scene.GenerateUniqueName(self._base_name or node_type.removeprefix("vtkMRML").removesuffix("Node"))
        node = self._scene.AddNewNodeByClass(node_type, name)
        if self._options["selectNodeUponCreation"]:
            self.setCurrentNode(node)
        self.nodeAdded.emit(node)
        self.nodeAddedByUser.emit(node)
        return node

    def removeCurrentNode(self) -> None:
        if self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    def addAttribute(self, node_type: str, name: str, value: Any = None) -> None:
        self._attributes.append((node_type, name, value))
        self._fill()

    def removeAttribute(self, node_type: str, name: str) -> None:
        self._attributes = [each for each in self._attributes if each[:2] != (node_type, name)]
        self._fill()

    def _set_and_fill(self, field: str, value: Any) -> None:
        setattr(self, field, value)
        self._fill()

    def _set_option(self, name: str, value: bool) -> None:
        self._options[name] = bool(value)
        self._fill()

    def _option(name: str) -> Property:
        return Property(bool, lambda self: self._options[name], lambda self, value: self._set_option(name, value))

    noneEnabled = _option("noneEnabled")
    addEnabled = _option("addEnabled")
    removeEnabled = _option("removeEnabled")
    renameEnabled = _option("renameEnabled")
    editEnabled = _option("editEnabled")
    showHidden = _option("showHidden")
    showChildNodeTypes = _option("showChildNodeTypes")
    selectNodeUponCreation = _option("selectNodeUponCreation")
    nodeTypes = Property(
        "QStringList",
        lambda self: tuple(self._node_types),
        lambda self, types: self._set_and_fill("_node_types", list(types)),
    )
    hideChildNodeTypes = Property(
        "QStringList",
        lambda self: tuple(self._hidden_types),
        lambda self, types: self._set_and_fill("_hidden_types", list(types)),
    )
    noneDisplay = Property(
        str, lambda self: self._none_display, lambda self, text: self._set_and_fill("_none_display", text)
    )
    baseName = Property(str, lambda self: self._base_name, lambda self, name: setattr(self, "_base_name", name))
    currentNodeID = Property(str, lambda self: self._current_id, setCurrentNodeID)
