"""The extension as CMake lays it out: every file of the module is there, and the real worker runs from there.

CMake runs on a stand-in for the files of a Slicer build, Testing/cmake.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffugts.cli.demo import generate
from diffugts.protocol import Quality, Request, ResultManifest
from worker_process import WorkerProcess, environment

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "DiffuGTSSlicer"
MODULES_FOLDER = Path("lib", "Slicer-5.12", "qt-scripted-modules")

pytestmark = pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cmake") / "build"
    cmake(
        f"-DSlicer_DIR={ROOT / 'Testing' / 'cmake'}",
        "-DBUILD_TESTING=ON",
        "-DCMAKE_C_COMPILER_WORKS=1",
        "-DCMAKE_CXX_COMPILER_WORKS=1",
        "-S",
        ROOT,
        "-B",
        folder,
    )
    cmake("--build", folder)
    return folder


@pytest.fixture(scope="module")
def installed(build: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of Slicer's scripted modules, as the installed extension has it; its path holds a space and an umlaut."""
    prefix = tmp_path_factory.mktemp("installed") / "Erweiterung für Slicer"
    cmake("--install", build, "--prefix", prefix)
    return prefix / MODULES_FOLDER


def cmake(*arguments: str | Path) -> None:
    done = subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def files_in(folder: Path, *patterns: str) -> set[str]:
    """The files below `folder` that match, by their paths in it."""
    found = (path for pattern in patterns for path in folder.glob(pattern))
    return {path.relative_to(folder).as_posix() for path in found if path.is_file() and path.suffix != ".pyc"}


def test_the_lists_of_the_module_name_every_file_that_is_on_disk(installed: Path) -> None:
    patterns = ("*.py", "DiffuGTSSlicerLib/**/*", "Resources/**/*")
    assert files_in(installed, *patterns) == files_in(MODULE, *patterns), "DiffuGTSSlicer/CMakeLists.txt"


def test_engine_and_models_are_installed_whole(installed: Path) -> None:
    engine = files_in(MODULE, "diffugts/**/*")
    models = {f"diffugts/shipped_models/{name}" for name in files_in(ROOT / "Resources" / "Models", "**/*")}
    assert files_in(installed, "diffugts/**/*") == engine | models | {"diffugts/LICENSE"}
    assert not list(installed.glob("**/__pycache__")), "compiled Python of another machine is not packaged"


def test_the_build_tree_has_the_same_layout(build: Path, installed: Path) -> None:
    assert files_in(installed, "**/*") - files_in(build / MODULES_FOLDER, "**/*") == {"diffugts/LICENSE"}


def test_the_module_s_own_test_is_registered(build: Path) -> None:
    listed = subprocess.run(["ctest", "-N"], cwd=build, capture_output=True, text=True, check=True)
    assert "py_DiffuGTSSlicer" in listed.stdout


def environment_of(installed: Path) -> dict[str, str]:
    """An environment in which Python finds the installed engine, and not this checkout's."""
    return environment(PYTHONPATH=str(installed), PYTHONDONTWRITEBYTECODE="1")


def test_the_engine_finds_its_models_beside_itself(installed: Path) -> None:
    code = "import diffugts.models as m; print(m.__file__, *[s for s in m.shelves() if s.is_dir()], sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-c", code], env=environment_of(installed), capture_output=True, text=True, check=True
    )
    engine, *shelves = found.stdout.splitlines()
    assert Path(engine).is_relative_to(installed)
    assert shelves == [str(installed / "diffugts" / "shipped_models")]


def test_the_doctor_finds_the_installed_model_whole(installed: Path) -> None:
    """Its look at the models alone: that libraries work from here is shown by the worker below."""
    code = "import json, diffugts.worker.installation as i; print(json.dumps([c.as_json() for c in i.examine(())]))"
    asked = subprocess.run(
        [sys.executable, "-c", code], env=environment_of(installed), capture_output=True, text=True, check=True
    )
    models = [check for check in json.loads(asked.stdout) if check["topic"] == "model"]
    assert models and all(check["state"] != "problem" for check in models), models
    assert all(Path(check["facts"]["folder"]).is_relative_to(installed) for check in models), models


@pytest.fixture
def worker(installed: Path) -> Iterator[WorkerProcess]:
    with WorkerProcess("-m", "diffugts", "worker", env=environment_of(installed)) as running:
        yield running


def test_the_worker_greets_from_the_installed_folder(worker: WorkerProcess) -> None:
    assert worker.wait_for("hello").name == "hello"


@pytest.mark.slow
def test_the_worker_segments_from_the_installed_folder(worker: WorkerProcess, tmp_path: Path) -> None:
    scan, _, words = generate(tmp_path, "thigh", seed=0)
    job = tmp_path / "job"
    job.mkdir()
    request = Request(
        scan=str(scan), descriptions=(words,), output=str(job / "result"), quality=Quality.FAST, device="cpu"
    )
    request.save(job / "request.json")
    worker.wait_for("hello")
    worker.send("run", "one", job / "request.json")
    done = worker.wait_for("done", "failed", job="one", patience_s=240)
    assert done.name == "done", done
    manifest = ResultManifest.load(job / "result")
    assert manifest.findings[0].description == words
    assert manifest.file("segmentation") is not None
