"""Latent inpainting: what would healthy tissue look like where the finding is?

The hole is the cut score map, dilated, in latent cells. Its latents are found by the denoiser; the known latents
around it never change. Reverse diffusion is rectified flow: from noise level s to s' < s,

    x_s' = x_s + (s' - s) v,     v = (x_s - z) / s,     z the denoiser's prediction of the clean latents,

one Euler step of diffusers' FlowMatchEulerDiscreteScheduler. Outside the hole the known latents are noised to the
same level with one fixed noise, which keeps the flow's path straight, and replaced after every step (RePaint,
Lugmayr et al., CVPR 2022, without resampling).

The compact preset starts from the expected tissue, one prediction at s = 1, and draws texture from there at
`start_sigma` < 1: diffusion from pure noise was blotchy at its size (docs/decisions.md). MAISI's networks start at 1, on
MAISI's own noise levels; its first generation, which predicts the noise, is stepped by DDPM, DDIM or DPM-Solver++.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from scipy import ndimage

from diffugts.foundation.autoencoder import CELL
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.foundation.features import Check, fast_arithmetic, interruptible
from diffugts.foundation.noise_schedules import DenoisingScheduler, NoiseScheduler, flow_sigmas

Box = tuple[slice, slice, slice]
"""Slices (k, j, i), of cells or of voxels."""

CONTEXT_CELLS = 6
"""Known latent cells kept around the hole when only its surroundings are denoised."""

SMALLEST_CROP_CELLS = 24
"""Denoising crops are at least this large: the size the compact denoiser was trained on."""

DECODED_MARGIN_CELLS = 2
"""Cells around the hole that are decoded with it: the soft edge and the residual's shell lie there."""

MOST_PARTS = 60
"""Pieces of a hole that are looked at one by one; more are decoded together."""

EDGE_VOXELS = 2.0
"""Sigma of the soft edge by which decoded tissue is blended into the scan: no seam at its border."""

PAINTED_MARGIN_VOXELS = 2
"""What is painted reaches so far beyond the mask: as far as the mask may be short of the tumour by its own resolution."""


@dataclass(frozen=True)
class Inpainting:
    """The outcome on the working grid, for a box of latent cells around the hole.

    `latents` (seeds, 4, k, j, i) of the box; `box` slices in cells; `hole` bool (k, j, i), cells of the whole scan.
    """

    latents: torch.Tensor
    box: tuple[slice, slice, slice]
    hole: np.ndarray


def hole_cells(mask: np.ndarray, latent_shape: Sequence[int], dilation_cells: int, inside: np.ndarray) -> np.ndarray:
    """The hole in latent cells, bool (k, j, i): every cell the mask touches, dilated, where `inside` (voxels) holds.

    `mask` and `inside` are bool (k, j, i) on the working grid; cells whose voxels are mostly outside stay known, so
    that a finding at the skin is not filled with air.
    """
    hole = np.zeros(tuple(latent_shape), bool)
    around = bounding_box(mask)
    if around is None:
        return hole
    cells = tuple(slice(s.start // CELL, -(-s.stop // CELL)) for s in around)
    hole[cells] = _cells(mask, cells, np.max)
    if dilation_cells:
        hole = ndimage.binary_dilation(hole, ndimage.generate_binary_structure(3, 2), iterations=dilation_cells)
        cells = tuple(slice(max(0, s.start - dilation_cells), s.stop + dilation_cells) for s in cells)
    hole[cells] &= _cells(inside, cells, np.mean)[tuple(slice(0, n) for n in hole[cells].shape)] > 0.5
    return hole


def bounding_box(mask: np.ndarray, margin: int = 0) -> tuple[slice, slice, slice] | None:
    """Slices (k, j, i) of the box around a mask, with `margin` elements to each side where there are any; None where it is empty."""
    found = ndimage.find_objects(mask.view(np.uint8), 1)[0]
    if found is None:
        return None
    k, j, i = (slice(max(0, s.start - margin), min(n, s.stop + margin)) for s, n in zip(found, mask.shape))
    return k, j, i


@torch.no_grad()
def inpaint(
    denoiser: HoleDenoiser,
    scheduler: NoiseScheduler,
    latents: torch.Tensor,
    hole: np.ndarray,
    modality_class: int,
    steps: int,
    start_sigma: float,
    seeds: Sequence[int],
    check: Check | None = None,
    smallest_crop: int = SMALLEST_CROP_CELLS,
) -> Inpainting:
    """Fill the hole of normalised `latents` (1, 4, k, j, i), once per seed, all seeds in one batch.

    `steps` is the number of steps after the expected tissue; 0 gives the expected tissue itself, where the network knows
    it. The denoiser sees at least `smallest_crop` cells along each axis, where the scan has them.
    """
    box = _crop_box(hole, latents.shape[2:], denoiser.multiple, smallest_crop)
    known = latents[(slice(None), slice(None)) + box].expand(len(seeds), -1, -1, -1, -1)
    inside = torch.from_numpy(hole[box]).to(latents.device)[None, None]
    within = inside.expand(len(seeds), 1, -1, -1, -1)
    modality = torch.full((len(seeds),), modality_class, device=latents.device)
    noise = torch.cat([_noise(latents.shape, seed)[(slice(None), slice(None)) + box] for seed in seeds]).to(latents)
    with interruptible(denoiser, check), fast_arithmetic(latents.device):
        if isinstance(scheduler, FlowMatchEulerDiscreteScheduler):
            found = _flow(denoiser, scheduler, known, within, noise, modality, steps, start_sigma)
        else:
            found = _denoise(denoiser, scheduler, known, within, noise, modality, steps, seeds)
    return Inpainting(torch.where(within, found.float(), known), box, hole)


def _flow(
    denoiser: HoleDenoiser,
    scheduler: FlowMatchEulerDiscreteScheduler,
    known: torch.Tensor,
    within: torch.Tensor,
    noise: torch.Tensor,
    modality: torch.Tensor,
    steps: int,
    start_sigma: float,
) -> torch.Tensor:
    """Rectified flow inside the hole, the known latents on their straight path to the noise outside it."""
    found, hole = known, within.to(known.dtype)
    conditioned = denoiser.config["conditioned"]
    if conditioned:
        found = denoiser(noise, torch.ones(len(noise), device=known.device), known, hole, modality)
    if not steps:
        return found
    start = start_sigma if conditioned else 1.0
    even = list(np.linspace(start, start / steps, steps))
    sigmas = even if conditioned else flow_sigmas(steps, int(np.prod(known.shape[2:])))
    scheduler.set_timesteps(sigmas=sigmas, device=known.device)
    sample = (1 - start) * torch.where(within, found, known) + start * noise
    for timestep, level, following in zip(scheduler.timesteps, scheduler.sigmas, scheduler.sigmas[1:]):
        sigma = level.to(known).expand(len(noise))
        clean = denoiser(sample, sigma, known, hole, modality)
        sample = scheduler.step((sample - clean) / level, timestep, sample, return_dict=False)[0]
        renoised = (1 - following) * known + following * noise
        sample = torch.where(within, sample, renoised.to(sample))
    return sample


def _denoise(
    denoiser: HoleDenoiser,
    scheduler: DenoisingScheduler,
    known: torch.Tensor,
    within: torch.Tensor,
    noise: torch.Tensor,
    modality: torch.Tensor,
    steps: int,
    seeds: Sequence[int],
) -> torch.Tensor:
    """Denoising diffusion inside the hole, the known latents noised to the same level outside it."""
    scheduler.set_timesteps(max(1, steps), device=known.device)
    drawn = {"generator": [torch.Generator().manual_seed(seed) for seed in seeds]}
    chance = drawn if isinstance(scheduler, DDPMScheduler) else {}
    sample = noise
    for number, timestep in enumerate(scheduler.timesteps):
        said = denoiser.predict(sample, timestep.expand(len(noise)), modality)
        sample = scheduler.step(said, timestep, sample, return_dict=False, **chance)[0]
        following = scheduler.timesteps[number + 1 : number + 2]
        renoised = scheduler.add_noise(known, noise, following.expand(len(noise))) if len(following) else known
        sample = torch.where(within, sample, renoised.to(sample))
    return sample


def decoded_box(hole: np.ndarray) -> tuple[slice, slice, slice]:
    """The cells that need decoding for a hole (k, j, i) in cells of the whole scan: its bounding box with a margin."""
    slices = []
    for axis, size in enumerate(hole.shape):
        seen = np.flatnonzero(hole.any(axis=tuple(a for a in range(3) if a != axis)))
        low, high = (int(seen[0]), int(seen[-1]) + 1) if seen.size else (0, min(size, 1))
        slices.append(slice(max(0, low - DECODED_MARGIN_CELLS), min(size, high + DECODED_MARGIN_CELLS)))
    return slices[0], slices[1], slices[2]


def decoded_parts(hole: np.ndarray, reach: int) -> list[Box]:
    """Boxes of cells that together hold what needs decoding for a `hole`, bool (k, j, i): one for findings that lie close, more where
    what lies between them would cost more than the halos do, `reach` cells to every side that the decoder has to see as well.
    """
    pieces = ndimage.label(hole, ndimage.generate_binary_structure(3, 3))[0]
    boxes = [_with_margin(found, hole.shape) for found in ndimage.find_objects(pieces)]
    if not 1 < len(boxes) <= MOST_PARTS:
        return [decoded_box(hole)]

    def cost(box: Box) -> int:
        return int(np.prod([s.stop - s.start + 2 * reach for s in box]))

    def cheaper_together() -> tuple[Box, Box, Box] | None:
        for one, other in combinations(boxes, 2):
            k, j, i = (slice(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(one, other))
            if cost((k, j, i)) <= cost(one) + cost(other):
                return one, other, (k, j, i)
        return None

    while found := cheaper_together():
        one, other, both = found
        boxes = [box for box in boxes if box not in (one, other)] + [both]
    return boxes


def _with_margin(box: tuple[slice, ...], shape: Sequence[int]) -> Box:
    k, j, i = (
        slice(max(0, s.start - DECODED_MARGIN_CELLS), min(n, s.stop + DECODED_MARGIN_CELLS)) for s, n in zip(box, shape)
    )
    return k, j, i


def hole_voxels(hole: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A hole in cells as bool (k, j, i) of a working grid of `shape`."""
    return hole.repeat(CELL, 0).repeat(CELL, 1).repeat(CELL, 2)[tuple(slice(0, n) for n in shape)]


def painted_voxels(mask: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Where a mask's decoded tissue replaces the scan, bool (k, j, i): the mask and a margin, as far as the hole reaches.

    The hole itself is larger, by cells: latents beside a tumour know of it. What lies there is only not shown to the
    denoiser; a bone beside a tumour stays the scan's own.
    """
    painted = np.zeros_like(mask)
    around = bounding_box(mask, PAINTED_MARGIN_VOXELS)
    if around is not None:
        painted[around] = ndimage.binary_dilation(mask[around], iterations=PAINTED_MARGIN_VOXELS)
    return painted & hole_voxels(hole, mask.shape)


def pasted(latents: torch.Tensor, inpainting: Inpainting, number: int) -> torch.Tensor:
    """The whole scan's latents with one seed's box in place: bit-equal to `latents` outside the hole."""
    whole = latents.clone()
    whole[(slice(None), slice(None)) + inpainting.box] = inpainting.latents[number : number + 1]
    return whole


def blended(
    intensities: np.ndarray, decoded: np.ndarray, box: tuple[slice, slice, slice], painted: np.ndarray
) -> np.ndarray:
    """The scan (k, j, i) with the decoded tissue where it is `painted`, a soft edge between them, and nothing else changed.

    `decoded` covers the voxels of the cells in `box`; `painted` is bool (k, j, i), voxels of the whole scan.
    """
    voxels = tuple(slice(s.start * CELL, min(s.stop * CELL, n)) for s, n in zip(box, intensities.shape))
    shape = tuple(v.stop - v.start for v in voxels)
    within = painted[voxels]
    share = ndimage.gaussian_filter(within.astype(np.float32), EDGE_VOXELS)
    share = np.clip(2 * share - 0.5, 0, 1) * within + np.clip(2 * share - 0.5, 0, 0.5) * ~within
    result = intensities.copy()
    part = decoded[: shape[0], : shape[1], : shape[2]]
    result[voxels] = (1 - share) * intensities[voxels] + share * np.clip(part, 0, None)
    return result


def _noise(shape: torch.Size, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((1, *shape[1:]), generator=generator)


def _cells(array: np.ndarray, cells: tuple[slice, ...], reduce: np.ufunc | object) -> np.ndarray:
    """The voxels (k, j, i) of each cell in `cells` reduced to one value; where the scan ends within a cell there is air, 0."""
    part = array[tuple(slice(s.start * CELL, s.stop * CELL) for s in cells)]
    k, j, i = (s.stop - s.start for s in cells)
    filled = np.pad(part.astype(np.float32), [(0, n * CELL - a) for n, a in zip((k, j, i), part.shape)])
    return reduce(filled.reshape(k, CELL, j, CELL, i, CELL), axis=(1, 3, 5))  # type: ignore[operator]


def _crop_box(
    hole: np.ndarray, shape: Sequence[int], multiple: int, smallest: int = SMALLEST_CROP_CELLS
) -> tuple[slice, slice, slice]:
    slices = []
    for axis, size in enumerate(shape):
        seen = np.flatnonzero(hole.any(axis=tuple(a for a in range(3) if a != axis)))
        if seen.size == 0:
            low, high = 0, min(size, smallest)
        else:
            low, high = int(seen[0]) - CONTEXT_CELLS, int(seen[-1]) + 1 + CONTEXT_CELLS
        missing = max(0, smallest - (high - low))
        low, high = max(0, low - missing // 2), min(size, high + missing - missing // 2)
        high = min(size, low + -(-(high - low) // multiple) * multiple)
        low = max(0, high - -(-(high - low) // multiple) * multiple)
        slices.append(slice(low, high))
    return tuple(slices)  # type: ignore[return-value]
