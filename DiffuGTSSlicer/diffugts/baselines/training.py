"""Training of the baseline networks: on the scans that the attention's training reads, for the minutes one gives them.

After nnU-Net: Dice and cross-entropy together (over the batch), deep supervision with halving weights, a third of the
patches and more with foreground, its augmentations, sliding windows. Not after it: AdamW in place of SGD, the compact
model's intensities in place of its normalisation, one size for all scans, no cascade, no ensemble.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from monai.losses import DiceCELoss
from torch import nn

from diffugts.baselines.network import SegmentationNetwork
from diffugts.baselines.patches import PATCH, PatchSource
from diffugts.baselines.windows import tumour_probability
from diffugts.training.configuration import RunConfiguration
from diffugts.training.deep_supervision import supervised
from diffugts.training.draws import draws
from diffugts.training.run import RunSettings, TrainingRun
from diffugts.training.volumes import Volume, read_volumes

HELD_OUT_PATIENTS = ("STS_003", "STS_015", "STS_027")
"""The training patients that the attention's training holds out, too."""

CHANNELS = {"unet": (16, 32, 64, 128), "nnunet": (8, 16, 32, 64, 96)}
"""0.5 and 1.1 million parameters: nnU-Net itself starts at 32 channels, which no laptop trains in an hour."""


@dataclass(frozen=True)
class BaselineTask:
    """What a step learns from: `batch` patches of `size` voxels along each axis, drawn by so many `processes` beside it."""

    recipe: str
    batch: int = 2
    size: int = PATCH
    processes: int = 0


def train_baseline(volumes: Path, folder: Path, settings: RunSettings, task: BaselineTask) -> dict[str, float]:
    """Train on packed `volumes`; the network ends up in `folder`/last. Returns the DSC of held-out training patients."""
    everything = list(read_volumes(volumes))
    taught = [v for v in everything if not v.name.startswith(HELD_OUT_PATIENTS)]
    held_out = [v for v in everything if v.name.startswith(HELD_OUT_PATIENTS) and v.tumour.any()]
    torch.manual_seed(settings.seed)
    network = SegmentationNetwork(task.recipe, CHANNELS[task.recipe])
    run = TrainingRun(folder, network, settings, RunConfiguration(task, {"volumes": volumes}))
    criterion = DiceCELoss(sigmoid=True, batch=True)

    def patches(seed: int) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
        source = PatchSource(taught, task.recipe, seed, task.size)

        def draw() -> tuple[np.ndarray, np.ndarray]:
            scans, labels = source.batch(task.batch)
            return scans.numpy(), labels.numpy()

        return draw

    batches = draws(patches, run.seed, task.processes)

    def loss(module: nn.Module) -> torch.Tensor:
        scans, labels = (torch.as_tensor(part).to(run.accelerator.device) for part in next(batches))
        return supervised(module(scans).float(), labels, criterion)

    def validate(module: SegmentationNetwork) -> dict[str, float]:
        return {"dice": float(np.mean([_dice(module, volume, task) for volume in held_out]))}

    return run.train(loss, validate if held_out else None)


def _dice(module: SegmentationNetwork, volume: Volume, task: BaselineTask) -> float:
    probability = tumour_probability(module, volume.intensities.astype(np.float32), volume.modality, task.size)
    mask = probability > 0.5
    return float(2 * (mask & volume.tumour).sum() / max(1, mask.sum() + volume.tumour.sum()))
