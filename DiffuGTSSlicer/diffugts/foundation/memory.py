"""How much memory a network may take, and what to do when there is less.

Tiles have a few fixed sizes, each half of the one before, so that the same scan gives the same result on most machines;
a smaller one is taken where memory is short, and the result says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import psutil
import torch

from diffugts.allocation import is_memory_shortage

CHANNEL_VOXELS = 192_000_000
SMALL_CHANNEL_VOXELS = 40_000_000
"""Voxels of a tile times channels of a network's widest level: by default, and in low-memory mode."""

LARGEST_GPU_TILES = 2
"""A GPU with room for it takes tiles so much larger: fewer halos are computed twice."""

LEAST_CORE_VOXELS = 48
"""A tile's side without its halos, at least: below that almost all of the arithmetic would go into halos."""

BYTES_PER_CHANNEL_VOXEL = 24
"""Memory per voxel and channel of the widest level: some six activations of 4 bytes live at once (docs/benchmarks.md)."""

SMALLEST_TILE_VOXELS = 64**3

Result = TypeVar("Result")


def free_memory(device: torch.device) -> int:
    """Bytes that can be had on a device now; on the CPU what the system could give."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(psutil.virtual_memory().available)


def tile_voxels(channels: int, halo: int, free_bytes: int, low_memory: bool = False, gpu: bool = False) -> int:
    """Voxels that may pass at once through a network of `channels` channels at its widest, tiles having a `halo` in voxels."""
    voxels = (SMALL_CHANNEL_VOXELS if low_memory else CHANNEL_VOXELS) // channels
    if gpu and not low_memory:
        voxels *= LARGEST_GPU_TILES
    voxels = max(voxels, (2 * halo + LEAST_CORE_VOXELS) ** 3)
    while voxels * channels * BYTES_PER_CHANNEL_VOXEL > free_bytes and voxels > SMALLEST_TILE_VOXELS:
        voxels //= 2
    return voxels


def in_tiles_that_fit(compute: Callable[[int], Result], voxels: int) -> tuple[Result, int]:
    """`compute(voxels)`, with tiles halved each time memory runs out; the result and the tiles it took.

    Raises what `compute` raised where even the smallest tiles do not fit.
    """
    while True:
        try:
            return compute(voxels), voxels
        except (RuntimeError, MemoryError) as error:
            if not is_memory_shortage(error) or voxels <= SMALLEST_TILE_VOXELS:
                raise
        # Outside the except block: until here the traceback held on to what filled the memory.
        voxels = max(voxels // 2, SMALLEST_TILE_VOXELS)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
