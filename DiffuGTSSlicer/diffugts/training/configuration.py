"""What a training run was asked to learn, and from what: `configuration.json` in its folder, an entry for every start.

The settings say how long and how fast; this says the rest. A run goes on only with the task it began with: one that was to leave
a category out, and went on with all of them, would look like the former and be the latter.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from diffugts import __version__
from diffugts.errors import RequestError

FILE = "configuration.json"
MAY_CHANGE = {"processes", "encoders", "remembered", "remembered_batches"}
"""Entries of tasks that say who draws and how much is kept in memory: a run may go on on another machine."""

LEFT_OUT = "## Left out of training"
"""Heading in a model card."""

LIBRARIES = ("torch", "monai", "diffusers", "accelerate", "numpy")


@dataclass(frozen=True)
class RunConfiguration:
    """The task (a dataclass of its training) and what it reads: names and paths, None where nothing was given."""

    task: Any
    inputs: Mapping[str, Path | None] = field(default_factory=dict)

    def require_same(self, folder: Path) -> None:
        """Nothing where `folder` holds no configuration, as runs of earlier versions do.

        Raises:
            RequestError: the run in `folder` has another task.
        """
        earlier = starts_of(folder)
        if not earlier:
            return
        before, now = earlier[-1]["task"], self._task()
        for name in sorted((before.keys() & now.keys()) - MAY_CHANGE):
            if before[name] != now[name]:
                raise RequestError(
                    f"The training run in '{folder}' has '{name}' {_told(before[name])}, and is now asked to go on with "
                    f"{_told(now[name])}. Give the same as before, or another folder with --runs."
                )

    def write(self, folder: Path, step: int) -> None:
        """Add this start to the run's file; at step 0 the run is a new one."""
        starts = starts_of(folder) if step else []
        inputs = {name: str(path.resolve()) if path else None for name, path in self.inputs.items()}
        starts.append({"step": step, "task": self._task(), "inputs": inputs, "versions": versions()})
        unfinished = folder / (FILE + ".new")
        unfinished.write_text(json.dumps({"starts": starts}, indent=2), encoding="utf-8")
        os.replace(unfinished, folder / FILE)

    def _task(self) -> dict[str, Any]:
        """As JSON gives it back."""
        return json.loads(json.dumps({"kind": type(self.task).__name__, **asdict(self.task)}))


def starts_of(folder: Path) -> list[dict[str, Any]]:
    """The starts of the run in `folder`, the first one first; none where its version kept none."""
    path = folder / FILE
    return json.loads(path.read_text(encoding="utf-8"))["starts"] if path.is_file() else []


def left_out_of(run: Path) -> set[str]:
    """Categories that the run in `run` was not shown, as its last start says; none where it kept nothing."""
    starts = starts_of(run)
    return set(starts[-1]["task"].get("left_out", [])) if starts else set()


def versions() -> dict[str, str]:
    """Of this program and of what computes and draws for it."""
    return {"diffugts": __version__, "python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def with_left_out(card: str, run: Path) -> str:
    """A model card with what the attention's run in `run` says of categories left out, in place of what it said before.

    The card as it is where the run's version kept nothing.
    """
    starts = starts_of(run)
    if not starts:
        return card
    before, heading, after = card.partition(LEFT_OUT)
    if heading:
        rest = after.find("\n## ")
        card = before.rstrip("\n") + "\n" + (after[rest:] if rest >= 0 else "")
    left_out = starts[-1]["task"].get("left_out", [])
    if not left_out:
        return card
    initial = starts[0]["inputs"].get("initial")
    gone_on = (
        f" It went on from '{'/'.join(Path(initial).parts[-2:])}', of whose training this says nothing."
        if initial
        else ""
    )
    section = f"{LEFT_OUT}\n\nThe attention's training showed no tumour of: {', '.join(left_out)}.{gone_on}\n"
    return (card.rstrip() + "\n\n" + section).lstrip()


def _told(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"'{value}'" if isinstance(value, str) else f"{value}"
