"""How the worker is started: which Python, with which environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from DiffuGTSSlicerLib.own_packages import VARIABLE as PATH_VARIABLE

LIBRARY_FOLDER = Path(__file__).resolve().parents[1]
WORKER_ARGUMENTS = ("-m", "diffugts", "worker")

FOREIGN_VARIABLES = ("PYTHONHOME", "PYTHONSTARTUP", "PYTHONPATH", "PYTHONEXECUTABLE", "__PYVENV_LAUNCHER__")
"""What another Python installation would leave for ours to trip over."""


@dataclass(frozen=True)
class WorkerCommand:
    """The worker's Python and what it is told.

    Args:
        python: the interpreter: Slicer's own (`PythonSlicer`) or an external one.
        engine_folder: the folder that the package `diffugts` lies in.
        base_environment: Slicer's own environment for Slicer's own Python; `slicer.util.startupEnvironment()` for an
            external one, so that it does not load Slicer's libraries.
        packages_folder: the extension's own package folder, first on the path; None where `python` brings its own.
        keep_python_variables: whether `python` is Slicer's own and needs the variables Slicer starts it with.
    """

    python: Path
    engine_folder: Path
    base_environment: Mapping[str, str]
    packages_folder: Path | None = None
    keep_python_variables: bool = False
    arguments: tuple[str, ...] = WORKER_ARGUMENTS

    @property
    def line(self) -> list[str]:
        """The command as a list of arguments; a module is started by `own_packages` where the packages are our own."""
        if self.packages_folder is not None and self.arguments[0] == "-m":
            return [str(self.python), "-m", "DiffuGTSSlicerLib.own_packages", *self.arguments[1:]]
        return [str(self.python), *self.arguments]

    def environment(self) -> dict[str, str]:
        """The worker's environment: UTF-8, unbuffered, nothing from the user's site-packages."""
        environment = dict(self.base_environment)
        inherited = environment.get("PYTHONPATH", "") if self.keep_python_variables else ""
        if not self.keep_python_variables:
            for name in FOREIGN_VARIABLES:
                environment.pop(name, None)
        first = [self.packages_folder, self.engine_folder]
        folders = [*first, LIBRARY_FOLDER if self.packages_folder else None, inherited]
        environment["PYTHONPATH"] = _joined(folders)
        environment[PATH_VARIABLE] = _joined(first)
        environment["PYTHONUTF8"] = environment["PYTHONUNBUFFERED"] = environment["PYTHONNOUSERSITE"] = "1"
        return environment


def _joined(folders: Iterable[Path | str | None]) -> str:
    return os.pathsep.join(dict.fromkeys(str(folder) for folder in folders if folder))
