"""The program that installs the packages, or takes them away, as a process of its own.

    PythonSlicer -m DiffuGTSSlicerLib.package_install install PARENT PLAN
    PythonSlicer -m DiffuGTSSlicerLib.package_install resume  PARENT
    PythonSlicer -m DiffuGTSSlicerLib.package_install remove  PARENT
    PythonSlicer -m DiffuGTSSlicerLib.package_install discard PARENT

PLAN is an InstallPlan as JSON. On standard output come lines of JSON: steps, bytes, and at the end "done" or "failed";
on standard error what pip says. The program ends when its standard input does, so that it never outlives Slicer.

Whatever ends it, the folder in use is whole: everything is made in a folder beside it, step by step with a record of
what is done, checked there, and moved into place at the end. Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

from DiffuGTSSlicerLib.package_folder import (
    InstallPlan,
    PackageFolder,
    PackageRecord,
    delete_marked,
    folder_bytes,
    lists_sha256,
    packages_in,
    read_marker,
    write_marker,
)
from DiffuGTSSlicerLib.pip_run import (
    PipRun,
    download_others,
    download_torch,
    pip_environment,
    torch_pin,
    torch_requirement,
    unpack,
)
from DiffuGTSSlicerLib.setup_faults import Fault, SetupFault, fault_of_system

PREPARE, TORCH, OTHERS, UNPACK, CHECK, SWAP = "prepare", "torch", "others", "unpack", "check", "swap"
SUPPORTED = ((3, 10), (3, 13))
UNPACKED_PER_WHEEL = 4.5
"""Unpacked and compiled packages take about this many times what their wheels do (measured: 4.0)."""

RENAME_PATIENCE_S = 15.0
CHECK_PATIENCE_S = 600.0
CANCELLED = 130

Say = Callable[..., None]


class Installation:
    """The steps of one installation into a folder, each done once.

    Args:
        folder: where the packages shall lie in the end.
        tell: is given each event's name and its fields.
        log: is given each line of text.
    """

    def __init__(self, folder: PackageFolder, tell: Say, log: Callable[[str], None]) -> None:
        self._folder, self._tell, self._log = folder, tell, log
        self._partial = folder.partial
        self._temporary, self._pins = folder.partial / "tmp", folder.partial / "torch-pin.txt"
        self.pip = PipRun(log)

    def begin(self, plan: InstallPlan) -> None:
        """Start afresh: what an earlier one left is deleted. Raises SetupFault."""
        self._tell("step", step=PREPARE)
        require_python()
        if self._partial.exists() or self._partial.is_symlink():
            delete_marked(self._partial)
        if self._folder.path.exists() and read_marker(self._folder.path) is None:
            raise SetupFault(Fault.NOT_OURS, folder=str(self._folder.path))
        try:
            self._partial.mkdir(parents=True)
            write_marker(self._partial, PackageRecord(self._folder.python, plan, lists_sha256(plan)))
        except OSError as error:
            raise fault_of_system(error, self._folder.path.parent) from error

    def go_on(self) -> PackageRecord:
        """Do all steps that are not done yet, and return the record of the folder now in use. Raises SetupFault."""
        record = read_marker(self._partial)
        if record is None:
            raise SetupFault(Fault.NOT_OURS, folder=str(self._partial))
        require_python()
        steps = (self._prepare, self._fetch_torch, self._fetch_others, self._unpack, self._check, self._swap)
        for name, step in zip((PREPARE, TORCH, OTHERS, UNPACK, CHECK, SWAP), steps):
            if name in record.steps:
                continue
            self._tell("step", step=name)
            try:
                record = step(record)
            except OSError as error:
                raise fault_of_system(error, self._folder.path.parent) from error
        return record

    def _done(self, record: PackageRecord) -> PackageRecord:
        write_marker(self._partial, record)
        return record

    def _wheels(self, plan: InstallPlan) -> Path:
        return Path(plan.wheels) if plan.wheels else self._partial / "wheels"

    def _prepare(self, record: PackageRecord) -> PackageRecord:
        shutil.rmtree(self._temporary, ignore_errors=True)
        self._temporary.mkdir()
        self.pip(["--version"], pip_environment(self._temporary, network=False))
        plan = record.plan
        if plan.wheels:
            found = list(Path(plan.wheels).glob("*.whl"))
            if not found:
                raise SetupFault(Fault.NO_WHEELS, folder=plan.wheels)
            require_space(self._partial, int(UNPACKED_PER_WHEEL * sum(path.stat().st_size for path in found)))
        else:
            require_space(self._partial, plan.needed_bytes - folder_bytes(self._partial))
            (self._partial / "wheels").mkdir(exist_ok=True)
        return self._done(record.after(PREPARE))

    def _fetch_torch(self, record: PackageRecord) -> PackageRecord:
        torch = torch_requirement(record.plan)
        if torch and not record.plan.wheels:
            self._download(download_torch(record.plan, torch, self._wheels(record.plan)))
        return self._done(record.after(TORCH))

    def _fetch_others(self, record: PackageRecord) -> PackageRecord:
        wheels = self._wheels(record.plan)
        self._pins.write_text(torch_pin(wheels), encoding="utf-8")
        if not record.plan.wheels:
            self._download(download_others(record.plan, wheels, self._pins))
        return self._done(record.after(OTHERS))

    def _download(self, arguments: list[str]) -> None:
        folders = (self._temporary, self._partial / "wheels")
        self.pip.watched(arguments, pip_environment(self._temporary, network=True), folders, self._tell_bytes)

    def _unpack(self, record: PackageRecord) -> PackageRecord:
        target, wheels = packages_in(self._partial), self._wheels(record.plan)
        shutil.rmtree(target, ignore_errors=True)  # half of it may lie there from the last time
        size = sum(path.stat().st_size for path in wheels.glob("*.whl"))
        require_space(self._partial, int(UNPACKED_PER_WHEEL * size))
        environment = pip_environment(self._temporary, network=False)
        folders = (self._temporary, target)
        self.pip.watched(unpack(record.plan, wheels, target, self._pins), environment, folders, self._tell_bytes)
        return self._done(record.after(UNPACK))

    def _check(self, record: PackageRecord) -> PackageRecord:
        report = checked(record.plan, packages_in(self._partial), self._log)
        shutil.rmtree(self._temporary, ignore_errors=True)
        shutil.rmtree(self._partial / "wheels", ignore_errors=True)
        size = folder_bytes(self._partial)
        return self._done(record.after(CHECK, size_bytes=size, report=report, made_at=time.time()))

    def _swap(self, record: PackageRecord) -> PackageRecord:
        clear_outgoing(self._folder)
        record = self._done(record.after(SWAP))
        had_one = self._folder.path.exists()
        try:
            if had_one:
                rename_patiently(self._folder.path, self._folder.outgoing)
            rename_patiently(self._partial, self._folder.path)
        except SetupFault:
            write_marker(self._partial, replace(record, steps=record.steps[:-1]))  # resuming takes this step up again
            if had_one and not self._folder.path.exists():
                os.replace(self._folder.outgoing, self._folder.path)
            raise
        clear_outgoing(self._folder)
        return record

    def _tell_bytes(self, size: int) -> None:
        self._tell("bytes", bytes=size)


def remove(folder: PackageFolder, tell: Say) -> int:
    """Take the folder in use away, and what lies beside it of ours; returns the bytes that are free now."""
    tell("step", step="remove")
    freed = 0
    clear_outgoing(folder)
    if folder.path.exists() or folder.path.is_symlink():
        if folder.path.is_symlink() or read_marker(folder.path) is None:
            raise SetupFault(Fault.NOT_OURS, folder=str(folder.path))
        freed += folder_bytes(folder.path)
        rename_patiently(folder.path, folder.outgoing)  # from here on nobody takes half of it for a whole
        delete_marked(folder.outgoing)
    return freed + discard(folder, tell)


def discard(folder: PackageFolder, tell: Say) -> int:
    """Take away what an interrupted installation left; returns the bytes that are free now."""
    tell("step", step="discard")
    freed = folder_bytes(folder.partial) if folder.interrupted else 0
    if folder.partial.exists():
        delete_marked(folder.partial)
    return freed


def clear_outgoing(folder: PackageFolder) -> None:
    """Finish a deletion that was interrupted."""
    if folder.outgoing.exists() or folder.outgoing.is_symlink():
        delete_marked(folder.outgoing)


def require_python() -> None:
    """Raise SetupFault where this Python is none the packages are made for."""
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        raise SetupFault(Fault.PYTHON_VERSION, version=f"{sys.version_info[0]}.{sys.version_info[1]}")


def require_space(folder: Path, needed: int) -> None:
    """Raise SetupFault where fewer than `needed` bytes are free on the folder's disk."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SetupFault(Fault.DISK_FULL, folder=str(folder), needed=needed, free=free)


def rename_patiently(old: Path, new: Path) -> None:
    """Rename a folder; on Windows the worker, or a virus scanner, may hold it for some seconds. Raises SetupFault."""
    ends = time.monotonic() + (RENAME_PATIENCE_S if os.name == "nt" else 0.0)
    while True:
        try:
            return os.rename(old, new)
        except OSError as error:
            if time.monotonic() >= ends:
                raise SetupFault(Fault.IN_USE, folder=str(old), line=error.strerror or str(error)) from error
            time.sleep(0.5)


def only_one(folder: PackageFolder) -> IO[str]:
    """Hold the folder against a second installation, of another Slicer. Raises SetupFault where one is under way."""
    # In the name also whose it is: another user's lock could not be opened.
    name = hashlib.sha256(f"{Path.home()} {folder.path}".encode()).hexdigest()[:16]
    lock = open(Path(tempfile.gettempdir(), f"diffugts-packages-{name}.lock"), "a", encoding="utf-8")  # noqa: SIM115
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        lock.close()
        raise SetupFault(Fault.BUSY, folder=str(folder.path)) from error
    return lock


def checked(plan: InstallPlan, packages: Path, log: Callable[[str], None]) -> dict:
    """The report of the check with these packages first on the path. Raises SetupFault where they do not work."""
    path = os.pathsep.join(filter(None, (str(packages), plan.engine_folder, os.environ.get("PYTHONPATH", ""))))
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONUTF8": "1", "PYTHONNOUSERSITE": "1"}
    hidden = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}  # type: ignore[attr-defined]
    line = [sys.executable, *plan.check]
    try:
        done = subprocess.run(
            line, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=CHECK_PATIENCE_S, **hidden
        )
    except subprocess.TimeoutExpired as error:
        raise SetupFault(Fault.BROKEN, problems=[f"no answer within {CHECK_PATIENCE_S:.0f} s"]) from error
    errors = done.stderr.decode("utf-8", "replace").strip()
    if errors:
        log(errors)
    try:
        report = json.loads(done.stdout)
        problems = [f"{each['name']}: {each['found']}" for each in report["checks"] if each["state"] == "problem"]
    except (ValueError, KeyError, TypeError) as error:
        raise SetupFault(
            Fault.BROKEN, problems=[(errors or f"exit code {done.returncode}").splitlines()[-1]]
        ) from error
    if problems or not report["works"]:
        raise SetupFault(Fault.BROKEN, problems=problems)
    return report


def main(arguments: list[str]) -> int:
    """Carry out one task; see the module's text. Returns the exit code."""
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # nothing but events on standard output

    def tell(event: str, **fields: object) -> None:
        print(json.dumps({"event": event, **fields}), file=lines, flush=True)

    def log(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    task, parent = arguments[0], Path(arguments[1])
    folder = PackageFolder(parent, f"{sys.version_info[0]}.{sys.version_info[1]}")
    installation = Installation(folder, tell, log)
    threading.Thread(target=_end_with_parent, args=(installation.pip.stop,), daemon=True).start()
    try:
        _ = only_one(folder)  # held until this process ends, however it ends
        if task == "remove":
            tell("done", bytes=remove(folder, tell))
        elif task == "discard":
            tell("done", bytes=discard(folder, tell))
        else:
            if task == "install":
                installation.begin(InstallPlan.of(json.loads(arguments[2])))
            tell("done", bytes=installation.go_on().size_bytes)
    except SetupFault as fault:
        tell("failed", fault=fault.fault.value, facts=fault.facts)
        return 1
    except Exception as error:
        tell("failed", fault=Fault.DEFECT.value, facts={"line": f"{type(error).__name__}: {error}"})
        raise
    return 0


def _end_with_parent(stop: Callable[[], None]) -> None:
    while os.read(0, 1024):
        pass
    stop()
    os._exit(CANCELLED)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
