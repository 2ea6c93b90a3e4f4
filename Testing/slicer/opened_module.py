"""Fixtures: the module with a scripted worker, opened as a user opens it, or its logic alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
import qt
import slicer
from scripted_environment import ENGINE, ScriptedEnvironment
from test_lib_worker_process import gone

__all__ = ["environment", "make_logic", "module", "panel"]


@pytest.fixture
def module(host, scene) -> ModuleType:
    """The module's source, loaded by the application; settings are as on the first day."""
    if not hasattr(slicer.modules, "diffugtsslicer"):
        host.load_module(ENGINE / "DiffuGTSSlicer.py")
    settings = qt.QSettings()
    settings.remove("DiffuGTS")
    settings.sync()
    import DiffuGTSSlicer

    return DiffuGTSSlicer


@pytest.fixture
def environment(tmp_path: Path) -> ScriptedEnvironment:
    """Whose `mode` says how the next worker behaves."""
    return ScriptedEnvironment(state_folder=tmp_path)


@pytest.fixture
def panel(host, module, environment, monkeypatch) -> Iterator:
    """The Python widget, its panel open; afterwards the worker must be gone."""
    monkeypatch.setattr(module, "Environment", lambda: environment)
    widget = host.open_module("DiffuGTSSlicer")
    yield widget
    current = slicer.util.getModuleWidget("DiffuGTSSlicer")  # another one after a reload
    pid = current.logic.jobs.worker_pid
    host.unload_widget("DiffuGTSSlicer")
    assert pid is None or gone(pid), "a worker was left behind"


@pytest.fixture
def make_logic(module) -> Iterator[Callable]:
    """Makes logics as a script does; closed afterwards."""
    made = []

    def make(environment: ScriptedEnvironment):
        made.append(module.DiffuGTSSlicerLogic(environment))
        return made[-1]

    yield make
    for logic in made:
        pid = logic.jobs.worker_pid
        logic.close()
        assert pid is None or gone(pid), "a worker was left behind"
