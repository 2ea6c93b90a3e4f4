"""Does a Python work as the worker's? Asks the Python for its version, then the engine's doctor in it.

What the doctor says is kept as a `CheckReport`: packages with versions, devices that were tried, models with checksums.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from DiffuGTSSlicerLib.background_program import BackgroundProgram
from DiffuGTSSlicerLib.package_install import SUPPORTED
from DiffuGTSSlicerLib.process_tree import exit_in_words
from DiffuGTSSlicerLib.setup_faults import Fault, SetupFault
from DiffuGTSSlicerLib.worker_command import WorkerCommand

VERSION_ARGUMENTS = ("-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])")
DOCTOR_ARGUMENTS = ("-m", "diffugts", "doctor", "--json")
OK, WARNING, PROBLEM = "ok", "warning", "problem"


@dataclass(frozen=True)
class Found:
    """One line of the doctor's report; `facts` are the parts of `found` by name."""

    topic: str
    name: str
    state: str
    found: str
    advice: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckReport:
    """What a check found. `works` is whether jobs can be run."""

    works: bool
    lines: tuple[Found, ...]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> CheckReport:
        """The report in what the doctor printed. Raises ValueError where it is none."""
        try:
            return cls(bool(facts["works"]), tuple(Found(**line) for line in facts["checks"]))
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a report of the doctor: {error}") from error

    def about(self, topic: str) -> list[Found]:
        """The lines about "program", "package", "device", "model" or "resources"."""
        return [line for line in self.lines if line.topic == topic]

    @property
    def problems(self) -> list[Found]:
        """What keeps jobs from being run."""
        return [line for line in self.lines if line.state == PROBLEM]


class WorkerCheck:
    """One check, from `start` to one call of `on_report` or of `on_fault`. `drain` is called by a timer meanwhile.

    Args:
        command: the Python to check, as it would be started for the worker.
        arguments: of the Python, for the report.
    """

    def __init__(
        self,
        command: WorkerCommand,
        on_report: Callable[[CheckReport, Mapping[str, Any]], None],
        on_fault: Callable[[SetupFault], None],
        on_log: Callable[[str], None],
        arguments: tuple[str, ...] = DOCTOR_ARGUMENTS,
    ) -> None:
        self._command, self._on_report, self._on_fault, self._on_log = command, on_report, on_fault, on_log
        self._arguments = arguments
        self._output: list[str] = []
        self._errors: list[str] = []
        self._program: BackgroundProgram | None = None

    def start(self) -> None:
        """Begin with the version."""
        self._run(VERSION_ARGUMENTS, self._version_told)

    def drain(self) -> None:
        """Hand on what has come. Main thread; takes milliseconds."""
        if self._program is not None:
            self._program.drain()

    def stop(self) -> None:
        """Ask it to end; `on_fault` is told."""
        if self._program is not None:
            self._program.stop()

    def kill(self) -> None:
        """End it now, and tell nobody."""
        if self._program is not None:
            self._program.kill()

    def _run(self, arguments: tuple[str, ...], on_end: Callable[[int], None]) -> None:
        command = replace(self._command, arguments=arguments)
        self._output, self._errors = [], []
        self._on_log("> " + " ".join(map(str, command.line)))
        program = BackgroundProgram(command.line, command.environment(), self._output.append, self._error, on_end)
        try:
            program.start()
        except (OSError, ValueError) as error:
            self._on_fault(SetupFault(Fault.NO_PYTHON, python=str(command.python), line=str(error)))
            return
        self._program = program

    def _error(self, line: str) -> None:
        self._errors.append(line)
        self._on_log(line)

    def _version_told(self, code: int) -> None:
        python = str(self._command.python)
        version = re.fullmatch(r"(\d+)\.(\d+)\.\d+", "".join(self._output).strip())
        if code != 0 or version is None:
            last = (self._errors or self._output or [exit_in_words(code)])[-1]
            self._on_fault(SetupFault(Fault.NO_PYTHON, python=python, line=last))
        elif not SUPPORTED[0] <= (int(version[1]), int(version[2])) <= SUPPORTED[1]:
            self._on_fault(SetupFault(Fault.PYTHON_VERSION, version=version.group(), python=python))
        else:
            self._run(self._arguments, self._doctor_told)

    def _doctor_told(self, code: int) -> None:
        try:
            facts = json.loads("\n".join(self._output))
            report = CheckReport.of(facts)
        except ValueError:
            self._on_fault(self._fault_without_report(code))
        else:
            self._on_report(report, facts)

    def _fault_without_report(self, code: int) -> SetupFault:
        missing = re.search(r"No module named '?([\w.]+)'?", "\n".join(self._errors[-20:]))
        if missing:
            return SetupFault(Fault.NO_MODULE, python=str(self._command.python), package=missing[1].split(".")[0])
        return SetupFault(Fault.BROKEN, problems=[(self._errors or [exit_in_words(code)])[-1]])
