"""What must not happen unnoticed: errors that VTK only prints, and exceptions that Qt or VTK swallow in callbacks."""

from __future__ import annotations

import re
import sys
import traceback
from dataclasses import dataclass, field
from typing import Any

import vtk
from vtk.util.misc import calldata_type

# Errors that Slicer's libraries report in correct use, with the reason each is harmless.
HARMLESS = (
    # A slice node rotated to a volume plane is saved with this orientation, which is no preset of the new scene.
    re.compile(r"invalid orientation preset name: Reformat"),
    # Files of the Slicer application that are no part of the slicer-core wheel.
    re.compile(r"vtkMRMLColorTableNodeFileGenericColors\.txt can't be found"),
    re.compile(r"HomeDirectory is not set"),
    re.compile(r"(?s)vtkSlicerTerminologiesModuleLogic.*(Failed to load|cannot be|share directory)"),
)


class UnnoticedFaultError(AssertionError):
    """VTK reported an error, or a callback raised, that nothing else would have shown."""


@dataclass
class Faults:
    """The faults since the last `clear`.

    Attributes:
        vtk_errors: texts of VTK's error messages, the harmless ones left out.
        vtk_warnings: texts of VTK's warnings; they fail nothing.
        exceptions: tracebacks of exceptions that left a Qt slot or a VTK observer.
    """

    vtk_errors: list[str] = field(default_factory=list)
    vtk_warnings: list[str] = field(default_factory=list)
    exceptions: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Observe VTK's messages and Python's last resort for exceptions, for the rest of the process."""
        window = vtk.vtkOutputWindow()

        @calldata_type(vtk.VTK_STRING)
        def error(_window: Any, _event: str, text: str) -> None:
            if not any(each.search(text) for each in HARMLESS):
                self.vtk_errors.append(text.strip())

        @calldata_type(vtk.VTK_STRING)
        def warning(_window: Any, _event: str, text: str) -> None:
            self.vtk_warnings.append(text.strip())

        window.AddObserver("ErrorEvent", error)
        window.AddObserver("WarningEvent", warning)
        vtk.vtkOutputWindow.SetInstance(window)
        previous = sys.excepthook

        def excepthook(kind: Any, value: BaseException, trace: Any) -> None:
            self.exceptions.append("".join(traceback.format_exception(kind, value, trace)))
            previous(kind, value, trace)

        sys.excepthook = excepthook

    def clear(self) -> None:
        self.vtk_errors.clear()
        self.vtk_warnings.clear()
        self.exceptions.clear()

    def take_vtk_errors(self) -> list[str]:
        """The VTK errors so far, which no longer count: for tests that provoke them."""
        taken, self.vtk_errors = self.vtk_errors, []
        return taken

    def take_exceptions(self) -> list[str]:
        """The tracebacks so far, which no longer count: for tests that provoke them."""
        taken, self.exceptions = self.exceptions, []
        return taken

    def check(self) -> None:
        """Raise for what was collected, and forget it.

        Raises:
            UnnoticedFaultError: with every VTK error and traceback.
        """
        faults = [*self.vtk_errors, *self.exceptions]
        self.clear()
        if faults:
            raise UnnoticedFaultError("\n\n".join(faults))
