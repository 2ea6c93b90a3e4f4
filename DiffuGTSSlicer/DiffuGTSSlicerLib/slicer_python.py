"""Slicer's own Python, and where on this computer packages of an extension can lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import qt
import slicer


def slicer_python() -> Path | None:
    """The program that runs Slicer's Python without Slicer (PythonSlicer); None where it is not found."""
    name = "PythonSlicer.exe" if os.name == "nt" else "PythonSlicer"
    beside = Path(slicer.app.slicerHome, "bin", name)
    if beside.is_file():
        return beside
    found = shutil.which("PythonSlicer")
    return Path(found) if found else None


def default_parent_folder() -> Path:
    """Where the extension's package folder lies unless the user chose another place.

    A folder of this computer's user, outside of Slicer's own folders, so that a new Slicer finds it again; on Windows
    the local one (a roaming profile would be copied over the network) and a short one (paths are limited there).
    """
    place = qt.QStandardPaths.writableLocation(qt.QStandardPaths.GenericDataLocation)
    return Path(place) if place else Path.home()
