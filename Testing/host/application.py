"""`slicer.app` and the main window."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore, QtWidgets

from host.file_reading import qSlicerIOManager
from host.layout_manager import qSlicerLayoutManager
from host.modules import ModuleSelector, qSlicerModuleManager
from host.mrml_application import MrmlApplication
from host.stand_in_classes import STAND_INS

Property, Signal = QtCore.Property, QtCore.Signal

# The release whose behaviour is stood in for.
VERSION = (5, 12, 4)


class MainWindow(QtWidgets.QMainWindow):
    """The main window: module panel on the left, views in the middle, status bar. It is not shown."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("qSlicerMainWindow")
        self.setWindowTitle("Test host for Slicer modules (not 3D Slicer)")
        self.views = QtWidgets.QWidget(self)
        self.setCentralWidget(self.views)
        self.panel = QtWidgets.QScrollArea(self)
        self.panel.setWidgetResizable(True)
        self.panel.setMinimumWidth(430)
        dock = QtWidgets.QDockWidget("Module", self)
        dock.setObjectName("PanelDockWidget")
        dock.setWidget(self.panel)
        self.addDockWidget(QtCore.Qt.DockWidgetArea.LeftDockWidgetArea, dock)
        self._selector = ModuleSelector(self.panel)
        self.statusBar()

    def moduleSelector(self) -> ModuleSelector:
        return self._selector


@STAND_INS.add
class qSlicerApplication(QtWidgets.QApplication):
    """The application. Its folders and settings are temporary ones."""

    startupCompleted = Signal()
    mrmlSceneChanged = Signal(object)

    def __init__(self) -> None:
        super().__init__(["Slicer"])
        self._folder = tempfile.TemporaryDirectory(prefix="slicer-test-host-")
        self._testing = False
        self._startup_environment = QtCore.QProcessEnvironment.systemEnvironment()
        self._mrml: MrmlApplication | None = None
        self._layout_manager: qSlicerLayoutManager | None = None
        self._io_manager = qSlicerIOManager()
        self._module_manager = qSlicerModuleManager()
        self.setOrganizationName("SlicerTestHost")
        self.setApplicationName("Slicer")
        self.setApplicationVersion(".".join(map(str, VERSION)))
        QtCore.QSettings.setDefaultFormat(QtCore.QSettings.Format.IniFormat)
        for scope in (QtCore.QSettings.Scope.UserScope, QtCore.QSettings.Scope.SystemScope):
            QtCore.QSettings.setPath(QtCore.QSettings.Format.IniFormat, scope, self._subfolder("settings"))

    def _subfolder(self, name: str) -> str:
        folder = Path(self._folder.name, name)
        folder.mkdir(parents=True, exist_ok=True)
        return str(folder)

    def _start(self, mrml: MrmlApplication, main_window: MainWindow) -> None:
        self._mrml = mrml
        self._layout_manager = qSlicerLayoutManager(mrml.layout_logic, main_window.views)
        self._layout_manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
        self.mrmlSceneChanged.emit(mrml.scene)

    def applicationLogic(self) -> Any:
        return self._mrml.application_logic

    def mrmlScene(self) -> Any:
        return self._mrml.scene

    def layoutManager(self) -> qSlicerLayoutManager:
        return self._layout_manager

    def moduleManager(self) -> qSlicerModuleManager:
        return self._module_manager

    def moduleLogic(self, name: str) -> Any:
        return self._mrml.application_logic.GetModuleLogic(name)

    def coreIOManager(self) -> qSlicerIOManager:
        return self._io_manager

    def ioManager(self) -> qSlicerIOManager:
        return self._io_manager

    def testingEnabled(self) -> bool:
        """False, so that message boxes are really made (and recorded by the host) as for a user."""
        return self._testing

    def settings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def userSettings(self) -> QtCore.QSettings:
        return QtCore.QSettings()

    def revisionUserSettings(self) -> QtCore.QSettings:
        path = os.path.join(self._subfolder("settings"), "revision.ini")
        return QtCore.QSettings(path, QtCore.QSettings.Format.IniFormat)

    def startupEnvironment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment(self._startup_environment)

    def environment(self) -> QtCore.QProcessEnvironment:
        return QtCore.QProcessEnvironment.systemEnvironment()

    def pauseRender(self) -> None:
        """Views render only when painted, so there is nothing to pause."""

    def resumeRender(self) -> None:
        """See pauseRender."""

    def moduleDocumentationUrl(self, module_name: str) -> str:
        return f"https://slicer.readthedocs.io/en/latest/user_guide/modules/{module_name.lower()}.html"

    def logUsageEvent(self, component: str, event: str) -> None:
        """Usage is logged nowhere."""

    temporaryPath = Property(str, lambda self: self._subfolder("temporary"))
    cachePath = Property(str, lambda self: self._subfolder("cache"))
    slicerHome = Property(str, lambda self: self._subfolder("home"))
    extensionsInstallPath = Property(str, lambda self: self._subfolder("extensions"))
    majorVersion = Property(int, lambda self: VERSION[0])
    minorVersion = Property(int, lambda self: VERSION[1])
    mainApplicationMajorVersion = Property(int, lambda self: VERSION[0])
    mainApplicationMinorVersion = Property(int, lambda self: VERSION[1])
    mainApplicationPatchVersion = Property(int, lambda self: VERSION[2])
    mainApplicationName = Property(str, lambda self: "Slicer")
    documentationBaseUrl = Property(str, lambda self: "https://slicer.readthedocs.io/en/latest/")
