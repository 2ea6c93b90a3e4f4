"""What the frozen foundation sees in a scan: latents, and features at three strides.

Stride 2 and 4 come from the autoencoder's encoder, 4 and 8 from the denoiser's up-path while it cleans the
lightly noised scan (sigma 0.1, one fixed noise). The denoiser's share was worth 0.05 to 0.08 DSC in the first
proof (docs/decisions.md). Everything here is computed once per scan and kept.

Large scans pass through the encoder in tiles with a halo. Without group normalisation the encoder sees
`ENCODER_REACH` voxels and no further: with that halo tiles equal the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser

ENCODER_TAPS = {2: (2, 3), 4: (5,)}
"""Stride in voxels of the working grid -> blocks of the compact encoder."""

DENOISER_STAGES = {8: (0,), 4: (1, 2)}
"""Stride -> stages of the denoiser's up-path, coarse to fine."""

FEATURE_SIGMA = 0.1
ENCODER_REACH = 24
"""Voxels a latent cell of the compact encoder depends on, to each side (22 by its layers), as a multiple of `CELL`."""

PADDING_MULTIPLE = 16
NOISE_PERIOD = 32
DEFAULT_TILE_VOXELS = 12_000_000
SMALL_TILE_VOXELS = 2_500_000

Check = Callable[[], None]
"""Called between layers; may raise `Cancelled`."""


@dataclass(frozen=True)
class ScanFeatures:
    """Latents (1, 4, k/4, j/4, i/4), normalised, and features by stride: stride -> (1, channels, k/s, j/s, i/s).

    Sizes are those of the padded scan; `shape` is the scan's own (k, j, i) on the working grid.
    """

    latents: torch.Tensor
    levels: dict[int, torch.Tensor]
    shape: tuple[int, int, int]


@torch.no_grad()
def read_features(
    autoencoder: ScanAutoencoder,
    denoiser: HoleDenoiser,
    intensities: np.ndarray,
    modality_class: int,
    tile_voxels: int = DEFAULT_TILE_VOXELS,
    check: Check | None = None,
) -> ScanFeatures:
    """Encode a whole scan, `intensities` (k, j, i) of the working grid.

    `tile_voxels` bounds how much goes through the encoder at once.
    """
    device = autoencoder.latent_mean.device
    scan = pad_to_multiple(
        torch.from_numpy(np.ascontiguousarray(intensities, np.float32))[None, None], PADDING_MULTIPLE
    )
    with interruptible(autoencoder, check), interruptible(denoiser, check), fast_arithmetic(device):
        latents, encoder_levels = encode_tiles(autoencoder, scan.to(device), tile_voxels)
        levels = add_denoiser_levels(denoiser, latents, encoder_levels, modality_class)
    return ScanFeatures(latents, levels, tuple(intensities.shape))  # type: ignore[arg-type]


def features_of_crops(
    autoencoder: ScanAutoencoder, denoiser: HoleDenoiser, crops: torch.Tensor, modality_class: int
) -> dict[int, torch.Tensor]:
    """Features by stride of training crops (n, 1, k, j, i), sizes multiples of 16."""
    latents, levels = _encode(autoencoder, crops)
    return add_denoiser_levels(denoiser, latents, levels, modality_class)


def encode_tiles(
    autoencoder: ScanAutoencoder, scan: torch.Tensor, tile_voxels: int, halo: int = ENCODER_REACH
) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """Latents and encoder features of (1, 1, k, j, i), cut along the longest axis into slabs with a halo."""
    size = scan.shape[2:]
    if np.prod(size) <= tile_voxels:
        return _encode(autoencoder, scan)
    axis = int(np.argmax(size))
    plane = int(np.prod(size)) // size[axis]
    thickness = max(2 * PADDING_MULTIPLE, (tile_voxels // plane - 2 * halo) // PADDING_MULTIPLE * PADDING_MULTIPLE)
    pieces = []
    for start in range(0, size[axis], thickness):
        stop = min(start + thickness, size[axis])
        low, high = max(0, start - halo), min(size[axis], stop + halo)
        latents, levels = _encode(autoencoder, scan.narrow(axis + 2, low, high - low))
        kept = {s: t.narrow(axis + 2, (start - low) // s, (stop - start) // s).clone() for s, t in levels.items()}
        cells = latents.narrow(axis + 2, (start - low) // CELL, (stop - start) // CELL).clone()
        pieces.append((cells, kept))
    together = torch.cat([latents for latents, _ in pieces], dim=axis + 2)
    return together, {s: torch.cat([kept[s] for _, kept in pieces], dim=axis + 2) for s in pieces[0][1]}


def add_denoiser_levels(
    denoiser: HoleDenoiser, latents: torch.Tensor, levels: dict[int, torch.Tensor], modality_class: int
) -> dict[int, torch.Tensor]:
    """The encoder's levels joined with the latents and the denoiser's view of them."""
    modality = torch.full((latents.shape[0],), modality_class, device=latents.device)
    noise = noise_field(latents.shape[2:], latents.shape[1]).to(latents)
    prediction, stages = denoiser.features(latents, FEATURE_SIGMA, modality, noise.expand_as(latents))
    joined = {stride: [level] for stride, level in levels.items()}
    joined[CELL] += [latents, prediction - latents]
    for stride, numbers in DENOISER_STAGES.items():
        joined.setdefault(stride, []).extend(stages[number] for number in numbers)
    return {stride: torch.cat([t.float() for t in tensors], dim=1) for stride, tensors in joined.items()}


def noise_field(shape: tuple[int, ...] | torch.Size, channels: int, seed: int = 0) -> torch.Tensor:
    """Standard normal noise (1, channels, k, j, i), periodic: a cell's noise depends on its place alone, not on the size."""
    generator = torch.Generator().manual_seed(seed)
    block = torch.randn((1, channels) + (NOISE_PERIOD,) * 3, generator=generator)
    repeats = [-(-n // NOISE_PERIOD) for n in shape]
    field = block.repeat(1, 1, *repeats)
    return field[:, :, : shape[0], : shape[1], : shape[2]]


def pad_to_multiple(tensor: torch.Tensor, multiple: int) -> torch.Tensor:
    """(n, c, k, j, i) filled up with zeros (air) at the far ends."""
    fill = [(-n) % multiple for n in tensor.shape[2:]]
    return functional.pad(tensor, (0, fill[2], 0, fill[1], 0, fill[0]))


@contextmanager
def interruptible(module: nn.Module, check: Check | None) -> Iterator[None]:
    """Within, `check` is called before every convolution of `module`: a long forward pass can be cancelled in its middle."""
    if check is None:
        yield
        return
    hooks = [
        layer.register_forward_pre_hook(lambda _module, _inputs: check())
        for layer in module.modules()
        if isinstance(layer, nn.Conv3d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def fast_arithmetic(device: torch.device) -> torch.autocast:
    """bfloat16 where the method tolerates it: on the CPU and on GPUs that have it; see docs/decisions.md."""
    enabled = device.type == "cpu" or (device.type == "cuda" and torch.cuda.is_bf16_supported())
    return torch.autocast(device.type, torch.bfloat16, enabled=enabled)


def _encode(autoencoder: ScanAutoencoder, scan: torch.Tensor) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    taps = [block for blocks in ENCODER_TAPS.values() for block in blocks]
    latents, outputs = autoencoder.encode(scan, taps)
    return latents, {s: torch.cat([outputs[b] for b in blocks], dim=1) for s, blocks in ENCODER_TAPS.items()}
