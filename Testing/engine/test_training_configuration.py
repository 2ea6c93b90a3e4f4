"""What a run was asked to learn is kept beside it: it goes on with the same task or not at all, and its card says what it left out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from command_line import call
from diffugts import __version__
from diffugts.errors import RequestError
from diffugts.training import attention as training_attention
from diffugts.training import run as training_run
from diffugts.training import volumes as training_volumes
from diffugts.training.attention import AttentionTask, precision_on
from diffugts.training.configuration import FILE, RunConfiguration, starts_of, with_left_out
from diffugts.training.denoiser import FILLING_SHARES, DenoiserTask
from diffugts.training.run import TrainingRun
from test_training_run import Line, loss, settings

TASK = AttentionTask(bodies=3, left_out=("brain", "lung"))


def run(folder: Path, task: object, minutes: float = 0.005) -> TrainingRun:
    configuration = RunConfiguration(task, {"data": folder / "data", "initial": None})
    started = TrainingRun(folder, Line(), settings(minutes), configuration)
    started.train(loss)
    return started


def test_task_inputs_and_versions_of_every_start_are_kept(tmp_path: Path) -> None:
    first = run(tmp_path, TASK)
    (start,) = starts_of(tmp_path)
    assert start["task"]["left_out"] == ["brain", "lung"] and start["task"]["kind"] == "AttentionTask"
    assert start["inputs"] == {"data": str(tmp_path / "data"), "initial": None}
    assert start["versions"]["diffugts"] == __version__
    assert start["versions"]["torch"].startswith(torch.__version__.split("+")[0]) and start["versions"]["monai"]
    run(tmp_path, replace(TASK, encoders=2), 0.01)
    assert [start["step"] for start in starts_of(tmp_path)] == [0, first.step]
    assert [start["task"]["encoders"] for start in starts_of(tmp_path)] == [0, 2]


@pytest.mark.parametrize(
    "other, said",
    [
        (replace(TASK, left_out=("lung",)), "'left_out' brain, lung, and is now asked to go on with lung"),
        (replace(TASK, left_out=()), "go on with none"),
        (replace(TASK, bodies=4), "'bodies' 3"),
        (replace(TASK, batch=5), "'batch' 8"),
        (DenoiserTask(bodies=3), "'kind' 'AttentionTask'"),
    ],
)
def test_a_run_goes_on_with_no_other_task(tmp_path: Path, other: object, said: str) -> None:
    first = run(tmp_path, TASK)
    before = (tmp_path / FILE).read_bytes(), (tmp_path / "settings.json").read_bytes()
    with pytest.raises(RequestError, match=said):
        run(tmp_path, other, 0.01)
    assert ((tmp_path / FILE).read_bytes(), (tmp_path / "settings.json").read_bytes()) == before
    assert run(tmp_path, TASK, 0.01).step > first.step


def test_a_run_that_never_came_to_a_checkpoint_begins_with_any_task(tmp_path: Path) -> None:
    RunConfiguration(TASK).write(tmp_path, 0)
    run(tmp_path, AttentionTask())
    (start,) = starts_of(tmp_path)
    assert start["task"]["left_out"] == []


def test_a_run_of_an_earlier_version_goes_on_and_is_kept_from_then_on(tmp_path: Path) -> None:
    first = run(tmp_path, TASK)
    (tmp_path / FILE).unlink()
    assert run(tmp_path, AttentionTask(), 0.01).step > first.step
    assert [start["step"] for start in starts_of(tmp_path)] == [first.step]


def test_a_task_that_knows_more_entries_than_the_runs_goes_on(tmp_path: Path) -> None:
    run(tmp_path, TASK)
    kept = json.loads((tmp_path / FILE).read_text(encoding="utf-8"))
    del kept["starts"][0]["task"]["measured"]
    (tmp_path / FILE).write_text(json.dumps(kept), encoding="utf-8")
    run(tmp_path, TASK, 0.01)


def test_an_inpainters_run_is_not_a_denoisers(tmp_path: Path) -> None:
    run(tmp_path, DenoiserTask(shares=FILLING_SHARES))
    with pytest.raises(RequestError, match="'shares'"):
        run(tmp_path, DenoiserTask(), 0.01)


def test_a_card_says_what_the_attention_was_never_shown(tmp_path: Path) -> None:
    card = "# Model\n\nText.\n\n## Measured\n\nFigures.\n"
    assert with_left_out(card, tmp_path / "no run") == card
    RunConfiguration(TASK, {"initial": tmp_path / "compact" / "attention"}).write(tmp_path, 0)
    told = with_left_out(card, tmp_path)
    assert told.startswith(card.rstrip()) and "no tumour of: brain, lung." in told and "'compact/attention'" in told
    assert with_left_out(told, tmp_path) == told == with_left_out(told, tmp_path / "no run")
    assert with_left_out("", tmp_path).startswith("## Left out of training")
    RunConfiguration(replace(TASK, left_out=()), {"initial": None}).write(tmp_path, 0)
    assert with_left_out(told, tmp_path) == card
    assert with_left_out("", tmp_path) == ""


def test_a_section_in_the_middle_of_a_card_leaves_what_follows(tmp_path: Path) -> None:
    RunConfiguration(replace(TASK, left_out=("bone",)), {}).write(tmp_path, 0)
    card = "# Model\n\n## Left out of training\n\nNothing known.\n\n## Heads\n\nFigures.\n"
    told = with_left_out(card, tmp_path)
    assert "Nothing known" not in told and "## Heads\n\nFigures." in told and told.count("## Left out") == 1


def test_the_attention_computes_in_bfloat16_on_a_gpu_alone() -> None:
    assert {kind: precision_on(kind) for kind in ("cuda", "cpu", "mps")} == {"cuda": "bf16", "cpu": "no", "mps": "no"}


@pytest.mark.parametrize("kind, precision", [("cuda", "bf16"), ("cpu", "no")])
def test_the_command_asks_for_the_precision_of_the_device_and_tells_the_run_its_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, precision: str
) -> None:
    asked: list[tuple[tuple[object, ...], dict[str, object]]] = []
    monkeypatch.setattr(training_run, "device_type", lambda: kind)
    monkeypatch.setattr(training_volumes, "pack_volumes", lambda data, folder: 0)
    monkeypatch.setattr(training_attention, "train_attention", lambda *given, **named: asked.append((given, named)))
    options = ("--leave-out", "lung", "--leave-out", "brain", "--leave-out", "lung")
    answer = call("train", "attention", "--data", tmp_path, "--runs", tmp_path / "runs", *options)
    assert answer.code == 0, answer.err
    (((*_, settings, task, _), named),) = asked
    assert settings.mixed_precision == precision and task.left_out == ("brain", "lung") and named == {"data": tmp_path}


def test_accelerate_kept_to_the_processor_trains_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    assert training_run.device_type() == "cpu"
