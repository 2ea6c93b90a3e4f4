"""Training of the compact autoencoder: reconstruct scans through the latents.

Loss: L1 + 0.3 * L1 of the finite differences (edges) + 1e-4 * KL. The latents' mean and spread over the
training crops are measured at the end and become part of the component.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from diffugts.foundation.autoencoder import ScanAutoencoder
from diffugts.training.augmentation import as_another_scanner_sees, mirrored
from diffugts.training.configuration import RunConfiguration
from diffugts.training.crops import crop_box, padded
from diffugts.training.draws import draws
from diffugts.training.run import RunSettings, TrainingRun
from diffugts.training.volumes import Volume, read_volumes

EDGE_WEIGHT, KL_WEIGHT = 0.3, 1e-4
SARCOMA_SHARE = 0.35
"""Share of crops from the sarcoma scans: limbs and MR would drown among the large trunk CTs otherwise."""

MR_SHARE_OF_OTHERS = 0.4
HELD_OUT_PATIENTS = ("STS_003", "STS_015", "STS_027", "chris", "HCC_015_s4")
"""Never seen in training, so that the run's own validation means something."""


@dataclass(frozen=True)
class AutoencoderTask:
    """`crop` voxels along each axis, `batch` crops a step, drawn by so many `processes` beside the training."""

    crop: int = 40
    batch: int = 3
    processes: int = 0


def train_autoencoder(
    volumes: Path,
    folder: Path,
    settings: RunSettings,
    task: AutoencoderTask,
    initial: Path | None = None,
    data: Path | None = None,
) -> dict[str, float]:
    """Train on packed `volumes`; the component ends up in `folder`/last. Returns PSNR in dB on held-out patients.

    `initial` is a trained autoencoder to go on from; `data` where the volumes were packed from, for the run's record.
    """
    everything = list(read_volumes(volumes))
    held_out = [v for v in everything if v.name.startswith(HELD_OUT_PATIENTS)]
    training = [v for v in everything if not v.name.startswith(HELD_OUT_PATIENTS)]
    fixed = _fixed_crops(held_out, task.crop)
    module = ScanAutoencoder() if initial is None else ScanAutoencoder.from_pretrained(initial).train()
    inputs = {"data": data, "volumes": volumes, "initial": initial}
    run = TrainingRun(folder, module, settings, RunConfiguration(task, inputs))

    def crops(seed: int) -> Callable[[], np.ndarray]:
        source = _Crops(training, task.crop, np.random.default_rng(seed))
        return lambda: np.stack([source.draw() for _ in range(task.batch)])[:, None].astype(np.float16)

    batches = draws(crops, run.seed, task.processes)

    def loss(module: nn.Module) -> torch.Tensor:
        scan = torch.as_tensor(next(batches)).to(run.accelerator.device).float()
        return reconstruction_loss(module, scan)

    figures = run.train(loss, lambda module: _psnr(module, fixed))
    if run.is_first:
        _measure_latents(folder / "last", _Crops(training, task.crop, np.random.default_rng(settings.seed + 1)))
    return figures


def reconstruction_loss(autoencoder: nn.Module, scan: torch.Tensor) -> torch.Tensor:
    """Loss of one batch (n, 1, k, j, i)."""
    mean, sigma, reconstruction = (part.float() for part in autoencoder(scan))
    edges = sum((reconstruction.diff(dim=d) - scan.diff(dim=d)).abs().mean() for d in (2, 3, 4))
    kl = 0.5 * (mean**2 + sigma**2 - torch.log(sigma**2 + 1e-8) - 1).mean()
    return (reconstruction - scan).abs().mean() + EDGE_WEIGHT * edges + KL_WEIGHT * kl


class _Crops:
    def __init__(self, volumes: list[Volume], size: int, rng: np.random.Generator) -> None:
        self.size, self.rng = (size,) * 3, rng
        self.groups = [
            [v for v in volumes if v.is_sarcoma],
            [v for v in volumes if not v.is_sarcoma and v.modality == "MR"],
            [v for v in volumes if not v.is_sarcoma and v.modality == "CT"],
        ]
        others = 1 - SARCOMA_SHARE
        self.shares = (SARCOMA_SHARE, others * MR_SHARE_OF_OTHERS, others * (1 - MR_SHARE_OF_OTHERS))

    def draw(self) -> np.ndarray:
        """One crop (k, j, i) float32 that holds enough body, flipped and varied."""
        group = self.groups[self.rng.choice(3, p=self.shares)]
        for _ in range(10):
            volume = group[self.rng.integers(len(group))]
            crop = volume.intensities[crop_box(volume.intensities.shape, self.size, self.rng)].astype(np.float32)
            if (crop > 0.12).mean() > 0.2:
                break
        crop = padded(crop, self.size)
        return as_another_scanner_sees(mirrored(self.rng, crop), volume.modality, self.rng)


def _fixed_crops(volumes: list[Volume], size: int) -> list[tuple[str, torch.Tensor]]:
    rng = np.random.default_rng(5)
    crops = []
    for volume in volumes:
        for _ in range(3):
            crop = volume.intensities[crop_box(volume.intensities.shape, (size,) * 3, rng)].astype(np.float32)
            crops.append((volume.modality, torch.from_numpy(padded(crop, (size,) * 3))[None, None]))
    return crops


def _psnr(autoencoder: ScanAutoencoder, crops: list[tuple[str, torch.Tensor]]) -> dict[str, float]:
    values: dict[str, list[float]] = {"psnr_ct_db": [], "psnr_mr_db": []}
    for modality, scan in crops:
        scan = scan.to(autoencoder.latent_mean.device)
        mean, _ = autoencoder.posterior(scan)
        error = (autoencoder.decode_unnormalised(mean).clamp(0, 1.3) - scan).square().mean()
        values[f"psnr_{modality.lower()}_db"].append(-10 * float(torch.log10(error + 1e-9)))
    return {name: float(np.mean(v)) for name, v in values.items() if v}


@torch.no_grad()
def _measure_latents(folder: Path, crops: _Crops, count: int = 120) -> None:
    autoencoder = ScanAutoencoder.from_pretrained(folder).eval()
    latents = []
    for _ in range(count):
        mean, _ = autoencoder.posterior(torch.from_numpy(crops.draw())[None, None])
        latents.append(mean[0].flatten(1))
    together = torch.cat(latents, dim=1)
    autoencoder.latent_mean.copy_(together.mean(1))
    autoencoder.latent_std.copy_(together.std(1))
    autoencoder.save_pretrained(folder)
