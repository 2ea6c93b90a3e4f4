"""A process in a session of its own, and its end together with everything it started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _


def start_apart(line: Sequence[str], environment: Mapping[str, str], folder: Path | None = None) -> subprocess.Popen:
    """Start a program in a process group of its own, with three pipes. Raises OSError.

    Slicer's own Python is a launcher that starts the real one: only the whole group can be ended reliably.
    """
    own_group: dict[str, Any] = {"start_new_session": True}
    if os.name == "nt":
        startup = subprocess.STARTUPINFO()  # type: ignore[attr-defined]
        startup.dwFlags |= subprocess.STARTF_USESHOWWINDOW  # type: ignore[attr-defined]
        group = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW  # type: ignore[attr-defined]
        own_group = {"creationflags": group, "startupinfo": startup}
    return subprocess.Popen(
        list(line),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
        env=dict(environment),
        cwd=folder,
        **own_group,
    )


def kill_tree(process: subprocess.Popen) -> None:
    """End a process of `start_apart` and its children at once; nothing happens where all are gone. Does not wait."""
    if os.name == "nt":
        subprocess.Popen(
            ["taskkill", "/F", "/T", "/PID", str(process.pid)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=subprocess.CREATE_NO_WINDOW,  # type: ignore[attr-defined]
        )
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):  # macOS says the latter of a group of which only zombies are left
        if process.poll() is None:
            process.kill()


def exit_in_words(code: int) -> str:
    """What an exit code says, for a sentence: "exit code 1", "ended by signal SIGKILL"."""
    if code >= 0:
        return _("exit code {code}").format(code=code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = str(-code)
    return _("ended by signal {name}").format(name=name)
