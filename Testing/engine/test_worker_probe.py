"""Trying the installation in a process of its own."""

from __future__ import annotations

import io
import json
import sys

from diffugts.worker.probe import Trial, _try, probe

BEGIN = json.dumps({"begin": "torch", "kind": "library"})


def child(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def test_a_library_that_crashes_the_process_is_named() -> None:
    (trial,) = probe(command=child(f"print({BEGIN!r}, flush=True); import os; os.abort()"))
    assert (trial.name, trial.kind) == ("torch", "library")
    assert trial.problem is not None and "ended with" in trial.problem


def test_a_library_that_hangs_is_named() -> None:
    (trial,) = probe(1.0, child(f"print({BEGIN!r}, flush=True); import time; time.sleep(60)"))
    assert trial == Trial("torch", "library", problem="it had not finished after 1 s.")


def test_a_child_that_does_not_even_start_is_a_problem() -> None:
    (trial,) = probe(command=child("raise SystemExit(3)"))
    assert trial.problem is not None and "ended with 3" in trial.problem


def test_what_a_trial_raises_becomes_its_problem_and_the_next_is_tried() -> None:
    def broken() -> str:
        raise ImportError("libcudart.so.12: cannot open shared object file")

    lines = io.StringIO()
    _try(lines, "torch", "library", broken)
    _try(lines, "cpu", "device", lambda: "2 threads")
    facts = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [fact.get("begin") for fact in facts] == ["torch", None, "cpu", None]
    assert "libcudart.so.12" in facts[1]["problem"]
    assert Trial(**facts[3]) == Trial("cpu", "device", "2 threads")
