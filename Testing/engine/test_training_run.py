"""Training runs: they go on where they stopped, and save the averaged weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from filelock import FileLock

from diffugts.errors import RequestError
from diffugts.training.curve import draw_curves
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


def drawn_by(run: TrainingRun) -> np.ndarray:
    """What a training draws first: by the run's seed, and by torch itself."""
    return np.append(np.random.default_rng(run.seed).random(4), torch.rand(4).numpy())


def test_a_run_that_goes_on_draws_new_cases_and_a_fresh_one_the_same(tmp_path: Path) -> None:
    first = TrainingRun(tmp_path / "a", Line(), settings(0.01))
    drawn = drawn_by(first)
    np.testing.assert_array_equal(drawn, drawn_by(TrainingRun(tmp_path / "b", Line(), settings(0.01))))
    assert first.seed == settings(0.01).seed
    first.train(loss)
    resumed = TrainingRun(tmp_path / "a", Line(), settings(0.02))
    on = drawn_by(resumed)
    assert not np.isclose(on, drawn).any()
    np.testing.assert_array_equal(on, drawn_by(TrainingRun(tmp_path / "a", Line(), settings(0.02))))
    resumed.train(loss)
    assert not np.isclose(drawn_by(TrainingRun(tmp_path / "a", Line(), settings(0.03))), on).any()


def test_every_validation_draws_the_curves_anew(tmp_path: Path) -> None:
    pictures: list[bytes] = []

    def validate(module: Line) -> dict[str, float]:
        if (tmp_path / "curve.png").exists():
            pictures.append((tmp_path / "curve.png").read_bytes())
        return {"slope": float(module.slope), "error": float("nan")}

    # The slope rises: the second validation is no better, and ends the run.
    watching = replace(settings(5), validate_every_minutes=0.0, watched="-slope", patience=1)
    run = TrainingRun(tmp_path, Line(), watching)
    run.train(loss, validate)
    last = (tmp_path / "curve.png").read_bytes()
    assert len(pictures) == 1 and last.startswith(b"\x89PNG") and last != pictures[0]
    assert not (tmp_path / "curve.png.new").exists()


def test_a_line_of_the_log_that_a_kill_cut_off_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text(
        '{"step": 50, "minutes": 1.0, "loss": 0.5}\n{"step": 100, "mi', encoding="utf-8"
    )
    assert [line["step"] for line in read_log(tmp_path)] == [50]
    assert draw_curves(read_log(tmp_path), tmp_path).stat().st_size > 1000


def test_two_runs_never_write_to_one_folder(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, Line(), settings(0.01))
    with FileLock(tmp_path / "lock"), pytest.raises(RequestError, match="Another training run"):
        run.train(loss)
    assert run.step == 0 and {path.name for path in tmp_path.iterdir()} == {"lock"}, (
        "nor is the other's settings.json changed"
    )
    run.train(loss)
    assert run.step > 0


def ended_by(folder: Path, figures: list[float], watched: str, patience: int = 2) -> TrainingRun:
    """A run that validates after every step and is shown `figures` one after the other, as long as it goes on."""
    watching = replace(settings(5), validate_every_minutes=0.0, watched=watched, patience=patience)
    run = TrainingRun(folder, Line(), watching)
    shown = iter(figures)
    run.train(loss, lambda module: {"error": next(shown), "slope": float(module.slope)})
    return run


def test_a_run_that_no_longer_improves_ends_with_its_best_weights(tmp_path: Path) -> None:
    run = ended_by(tmp_path, [0.5, 0.2, 0.3, 0.25], "-error")
    assert run.step == 4
    slopes = [line["slope"] for line in read_log(tmp_path) if "slope" in line]
    assert len(set(slopes)) == 4, "the weights moved at every step"
    assert abs(float(Line.from_pretrained(tmp_path / "last").slope) - slopes[1]) < 1e-4
    assert any(line.get("best error") == 0.2 for line in read_log(tmp_path))


def test_what_is_better_when_higher_is_watched_the_other_way_round(tmp_path: Path) -> None:
    run = ended_by(tmp_path, [0.2, 0.5, 0.3, 0.4], "error")
    assert run.step == 4 and run.best == 0.5


def test_how_long_nothing_improved_is_remembered_when_a_run_goes_on(tmp_path: Path) -> None:
    run = ended_by(tmp_path, [0.5, 0.6, 0.7], "-error")
    again = TrainingRun(tmp_path, Line(), run.settings)
    assert (again.best, again.waited) == (-0.5, 2)


def test_the_wait_for_the_first_step_is_no_training(tmp_path: Path) -> None:
    run = TrainingRun(tmp_path, Line(), settings(0.01))
    pause = [1.5]

    def late(module: torch.nn.Module) -> torch.Tensor:
        time.sleep(pause.pop() if pause else 0.0)
        return loss(module)

    run.train(late)
    assert run.step > 5 and run.used_s < 1.4


def test_two_processes_learn_one_thing_from_what_each_of_them_sees(tmp_path: Path) -> None:
    script = Path(__file__).with_name("training_in_two_processes.py")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    environment = os.environ | {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(  # noqa: S603
        [*command, str(tmp_path)], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1))
    assert first["drew"] != second["drew"], "each has points of its own"
    assert first["step"] == second["step"] > 5
    assert (first["slope"], first["offset"]) == (second["slope"], second["offset"])
    assert abs(first["slope"] - 3) < 0.3 and abs(first["offset"]) < 0.3, "neither line alone, which end at 1 and -1"
    assert first["figures"] and not second["figures"], "the first one validates"
    assert abs(float(Line.from_pretrained(tmp_path / "run" / "last").slope) - first["slope"]) < 1e-6
