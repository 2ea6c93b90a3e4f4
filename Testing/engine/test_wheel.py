"""A wheel built from the repository works on its own: elsewhere, offline, with its models, in an awkward folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "DiffuGTSSlicer" / "diffugts"


def run(*arguments: str | Path, cwd: Path, pythonpath: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run this Python with `arguments`, knowing nothing of the source tree."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {"PYTHONNOUSERSITE": "1", "PYTHONUTF8": "1", "HF_HUB_OFFLINE": "1"}
    if pythonpath is not None:
        environment["PYTHONPATH"] = str(pythonpath)
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=600,
    )
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network from a copy of what a clone holds."""
    source = tmp_path_factory.mktemp("source")
    left_out = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", ".*_cache")
    for folder in ("DiffuGTSSlicer", "Resources"):
        shutil.copytree(ROOT / folder, source / folder, ignore=left_out)
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    wheels = tmp_path_factory.mktemp("wheels")
    run("-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", wheels, source, cwd=wheels)
    return next(wheels.glob("diffugts-*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's content in a folder with blanks and letters of several alphabets."""
    target = tmp_path_factory.mktemp("elsewhere") / "ein Ordner für 患者 (kopia)"
    run("-m", "pip", "install", "--no-deps", "--no-index", "--target", target, wheel, cwd=target.parent)
    return target


def test_the_wheel_holds_every_source_data_and_model_file(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    sources = {
        f"diffugts/{path.relative_to(ENGINE).as_posix()}"
        for path in ENGINE.rglob("*")
        if path.is_file() and path.suffix in (".py", ".tsv", ".json", ".typed") and "__pycache__" not in path.parts
    }
    models = ROOT / "Resources" / "Models"
    shipped = {
        f"diffugts/shipped_models/{path.relative_to(models).as_posix()}" for path in models.rglob("*") if path.is_file()
    }
    assert sources <= held, "a package is missing in pyproject.toml"
    assert shipped <= held
    assert not [name for name in held if "pycache" in name or name.endswith((".pt", ".pkl"))]
    assert any(name.endswith("licenses/LICENSE") for name in held)


def test_the_installed_copy_is_used_and_lists_the_embedded_model(installed: Path, tmp_path: Path) -> None:
    where = run("-c", "import diffugts; print(diffugts.__file__)", cwd=tmp_path, pythonpath=installed)
    assert Path(where.stdout.strip()).is_relative_to(installed)
    listed = run("-m", "diffugts", "models", "list", cwd=tmp_path, pythonpath=installed)
    assert "compact" in listed.stdout


def test_the_installed_copy_segments_a_scan(installed: Path, tmp_path: Path) -> None:
    from diffugts.protocol import ResultManifest

    scan = tmp_path / "Größe CT.nrrd"
    sitk.WriteImage(abdomen_with_a_dark_mass(), scan)
    output = tmp_path / "Ergebnis 1"
    arguments = ("segment", scan, "--prompt", "liver metastasis", "--quality", "fast", "--output", output)
    run("-m", "diffugts", *arguments, cwd=tmp_path, pythonpath=installed)
    assert json.loads((output / "result.json").read_text(encoding="utf-8"))["schema"] == "diffugts-result/1"
    ResultManifest.load(output)  # every file is there with its checksum
    written = [path for path in output.rglob("*.nrrd") if sitk.ReadImage(str(path)).GetSize()[:3] == (56, 48, 40)]
    assert written, "results lie on the scan's own grid"


def abdomen_with_a_dark_mass() -> sitk.Image:
    """A CT of an elliptic body of soft tissue with one darker ball in it, 56 x 48 x 40 voxels of 3 mm."""
    k, j, i = np.mgrid[0:40, 0:48, 0:56]
    body = ((i - 28) / 24) ** 2 + ((j - 24) / 20) ** 2 < 1
    mass = (i - 18) ** 2 + (j - 24) ** 2 + (k - 20) ** 2 < 36
    hu = np.where(body, np.where(mass, 20, 100), -1000) + np.random.default_rng(0).normal(0, 8, body.shape)
    image = sitk.GetImageFromArray(hu.astype(np.int16))
    image.SetSpacing((3.0, 3.0, 3.0))
    return image
