"""What the denoiser's training looks at beside its own latents: the tissue as it is seen.

A cell's latents are four numbers, and the loss of the expected tissue makes each of them a median by itself. Where fat or
muscle may lie, four such medians together are no tissue at all: decoded, they are blotches. So the decoded intensities are
compared as well.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as functional

from diffugts.foundation.autoencoder import CELL, ScanAutoencoder

WINDOW_CELLS = 10
"""Edge of the cube that is decoded of every crop, around a cell of its hole: decoding costs more than denoising."""


def decoded_error(
    autoencoder: ScanAutoencoder,
    predicted: torch.Tensor,
    latents: torch.Tensor,
    weight: torch.Tensor,
    rng: np.random.Generator,
) -> torch.Tensor:
    """Mean absolute difference of decoded intensities, where `weight` holds.

    `predicted` and true `latents` (n, 4, k, j, i), normalised; `weight` (n, 1, k, j, i) 0 or 1: cells of the hole that are taught.
    What lies outside the hole is the same in both. One window of each crop is looked at, around a random one of its cells.
    """
    total, voxels = predicted.new_zeros(()), predicted.new_zeros(())
    for found, true, counted in zip(predicted, latents, weight):
        cells = counted[0].nonzero()
        if not len(cells):
            continue
        centre = cells[int(rng.integers(len(cells)))].tolist()
        starts = [
            min(max(0, c - WINDOW_CELLS // 2), max(0, n - WINDOW_CELLS)) for c, n in zip(centre, counted.shape[1:])
        ]
        window = (slice(None), *(slice(start, start + WINDOW_CELLS) for start in starts))
        within = counted[window]
        mixed = torch.where(within > 0, found[window], true[window])
        with torch.no_grad():
            before = autoencoder.decode(true[window][None])
        after = autoencoder.decode(mixed[None])
        share = functional.interpolate(within[None], scale_factor=CELL, mode="nearest")
        total = total + ((after - before).abs() * share).sum()
        voxels = voxels + share.sum()
    return total / voxels.clamp(min=1)
