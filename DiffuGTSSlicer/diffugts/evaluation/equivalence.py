"""Shortcuts held against the slow exact way, on one scan and the same weights: errors in units that matter.

Latents are compared in their standard deviations, decoded scans in HU (for MR in thousandths of the bright tissue),
attention in score. With random weights the figures tell of the arithmetic alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from diffugts.encoded import EncodedScan
from diffugts.foundation.autoencoder import CELL
from diffugts.foundation.features import encode_tiles, fast_arithmetic, pad_to_multiple, padding_multiple
from diffugts.inpainting import hole_cells, inpaint
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.scan import Scan
from diffugts.scans.working_grid import to_working_grid

HALOS = (0, 8, 16, 24, 36)
"""Voxels; all multiples of a latent cell."""

DECODER_HALOS = (0, 2, 4, 6, 8, 10)
"""Latent cells."""

TILES = 3
FEW, MANY = (4, 8, 12, 30), 60
"""Steps of inpainting, and what they are compared with."""

REGION_MM = 60.0
DESCRIPTION = "soft tissue sarcoma"


@dataclass(frozen=True)
class Errors:
    """Difference to the exact way: root of the mean square, and the largest."""

    rms: float
    largest: float

    @classmethod
    def of(cls, quick: np.ndarray, exact: np.ndarray, unit: float = 1.0) -> Errors:
        """Of two arrays, in multiples of 1 / `unit`."""
        difference = np.abs(quick.astype(np.float64) - exact)
        return cls(float(np.sqrt((difference**2).mean())) * unit, float(difference.max()) * unit)


@dataclass(frozen=True)
class EquivalenceReport:
    """Errors of every shortcut.

    `tiles_sigma` latents of a scan encoded in tiles, by halo in voxels; `decoding_hu` a box decoded by itself, by halo in
    latent cells; `residual_hu` the same for the difference of two such boxes, which is what a result shows;
    `bfloat16_*` of half precision; `kept_score` the attention on kept features against fresh ones; `steps_*` inpainting
    with few steps against many. Empty or None where the model has no such part.
    """

    random_weights: bool
    tiles_sigma: dict[str, Errors]
    decoding_hu: dict[str, Errors]
    residual_hu: dict[str, Errors]
    bfloat16_sigma: Errors
    bfloat16_hu: Errors
    kept_score: Errors | None
    steps_sigma: dict[str, Errors]
    steps_hu: dict[str, Errors]


@torch.no_grad()
def measure_equivalence(pipeline: DiffuGTSPipeline, scan: Scan) -> EquivalenceReport:
    """Take one scan through every shortcut and through the exact way."""
    preset = pipeline.preset
    grid = to_working_grid(scan, preset.spacing_mm, preset.ct_curve, preset.mr_range)
    voxels = pad_to_multiple(torch.from_numpy(grid.intensities)[None, None], padding_multiple(pipeline.denoiser))
    voxels = voxels.to(pipeline.device)
    whole = pipeline.autoencoder.encode(voxels)[0]
    sigma = 1 / float(whole.std())
    unit = grid.curve.units[-1] - grid.curve.units[0] if grid.modality == "CT" else 1000.0
    unit /= grid.curve.model[-1] - grid.curve.model[0] if grid.modality == "CT" else 1.0
    shape = tuple(int(n) for n in whole.shape[2:])

    longest = max(voxels.shape[2:])
    plane = int(np.prod(voxels.shape[2:])) // longest
    tiles_sigma = {}
    for halo in HALOS:
        part, _ = encode_tiles(pipeline.autoencoder, voxels, plane * (longest // TILES + 2 * halo), halo)
        tiles_sigma[str(halo)] = Errors.of(_array(part), _array(whole), sigma)

    hole = _central_hole(shape, REGION_MM / preset.spacing_mm / CELL)
    box = _box(hole)
    steps_latents = {n: _inpainted(pipeline, whole, hole, grid.modality, n) for n in (*FEW, MANY)}
    exact_scan = _array(pipeline.autoencoder.decode(whole))
    exact_filled = {n: _array(pipeline.autoencoder.decode(latents)) for n, latents in steps_latents.items()}
    inner = tuple(slice(s.start * CELL, s.stop * CELL) for s in box)
    decoding, residual = {}, {}
    for halo in DECODER_HALOS:
        before = _decoded(pipeline, whole, box, halo)
        after = _decoded(pipeline, steps_latents[MANY], box, halo)
        decoding[str(halo)] = Errors.of(before, exact_scan[inner], unit)
        residual[str(halo)] = Errors.of(before - after, (exact_scan - exact_filled[MANY])[inner], unit)

    with fast_arithmetic(voxels.device):
        quick = pipeline.autoencoder.encode(voxels)[0]
        quick_scan = _array(pipeline.autoencoder.decode(whole))
    cells = hole[None]
    return EquivalenceReport(
        random_weights=preset.random_weights,
        tiles_sigma=tiles_sigma,
        decoding_hu=decoding,
        residual_hu=residual,
        bfloat16_sigma=Errors.of(_array(quick), _array(whole), sigma),
        bfloat16_hu=Errors.of(quick_scan, exact_scan, unit),
        kept_score=_kept_against_fresh(pipeline, scan) if pipeline.attention is not None else None,
        steps_sigma={
            str(n): Errors.of(_array(steps_latents[n])[:, cells[0]], _array(steps_latents[MANY])[:, cells[0]], sigma)
            for n in FEW
        },
        steps_hu={str(n): Errors.of(exact_filled[n][inner], exact_filled[MANY][inner], unit) for n in FEW},
    )


def _kept_against_fresh(pipeline: DiffuGTSPipeline, scan: Scan) -> Errors:
    """The attention on features kept in half precision, as a second description has them, against fresh ones."""
    kept: EncodedScan = pipeline.encode(scan)
    pipeline.attend(kept, ["liver tumour"])
    second = pipeline.attend(kept, [DESCRIPTION])[0].score
    fresh = pipeline.attend(pipeline.encode(scan), [DESCRIPTION])[0].score
    return Errors.of(second, fresh)


def _inpainted(
    pipeline: DiffuGTSPipeline, latents: torch.Tensor, hole: np.ndarray, modality: str, steps: int
) -> torch.Tensor:
    preset = pipeline.preset
    number = 1 if modality == "CT" else 8
    result = inpaint(
        pipeline.painter,
        pipeline.scheduler,
        latents,
        hole,
        number,
        steps,
        preset.start_sigma,
        [0],
        smallest_crop=max(latents.shape[2:]),
    )
    whole = latents.clone()
    whole[(slice(None), slice(None)) + result.box] = result.latents
    return whole


def _decoded(
    pipeline: DiffuGTSPipeline, latents: torch.Tensor, box: tuple[slice, slice, slice], halo: int
) -> np.ndarray:
    """A box decoded in single precision with a halo of latent cells."""
    wide = tuple(slice(max(0, s.start - halo), min(n, s.stop + halo)) for s, n in zip(box, latents.shape[2:]))
    inner = tuple(slice(s.start - w.start, s.stop - w.start) for s, w in zip(box, wide))
    return _array(pipeline.autoencoder.decode_part(latents[(slice(None), slice(None)) + wide], inner))


def _central_hole(shape: tuple[int, ...], side: float) -> np.ndarray:
    half = max(1, min(round(side / 2), min(shape) // 4))
    voxels = np.zeros([n * CELL for n in shape], bool)
    voxels[tuple(slice((n // 2 - half) * CELL, (n // 2 + half) * CELL) for n in shape)] = True
    return hole_cells(voxels, shape, 0, np.ones(voxels.shape, bool))


def _box(hole: np.ndarray) -> tuple[slice, slice, slice]:
    seen = [np.flatnonzero(hole.any(axis=tuple(a for a in range(3) if a != axis))) for axis in range(3)]
    k, j, i = (slice(int(s[0]), int(s[-1]) + 1) for s in seen)
    return k, j, i


def _array(tensor: torch.Tensor) -> np.ndarray:
    """The first element of a batch; of one channel, the volume alone."""
    array = tensor[0].float().cpu().numpy()
    return array[0] if array.shape[0] == 1 else array
