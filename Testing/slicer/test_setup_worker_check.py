"""The real doctor in a real environment, and where Slicer's own Python is looked for."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import qt
import slicer

from DiffuGTSSlicerLib.environment import VARIABLE, Environment
from DiffuGTSSlicerLib.slicer_python import default_parent_folder, slicer_python
from DiffuGTSSlicerLib.torch_builds import advice, chosen_build, torch_builds


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Environment]:
    monkeypatch.delenv(VARIABLE, raising=False)
    qt.QSettings().remove("DiffuGTS")
    environment = Environment()
    yield environment
    environment.close()
    qt.QSettings().remove("DiffuGTS")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="needs the worker's packages (torch)")
def test_the_doctor_of_the_engine_tells_what_works_here(environment: Environment):
    environment.choose(python_source="other", other_python=sys.executable)
    environment.check()
    ends = time.monotonic() + 400
    while environment.activity is not None:
        assert time.monotonic() < ends
        qt.QApplication.processEvents()
        time.sleep(0.01)
    ready, line = environment.readiness()
    assert ready and line.startswith("Ready: compact"), line
    assert f"Python {sys.version.split()[0]} of your choice" in line
    cpu = next(device for device in environment.devices() if device.value == "cpu")
    assert cpu.proven
    compact = next(model for model in environment.models() if model.name == "compact")
    assert compact.weights_sha256 is not None and len(compact.weights_sha256) == 64
    assert {line.name for line in environment.report.about("package")} >= {"torch", "monai", "diffusers"}
    again = Environment()
    assert again.readiness() == (ready, line), "a check holds until something changes"


def test_slicer_s_own_python_lies_beside_slicer():
    python = Path(slicer.app.slicerHome, "bin", "PythonSlicer")
    python.parent.mkdir(exist_ok=True)
    python.write_text("")
    try:
        assert slicer_python() == python
    finally:
        python.unlink()


def test_packages_lie_outside_of_slicer_so_that_a_new_slicer_finds_them():
    parent = default_parent_folder()
    assert parent.is_absolute() and not parent.is_relative_to(slicer.app.slicerHome)


@pytest.mark.parametrize("platform", ["linux", "win32", "darwin"])
def test_every_build_tells_what_it_is_for_and_how_large(platform: str):
    for build in torch_builds(platform):
        assert build.title and build.explanation and 1e8 < build.download_bytes < build.disk_bytes


def test_a_cpu_build_is_known_by_its_address_to_be_small():
    small = chosen_build("index", "https://wheels.example/whl/cpu/", "linux")
    large = chosen_build("index", "https://wheels.example/whl/cu128", "linux")
    assert small.download_bytes < 0.6e9 < 3e9 < large.download_bytes


def test_the_build_that_fits_the_computer_is_recommended():
    linux, windows = (torch_builds(platform)[0] for platform in ("linux", "win32"))
    assert "CPU build" in advice(linux, driver=False, platform="linux")
    assert advice(linux, driver=True, platform="linux") == ""
    assert "CUDA build" in advice(windows, driver=True, platform="win32")
