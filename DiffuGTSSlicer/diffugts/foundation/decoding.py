"""Decoding a part of a scan's latents: what it costs to show a region rather than the whole."""

from __future__ import annotations

import numpy as np
import torch

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder
from diffugts.foundation.features import DEFAULT_TILE_VOXELS, Check, fast_arithmetic, interruptible
from diffugts.foundation.tiles import tiles

LEAST_CORE_CELLS = 4
"""Smaller cores would leave the decoder nothing but halos: a box of 100 mm would be decoded hundreds of times."""


@torch.no_grad()
def decode_box(
    autoencoder: ScanAutoencoder,
    latents: torch.Tensor,
    box: tuple[slice, slice, slice],
    check: Check | None = None,
    tile_voxels: int = DEFAULT_TILE_VOXELS,
) -> np.ndarray:
    """Model intensities (k, j, i) of the cells in `box`, decoded from latents (1, 4, k, j, i) of the whole scan.

    The decoder sees a halo of its own reach around the box, or around each tile of it. `tile_voxels` bounds a tile with its
    halo; less than a core of `LEAST_CORE_CELLS` to a side needs is not gone below.
    """
    halo = autoencoder.decoder_reach
    size = [s.stop - s.start for s in box]
    around = [(s.start, n - s.stop) for s, n in zip(box, latents.shape[2:])]
    most = max(tile_voxels // CELL**3, (2 * halo + LEAST_CORE_CELLS) ** 3)
    decoded = np.empty([n * CELL for n in size], np.float32)
    with interruptible(autoencoder, check), fast_arithmetic(latents.device):
        for tile in tiles(size, most, halo, 1, around):
            wide = tuple(slice(s.start + w.start, s.start + w.stop) for s, w in zip(box, tile.wide))
            voxels = autoencoder.decode_part(latents[(slice(None), slice(None)) + wide], tile.inner)[0, 0]
            decoded[tuple(slice(c.start * CELL, c.stop * CELL) for c in tile.core)] = voxels.cpu().numpy()
    return decoded
