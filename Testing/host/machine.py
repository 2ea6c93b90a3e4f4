"""Whether this machine can run the host: its packages, and the system's libraries that these need to draw.

Standard library only, for it is asked before anything else of the host is imported.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys

_PACKAGES = {"slicer_core": "slicer-core", "PySide6": "PySide6-Essentials", "vtkmodules": "vtk"}

# Drawing is tried in a process of its own, because VTK ends the process that has no OpenGL at all.
_DRAW = """
from PySide6 import QtUiTools, QtWidgets
from vtkmodules import vtkRenderingOpenGL2
from vtkmodules.vtkRenderingCore import vtkRenderWindow
application = QtWidgets.QApplication([])
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.Render()
assert window.SupportsOpenGL(), "VTK finds no OpenGL 3.2"
"""


@functools.cache
def reason_not_to_run() -> str:
    """Why the host cannot run here, in one line; empty when it can. Takes half a second the first time."""
    missing = [package for module, package in _PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        return f"needs the packages {', '.join(missing)} (Testing/host/README.md)"
    environment = {"QT_QPA_PLATFORM": "offscreen"} | os.environ
    tried = subprocess.run([sys.executable, "-c", _DRAW], env=environment, capture_output=True, text=True, timeout=120)
    if tried.returncode == 0:
        return ""
    last_line = (tried.stderr.strip().splitlines() or [""])[-1]
    if tried.returncode < 0:
        last_line = "VTK found no OpenGL, neither of EGL nor of OSMesa nor of a screen"
    return f"needs system libraries to draw off-screen (Testing/host/README.md): {last_line}"
