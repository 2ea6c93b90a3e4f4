"""The worker's environment as the panel sees it: what is there, whether it works, and changing it.

    environment = Environment()
    environment.listeners.append(show)        # called after every change, on the main thread
    ok, line = environment.readiness()
    process = WorkerProcess(environment.worker_command())

Everything that takes time is a program in the background (`package_install`, `worker_check`), driven by a timer.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import slicer
from slicer.i18n import tr as _

from diffugts.errors import InstallationError
from DiffuGTSSlicerLib.background_program import BackgroundProgram
from DiffuGTSSlicerLib.device_options import DeviceOption, best_device_in_words, device_options
from DiffuGTSSlicerLib.model_folders import ModelOption, models_in
from DiffuGTSSlicerLib.other_machine import OtherMachine
from DiffuGTSSlicerLib.package_folder import InstallPlan, PackageFolder, lists_sha256
from DiffuGTSSlicerLib.package_install import SWAP
from DiffuGTSSlicerLib.process_tree import exit_in_words
from DiffuGTSSlicerLib.setup_activity import CHECK, DISCARD, INSTALL, REMOVE, RESUME, Activity
from DiffuGTSSlicerLib.setup_faults import Fault, SetupFault
from DiffuGTSSlicerLib.setup_sentences import sentence_of, size_in_words
from DiffuGTSSlicerLib.setup_settings import OTHER_PYTHON, OWN_FOLDER, SetupSettings
from DiffuGTSSlicerLib.slicer_python import default_parent_folder, slicer_python
from DiffuGTSSlicerLib.ticker import Ticker
from DiffuGTSSlicerLib.torch_builds import chosen_build
from DiffuGTSSlicerLib.worker_check import DOCTOR_ARGUMENTS, CheckReport, WorkerCheck
from DiffuGTSSlicerLib.worker_command import WorkerCommand

VARIABLE = "DIFFUGTS_WORKER_PYTHON"
"""Names the worker's Python where the user has chosen nothing yet: for tests and developers."""

LIBRARY_FOLDER = Path(__file__).resolve().parents[1]
PACKAGE_LISTS = LIBRARY_FOLDER / "Resources" / "WorkerPackages"
LOG_LINES = 2000


class Environment:
    """See the module's text.

    Args:
        engine_folder: the folder that the package `diffugts` lies in.
        own_python: Slicer's own Python; looked for where left out.
        package_lists: the folder with requirements.txt and constraints.txt.
        check: arguments of the Python that checks newly installed packages.
    """

    def __init__(
        self,
        engine_folder: Path = LIBRARY_FOLDER,
        own_python: Path | None = None,
        package_lists: Path = PACKAGE_LISTS,
        check: tuple[str, ...] = DOCTOR_ARGUMENTS,
    ) -> None:
        self.settings = SetupSettings()
        self.other_machine = OtherMachine(own_python)
        self.listeners: list[Callable[[], None]] = []
        self.before_change: list[Callable[[], None]] = []
        """Called before packages in use are replaced or taken away: a worker that uses them has to end now."""
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.activity: Activity | None = None
        self.fault: SetupFault | None = None
        self._engine_folder, self._own_python = engine_folder, own_python
        self._package_lists, self._check_arguments = package_lists, check
        self._running: BackgroundProgram | WorkerCheck | None = None
        self._outcome: Mapping[str, Any] | None = None
        self._changed = False
        self._ticker = Ticker(self.tick)
        self.other_machine.listeners.append(self._notify)

    # -- what is there -----------------------------------------------------------------------------------------------

    @property
    def folder(self) -> PackageFolder:
        """The extension's own package folder, there or not."""
        chosen = self.settings.parent_folder
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return PackageFolder(Path(chosen) if chosen else default_parent_folder(), version)

    @property
    def other_python(self) -> Path | None:
        """The Python that the user, or a developer's variable, named instead of the own folder."""
        if self.settings.python_source == OTHER_PYTHON:
            return Path(self.settings.other_python) if self.settings.other_python else None
        named = os.environ.get(VARIABLE, "")
        return Path(named) if named and not self.settings.python_source else None

    @property
    def uses_own_folder(self) -> bool:
        """Whether the packages shall lie in the extension's own folder."""
        source = self.settings.python_source
        return source == OWN_FOLDER or (not source and not os.environ.get(VARIABLE))

    def worker_command(self) -> WorkerCommand:
        """How the worker is started. Raises InstallationError with a sentence where nothing usable is set up."""
        if self.uses_own_folder:
            if self.folder.record is None:
                raise InstallationError(self._why_not_set_up())
            return WorkerCommand(
                self._python(), self._engine_folder, os.environ, self.folder.packages, keep_python_variables=True
            )
        python = self.other_python
        if python is None:
            raise InstallationError(_("No Python is chosen. Choose one in Setup, or the extension's own folder."))
        if not python.is_file():
            raise InstallationError(
                _("The Python '{python}' is no longer there. Choose another one in Setup.").format(python=python)
            )
        return WorkerCommand(python, self._engine_folder, slicer.util.startupEnvironment())

    @property
    def report(self) -> CheckReport | None:
        """The last check of what is chosen now; None where it was never checked."""
        facts = self.settings.last_check_of(self._identity())
        record = self.folder.record if self.uses_own_folder else None
        if facts is None and record is not None and record.lists == lists_sha256(self.plan()):
            facts = record.report
        try:
            return CheckReport.of(facts) if facts else None
        except ValueError:
            return None  # of an earlier version of the extension: as good as none

    def readiness(self) -> tuple[bool, str]:
        """Whether jobs can be run, and one line on it for the section's title."""
        ready, line = self._state()
        return ready, self.activity.in_words if self.activity else line

    @property
    def progress(self) -> float | None:
        """How much of what is being done is done, 0 to 1; None where it cannot be told."""
        build = chosen_build(self.settings.torch_build, self.settings.torch_index)
        return self.activity.share(build.download_bytes) if self.activity is not None else None

    def devices(self) -> tuple[DeviceOption, ...]:
        """What can be chosen to compute on, "auto" first, another machine last."""
        return *device_options(self.report), *self.other_machine.devices()

    def models(self) -> tuple[ModelOption, ...]:
        """The models that can be chosen, the shipped ones first."""
        lines = self.report.about("model") if self.report else []
        checksums = {line.facts["folder"]: line.facts["weights_sha256"] for line in lines if "folder" in line.facts}
        further = self.settings.models_folder
        return models_in(self._engine_folder, Path(further) if further else None, checksums)

    def _state(self) -> tuple[bool, str]:
        try:
            self.worker_command()
        except InstallationError as error:
            return False, str(error)
        if not self.models():
            return False, _("No model is found. Reinstall the extension, or choose a folder with models.")
        report = self.report
        if report is None:
            if self.fault is not None:
                return False, sentence_of(self.fault)
            return True, _("Not checked yet: press Check to see whether it works")
        if not report.works:
            return False, sentence_of(SetupFault(Fault.BROKEN, problems=self._problems(report)))
        names = ", ".join(dict.fromkeys(model.name for model in self.models()))
        model = _("{name} model").format(name=names)
        return True, _("Ready: {parts}").format(
            parts=" · ".join([model, best_device_in_words(report), self._packages_in_words(report)])
        )

    def _packages_in_words(self, report: CheckReport) -> str:
        record = self.folder.record if self.uses_own_folder else None
        if record is not None:
            return _("{size} of packages").format(size=size_in_words(record.size_bytes))
        version = next((line.facts.get("version", "") for line in report.about("program")[1:]), "")
        return _("Python {version} of your choice").format(version=version)

    def _why_not_set_up(self) -> str:
        if self.folder.interrupted is not None:
            return _(
                "The installation was interrupted. Nothing that was fetched is lost, and nothing more is fetched until you "
                "press Resume in Setup, which goes on where it was."
            )
        return _("The packages that DiffuGTS needs are not installed yet. Press Install in Setup; this is needed once.")

    def _python(self) -> Path:
        python = self._own_python or slicer_python()
        if python is None:
            raise InstallationError(
                _(
                    "Slicer's own Python (PythonSlicer) was not found beside Slicer. Reinstall Slicer, or choose another Python."
                )
            )
        return python

    def _identity(self) -> str:
        if self.uses_own_folder:
            record = self.folder.record
            return f"{self.folder.path} {record.made_at if record else 0} {lists_sha256(self.plan())}"
        return f"{self.other_python} {lists_sha256(self.plan())}"

    def _what_was_begun(self) -> str:
        """Which installation lies unfinished in the folder, by what was agreed to; empty where none does."""
        record = self.folder.interrupted
        try:
            unchanged = record is not None and record.lists == lists_sha256(record.plan)
        except OSError:
            return ""  # the extension has been moved or removed
        return f"{self.folder.partial} {asdict(record.plan)} {record.lists}" if record and unchanged else ""

    @staticmethod
    def _problems(report: CheckReport) -> list[str]:
        return [f"{line.name}: {line.found}" for line in report.problems]

    # -- changing it -------------------------------------------------------------------------------------------------

    def plan(self) -> InstallPlan:
        """What an installation would do, by the settings."""
        offline = self.settings.package_source == "wheels"
        build = chosen_build(self.settings.torch_build, self.settings.torch_index)
        return InstallPlan(
            requirements=str(self._package_lists / "requirements.txt"),
            constraints=str(self._package_lists / "constraints.txt"),
            engine_folder=str(self._engine_folder),
            torch_index=self.settings.torch_index if build.needs_address and not offline else "",
            wheels=self.settings.wheels_folder if offline else "",
            needed_bytes=0 if offline else int(build.download_bytes + build.disk_bytes),
            check=self._check_arguments,
        )

    def install(self) -> None:
        """Install afresh by the plan, beside what may be in use until the new packages have proven themselves."""
        self._run_program(INSTALL, json.dumps(asdict(self.plan())))

    def resume(self) -> None:
        """Go on with an installation that was interrupted, as it was planned then."""
        self._run_program(RESUME)

    def go_on_after_restart(self) -> bool:
        """Resume the installation that was under way when Slicer, or the module, was closed; whether there is one.

        Only what the user had agreed to and did not stop, and only if it is the same still: its folder, its plan, its
        lists of packages. It is tried once: what ends by a crash or a fault meanwhile waits for the user.
        """
        agreed, self.settings.goes_on = self.settings.goes_on, ""
        if not agreed or self.activity is not None or not self.uses_own_folder or agreed != self._what_was_begun():
            return False
        self._run_program(RESUME)
        if self.activity is not None:
            self.activity = replace(self.activity, by_itself=True)
            self._notify()
        return True

    def discard(self) -> None:
        """Delete what an interrupted installation left."""
        self._run_program(DISCARD)

    def remove(self) -> None:
        """Delete the extension's own packages."""
        self._release()
        self._run_program(REMOVE)

    def check(self) -> None:
        """Try every package and device in the worker's own Python."""
        if self.activity is not None:
            return
        self.fault = None
        try:
            command = self.worker_command()
        except InstallationError:
            return self._notify()
        further = ("--models", self.settings.models_folder) if self.settings.models_folder else ()
        check = WorkerCheck(
            command, self._checked, self._failed, self._log, arguments=(*self._check_arguments, *further)
        )
        self._begin(CHECK, check)

    def check_if_unknown(self) -> None:
        """Check what was never checked; nothing else."""
        if self.report is None and self.fault is None and self._state()[0]:
            self.check()

    def choose(self, **settings: str) -> None:
        """Change settings by name (see SetupSettings) and tell the listeners."""
        for name, value in settings.items():
            setattr(self.settings, name, value)
        self.fault = None
        self._notify()

    def cancel(self) -> None:
        """Stop what is being done; an installation can be resumed."""
        if self._running is not None and self.activity is not None and not self.activity.stopping:
            self.activity = replace(self.activity, stopping=True)
            self._running.stop()
            self._notify()

    def close(self) -> None:
        """End what runs, at once: Slicer, or the module, ends. An installation goes on when the module is opened again."""
        self._ticker.stop()
        if self._running is not None:
            self._running.kill()
            if self.activity is not None and self.activity.installs and not self.activity.stopping:
                self.settings.goes_on = self._what_was_begun()
        self._running = self.activity = None

    def tick(self) -> None:
        """Hand on news of the program that runs. Called by the timer."""
        if self._running is not None:
            self._running.drain()
        if self._changed:
            self._notify()

    def _run_program(self, task: str, *arguments: str) -> None:
        if self.activity is not None:
            return
        self.fault = self._outcome = None
        parent = self.folder.path.parent
        try:
            python = self._python()
        except InstallationError as error:
            return self._failed(SetupFault(Fault.NO_PYTHON, python="PythonSlicer", line=str(error)))
        line = ("-m", "DiffuGTSSlicerLib.package_install", task, str(parent), *arguments)
        command = WorkerCommand(python, LIBRARY_FOLDER, os.environ, keep_python_variables=True, arguments=line)
        self._begin(
            task, BackgroundProgram(command.line, command.environment(), self._heard, self._log, self._program_ended)
        )

    def _begin(self, task: str, running: BackgroundProgram | WorkerCheck) -> None:
        self.activity, self._running = Activity(task), running
        try:
            running.start()
        except (OSError, ValueError) as error:
            return self._failed(SetupFault(Fault.NO_PYTHON, python=str(self._python()), line=str(error)))
        if self._running is not None:
            self._ticker.start()
        self._notify()

    def _heard(self, line: str) -> None:
        try:
            event = json.loads(line)
            name = event["event"]
        except (ValueError, KeyError, TypeError):
            return self._log(line)
        if self.activity is None:
            return
        if name == "step":
            self.activity = replace(self.activity, step=event["step"], bytes=0)
            self._log(f"= {event['step']}")
            if event["step"] == SWAP:
                self._release()
        elif name == "bytes":
            self.activity = replace(self.activity, bytes=event["bytes"])
        else:
            self._outcome = event
        self._changed = True

    def _program_ended(self, code: int) -> None:
        outcome, stopped = self._outcome, self.activity is not None and self.activity.stopping
        if outcome is not None and outcome["event"] == "failed":
            return self._failed(SetupFault(Fault(outcome["fault"]), **outcome["facts"]))
        if outcome is None and not stopped:
            return self._failed(SetupFault(Fault.KILLED, line=exit_in_words(code)))
        if outcome is not None and self.activity is not None and self.activity.installs:
            self.settings.python_source = OWN_FOLDER
            self.settings.forget_check()  # the installation's own check holds from here
        self._ended()

    def _checked(self, report: CheckReport, facts: Mapping[str, Any]) -> None:
        self.settings.remember_check(self._identity(), facts)
        self._ended()

    def _failed(self, fault: SetupFault) -> None:
        stopped = self.activity is not None and self.activity.stopping
        if not stopped:
            self.fault = fault
            logging.warning("DiffuGTS setup: %s", sentence_of(fault))
            if self.activity is not None and self.activity.task == CHECK:
                self.settings.forget_check()
        self._ended()

    def _ended(self) -> None:
        self._ticker.stop()
        self._running = self.activity = None
        self._notify()

    def _log(self, line: str) -> None:
        self.log.append(line)
        self._changed = True

    def _release(self) -> None:
        for told in list(self.before_change):
            told()

    def _notify(self) -> None:
        self._changed = False
        for listener in list(self.listeners):
            listener()
