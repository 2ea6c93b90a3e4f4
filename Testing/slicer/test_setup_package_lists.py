"""The package lists that ship with the extension agree with the project's own."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest

from DiffuGTSSlicerLib.environment import PACKAGE_LISTS, Environment
from DiffuGTSSlicerLib.pip_run import torch_requirement

ROOT = Path(__file__).resolve().parents[2]


def lines_of(path: Path) -> list[str]:
    lines = [line.split("#")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line]


def name_of(line: str) -> str:
    return re.match(r"[\w.-]+", line).group().lower().replace("_", "-")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tomllib came with Python 3.11")
def test_what_is_installed_is_what_the_package_requires():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert lines_of(PACKAGE_LISTS / "requirements.txt") == project["dependencies"]


def test_every_version_is_one_that_the_project_is_tested_with():
    tested = set(lines_of(ROOT / "constraints.txt"))
    assert set(lines_of(PACKAGE_LISTS / "constraints.txt")) <= tested


def test_no_package_that_comes_along_is_left_to_chance():
    """Everything that the requirements need, and what those need, has its version in the constraints."""
    pinned = {name_of(line) for line in lines_of(PACKAGE_LISTS / "constraints.txt")}
    waiting = [name_of(line) for line in lines_of(PACKAGE_LISTS / "requirements.txt")]
    seen: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        try:
            needed = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue  # needed on other systems only
        seen.add(name)
        waiting += [name_of(line) for line in needed if not re.search(r"extra\s*==", line)]
    if "torch" not in seen:
        pytest.skip("the worker's packages are not installed here")
    assert seen - pinned == set()
    assert len(seen) > 40


def test_torch_is_fetched_in_the_version_of_the_constraints():
    assert torch_requirement(Environment(own_python=Path(sys.executable)).plan()) in lines_of(ROOT / "constraints.txt")


def test_the_manual_names_the_torch_that_is_installed():
    manual = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    named = set(re.findall(r"torch==[\w.]+", manual))
    assert named == {line for line in lines_of(PACKAGE_LISTS / "constraints.txt") if name_of(line) == "torch"}
