"""One training run: a folder that holds its settings, its log, its checkpoints, and from which it goes on.

    run/settings.json      what was asked
    run/configuration.json what was to be learnt and from what, with versions; an entry for every start
    run/log.jsonl          one line per report: step, minutes, loss, whatever the validation measured
    run/curve.png          the same as curves, drawn anew after every validation
    run/checkpoint/        weights (safetensors), optimiser state, progress
    run/last/              the module as diffusers saves it, when the run has ended
    run/best/              the same at the best validation, where one of its figures is watched

A run is given minutes, not steps: training shares a machine with other work, and the learning rate follows
the share of the time that is used up. An interrupted run goes on from its checkpoint with the time it has left, and with new
draws: the seed of those before would only show what was shown already.
A run that watches a figure can stop early.

Several processes (`accelerate launch` or `torchrun`, a GPU each) learn from batches of their own. The first one keeps the
time, validates and writes; all make the same steps at the same learning rate.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import DistributedDataParallelKwargs, broadcast, parse_flag_from_env
from diffusers import ModelMixin
from filelock import FileLock, Timeout
from safetensors.torch import load_file, save_file
from torch import nn

from diffugts.allocation import keep_freed_memory
from diffugts.errors import RequestError
from diffugts.training.configuration import RunConfiguration
from diffugts.training.curve import draw_curves

CHECKPOINT_EVERY_S = 120.0
REPORT_EVERY_STEPS = 50
SEED_OF_NEXT_PROCESS = 15_485_863
"""Between the seeds of two training processes, far from those of the processes that draw for one."""


@dataclass(frozen=True)
class RunSettings:
    """What every training shares. `minutes` of optimisation in all; `threads` 0 leaves torch's own choice.

    `watched` names a validation figure, better when higher, or lower with "-" before its name. After `patience` validations
    in a row without a better one the run ends early, and `last` is the best; 0: it never does.
    """

    minutes: float
    learning_rate: float
    weight_decay: float = 1e-2
    betas: tuple[float, float] = (0.9, 0.99)
    warmup_steps: int = 50
    constant_share: float = 0.5
    final_share: float = 0.03
    clip_norm: float = 1.0
    average_decay: float = 0.998
    seed: int = 0
    threads: int = 0
    mixed_precision: str = "bf16"
    validate_every_minutes: float = 5.0
    watched: str = ""
    patience: int = 0


def device_type() -> str:
    """Where accelerate trains in this process: cpu, cuda or another of torch's names."""
    return PartialState(cpu=parse_flag_from_env("ACCELERATE_USE_CPU")).device.type


class TrainingRun:
    """Optimises one module for a given time, with an exponential moving average of its weights.

    `loss(step) -> scalar tensor` draws its own batch and computes the loss under `autocast`; `validate(module)`
    returns named figures, measured on the averaged weights. `averaged` is what gets saved. What draws takes its seed from
    `seed`: that of the settings, another one in every process and whenever the run goes on.

    Raises:
        RequestError: the folder's run, which would be gone on with, has another task than `configuration`.
    """

    def __init__(
        self, folder: Path, module: ModelMixin, settings: RunSettings, configuration: RunConfiguration | None = None
    ) -> None:
        self.folder, self.settings, self.configuration = folder, settings, configuration
        folder.mkdir(parents=True, exist_ok=True)
        if configuration is not None and self._checkpoint() is not None:
            configuration.require_same(folder)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        keep_freed_memory()
        torch.manual_seed(settings.seed)
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(mixed_precision=settings.mixed_precision, kwargs_handlers=[unused])
        trained = [p for p in module.parameters() if p.requires_grad]
        optimiser = torch.optim.AdamW(
            trained, lr=settings.learning_rate, betas=settings.betas, weight_decay=settings.weight_decay
        )
        self.is_first = self.accelerator.is_main_process
        self.seed = settings.seed + SEED_OF_NEXT_PROCESS * self.accelerator.process_index
        self.module, self.optimiser = self.accelerator.prepare(module, optimiser)
        self.averaged = {name: tensor.detach().clone() for name, tensor in self._plain().state_dict().items()}
        self.step, self.skipped, self.used_s = 0, 0, 0.0
        self.best, self.waited = -math.inf, 0
        self._resume()

    def train(
        self,
        loss: Callable[[nn.Module], torch.Tensor],
        validate: Callable[[ModelMixin], dict[str, float]] | None = None,
    ) -> dict[str, float]:
        """Optimise until the time is used up; returns the last validation's figures.

        Raises:
            RequestError: another process trains in this folder; two would overwrite each other's checkpoints.
        """
        try:
            with FileLock(self.folder / "lock", timeout=0) if self.is_first else nullcontext():
                if self.is_first:
                    self._write_what_was_asked()
                figures = self._train(loss, validate if self.is_first else None)
                self.accelerator.wait_for_everyone()
                return figures
        except Timeout as taken:
            raise RequestError(
                f"Another training run is writing to {self.folder}. Wait until it has ended, stop it, or give this one "
                "another folder with --runs."
            ) from taken

    def _train(
        self,
        loss: Callable[[nn.Module], torch.Tensor],
        validate: Callable[[ModelMixin], dict[str, float]] | None,
    ) -> dict[str, float]:
        budget_s = 60.0 * self.settings.minutes
        losses: list[float] = []
        figures: dict[str, float] = {}
        last = saved = validated = time.monotonic()
        waited_for_the_first, ended_early = False, False
        self.module.train()
        while self._goes_on(budget_s, ended_early):
            self._set_learning_rate(self.used_s / budget_s)
            with self.accelerator.autocast():
                value = loss(self.module)
            self.accelerator.backward(value)
            norm = self.accelerator.clip_grad_norm_(self.module.parameters(), self.settings.clip_norm)
            # One bad step would spoil the weights for good; bfloat16 kernels do produce a NaN now and then. The norm is
            # that of all processes' gradients together: either all take the step or none.
            if torch.isfinite(torch.as_tensor(norm)):
                self.optimiser.step()
                self._average()
                losses.append(float(value.detach()))
            else:
                self.skipped += 1
            self.optimiser.zero_grad(set_to_none=True)
            self.step += 1
            now = time.monotonic()
            if not waited_for_the_first:  # what is drawn beside the training may take minutes to start
                waited_for_the_first, last = True, now
            self.used_s, last = self.used_s + now - last, now
            if self.step % REPORT_EVERY_STEPS == 0:
                self._report({"loss": sum(losses) / max(1, len(losses)), "skipped": self.skipped})
                losses.clear()
            if validate and now - validated > 60 * self.settings.validate_every_minutes:
                figures = self._validate(validate)
                validated = last = time.monotonic()
                ended_early = 0 < self.settings.patience <= self.waited
            if self.is_first and now - saved > CHECKPOINT_EVERY_S:
                self.save_checkpoint()
                saved = last = time.monotonic()
        if not self.is_first:
            return {}
        if validate and not ended_early:
            figures = self._validate(validate)
        self.save_checkpoint()
        if ended_early:
            shutil.copytree(self.folder / "best", self.folder / "last", dirs_exist_ok=True)
            watched = self.settings.watched.removeprefix("-")
            self._report({f"best {watched}": abs(self.best), "validations without a better one": self.waited})
        else:
            self.save_module(self.folder / "last")
        return figures

    def _write_what_was_asked(self) -> None:
        settings = json.dumps(asdict(self.settings), indent=2)
        (self.folder / "settings.json").write_text(settings, encoding="utf-8")
        if self.configuration is not None:
            self.configuration.write(self.folder, self.step)

    def _goes_on(self, budget_s: float, ended_early: bool) -> bool:
        """Whether there is a next step: what the first process says, whose clock is everybody's."""
        if self.accelerator.num_processes > 1:
            said = torch.tensor([self.used_s, float(ended_early)], device=self.accelerator.device)
            self.used_s, ended_early = broadcast(said).tolist()
        return self.used_s < budget_s and not ended_early

    def save_module(self, folder: Path) -> None:
        """The averaged weights as a diffusers component."""
        module = self._plain()
        present = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.averaged)
        module.save_pretrained(folder)
        module.load_state_dict(present)

    def save_checkpoint(self) -> None:
        """All that is needed to go on; replaced as a whole, so that a kill leaves the one before."""
        folder = self.folder / "checkpoint.new"
        folder.mkdir(exist_ok=True)
        save_file({k: v.contiguous() for k, v in self._plain().state_dict().items()}, folder / "module.safetensors")
        save_file({k: v.contiguous() for k, v in self.averaged.items()}, folder / "averaged.safetensors")
        torch.save(self.optimiser.state_dict(), folder / "optimiser.pt")
        (folder / "progress.json").write_text(json.dumps(self._progress()), encoding="utf-8")
        kept, old = self.folder / "checkpoint", self.folder / "checkpoint.old"
        if kept.exists():
            os.replace(kept, old)
        os.replace(folder, kept)
        if old.exists():
            for path in old.iterdir():
                path.unlink()
            old.rmdir()

    def _progress(self) -> dict[str, float]:
        watched = {"best": self.best, "waited": self.waited} if self.settings.watched and self.best > -math.inf else {}
        return {"step": self.step, "used_s": self.used_s, **watched}

    def _checkpoint(self) -> Path | None:
        return next((f for n in ("checkpoint", "checkpoint.old") if (f := self.folder / n).exists()), None)

    def _resume(self) -> None:
        folder = self._checkpoint()
        if folder is None:
            return
        self._plain().load_state_dict(load_file(folder / "module.safetensors"))
        for name, tensor in load_file(folder / "averaged.safetensors").items():
            self.averaged[name].copy_(tensor)
        self.optimiser.load_state_dict(torch.load(folder / "optimiser.pt", weights_only=True))
        progress = json.loads((folder / "progress.json").read_text(encoding="utf-8"))
        self.step, self.used_s = progress["step"], progress["used_s"]
        self.best, self.waited = progress.get("best", -math.inf), progress.get("waited", 0)
        if self.step:
            drawn_from = (self.settings.seed, self.accelerator.process_index, self.step)
            self.seed = int(np.random.SeedSequence(drawn_from).generate_state(1)[0])
            torch.manual_seed(self.seed)

    def _plain(self) -> ModelMixin:
        return self.accelerator.unwrap_model(self.module)

    def _set_learning_rate(self, used_share: float) -> None:
        s = self.settings
        falling = max(0.0, used_share - s.constant_share) / (1.0 - s.constant_share)
        share = min(1.0, (self.step + 1) / s.warmup_steps) * max(s.final_share, 1.0 - falling)
        for group in self.optimiser.param_groups:
            group["lr"] = s.learning_rate * share

    @torch.no_grad()
    def _average(self) -> None:
        decay = min(self.settings.average_decay, (1 + self.step) / (10 + self.step))
        state = self._plain().state_dict()
        moving = [name for name, tensor in state.items() if tensor.is_floating_point()]
        # One call for all tensors: on a GPU two hundred single ones would take longer than the step itself.
        torch._foreach_lerp_([self.averaged[name] for name in moving], [state[name] for name in moving], 1.0 - decay)
        for name in state.keys() - set(moving):
            self.averaged[name].copy_(state[name])

    def _validate(self, validate: Callable[[ModelMixin], dict[str, float]]) -> dict[str, float]:
        module = self._plain()
        present = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
        module.load_state_dict(self.averaged)
        module.eval()
        with torch.no_grad(), self.accelerator.autocast():
            figures = validate(module)
        module.load_state_dict(present)
        module.train()
        self._report(figures)
        draw_curves(read_log(self.folder), self.folder)
        self._watch(figures)
        return figures

    def _watch(self, figures: dict[str, float]) -> None:
        name = self.settings.watched.removeprefix("-")
        if name not in figures:
            return
        value = -figures[name] if self.settings.watched.startswith("-") else figures[name]
        if value > self.best:
            self.best, self.waited = value, 0
            self.save_module(self.folder / "best")
        else:
            self.waited += 1

    def _report(self, figures: dict[str, float]) -> None:
        line = {
            "step": self.step,
            "minutes": round(self.used_s / 60, 2),
            **{k: round(v, 5) for k, v in figures.items()},
        }
        if not self.is_first:
            return
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self.accelerator.print(json.dumps(line), flush=True)


def read_log(folder: Path) -> Iterator[dict[str, float]]:
    """The reports of a run, in order; a line that a kill cut off is passed over."""
    with (folder / "log.jsonl").open(encoding="utf-8") as log:
        for line in log:
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue
