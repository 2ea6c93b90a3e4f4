"""`diffugts doctor` in a process of its own, on the environment of the tests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from command_line import Call, call_process
from small_model import small_pipeline


@pytest.fixture(scope="module")
def more_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    small_pipeline().save_pretrained(folder / "my model")
    return folder


@pytest.fixture(scope="module")
def result(more_models: Path) -> Call:
    """What the doctor says: asked once, since it imports every library anew."""
    return call_process("doctor", "--json", "--models", more_models)


def test_the_doctor_tries_everything_and_says_what_does_not_work(result: Call) -> None:
    report = json.loads(result.out)
    checks = {check["name"]: check for check in report["checks"]}
    assert result.code == (0 if report["works"] else 1)
    assert report["works"] == all(check["state"] != "problem" for check in report["checks"])
    assert {
        "Python",
        "numpy",
        "SimpleITK",
        "torch",
        "monai",
        "diffusers",
        "cpu",
        "text encoder",
        "memory",
        "disk",
    } <= set(checks)
    assert checks["torch"]["found"] == torch.__version__
    assert checks["cpu"]["found"].startswith("works")
    broken = [check for check in report["checks"] if check["state"] == "problem" and check["topic"] != "model"]
    assert not broken


def test_the_doctor_looks_at_the_models_of_another_folder_too(result: Call, more_models: Path) -> None:
    models = {check["name"]: check for check in json.loads(result.out)["checks"] if check["topic"] == "model"}
    assert models["my model"]["facts"]["folder"] == str(more_models / "my model")
    assert "compact" in models
