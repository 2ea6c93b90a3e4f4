"""Training of the appearance network: patches of the cases that the attention learns from, without their words.

After nnU-Net, as the baseline of that name (`baselines.training`): Dice and cross-entropy together, deep supervision with
halving weights. Unlike it the network sees generated lesions and look-alikes in all parts of the body, so that it has an
opinion where nobody marked a tumour; and voxels where an unmarked tumour may lie carry no weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from safetensors.torch import load_file
from torch import nn

from diffugts.appearance import WEIGHTS_FILE, WINDOW, AppearanceNetwork, with_modality
from diffugts.errors import RequestError
from diffugts.training.attention import all_volumes, case_source, is_held_out
from diffugts.training.case import Case
from diffugts.training.cases import CaseSource
from diffugts.training.configuration import RunConfiguration
from diffugts.training.crops import crop_box, crop_box_around, padded
from diffugts.training.deep_supervision import supervised
from diffugts.training.draws import draws
from diffugts.training.generated_volumes import generated_volumes
from diffugts.training.grid import TrainingGrid
from diffugts.training.run import RunSettings, TrainingRun
from diffugts.training.volumes import Volume

MARKED_SHARE = 0.3
"""Of the patches: those that hold a marked tumour of soft tissue for certain; the others are drawn as the attention's are."""

FOREGROUND_SHARE = 0.7
"""Of the patches from cases with a tumour: those that hold some of it for certain."""

DICE_SMOOTHING = 5.0
WATCHED_CASES = 8
"""Of each group, looked at in every validation."""

Patch = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class AppearanceTask:
    """What a step learns from: `batch` patches of `size` voxels to a side, drawn by so many `processes` beside it.

    `bodies` is the number of generated bodies among the volumes; `left_out` are categories (`cases.CATEGORIES`) whose tumours
    are never shown.
    """

    batch: int = 2
    size: int = WINDOW
    processes: int = 0
    bodies: int = 36
    left_out: tuple[str, ...] = ()


def train_appearance(
    volumes: Path, folder: Path, settings: RunSettings, task: AppearanceTask, initial: Path | None = None
) -> dict[str, float]:
    """Train on packed `volumes`; the network ends up in `folder`/last. Returns what its validation measured.

    `initial` is a trained network to begin with: this one, or the baseline `nnunet`, as far as its tensors fit.
    """
    torch.manual_seed(settings.seed)
    network = AppearanceNetwork()
    if initial is not None:
        take_over(network, initial)
    run = TrainingRun(folder, network, settings, RunConfiguration(task, {"volumes": volumes, "initial": initial}))
    grid = TrainingGrid.of_packed(volumes)
    source = case_source(volumes, generated_volumes(task.bodies, task.processes, grid), run.seed, task.left_out)
    watched = watched_patches([v for v in all_volumes(volumes) if is_held_out(v)], source, grid, task.size)

    def patches(seed: int) -> Callable[[], Patch]:
        own = source.with_seed(seed)
        return lambda: _stacked([_patch(own, task.size) for _ in range(task.batch)])

    batches = draws(patches, run.seed, task.processes)

    def loss(module: nn.Module) -> torch.Tensor:
        scans, targets, weights = (torch.as_tensor(part).to(run.accelerator.device) for part in next(batches))
        return supervised(module(scans).float(), targets, partial(dice_and_entropy, weights=weights))

    return run.train(loss, lambda module: figures(module, watched))


def take_over(network: AppearanceNetwork, folder: Path) -> None:
    """The weights in `folder` as far as the network has room for them: of a wider layer the first channels.

    Raises:
        RequestError: there is no such network in `folder`.
    """
    path = folder / WEIGHTS_FILE
    if not path.is_file():
        raise RequestError(f"There is no trained network in '{folder}'. Give the `last` folder of its run.")
    given, own = load_file(path), network.state_dict()
    if given.keys() != own.keys():
        raise RequestError(f"The network in '{folder}' has other layers than the appearance network: give another one.")
    with torch.no_grad():
        for name, tensor in own.items():
            shared = tuple(slice(min(a, b)) for a, b in zip(tensor.shape, given[name].shape))
            tensor[shared] = given[name][shared]


def dice_and_entropy(logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Dice over the batch and cross-entropy, of voxels that carry weight; all (n, 1, k, j, i)."""
    entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    found = torch.sigmoid(logits) * weights
    overlap = 2 * (found * targets).sum() + DICE_SMOOTHING
    dice = 1 - overlap / (found.sum() + (targets * weights).sum() + DICE_SMOOTHING)
    return (entropy * weights).sum() / weights.sum().clamp(min=1) + dice


def _patch(source: CaseSource, size: int) -> Patch:
    rng = source.rng
    if source.real and rng.random() < MARKED_SHARE:
        return patch_of(source.sarcoma(source.real[int(rng.integers(len(source.real)))]), size, rng)
    return patch_of(source.draw(), size, rng)


def patch_of(case: Case, size: int, rng: np.random.Generator) -> Patch:
    """`size` voxels to a side of a case: scan (2, ...), target and weight (1, ...), float32; what lies beyond it has no weight."""
    shape, sides = case.intensities.shape, (size,) * 3
    marked = np.flatnonzero(case.target)
    if len(marked) and rng.random() < FOREGROUND_SHARE:
        voxel = np.unravel_index(int(marked[rng.integers(len(marked))]), shape)
        box = crop_box_around(shape, sides, [int(n) for n in voxel], rng)
    else:
        box = crop_box(shape, sides, rng)
    parts = [padded(np.asarray(a[box], np.float32), sides)[None] for a in (case.intensities, case.target, case.weight)]
    return with_modality(torch.from_numpy(parts[0]), case.modality).numpy(), parts[1], parts[2]


def _stacked(patches: Sequence[Patch]) -> Patch:
    scans, targets, weights = (np.stack(parts) for parts in zip(*patches))
    return scans, targets, weights


def watched_patches(
    held_out: list[Volume], source: CaseSource, grid: TrainingGrid, size: int
) -> dict[str, list[Patch]]:
    """Patches that every validation looks at: of held-out patients, of generated lesions by group, of brains with nothing to find."""
    apart = CaseSource(held_out, 11, grid=grid)
    watched = {"held_out": [patch_of(apart.sarcoma(v), size, apart.rng) for v in apart.real for _ in range(2)]}
    unseen = CaseSource(source.others, 12, grid=grid)
    for name, group in unseen.groups.items():
        drawn = (unseen.generated(group[int(unseen.rng.integers(len(group)))]) for _ in range(20 * WATCHED_CASES))
        fitting = [patch_of(case, size, unseen.rng) for case in drawn if case is not None and case.target.sum() > 300]
        watched[name] = fitting[:WATCHED_CASES]
    brains = unseen.clean_groups.get("brain", [])
    nothing = [unseen.nothing(brains[n % len(brains)]) for n in range(WATCHED_CASES if brains else 0)]
    watched["silent"] = [patch_of(case, size, unseen.rng) for case in nothing]
    return {name: patches for name, patches in watched.items() if patches}


@torch.no_grad()
def figures(module: AppearanceNetwork, watched: dict[str, list[Patch]]) -> dict[str, float]:
    """Mean DSC at 0.5 of each group of patches, and the share of voxels marked in those that hold nothing."""
    measured = {}
    for name, patches in watched.items():
        values = []
        for scan, target, weight in patches:
            logits = module(torch.from_numpy(scan)[None].to(module.device))[0, 0].float().cpu().numpy()
            mask, truth = (logits > 0) & (weight[0] > 0.5), target[0] > 0.5
            values.append(
                mask.mean() if name == "silent" else 2 * (mask & truth).sum() / max(1, mask.sum() + truth.sum())
            )
        measured[f"{name}_share" if name == "silent" else f"{name}_dice"] = float(np.mean(values))
    return measured
