"""Where Slicer's own Python is looked for, and which torch is recommended; test_module_real_worker.py has the check."""

from __future__ import annotations

from pathlib import Path

import pytest
import slicer

from DiffuGTSSlicerLib.slicer_python import default_parent_folder, slicer_python
from DiffuGTSSlicerLib.torch_builds import advice, chosen_build, torch_builds


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
