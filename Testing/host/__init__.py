"""A small stand-in for the 3D Slicer application, on which a scripted module runs unchanged in tests.

The scene, the logics and the displayable managers are the real ones, from the package slicer-core; the Qt side is
PySide6 with the manners of PythonQt. `start` boots it once per process. See README.md.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from host.application import MainWindow, qSlicerApplication
    from host.faults import Faults
    from host.message_boxes import Dialogs
    from host.modules import LoadableModule

_HERE = Path(__file__).parent
_OWN_MODULES = ("SegmentEditor", "SampleData")


@dataclass
class Host:
    """The running stand-in.

    Attributes:
        application: what `slicer.app` is.
        main_window: holds the module panel and the views; not shown.
        scene: what `slicer.mrmlScene` is.
        dialogs: the message boxes and file dialogs shown, and the answers prepared for them.
        faults: VTK errors and exceptions in callbacks.
    """

    application: qSlicerApplication
    main_window: MainWindow
    scene: Any
    dialogs: Dialogs
    faults: Faults

    def load_module(self, path: Path | str) -> LoadableModule:
        """Load a scripted module from its .py file; `slicer.modules` has it afterwards."""
        import slicer

        return slicer.modules._add_scripted_module(Path(path).resolve())

    def open_module(self, name: str) -> Any:
        """Select the module as the user does and return its Python widget, set up and entered."""
        import slicer

        slicer.util.selectModule(name)
        return slicer.util.getModuleWidget(name)

    def unload_widget(self, name: str) -> None:
        """Take the module's panel away as on quitting: it is left, then its `cleanup` is called."""
        import slicer

        module = slicer.util.getModule(name)
        selector = self.main_window.moduleSelector()
        if selector.selectedModule == name and selector.panel.widget() is not None:
            selector.panel.takeWidget().exit()
            selector.selectedModule = ""
        module._unload_widget()
        self.process_events()

    def process_events(self, milliseconds: int = 0) -> None:
        """Let the event loop run, at least for the time given."""
        from PySide6 import QtCore

        self.application.processEvents()
        # What Slicer's own event loop does at its next turn, and events processed outside of a loop leave undone.
        QtCore.QCoreApplication.sendPostedEvents(None, QtCore.QEvent.Type.DeferredDelete.value)
        if milliseconds:
            loop = QtCore.QEventLoop()
            QtCore.QTimer.singleShot(milliseconds, loop.quit)
            loop.exec()

    def wait_until(self, condition: Any, seconds: float = 10.0) -> None:
        """Let the event loop run until `condition()` is true.

        Raises:
            TimeoutError: it did not become true in time.
        """
        import time

        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"not true within {seconds} s: {condition}")
            self.process_events(10)

    def clear(self) -> None:
        """Close the scene and forget dialogs and faults, between tests."""
        self.scene.Clear(0)
        self.dialogs.clear()
        self.process_events()
        self.faults.clear()


_running: list[Host] = []


def start() -> Host:
    """Boot the stand-in, or return the one that runs: there is one application in a process."""
    if not _running:
        _running.append(_boot())
    return _running[0]


def _make_constants_immortal() -> None:
    """Keep Python alive where the binding gives back None, True or False once too often.

    PySide6 6.12 takes a reference from None at every call that returns nothing, and sometimes one from a truth value.
    Python 3.12 and later do not count them; 3.11 does, and ends the process when none is left, after some ten thousand
    calls.
    """
    if sys.version_info < (3, 12):
        for constant in (None, True, False):
            ctypes.c_ssize_t.from_address(id(constant)).value += 1 << 40


def _boot() -> Host:
    _make_constants_immortal()
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    slicer = _import_slicer_alone()
    for folder in (_HERE / "stand_ins", _HERE / "stand_ins" / "modules"):
        sys.path.insert(0, str(folder))
    from host.faults import Faults
    from host.message_boxes import DIALOGS

    faults = Faults()
    faults.watch()
    _remove_names_that_slicer_lacks(slicer)
    slicer.__path__.append(str(_HERE / "stand_ins" / "slicer_package"))
    importlib.import_module("qt")
    from host.application import MainWindow, qSlicerApplication
    from host.modules import Modules
    from host.mrml_application import start_mrml

    importlib.import_module("ctk")
    importlib.import_module("host.segmentation_widgets")
    application = qSlicerApplication()
    slicer.app = application
    slicer.modules = Modules()
    mrml = start_mrml(Path(application.temporaryPath))
    slicer.mrmlScene = mrml.scene
    for name, logic in mrml.module_logics.items():
        slicer.modules._add_cpp_module(name, logic)
    main_window = MainWindow()
    application._start(mrml, main_window)
    for name in _OWN_MODULES:
        slicer.modules._add_scripted_module(_HERE / "stand_ins" / "modules" / f"{name}.py")
    _publish_stand_ins(slicer)
    application.startupCompleted.emit()
    faults.clear()
    return Host(application, main_window, mrml.scene, DIALOGS, faults)


def _import_slicer_alone() -> Any:
    """Import the wheel's `slicer`, which would take in, and run, any folder named slicer on the path (as our tests')."""
    path = list(sys.path)
    sys.path[:] = [
        each for each in path if not Path(each, "slicer").is_dir() or Path(each, "slicer", "__init__.py").is_file()
    ]
    try:
        return importlib.import_module("slicer")
    finally:
        sys.path[:] = path


def _remove_names_that_slicer_lacks(slicer: Any) -> None:
    """The wheel copies the functions of slicer.util into `slicer`; in the application they are in slicer.util only."""
    for name, value in vars(slicer.util).items():
        if vars(slicer).get(name) is value and not name.startswith("_"):
            delattr(slicer, name)


def _publish_stand_ins(slicer: Any) -> None:
    from host.stand_in_classes import STAND_INS, explain_missing_class

    for name, cls in STAND_INS.named_like("qMRML", "qSlicer").items():
        setattr(slicer, name, cls)

    def missing(name: str) -> Any:
        raise explain_missing_class("slicer", name)

    slicer.__getattr__ = missing
