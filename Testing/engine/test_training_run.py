"""Training runs: they go on where they stopped, and save the averaged weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from filelock import FileLock

from diffugts.errors import RequestError
from diffugts.training.run import RunSettings, TrainingRun, read_log


class Line(ModelMixin, ConfigMixin):
    """y = a x: the smallest component there is."""

    config_name = "config.json"

    @register_to_config
    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope * x


def loss(module: torch.nn.Module) -> torch.Tensor:
    x = torch.linspace(-1, 1, 16)
    return (module(x) - 3 * x).square().mean()


def settings(minutes: float) -> RunSettings:
    return RunSettings(minutes, 0.1, warmup_steps=1, average_decay=0.9, mixed_precision="no", validate_every_minutes=60)


def test_a_run_learns_validates_and_saves(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, Line(), settings(0.03))
    figures = run.train(loss, lambda module: {"slope": float(module.slope)})
    assert abs(figures["slope"] - 3) < 0.2
    assert abs(float(Line.from_pretrained(tmp_path / "last").slope) - figures["slope"]) < 1e-6
    assert any("loss" in line for line in read_log(tmp_path))
    assert json.loads((tmp_path / "settings.json").read_text())["minutes"] == 0.03


def test_a_finished_run_does_nothing_more_and_a_longer_one_goes_on(tmp_path: Path) -> None:
    first = TrainingRun(tmp_path, Line(), settings(0.01))
    first.train(loss)
    again = TrainingRun(tmp_path, Line(), settings(0.01))
    again.train(loss)
    assert again.step == first.step
    longer = TrainingRun(tmp_path, Line(), settings(0.02))
    assert longer.step == first.step
    assert torch.equal(longer.averaged["slope"], first.averaged["slope"])
    longer.train(loss)
    assert longer.step > first.step


def test_a_kill_between_two_renames_leaves_a_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, Line(), settings(0.01))
    run.train(loss)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.old")
    assert TrainingRun(tmp_path, Line(), settings(0.01)).step == run.step


def test_two_runs_never_write_to_one_folder(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, Line(), settings(0.01))
    with FileLock(tmp_path / "lock"), pytest.raises(RequestError, match="Another training run"):
        run.train(loss)
    assert run.step == 0 and not (tmp_path / "checkpoint").exists()
    run.train(loss)
    assert run.step > 0
