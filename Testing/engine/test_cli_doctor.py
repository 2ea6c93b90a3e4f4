"""`diffugts doctor` in a process of its own, on the environment of the tests."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from command_line import call_process
from small_model import small_pipeline


def test_the_doctor_tries_everything_and_says_what_does_not_work() -> None:
    result = call_process("doctor", "--json")
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


def test_the_doctor_looks_at_the_models_of_another_folder_too(tmp_path: Path) -> None:
    small_pipeline().save_pretrained(tmp_path / "my model")
    report = json.loads(call_process("doctor", "--json", "--models", str(tmp_path)).out)
    models = {check["name"]: check for check in report["checks"] if check["topic"] == "model"}
    assert models["my model"]["facts"]["folder"] == str(tmp_path / "my model")
    assert "compact" in models
