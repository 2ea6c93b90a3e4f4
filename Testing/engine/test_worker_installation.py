"""What the doctor finds, given what was tried."""

from __future__ import annotations

import re
import shutil
import sys
from importlib import metadata
from pathlib import Path

import pytest

from diffugts.worker.installation import REQUIREMENTS, SLOW_TORCH, Check, State, examine
from diffugts.worker.probe import Trial
from small_model import small_pipeline

ROOT = Path(__file__).resolve().parents[2]
WORKS = [
    Trial("torch", "library"),
    Trial("text encoder", "text encoder", "all-MiniLM-L6-v2"),
    Trial("cpu", "device", "2 threads"),
]


def found(checks: list[Check], name: str) -> Check:
    return next(check for check in checks if check.name == name)


def test_the_doctor_asks_for_what_the_package_requires() -> None:
    if sys.version_info < (3, 11):
        pytest.skip("tomllib came with Python 3.11")
    import tomllib

    required = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    pairs = [re.match(r"([A-Za-z0-9-]+)(?:>=([0-9.]+))?", line) for line in required]
    wanted = {pair.group(1): pair.group(2) or "" for pair in pairs if pair}
    assert REQUIREMENTS == {name: least for name, least in wanted.items() if name not in ("typer", "rich")}


def test_a_sound_installation_has_no_problem_but_its_models(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "small")
    checks = examine(WORKS, shelves=(tmp_path,))
    assert [check for check in checks if check.state is State.PROBLEM] == []
    assert re.search(r"SHA-256 [0-9a-f]{64}", found(checks, "small").found)
    assert found(checks, "cpu").found == "works (2 threads)"
    assert {check.topic for check in checks} == {"program", "package", "device", "model", "resources"}


def test_a_program_reads_what_was_found_by_name(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "small")
    gpu = Trial("cuda:0", "device", "NVIDIA RTX A2000, 6.0 GB, CUDA 12.8")
    checks = {check.name: check.as_json() for check in examine([*WORKS, gpu], shelves=(tmp_path,))}
    assert checks["cuda:0"]["facts"] == {"title": "NVIDIA RTX A2000"}
    model = checks["small"]["facts"]
    assert Path(model["folder"]) == tmp_path / "small" and model["title"]
    assert model["weights_sha256"] in found(examine(WORKS, shelves=(tmp_path,)), "small").found
    assert checks["Python"]["facts"]["version"] == sys.version.split()[0]


def test_a_model_folder_may_be_given_instead_of_a_folder_of_models(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "small")
    assert found(examine(WORKS, shelves=(tmp_path / "small",)), "small").state is State.OK


def test_a_missing_package_and_one_too_old_are_problems(tmp_path: Path) -> None:
    def version(package: str) -> str:
        if package == "monai":
            raise metadata.PackageNotFoundError(package)
        return "2.7.1" if package == "torch" else metadata.version(package)

    checks = examine(WORKS, version, (tmp_path,))
    assert found(checks, "monai").state is State.PROBLEM
    assert found(checks, "torch").state is State.PROBLEM and "At least 2.8" in found(checks, "torch").advice


@pytest.mark.parametrize("version", [*SLOW_TORCH, "2.9.1+cu130"])
def test_slow_versions_of_torch_are_warned_of(tmp_path: Path, version: str) -> None:
    checks = examine(WORKS, lambda package: version if package == "torch" else metadata.version(package), (tmp_path,))
    assert found(checks, "torch").state is State.WARNING


def test_a_library_that_cannot_be_imported_is_a_problem_with_its_reason(tmp_path: Path) -> None:
    checks = examine([Trial("scipy.ndimage", "library", problem="ImportError: no _nd_image")], shelves=(tmp_path,))
    assert found(checks, "scipy").state is State.PROBLEM and "no _nd_image" in found(checks, "scipy").found
    assert found(checks, "cpu").state is State.PROBLEM


def test_a_broken_gpu_is_a_warning_since_the_cpu_works(tmp_path: Path) -> None:
    checks = examine([*WORKS, Trial("cuda:0", "device", problem="RuntimeError: no kernel image")], shelves=(tmp_path,))
    assert found(checks, "cuda:0").state is State.WARNING
    assert "use the CPU" in found(checks, "cuda:0").advice


def test_no_model_and_a_damaged_one_are_problems(tmp_path: Path) -> None:
    assert found(examine(WORKS, shelves=(tmp_path,)), "compact").state is State.PROBLEM
    small_pipeline().save_pretrained(tmp_path / "small")
    weights = next((tmp_path / "small").rglob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-10])
    check = found(examine(WORKS, shelves=(tmp_path,)), "small")
    assert check.state is State.PROBLEM and "damaged" in check.found
    shutil.rmtree(weights.parent)
    assert found(examine(WORKS, shelves=(tmp_path,)), "small").state is State.PROBLEM
