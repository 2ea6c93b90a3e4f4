"""`diffugts doctor` in a process of its own, on the environment of the tests."""

from __future__ import annotations

import json

import torch

from command_line import call_process


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
