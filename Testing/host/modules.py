"""`slicer.modules`: the modules of the application and how scripted modules are loaded, opened and left."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from host.qmrml_widgets import qSlicerWidget
from host.stand_in_classes import STAND_INS

Property, Signal = QtCore.Property, QtCore.Signal


class LoadableModule:
    """One module: what `slicer.modules.<name>` is, and the `parent` that a scripted module fills in."""

    __slots__ = (
        "_logic",
        "_widget",
        "acknowledgementText",
        "associatedNodeTypes",
        "categories",
        "contributors",
        "dependencies",
        "helpText",
        "hidden",
        "icon",
        "index",
        "name",
        "path",
        "title",
        "widgetRepresentationCreationEnabled",
    )

    def __init__(self, name: str, logic: Any = None, path: str = "") -> None:
        self.name = self.title = name
        self.path = path
        self._logic = logic
        self._widget: qSlicerScriptedLoadableModuleWidget | None = None
        self.hidden = False
        self.categories: list[str] = []

    def logic(self) -> Any:
        return self._logic

    def widgetRepresentation(self) -> Any:
        """The module's panel, made and set up when it is first asked for.

        Raises:
            NotImplementedError: the module is one of the application's own, whose panel is not here.
        """
        if not self.path:
            raise NotImplementedError(f"this host has no panel for the module {self.name}")
        if self._widget is None:
            widget = qSlicerScriptedLoadableModuleWidget()
            widget._load(self.name)
            self._widget = widget
        return self._widget

    def _unload_widget(self) -> None:
        if self._widget is not None:
            self._widget._unload()
            self._widget = None


@STAND_INS.add
class qSlicerScriptedLoadableModuleWidget(qSlicerWidget):
    """The panel that holds a scripted module's widget and tells it when it is entered and left."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._module_name = ""
        self._python_widget = None
        self._entered = False
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)

    def _load(self, module_name: str) -> None:
        self._module_name = module_name
        self.setMRMLScene(slicer.mrmlScene)
        widget_class = getattr(importlib.import_module(module_name), f"{module_name}Widget")
        self._python_widget = widget_class(self)
        setattr(slicer.modules, f"{module_name}Widget", self._python_widget)
        self._python_widget.setup()

    def _unload(self) -> None:
        slicer.app.moduleManager().moduleAboutToBeUnloaded.emit(self._module_name)
        vars(slicer.modules).pop(f"{self._module_name}Widget", None)
        self.deleteLater()

    def self(self) -> Any:
        return self._python_widget

    def enter(self) -> None:
        self._entered = True
        getattr(self._python_widget, "enter", lambda: None)()

    def exit(self) -> None:
        self._entered = False
        getattr(self._python_widget, "exit", lambda: None)()

    def reload(self) -> None:
        """Make the Python widget anew from the reloaded module; the slots of the panel stay."""
        self._load(self._module_name)

    isEntered = Property(bool, lambda self: self._entered)
    moduleName = Property(str, lambda self: self._module_name)


class Modules:
    """The namespace `slicer.modules`; module names in lower case, widgets as <Name>Widget."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"module 'slicer.modules' has no attribute '{name}'")

    def _all(self) -> dict[str, LoadableModule]:
        return {each.name: each for each in vars(self).values() if isinstance(each, LoadableModule)}

    def _add_cpp_module(self, name: str, logic: Any) -> None:
        setattr(self, name.lower(), LoadableModule(name, logic))

    def _add_scripted_module(self, path: Path) -> LoadableModule:
        """Load a scripted module from its .py file, as the application does at start-up."""
        name = path.stem
        if str(path.parent) not in sys.path:
            sys.path.insert(0, str(path.parent))
        source = importlib.import_module(name)
        module = LoadableModule(name, path=str(path))
        setattr(self, name.lower(), module)
        setattr(self, f"{name}Instance", getattr(source, name)(module))
        slicer.app.moduleManager().moduleLoaded.emit(name)
        return module


@STAND_INS.add
class qSlicerModuleManager(QtCore.QObject):
    """Finds modules by name."""

    moduleLoaded = Signal(str)
    moduleAboutToBeUnloaded = Signal(str)

    def module(self, name: str) -> LoadableModule | None:
        return slicer.modules._all().get(name)

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(slicer.modules._all())


class ModuleSelector(QtCore.QObject):
    """The main window's module selector: leaves the module that was open and enters the other."""

    moduleSelected = Signal(str)

    def __init__(self, panel: QtWidgets.QScrollArea) -> None:
        super().__init__()
        self.panel = panel
        self.selectedModule = ""

    def selectModule(self, name: str) -> None:
        module = slicer.app.moduleManager().module(name)
        if module is None:
            raise RuntimeError(f"there is no module '{name}'")
        if self.panel.widget() is not None:
            self.panel.takeWidget().exit()
        self.selectedModule = name
        if module.path:
            widget = module.widgetRepresentation()
            self.panel.setWidget(widget)
            widget.enter()
        self.moduleSelected.emit(name)
