"""Training of the compact denoiser: to fill holes in latents with healthy tissue.

Three tasks share the network:
- expected tissue (s = 1): the hole is empty, L1 to the true latents; what comes out is the median healthy tissue;
- texture (0 < s < 1): noisy latents in the hole, squared error of the velocity;
- the whole scan noisy: what the features for the attention are read from.
The expected tissue is also compared as it looks, decoded (`decoded_tissue.py`): where fat or muscle may lie, the median of each
latent by itself decodes to neither.

An inpainter is a denoiser that goes on from another one with the first two tasks alone. The one before stays what the features
are read from, so that an attention trained on them goes on to serve.

The loss is switched off in and around marked tumours and wherever an unmarked one may lie (`Volume.healthy`):
the network never learns that a tumour is what belongs there. But what is left of a limb round a large tumour is mostly fat, and
a network that sees no others fills limbs with fat: generated bodies, healthy throughout, show what lies inside one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage
from torch import nn

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.body import filled_body
from diffugts.foundation.denoiser import HoleDenoiser, modality_class
from diffugts.foundation.features import fast_arithmetic
from diffugts.training.augmentation import as_another_scanner_sees
from diffugts.training.configuration import RunConfiguration
from diffugts.training.crops import crop_box
from diffugts.training.decoded_tissue import decoded_error
from diffugts.training.draws import START, draws
from diffugts.training.generated_volumes import PREFIX, generated_volumes
from diffugts.training.run import RunSettings, TrainingRun
from diffugts.training.volumes import Volume, read_volumes

SHARES = (0.45, 0.3, 0.25)
"""Of the tasks: expected tissue, texture, whole scan."""

FILLING_SHARES = (0.65, 0.35, 0.0)
DECODED_GAIN = 8.0
"""Brings the error of decoded intensities, 0..1, to the size of that of latents, in their deviation."""

DECODED_SHARE = 0.25
"""Of the steps that also decode: a window costs as much as half a batch."""

LOWEST_SIGMA = 0.05
SARCOMA_SHARE, MR_SHARE, BODY_SHARE = 0.2, 0.22, 0.36
"""Shares of the crops: sarcoma scans, other MR, generated bodies; the rest is other CT. Kinds that are not there give way."""

UNSAID_SHARE = 0.1
BODY_GROUP = 3
HOLE_RADII_CELLS = (1.5, 10.0)
"""Mean radii of the holes: a cell is 8 mm, and there are sarcomas of two litres."""

MR_BRIGHTNESS = (0.4, 1.15)
"""MR is scaled by its brightest voxels: beside a large bright tumour healthy tissue is dim, and it is healthy all the same."""

HELD_OUT_BODIES = 3
HELD_OUT_PATIENTS = ("STS_003", "STS_015", "STS_027", "chris", "HN-CHUS")


@dataclass(frozen=True)
class DenoiserTask:
    """Crops of `sizes` latent cells along each axis, as many a step as make about `cells` cells.

    Every volume and its mirror image are encoded `copies` times with intensities varied as scanners differ; so many
    `processes` draw beside the training. `bodies` generated bodies are among the scans. `shares` are those of the tasks:
    `FILLING_SHARES` for an inpainter.
    """

    sizes: tuple[int, ...] = (16, 24)
    cells: int = 28_000
    copies: int = 2
    processes: int = 0
    bodies: int = 27
    shares: tuple[float, float, float] = SHARES


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
    volumes: Path,
    autoencoder: Path,
    folder: Path,
    settings: RunSettings,
    task: DenoiserTask,
    initial: Path | None = None,
    data: Path | None = None,
) -> dict[str, float]:
    """Train on packed `volumes` through the frozen `autoencoder`; the component ends up in `folder`/last.

    `initial` is a trained denoiser to go on from. Returns errors of held-out patients and bodies: in the latents, in their
    deviation, and in decoded intensities. `data` is where the volumes were packed from, for the run's record.
    """
    module = HoleDenoiser() if initial is None else HoleDenoiser.from_pretrained(initial).train()
    inputs = {"data": data, "volumes": volumes, "autoencoder": autoencoder, "initial": initial}
    run = TrainingRun(folder, module, settings, RunConfiguration(task, inputs))
    device = run.accelerator.device
    encoder = ScanAutoencoder.from_pretrained(autoencoder).eval().requires_grad_(False).to(device)
    bodies = generated_volumes(task.bodies + HELD_OUT_BODIES if task.bodies else 0, task.processes)
    taught = [v for v in read_volumes(volumes) if v.healthy.any()] + bodies
    not_taught = HELD_OUT_PATIENTS + tuple(body.name for body in bodies[task.bodies :])
    rng = np.random.default_rng(run.seed)
    # The processor's part of it takes longer than a GPU's.
    alone = ProcessPoolExecutor(task.processes, get_context(START)) if task.processes else nullcontext()
    with alone as pool:
        cells = list(pool.map(cells_of, taught) if pool else map(cells_of, taught))
    training: list[LatentVolume] = []
    held_out: list[LatentVolume] = []
    for volume, (teach, body) in zip(taught, cells):
        is_held_out = volume.name.startswith(not_taught)
        encoded = encode_volume(encoder, volume, teach, body, 1 if is_held_out else task.copies, rng)
        (held_out if is_held_out else training).extend(encoded)

    def crops(seed: int) -> Callable[[], tuple[np.ndarray, ...]]:
        drawing = np.random.default_rng(seed)

        def draw() -> tuple[np.ndarray, ...]:
            size = int(drawing.choice(task.sizes))
            batch = [_draw(training, size, drawing) for _ in range(max(1, task.cells // size**3))]
            latents, teach, hole, modality = (torch.stack(parts) for parts in zip(*batch))
            return latents.half().numpy(), teach.numpy(), hole.numpy(), modality.numpy()

        return draw

    batches = draws(crops, run.seed, task.processes)

    def loss(module: nn.Module) -> torch.Tensor:
        latents, teach, hole, modality = _collated(next(batches), device)
        return denoising_loss(module, encoder, latents, teach, hole, modality, task.shares, rng)

    patients = [v for v in held_out if v.group != BODY_GROUP]
    generated = [v for v in held_out if v.group == BODY_GROUP]

    def validate(module: nn.Module) -> dict[str, float]:
        bodies_errors = _held_out_errors(module, encoder, generated) if generated else {}
        errors = _held_out_errors(module, encoder, patients)
        return errors | {f"bodies_{name}": error for name, error in bodies_errors.items()}

    return run.train(loss, validate)


def cells_of(volume: Volume) -> tuple[np.ndarray, np.ndarray]:
    """Cells (k, j, i) of a volume where the loss counts, and those inside the patient."""
    cut = _whole_cells(volume)
    tumour = volume.tumour[cut]
    avoid = ndimage.binary_dilation(tumour, iterations=3) if tumour.any() else tumour
    body = filled_body(volume.intensities[cut].astype(np.float32), volume.modality)
    return (_shares(volume.healthy[cut]) > 0.5) & (_shares(avoid) == 0), _shares(body) > 0.5


@torch.no_grad()
def encode_volume(
    autoencoder: ScanAutoencoder,
    volume: Volume,
    teach: np.ndarray,
    body: np.ndarray,
    copies: int,
    rng: np.random.Generator,
) -> Iterator[LatentVolume]:
    """The volume's latents and those of its left-right mirror image, as it is and `copies` - 1 times varied."""
    device = autoencoder.latent_mean.device
    scan = volume.intensities[_whole_cells(volume)].astype(np.float32)
    group = (
        BODY_GROUP
        if volume.name.startswith(PREFIX)
        else 0
        if volume.is_sarcoma
        else 1
        if volume.modality == "MR"
        else 2
    )
    for copy, mirrored in product(range(copies), (False, True)):
        seen = as_another_scanner_sees(scan, volume.modality, rng, mr_brightness=MR_BRIGHTNESS) if copy else scan
        seen = torch.from_numpy(np.ascontiguousarray(np.flip(seen, 2)) if mirrored else seen).to(device)
        with fast_arithmetic(device):
            latents, _ = autoencoder.encode(seen[None, None])
        cells = (np.ascontiguousarray(np.flip(a, 2)) if mirrored else a for a in (teach, body))
        kind = modality_class(volume.modality, volume.sequence)
        yield LatentVolume(volume.name, group, kind, latents[0].half().cpu(), *map(torch.from_numpy, cells))


def _whole_cells(volume: Volume) -> tuple[slice, ...]:
    return tuple(slice(0, n - n % CELL) for n in volume.intensities.shape)


def random_hole(size: int, body: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """One or two ellipsoids of `HOLE_RADII_CELLS` in a cube of `size` cells, inside the body; bool (k, j, i)."""
    grid = np.stack(np.meshgrid(*[np.arange(size, dtype=np.float32)] * 3, indexing="ij"))
    hole = np.zeros((size,) * 3, bool)
    inside = np.argwhere(body.numpy())
    for _ in range(rng.integers(1, 3)):
        centre = inside[rng.integers(len(inside))] if len(inside) else rng.uniform(3, size - 3, 3)
        radii = np.exp(rng.uniform(*np.log(HOLE_RADII_CELLS))) * rng.uniform(0.7, 1.3, 3)
        hole |= (((grid - np.reshape(centre, (3, 1, 1, 1))) / radii.reshape(3, 1, 1, 1)) ** 2).sum(0) < 1
    return torch.from_numpy(hole) & body


def denoising_loss(
    denoiser: nn.Module,
    autoencoder: ScanAutoencoder,
    latents: torch.Tensor,
    teach: torch.Tensor,
    hole: torch.Tensor,
    modality: torch.Tensor,
    shares: tuple[float, float, float],
    rng: np.random.Generator,
) -> torch.Tensor:
    """Loss of one batch: latents (n, 4, ...), `teach` and `hole` (n, 1, ...) float, `modality` (n,), `shares` of the tasks."""
    count, device = latents.shape[0], latents.device
    task = torch.from_numpy(rng.choice(3, size=count, p=shares)).to(device)
    sigma = torch.from_numpy(rng.uniform(LOWEST_SIGMA, 1.0, count).astype(np.float32)).to(device)
    sigma = torch.where(task == 0, torch.ones_like(sigma), sigma)
    sigma = torch.where(task == 2, sigma**2, sigma).clamp(LOWEST_SIGMA, 1.0)
    is_whole = (task == 2).view(-1, 1, 1, 1, 1)
    hole = torch.where(is_whole, torch.ones_like(hole), hole)
    level = sigma.view(-1, 1, 1, 1, 1)
    noisy = (1 - level) * latents + level * torch.randn_like(latents)
    predicted = denoiser(noisy, sigma, latents, hole, modality)
    counted = hole * teach
    weight = counted.expand_as(latents)
    absolute = (predicted - latents).abs()
    squared = (predicted - latents).square() / level.clamp(min=0.2).square()
    error = torch.where(level < 1, 0.5 * squared, absolute)
    value = (error * weight).sum() / (weight.sum() + 1)
    if rng.random() < DECODED_SHARE:
        first = (task == 0).nonzero()[:1, 0]
        value = value + DECODED_GAIN * decoded_error(autoencoder, predicted[first], latents[first], counted[first], rng)
    return value


def _shares(mask: np.ndarray) -> np.ndarray:
    k, j, i = (n // CELL for n in mask.shape)
    return mask.reshape(k, CELL, j, CELL, i, CELL).mean((1, 3, 5))


def _draw(volumes: list[LatentVolume], size: int, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    shares = np.array((SARCOMA_SHARE, MR_SHARE, 1 - SARCOMA_SHARE - MR_SHARE - BODY_SHARE, BODY_SHARE))
    present = np.isin(np.arange(4), [v.group for v in volumes])
    group = int(rng.choice(4, p=shares * present / (shares * present).sum()))
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


def _collated(batch: tuple[np.ndarray, ...], device: torch.device) -> tuple[torch.Tensor, ...]:
    latents, teach, hole, modality = (torch.as_tensor(part).to(device) for part in batch)
    return latents.float(), teach[:, None].float(), hole[:, None].float(), modality


def _held_out_errors(
    denoiser: nn.Module,
    autoencoder: ScanAutoencoder,
    volumes: list[LatentVolume],
    size: int = 24,
    count: int = 16,
) -> dict[str, float]:
    rng, device = np.random.default_rng(7), next(denoiser.parameters()).device
    errors: dict[str, list[float]] = {"expected_l1": [], "texture_velocity": [], "decoded_l1": []}
    for _ in range(count):
        drawn = tuple(part[None].numpy() for part in _draw(volumes, size, rng))
        latents, teach, hole, modality = _collated(drawn, device)
        weight = (hole * teach).expand_as(latents)
        if weight.sum() < 40:
            continue
        noise = torch.from_numpy(rng.standard_normal(latents.shape).astype(np.float32)).to(device)
        for name, sigma in (("expected_l1", 1.0), ("texture_velocity", 0.5)):
            noisy = (1 - sigma) * latents + sigma * noise
            predicted = denoiser(noisy, torch.tensor([sigma], device=device), latents, hole, modality)
            difference = predicted - latents
            error = difference.abs() if sigma == 1 else difference.square() / sigma**2
            errors[name].append(float((error * weight).sum() / weight.sum()))
            if sigma == 1:
                errors["decoded_l1"].append(float(decoded_error(autoencoder, predicted, latents, hole * teach, rng)))
    return {name: float(np.mean(values)) for name, values in errors.items() if values}
