"""The extension's own folder of packages: where it lies, what state it is in, and how it is taken away.

    DiffuGTS-packages-3.12           in use; whole, checked
    DiffuGTS-packages-3.12.partial   being made, or left by an installation that was interrupted
    DiffuGTS-packages-3.12.old       on its way to the bin

Each carries a marker file, which is the record of its making. A folder without one is not ours and is never touched.
Standard library only.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from DiffuGTSSlicerLib.setup_faults import Fault, SetupFault

MARKER = "diffugts-packages.json"
MAKER = "DiffuGTS for 3D Slicer"


@dataclass(frozen=True)
class InstallPlan:
    """What the user agreed to install.

    Args:
        requirements, constraints: pip's files that say which packages, and in which versions.
        torch_index: address of the index that torch alone comes from; empty: the one pip is set up with.
        wheels: folder that all packages come from, without a network; empty: from an index.
        engine_folder: the folder that the package `diffugts` lies in, for the check at the end.
        needed_bytes: what must be free on the disk before packages are fetched.
        check: arguments of the Python that checks the packages and prints a report as JSON.
    """

    requirements: str
    constraints: str
    engine_folder: str
    torch_index: str = ""
    wheels: str = ""
    needed_bytes: int = 0
    check: tuple[str, ...] = ("-m", "diffugts", "doctor", "--json")

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> InstallPlan:
        """The plan that `asdict` made these facts of."""
        return cls(**{**facts, "check": tuple(facts["check"])})


@dataclass(frozen=True)
class PackageRecord:
    """The marker's content.

    Args:
        python: "3.12": packages fit one minor version only.
        plan: what was asked for; an interrupted installation is resumed by it.
        steps: the steps of the installation that are done.
        size_bytes: of the whole folder, once finished.
        lists: checksum of the plan's requirements and constraints as they were then.
        report: what the check printed, once finished.
        made_at: seconds since 1970; tells two installations apart.
    """

    python: str
    plan: InstallPlan
    lists: str = ""
    steps: tuple[str, ...] = ()
    size_bytes: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    made_at: float = 0.0

    def after(self, step: str, **changes: Any) -> PackageRecord:
        """The record with one more step done."""
        return replace(self, steps=(*self.steps, step), **changes)


class PackageFolder:
    """The folder at one place for one Python version.

    Args:
        parent: the folder it lies in.
        python: the minor version, "3.12".
    """

    def __init__(self, parent: Path, python: str) -> None:
        self.python = python
        self.path = parent / f"DiffuGTS-packages-{python}"
        self.partial = parent / f"{self.path.name}.partial"
        self.outgoing = parent / f"{self.path.name}.old"

    @property
    def packages(self) -> Path:
        """What goes onto the worker's path."""
        return packages_in(self.path)

    @property
    def record(self) -> PackageRecord | None:
        """Of the folder in use; None where there is none."""
        record = read_marker(self.path)
        return record if record and record.size_bytes and self.packages.is_dir() else None

    @property
    def interrupted(self) -> PackageRecord | None:
        """Of an installation that was begun and not finished; None where there is none."""
        return read_marker(self.partial)

    @property
    def leftover(self) -> PackageRecord | None:
        """Of a folder whose removal was interrupted; None where there is none."""
        return read_marker(self.outgoing)


def lists_sha256(plan: InstallPlan) -> str:
    """One checksum of a plan's requirements and constraints: packages of other lists are not those that were tested."""
    digest = hashlib.sha256()
    for path in (plan.requirements, plan.constraints):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()


def packages_in(folder: Path) -> Path:
    """The folder on the worker's path inside one of the three folders."""
    return folder / "site"


def read_marker(folder: Path) -> PackageRecord | None:
    """The record in a folder; None where the folder is absent or carries no marker of ours."""
    try:
        facts = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        if facts.pop("made_by") != MAKER:
            return None
        return PackageRecord(**{**facts, "plan": InstallPlan.of(facts["plan"]), "steps": tuple(facts["steps"])})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None  # not ours, or too damaged to say so: both are left alone


def write_marker(folder: Path, record: PackageRecord) -> None:
    """Write the record, at once or not at all. Raises OSError."""
    text = json.dumps({"made_by": MAKER, **asdict(record)}, indent=1)
    draft = folder / f"{MARKER}.new"
    draft.write_text(text, encoding="utf-8")
    os.replace(draft, folder / MARKER)


def delete_marked(folder: Path) -> None:
    """Delete a folder of ours with all that is in it; the marker goes last, so that a deletion can be taken up again.

    Raises SetupFault for a folder without our marker, a link, and files that cannot be deleted.
    """
    if folder.is_symlink() or read_marker(folder) is None:
        raise SetupFault(Fault.NOT_OURS, folder=str(folder))
    try:
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                _delete_tree(entry)
            elif entry.name != MARKER:
                entry.unlink()
        (folder / MARKER).unlink()
        folder.rmdir()
    except OSError as error:
        raise SetupFault(Fault.IN_USE, folder=str(folder), line=error.strerror or str(error)) from error


def folder_bytes(folder: Path) -> int:
    """What the files in a folder hold, in bytes; what vanishes meanwhile counts nothing."""
    total, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def _delete_tree(folder: Path) -> None:
    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=_delete_read_only)
    else:
        shutil.rmtree(folder, onerror=_delete_read_only)


def _delete_read_only(remove: Any, path: str, error: Any) -> None:
    if os.name != "nt":
        raise error if isinstance(error, BaseException) else error[1]
    os.chmod(path, stat.S_IWRITE)  # Windows refuses to delete read-only files
    remove(path)
