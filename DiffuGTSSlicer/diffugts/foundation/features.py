"""What the frozen foundation sees in a scan: latents, and features at three strides.

Stride 2 and 4 come from the autoencoder's encoder, 4 and 8 from the denoiser's up-path while it cleans the
lightly noised scan (sigma 0.1, one fixed noise). The denoiser's share was worth 0.05 to 0.08 DSC in a trial before
this project; `diffugts train ablation` measures it. Everything here is computed once per scan and kept.

Large scans pass through the encoder in tiles with a halo. Without group normalisation the encoder sees its
`encoder_reach` and no further: with that halo tiles equal the whole. With it (MAISI) a tile has statistics of its own,
and tiles only come close (docs/benchmarks.md).
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
from diffugts.foundation.tiles import Tile, tiles

FEATURE_SIGMA = 0.1
NOISE_PERIOD = 32
DEFAULT_TILE_VOXELS = 12_000_000
TILE_STEP = 16
"""Tiles begin at multiples of so many voxels: of a cell, and of every feature's stride."""

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
        torch.from_numpy(np.ascontiguousarray(intensities, np.float32))[None, None], padding_multiple(denoiser)
    )
    with interruptible(autoencoder, check), interruptible(denoiser, check), fast_arithmetic(device):
        latents, encoder_levels = encode_tiles(autoencoder, scan.to(device), tile_voxels)
        levels = add_denoiser_levels(denoiser, latents, encoder_levels, modality_class)
    return ScanFeatures(latents, levels, tuple(intensities.shape))  # type: ignore[arg-type]


@torch.no_grad()
def read_latents(
    autoencoder: ScanAutoencoder,
    denoiser: HoleDenoiser,
    intensities: np.ndarray,
    tile_voxels: int = DEFAULT_TILE_VOXELS,
    check: Check | None = None,
) -> torch.Tensor:
    """Latents alone (1, 4, k/4, j/4, i/4), normalised, of the padded scan: what inpainting needs."""
    device = autoencoder.latent_mean.device
    scan = pad_to_multiple(
        torch.from_numpy(np.ascontiguousarray(intensities, np.float32))[None, None], padding_multiple(denoiser)
    ).to(device)
    size = scan.shape[2:]
    plan = tiles(size, tile_voxels, autoencoder.encoder_reach, TILE_STEP)
    latents = scan.new_empty((1, autoencoder.config["latent_channels"]) + tuple(n // CELL for n in size))
    with interruptible(autoencoder, check), fast_arithmetic(device):
        for tile in plan:
            _fill(latents, autoencoder.encode(scan[(slice(None), slice(None)) + tile.wide])[0], tile, CELL)
    return latents


def features_of_crops(
    autoencoder: ScanAutoencoder, denoiser: HoleDenoiser, crops: torch.Tensor, modality_class: int | torch.Tensor
) -> dict[int, torch.Tensor]:
    """Features by stride of training crops (n, 1, k, j, i), sizes multiples of 16; one class for all, or (n,)."""
    latents, levels = _encode(autoencoder, crops)
    return add_denoiser_levels(denoiser, latents, levels, modality_class)


def encode_tiles(
    autoencoder: ScanAutoencoder, scan: torch.Tensor, tile_voxels: int, halo: int | None = None
) -> tuple[torch.Tensor, dict[int, torch.Tensor]]:
    """Latents and encoder features of (1, 1, k, j, i), cut into tiles with a halo of voxels (a multiple of a cell)."""
    size = scan.shape[2:]
    if np.prod(size) <= tile_voxels:
        return _encode(autoencoder, scan)
    together: torch.Tensor | None = None
    levels: dict[int, torch.Tensor] = {}
    for tile in tiles(size, tile_voxels, autoencoder.encoder_reach if halo is None else halo, TILE_STEP):
        latents, part = _encode(autoencoder, scan[(slice(None), slice(None)) + tile.wide])
        if together is None:
            together = latents.new_empty(latents.shape[:2] + tuple(n // CELL for n in size))
            levels = {s: t.new_empty(t.shape[:2] + tuple(n // s for n in size)) for s, t in part.items()}
        _fill(together, latents, tile, CELL)
        for stride, level in levels.items():
            _fill(level, part[stride], tile, stride)
    assert together is not None
    return together, levels


def add_denoiser_levels(
    denoiser: HoleDenoiser, latents: torch.Tensor, levels: dict[int, torch.Tensor], modality_class: int | torch.Tensor
) -> dict[int, torch.Tensor]:
    """The encoder's levels joined with the latents and the denoiser's view of them."""
    modality = torch.as_tensor(modality_class, device=latents.device).expand(latents.shape[0])
    noise = noise_field(latents.shape[2:], latents.shape[1]).to(latents)
    prediction, stages = denoiser.features(latents, FEATURE_SIGMA, modality, noise.expand_as(latents))
    joined = {stride: [level] for stride, level in levels.items()}
    joined[CELL] += [latents, prediction - latents]
    for stride, numbers in denoiser.feature_stages.items():
        joined.setdefault(stride, []).extend(stages[number] for number in numbers)
    # One tensor alone is not joined: at stride 2 the copy would be the largest thing in memory.
    return {
        stride: torch.cat([t.float() for t in tensors], dim=1) if len(tensors) > 1 else tensors[0].float()
        for stride, tensors in joined.items()
    }


def feature_channels(autoencoder: ScanAutoencoder, denoiser: HoleDenoiser) -> dict[int, int]:
    """Stride -> channels of the features of a foundation: what an attention on top of it must be made for."""
    channels = {s: autoencoder.tap_channels.get(s, 0) + denoiser.feature_channels.get(s, 0) for s in (2, 4, 8)}
    channels[CELL] += 2 * autoencoder.config["latent_channels"]
    return channels


def padding_multiple(denoiser: HoleDenoiser) -> int:
    """Scans are filled up to a multiple of so many voxels: the denoiser halves the latents once per level but the first."""
    return CELL * denoiser.multiple


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
    latents, outputs = autoencoder.encode(scan, [block for blocks in autoencoder.taps.values() for block in blocks])
    return latents, {s: torch.cat([outputs[b] for b in blocks], dim=1) for s, blocks in autoencoder.taps.items()}


def _fill(whole: torch.Tensor, part: torch.Tensor, tile: Tile, stride: int) -> None:
    """Write a tile's core, at `stride` voxels to an element, into the whole."""
    core, inner = (tuple(slice(s.start // stride, s.stop // stride) for s in box) for box in (tile.core, tile.inner))
    whole[(slice(None), slice(None)) + core] = part[(slice(None), slice(None)) + inner]
