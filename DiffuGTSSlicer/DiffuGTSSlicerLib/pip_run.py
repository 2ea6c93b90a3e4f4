"""pip, run as a program of its own: what it is told for each step, in which environment, and what came of it.

Standard library only.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from DiffuGTSSlicerLib.package_folder import InstallPlan, folder_bytes
from DiffuGTSSlicerLib.setup_faults import fault_of_pip

WATCH_S = 1.0
LOOKING_RESTS = 20.0
"""Adding up tens of thousands of files takes time itself: it rests this many times as long as it took."""

KEPT_LINES = 400

FETCH = ("--only-binary", ":all:", "--no-cache-dir", "--retries", "2", "--timeout", "20")
"""Nothing is built, and nothing is kept beside the folder that can be removed. A network that is not there is reported
within about a minute; a slow one is given 20 s per answer."""

Watched = Callable[[int], None]
"""Is told the bytes that have arrived so far, about once a second."""


def torch_requirement(plan: InstallPlan) -> str:
    """The line that asks for torch, in the version that the constraints name: "torch==2.13.0"."""
    lines = [line.split("#")[0].strip() for line in Path(plan.requirements).read_text(encoding="utf-8").splitlines()]
    pinned = [line.split("#")[0].strip() for line in Path(plan.constraints).read_text(encoding="utf-8").splitlines()]
    chosen = [line for line in (*pinned, *lines) if line.lower().startswith("torch") and not line[5:6].isalnum()]
    return chosen[0] if chosen else ""


def download_torch(plan: InstallPlan, torch: str, wheels: Path) -> list[str]:
    """Arguments that fetch torch and what it needs, alone from the index that was chosen for it."""
    index = ("--index-url", plan.torch_index) if plan.torch_index else ()
    return ["download", *FETCH, "--dest", str(wheels), *index, torch]


def download_others(plan: InstallPlan, wheels: Path, pins: Path) -> list[str]:
    """Arguments that fetch everything else; torch is taken from among the wheels that are there."""
    which = ("--requirement", plan.requirements, "--constraint", plan.constraints, "--constraint", str(pins))
    return ["download", *FETCH, "--dest", str(wheels), "--find-links", str(wheels), *which]


def unpack(plan: InstallPlan, wheels: Path, target: Path, pins: Path) -> list[str]:
    """Arguments that install from the wheels alone, without a network.

    pip is not to compare them with the packages of the Python that it runs in: ours come before those on the worker's
    path, so that a warning would mislead, and reading about each of them takes seconds.
    """
    which = ("--requirement", plan.requirements, "--constraint", plan.constraints, "--constraint", str(pins))
    alone = (
        "--no-index",
        "--find-links",
        str(wheels),
        "--only-binary",
        ":all:",
        "--no-warn-script-location",
        "--no-warn-conflicts",
    )
    return ["install", *alone, "--target", str(target), *which]


def torch_pin(wheels: Path) -> str:
    """The very torch that lies among the wheels ("torch==2.13.0+cpu"), newest first; empty where there is none."""
    found = [path.name.split("-")[1] for path in wheels.glob("torch-*.whl")]
    return f"torch=={max(found, key=_version_key)}\n" if found else ""


def pip_environment(temporary: Path, network: bool) -> dict[str, str]:
    """The environment of pip: what the user set up for it (proxy, certificates, index) holds where a network is used.

    Its temporary folder lies beside the target, so that large files are moved and not copied.
    """
    kept = {name: value for name, value in os.environ.items() if network or not name.upper().startswith("PIP_")}
    own = {
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_NO_INPUT": "1",
        "PIP_USER": "0",
        "PIP_REQUIRE_VIRTUALENV": "0",
        "PIP_TARGET": "",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
        **({} if network else {"PIP_CONFIG_FILE": os.devnull}),
        **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary)),
    }
    return {name: value for name, value in {**kept, **own}.items() if value or name not in own}


class PipRun:
    """Runs one pip after the other; `stop`, from any thread, ends the one that runs."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._process: subprocess.Popen | None = None

    def __call__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
        """Run pip to its end and return its last lines. Raises SetupFault where it fails."""
        return self.watched(arguments, environment, (), lambda _: None)

    def watched(
        self, arguments: Sequence[str], environment: Mapping[str, str], folders: Sequence[Path], watched: Watched
    ) -> list[str]:
        """The same, and tell how much has come to lie in the folders."""
        line = [sys.executable, "-m", "pip", *arguments]
        self._say("> pip " + " ".join(arguments))
        hidden = {"creationflags": subprocess.CREATE_NO_WINDOW} if os.name == "nt" else {}  # type: ignore[attr-defined]
        self._process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            **hidden,
        )
        lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=_read_lines, args=(self._process.stdout, lines), daemon=True).start()
        last: deque[str] = deque(maxlen=KEPT_LINES)
        look_at = time.monotonic() + WATCH_S
        while True:
            try:
                text = lines.get(timeout=WATCH_S)
            except queue.Empty:
                text = ""
            if text is None:
                break
            if text:
                last.append(text)
                self._say(text)
            began = time.monotonic()
            if began >= look_at:
                watched(sum(folder_bytes(folder) for folder in folders))
                ended = time.monotonic()
                look_at = ended + max(WATCH_S, LOOKING_RESTS * (ended - began))
        if self._process.wait() != 0:
            raise fault_of_pip(list(last))
        return list(last)

    def stop(self) -> None:
        """End the pip that runs, if one does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()


def _read_lines(pipe: object, lines: queue.Queue[str | None]) -> None:
    for line in pipe:  # type: ignore[attr-defined]
        lines.put(line.decode("utf-8", "replace").rstrip())
    lines.put(None)


def _version_key(version: str) -> tuple[tuple[int, ...], str]:
    release, _, local = version.partition("+")
    return tuple(int(part) for part in release.split(".") if part.isdecimal()), local
