"""Decoding a part of a scan's latents: what it costs to show a region rather than the whole."""

from __future__ import annotations

import numpy as np
import torch

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.features import DEFAULT_TILE_VOXELS, Check, fast_arithmetic, interruptible
from diffugts.foundation.tiles import tiles


@torch.no_grad()
def decode_box(
    autoencoder: ScanAutoencoder,
    latents: torch.Tensor,
    box: tuple[slice, slice, slice],
    check: Check | None = None,
    tile_voxels: int = DEFAULT_TILE_VOXELS,
) -> np.ndarray:
    """Model intensities (k, j, i) of the cells in `box`, decoded from latents (1, 4, k, j, i) of the whole scan.

    The decoder sees a halo of its own reach around the box, or around each tile of it.
    """
    halo = autoencoder.decoder_reach
    size = [s.stop - s.start for s in box]
    decoded = np.empty([n * CELL for n in size], np.float32)
    with interruptible(autoencoder, check), fast_arithmetic(latents.device):
        for tile in tiles(size, tile_voxels // CELL**3, halo, 1):
            core = tuple(slice(s.start + c.start, s.start + c.stop) for s, c in zip(box, tile.core))
            wide = tuple(slice(max(0, c.start - halo), min(n, c.stop + halo)) for c, n in zip(core, latents.shape[2:]))
            k, j, i = (slice(c.start - w.start, c.stop - w.start) for c, w in zip(core, wide))
            voxels = autoencoder.decode_part(latents[(slice(None), slice(None)) + wide], (k, j, i))[0, 0]
            decoded[tuple(slice(c.start * CELL, c.stop * CELL) for c in tile.core)] = voxels.cpu().numpy()
    return decoded
