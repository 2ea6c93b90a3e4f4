"""Starts a Python module with the extension's own packages before everything else on the path.

    PythonSlicer -m DiffuGTSSlicerLib.own_packages diffugts worker

Slicer's Python is started by a launcher that puts Slicer's own packages, and with them whatever other extensions have
installed there, before the path it was given. So the order is made right in the process itself, and for the processes
that it starts. Standard library only.
"""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Sequence

VARIABLE = "DIFFUGTS_PATH"
"""Names the folders that come first, separated as in PYTHONPATH."""


def put_first(folders: Sequence[str], path: Sequence[str]) -> list[str]:
    """The path with these folders before all others."""
    return [*folders, *(each for each in path if each and each not in folders)]


def main() -> None:
    """Set the path right and become the module that the first argument names."""
    folders = os.environ[VARIABLE].split(os.pathsep)
    sys.path[:] = put_first(folders, sys.path)
    os.environ["PYTHONPATH"] = os.pathsep.join(put_first(folders, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
