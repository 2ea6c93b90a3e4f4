"""A training run in each of several processes, as `torchrun` starts them: what a test of it runs.

Each learns from points of its own and prints what it ends up with, one line of JSON to a file of its own.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config

from diffugts.training.run import RunSettings, TrainingRun


class Line(ModelMixin, ConfigMixin):
    """y = a x + b."""

    config_name = "config.json"

    @register_to_config
    def __init__(self) -> None:
        super().__init__()
        self.slope = torch.nn.Parameter(torch.zeros(1))
        self.offset = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.slope * x + self.offset


def main(folder: Path) -> None:
    settings = RunSettings(
        0.05, 0.1, warmup_steps=1, average_decay=0.5, mixed_precision="no", validate_every_minutes=0.02, threads=1
    )
    run = TrainingRun(folder / "run", Line(), settings)
    rng = np.random.default_rng(run.seed)
    first = float(rng.random())
    rank = int(os.environ["RANK"])

    def loss(module: torch.nn.Module) -> torch.Tensor:
        x = torch.from_numpy(rng.uniform(-1, 1, 16).astype(np.float32))
        # The two see lines 2 apart: only together do they learn the one in the middle.
        return (module(x) - 3 * x - (1 if rank else -1)).square().mean()

    figures = run.train(loss, lambda module: {"slope": float(module.slope)})
    ended = {"drew": first, "step": run.step, "figures": figures}
    ended |= {name: float(tensor) for name, tensor in run.averaged.items()}
    (folder / f"{rank}.json").write_text(json.dumps(ended), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
