"""Training of the compact denoiser: to fill holes in latents with healthy tissue.

Three tasks share the network:
- expected tissue (s = 1): the hole is empty, L1 to the true latents; what comes out is the median healthy tissue;
- texture (0 < s < 1): noisy latents in the hole, squared error of the velocity;
- the whole scan noisy: what the features for the attention are read from.
The loss is switched off in and around marked tumours and wherever an unmarked one may lie (`Volume.healthy`):
the network never learns that a tumour is what belongs there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage
from torch import nn

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.body import filled_body
from diffugts.foundation.denoiser import HoleDenoiser, modality_class
from diffugts.training.crops import crop_box
from diffugts.training.run import RunSettings, TrainingRun
from diffugts.training.volumes import Volume, read_volumes

EXPECTED, TEXTURE, WHOLE = 0.45, 0.3, 0.25
"""Shares of the three tasks."""

LOWEST_SIGMA = 0.05
SARCOMA_SHARE, MR_SHARE = 0.3, 0.35
UNSAID_SHARE = 0.1
HELD_OUT_PATIENTS = ("STS_003", "STS_015", "STS_027", "chris", "HN-CHUS")


@dataclass(frozen=True)
class DenoiserTask:
    """Crops of `sizes` latent cells along each axis, as many a step as make about `cells` cells."""

    sizes: tuple[int, ...] = (16, 24)
    cells: int = 28_000


@dataclass(frozen=True)
class LatentVolume:
    """Latents (4, k, j, i) with what belongs to each cell (k, j, i): `teach` where the loss counts, `body` inside the patient."""

    name: str
    group: int
    modality: int
    latents: torch.Tensor
    teach: torch.Tensor
    body: torch.Tensor


def train_denoiser(
    volumes: Path, autoencoder: Path, folder: Path, settings: RunSettings, task: DenoiserTask
) -> dict[str, float]:
    """Train on packed `volumes` through the frozen `autoencoder`; the component ends up in `folder`/last."""
    encoder = ScanAutoencoder.from_pretrained(autoencoder).eval()
    everything = [latent for v in read_volumes(volumes) if v.healthy.any() for latent in encode_volume(encoder, v)]
    training = [v for v in everything if not v.name.startswith(HELD_OUT_PATIENTS)]
    held_out = [v for v in everything if v.name.startswith(HELD_OUT_PATIENTS)]
    rng = np.random.default_rng(settings.seed)
    run = TrainingRun(folder, HoleDenoiser(), settings)

    def loss(module: nn.Module) -> torch.Tensor:
        size = int(rng.choice(task.sizes))
        batch = [_draw(training, size, rng) for _ in range(max(1, task.cells // size**3))]
        latents, teach, hole, modality = _collate(batch)
        return denoising_loss(module, latents, teach, hole, modality, rng)

    return run.train(loss, lambda module: _held_out_errors(module, held_out, task.sizes[-1]))


@torch.no_grad()
def encode_volume(autoencoder: ScanAutoencoder, volume: Volume) -> Iterator[LatentVolume]:
    """The volume's latents, and those of its left-right mirror image."""
    shape = [n - n % CELL for n in volume.intensities.shape]
    cut = tuple(slice(0, n) for n in shape)
    intensities = volume.intensities[cut].astype(np.float32)
    tumour = ndimage.binary_dilation(volume.tumour[cut], iterations=3) if volume.tumour.any() else volume.tumour[cut]
    body = filled_body(intensities, volume.modality)
    group = 0 if volume.is_sarcoma else 1 if volume.modality == "MR" else 2
    for mirrored in (False, True):
        arrays = [np.flip(a, 2) if mirrored else a for a in (intensities, volume.healthy[cut], tumour, body)]
        scan, healthy, avoid, inside = (torch.from_numpy(np.ascontiguousarray(a, np.float32)) for a in arrays)
        with torch.autocast("cpu", torch.bfloat16):
            latents, _ = autoencoder.encode(scan[None, None])
        teach = (_cells(healthy) > 0.5) & (functional.max_pool3d(avoid[None, None], CELL)[0, 0] == 0)
        yield LatentVolume(
            volume.name,
            group,
            modality_class(volume.modality, volume.sequence),
            latents[0].half(),
            teach,
            _cells(inside) > 0.5,
        )


def random_hole(size: int, body: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One or two ellipsoids of 1.5 to 8 cells radius in a cube of `size` cells, inside the body; bool (k, j, i)."""
    grid = np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 3, indexing="ij"))
    hole = np.zeros((size,) * 3, bool)
    inside = np.argwhere(body.numpy())
    for _ in range(rng.integers(1, 3)):
        centre = inside[rng.integers(len(inside))] if len(inside) else rng.uniform(3, size - 3, 3)
        radii = np.exp(rng.uniform(np.log(1.5), np.log(8.0))) * rng.uniform(0.7, 1.3, 3)
        hole |= (((grid - np.reshape(centre, (3, 1, 1, 1))) / radii.reshape(3, 1, 1, 1)) ** 2).sum(0) < 1
    return torch.from_numpy(hole) & body


def denoising_loss(
    denoiser: nn.Module,
    latents: torch.Tensor,
    teach: torch.Tensor,
    hole: torch.Tensor,
    modality: torch.Tensor,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Loss of one batch: latents (n, 4, ...), `teach` and `hole` (n, 1, ...) float, `modality` (n,)."""
    count = latents.shape[0]
    task = torch.from_numpy(rng.choice(3, size=count, p=(EXPECTED, TEXTURE, WHOLE)))
    sigma = torch.from_numpy(rng.uniform(LOWEST_SIGMA, 1.0, count).astype(np.float32))
    sigma = torch.where(task == 0, torch.ones(count), sigma)
    sigma = torch.where(task == 2, sigma**2, sigma).clamp(LOWEST_SIGMA, 1.0)
    is_whole = (task == 2).view(-1, 1, 1, 1, 1)
    hole = torch.where(is_whole, torch.ones_like(hole), hole)
    level = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * latents + level * torch.randn_like(latents)
    predicted = denoiser(noisy, sigma, latents, hole, modality)
    weight = (hole * teach).expand_as(latents)
    absolute = (predicted - latents).abs()
    squared = (predicted - latents).square() / level.clamp(min=0.2).square()
    error = torch.where(level < 1, 0.5 * squared, absolute)
    return (error * weight).sum() / (weight.sum() + 1)


def _cells(mask: torch.Tensor) -> torch.Tensor:
    return functional.avg_pool3d(mask[None, None], CELL)[0, 0]


def _draw(volumes: list[LatentVolume], size: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    shares = (SARCOMA_SHARE, MR_SHARE, 1 - SARCOMA_SHARE - MR_SHARE)
    group = int(rng.choice(3, p=shares))
    members = [v for v in volumes if v.group == group]
    weights = np.sqrt([float(v.teach.sum()) for v in members])
    volume = members[int(rng.choice(len(members), p=weights / weights.sum()))]
    box = crop_box(volume.body.shape, (size,) * 3, rng)
    fill = [(0, size - (s.stop - s.start)) for s in reversed(box)]
    flat = [n for pair in fill for n in pair]
    latents = functional.pad(volume.latents[(slice(None),) + box].float(), flat)
    teach, body = functional.pad(volume.teach[box], flat), functional.pad(volume.body[box], flat)
    modality = volume.modality if rng.random() > UNSAID_SHARE else 0
    return latents, teach, random_hole(size, body, rng), torch.tensor(modality)


def _collate(batch: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, ...]:
    latents, teach, hole, modality = (torch.stack(parts) for parts in zip(*batch))
    return latents, teach[:, None].float(), hole[:, None].float(), modality


def _held_out_errors(
    denoiser: HoleDenoiser, volumes: list[LatentVolume], size: int, count: int = 24
) -> dict[str, float]:
    rng = np.random.default_rng(7)
    errors: dict[str, list[float]] = {"expected_l1": [], "texture_velocity": []}
    for _ in range(count):
        latents, teach, hole, modality = _collate([_draw(volumes, size, rng)])
        weight = (hole * teach).expand_as(latents)
        if weight.sum() < 40:
            continue
        noise = torch.from_numpy(rng.standard_normal(latents.shape).astype(np.float32))
        for name, sigma in (("expected_l1", 1.0), ("texture_velocity", 0.5)):
            noisy = (1 - sigma) * latents + sigma * noise
            difference = denoiser(noisy, torch.tensor([sigma]), latents, hole, modality) - latents
            error = difference.abs() if sigma == 1 else difference.square() / sigma**2
            errors[name].append(float((error * weight).sum() / weight.sum()))
    return {name: float(np.mean(values)) for name, values in errors.items() if values}
