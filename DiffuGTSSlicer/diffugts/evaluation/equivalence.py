"""Shortcuts held against the slow exact way, on one scan and the same weights: errors in units that matter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from diffugts.foundation.features import encode_tiles, fast_arithmetic, pad_to_multiple, padding_multiple
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.scan import Scan
from diffugts.scans.working_grid import to_working_grid

HALOS = (0, 8, 16, 24)
TILES = 3


@dataclass(frozen=True)
class EquivalenceReport:
    """Largest errors of latents, in units of their standard deviation: by the tiles' halo in voxels, and of bfloat16."""

    halo_error_sigma: dict[str, float]
    bfloat16_error_sigma: float
    bfloat16_mean_error_sigma: float


@torch.no_grad()
def measure_equivalence(pipeline: DiffuGTSPipeline, scan: Scan) -> EquivalenceReport:
    """Encode a scan whole and in tiles, in single precision and in bfloat16."""
    grid = to_working_grid(scan, pipeline.preset.spacing_mm, pipeline.preset.ct_curve)
    voxels = pad_to_multiple(torch.from_numpy(grid.intensities)[None, None], padding_multiple(pipeline.denoiser)).to(
        pipeline.device
    )
    whole, _ = encode_tiles(pipeline.autoencoder, voxels, 10**12)
    longest = max(voxels.shape[2:])
    plane = int(np.prod(voxels.shape[2:])) // longest
    errors = {}
    for halo in HALOS:
        tile_voxels = plane * (longest // TILES + 2 * halo)
        tiled, _ = encode_tiles(pipeline.autoencoder, voxels, tile_voxels, halo)
        errors[str(halo)] = float((tiled - whole).abs().max())
    with fast_arithmetic(voxels.device):
        quick, _ = encode_tiles(pipeline.autoencoder, voxels, 10**12)
    difference = (quick.float() - whole).abs()
    return EquivalenceReport(errors, float(difference.max()), float(difference.mean()))
