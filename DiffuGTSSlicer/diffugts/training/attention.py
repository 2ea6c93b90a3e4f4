"""Training of the attention: adapters, pyramid and text attention on the frozen foundation.

Every case is asked several descriptions at once, because the image side is shared: one or two that describe what
is there, one that does not (another organ's tumour, health, nonsense), whose right answer is an empty map.
Loss per description: weighted BCE, Dice where there is something to find, BCE of the anomaly score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from diffugts.attention import AnomalyAttention
from diffugts.descriptions.encoder import TextEncoder, load_text_encoder
from diffugts.errors import RequestError
from diffugts.training.batches import CaseBatch, EncodedBatch, ReadyBatches, batches_of, encoded
from diffugts.training.cases import CaseSource, donors_of
from diffugts.training.configuration import RunConfiguration
from diffugts.training.described_volumes import read_described
from diffugts.training.draws import draws
from diffugts.training.encoding import EncodedCase, Foundation, FreshCases
from diffugts.training.generated_volumes import generated_volumes
from diffugts.training.grid import TrainingGrid
from diffugts.training.replay import Replay, bytes_to_remember
from diffugts.training.run import RunSettings, TrainingRun
from diffugts.training.text_pool import TextPool, asked_of
from diffugts.training.validation import validation_cases
from diffugts.training.volumes import Volume, read_volumes

HELD_OUT_PATIENTS = ("STS_003", "STS_015", "STS_027")
PRESENCE_WEIGHT = 0.2
LARGEST_POSITIVE_WEIGHT = 8.0
DICE_SMOOTHING = 5.0
SURELY_CLEAN_SHARE = 0.95
"""Share of a crop that must be surely healthy before 'there is no tumour' is taught of it as a whole."""


@dataclass(frozen=True)
class AttentionTask:
    """What a step learns from.

    On a processor: `cases` in all, the newly drawn ones first, then of the last `remembered`. Encoding is the costly part,
    hence the replay; `encoders` processes do it beside the training, none leaves it to the training itself.
    On a GPU: one batch of `batch` cases, a new one where it is ready, else one of the last `remembered_batches`; cases are
    drawn by `encoders` processes and encoded on the GPU.
    `bodies` is the number of generated bodies among the volumes. `left_out` are categories (`cases.CATEGORIES`) whose tumours
    are never shown. `measured` cases say how the features are standardised. However many are to be remembered, no more are
    than fit into a share of the memory (`replay.SHARE_OF_MEMORY`).
    """

    cases: int = 3
    remembered: int = 300
    bodies: int = 36
    encoders: int = 0
    batch: int = 8
    remembered_batches: int = 160
    left_out: tuple[str, ...] = ()
    measured: int = 24


def train_attention(
    volumes: Path,
    autoencoder: Path,
    denoiser: Path,
    folder: Path,
    settings: RunSettings,
    task: AttentionTask,
    initial: Path | None = None,
    texts_of: TextEncoder | None = None,
    data: Path | None = None,
) -> dict[str, float]:
    """Train on packed `volumes`; the component ends up in `folder`/last. Returns DSC on held-out training patients.

    `autoencoder` and `denoiser` are the foundation, of the compact model or another: the attention is made for the features
    that it gives. `initial` is a trained attention to go on from; its foundation must be the one given here, or one that
    went on from it. `texts_of` embeds the descriptions, the compact model's text encoder where none is given. `data` is
    where the volumes were packed from, for the run's record.
    """
    foundation = Foundation(autoencoder, denoiser)
    texts_of = texts_of or load_text_encoder()
    module = new_attention(foundation, texts_of) if initial is None else _going_on(initial, foundation)
    inputs = {"data": data, "volumes": volumes, "autoencoder": autoencoder, "denoiser": denoiser, "initial": initial}
    run = TrainingRun(folder, module, settings, RunConfiguration(task, inputs))
    device = run.accelerator.device
    foundation.to(device)
    grid = TrainingGrid.of_packed(volumes)
    source = case_source(volumes, generated_volumes(task.bodies, task.encoders, grid), run.seed, task.left_out)
    texts = TextPool(texts_of, settings.seed + 1)
    if run.step == 0 and initial is None:
        measure_features(module, [foundation.encode(source.draw()) for _ in range(task.measured)])
        run.averaged = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    rng = np.random.default_rng(run.seed + 2)
    if device.type == "cuda":
        loss, close = _learning_from_batches(source, foundation, texts, task, run.seed, rng)
    else:
        making = partial(_source_and_foundation_anew, volumes, autoencoder, denoiser, task)
        stream = FreshCases(making if task.encoders else lambda _: (source, foundation), run.seed, task.encoders)
        loss, close = _learning_from_cases(stream, texts, task, rng), stream.close
    watched = validation_cases([v for v in all_volumes(volumes) if is_held_out(v)], source, foundation, grid)
    try:
        return run.train(loss, lambda module: watched.figures(module, texts))
    finally:
        close()


def precision_on(device_type: str) -> str:
    """accelerate's precision for this training: bfloat16 on a GPU, where it is the quicker one.

    On a CPU without bfloat16 tiles single precision is quicker, and gives no NaN (docs/decisions.md).
    """
    return "bf16" if device_type == "cuda" else "no"


def new_attention(foundation: Foundation, texts_of: TextEncoder) -> AnomalyAttention:
    """An untrained attention for the features of a foundation and the vectors of a text encoder."""
    channels = foundation.channels
    return AnomalyAttention([channels[stride] for stride in AnomalyAttention.strides], text_size=texts_of.dim)


def _going_on(initial: Path, foundation: Foundation) -> AnomalyAttention:
    module = AnomalyAttention.from_pretrained(initial).train()
    made_for, given = tuple(module.config["channels"]), tuple(foundation.channels[s] for s in module.strides)
    if made_for != given:
        raise RequestError(
            f"The attention in '{initial}' was made for a foundation with {made_for} channels, not {given}. Give one that was "
            "trained on this foundation with --initial, or none."
        )
    return module


def all_volumes(volumes: Path) -> chain[Volume]:
    """The packed volumes of a folder: those of a data folder, then scans from elsewhere."""
    return chain(read_volumes(volumes), read_described(volumes))


def case_source(volumes: Path, bodies: list[Volume], seed: int, left_out: Collection[str] = ()) -> CaseSource:
    """What training cases are drawn from, without the held-out patients."""
    taught = [v for v in (*all_volumes(volumes), *bodies) if not is_held_out(v)]
    grid = TrainingGrid.of_packed(volumes)
    return CaseSource(taught, seed, left_out, grid, donors_of(taught, grid, left_out))


def _source_and_foundation_anew(
    volumes: Path, autoencoder: Path, denoiser: Path, task: AttentionTask, seed: int
) -> tuple[CaseSource, Foundation]:
    bodies = generated_volumes(task.bodies, grid=TrainingGrid.of_packed(volumes))
    return case_source(volumes, bodies, seed, task.left_out), Foundation(autoencoder, denoiser)


def _learning_from_cases(
    stream: FreshCases, texts: TextPool, task: AttentionTask, rng: np.random.Generator
) -> Callable[[nn.Module], torch.Tensor]:
    remembered: Replay[EncodedCase] = Replay(task.remembered, bytes_to_remember(torch.device("cpu")))

    def loss(module: nn.Module) -> torch.Tensor:
        fresh = stream.take()
        old = [remembered.one(rng) for _ in range(task.cases - len(fresh) if remembered else 0)]
        for case in fresh:
            remembered.add(case)
        batch = (fresh + old)[: task.cases]
        return torch.stack([case_loss(module, case, texts) for case in batch]).mean()

    return loss


def _learning_from_batches(
    source: CaseSource,
    foundation: Foundation,
    texts: TextPool,
    task: AttentionTask,
    seed: int,
    rng: np.random.Generator,
) -> tuple[Callable[[nn.Module], torch.Tensor], Callable[[], None]]:
    def drawing(own_seed: int) -> Callable[[], CaseBatch]:
        return batches_of(source.with_seed(own_seed), task.batch)

    ready = ReadyBatches(draws(drawing, seed, task.encoders))
    remembered: Replay[EncodedBatch] = Replay(task.remembered_batches, bytes_to_remember(foundation.device))

    def loss(module: nn.Module) -> torch.Tensor:
        fresh = ready.take(wait=not remembered)
        if fresh is None:
            return batch_loss(module, remembered.one(rng), texts).mean()
        batch = encoded(fresh, foundation)
        remembered.add(batch)
        return batch_loss(module, batch, texts).mean()

    return loss, ready.close


def is_held_out(volume: Volume) -> bool:
    """Whether a volume is kept from training: as it was packed, or one of this project's own held-out patients."""
    return volume.held_out or (not volume.description and volume.name.startswith(HELD_OUT_PATIENTS))


def case_loss(attention: nn.Module, case: EncodedCase, texts: TextPool) -> torch.Tensor:
    """Loss of one case over the descriptions it is asked."""
    return batch_loss(attention, EncodedBatch(case.levels, case.target, case.weight, (case.case,)), texts)[0]


def batch_loss(attention: nn.Module, batch: EncodedBatch, texts: TextPool) -> torch.Tensor:
    """Loss (n,) of every case of a batch over the descriptions it is asked."""
    device = next(attention.parameters()).device
    asked = torch.stack([asked_of(case, texts) for case in batch.cases]).to(device)
    present = torch.tensor([case.tumour is not None for case in batch.cases], device=device)
    there = torch.stack([present, present, torch.zeros_like(present)], dim=1).float()
    levels = {stride: level.to(device, torch.float32) for stride, level in batch.levels.items()}
    logits, present_logits = attention(levels, asked[:, :, 0], asked[:, :, 1])
    weight = batch.weight.to(device)[:, None].expand(-1, 3, -1, -1, -1, -1)
    target = batch.target.to(device)[:, None] * there.view(-1, 3, 1, 1, 1, 1)
    voxels = map_loss(logits, target.flatten(0, 1), weight.flatten(0, 1)).view(-1, 3).mean(1)
    presence = functional.binary_cross_entropy_with_logits(present_logits.view(-1, 3), there, reduction="none")
    # A tumour that nobody marked may lie in a crop that is not surely healthy: only the other description is surely wrong.
    clean = torch.tensor([case.sure_share >= SURELY_CLEAN_SHARE for case in batch.cases], device=device)
    unsure = ~present & ~clean
    counts = torch.stack([~unsure, ~unsure, torch.ones_like(unsure)], dim=1).float()
    return voxels + PRESENCE_WEIGHT * (presence * counts).sum(1) / counts.sum(1)


def map_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """BCE + Dice per description, (n,): the positives weighted by the root of their rarity, Dice only where there are any."""
    dims = (1, 2, 3, 4)
    positive, total = (target * weight).sum(dims), weight.sum(dims)
    rarity = ((total - positive) / (positive + 1)).clamp(1, LARGEST_POSITIVE_WEIGHT**2).sqrt()
    rarity = torch.where(positive > 0, rarity, torch.ones_like(rarity)).view(-1, 1, 1, 1, 1)
    entropy = functional.binary_cross_entropy_with_logits(logits, target, reduction="none", pos_weight=rarity)
    share = torch.sigmoid(logits) * weight
    overlap = (2 * (share * target).sum(dims) + DICE_SMOOTHING) / (share.sum(dims) + positive + DICE_SMOOTHING)
    dice = torch.where(positive > 0, 1 - overlap, torch.zeros_like(overlap))
    return (entropy * weight).sum(dims) / (total + 1) + dice


@torch.no_grad()
def measure_features(attention: AnomalyAttention, cases: list[EncodedCase]) -> None:
    """Set the mean and spread by which features are standardised."""
    for stride in attention.strides:
        voxels = torch.cat([case.levels[stride][0].float().flatten(1)[:, ::23] for case in cases], dim=1)
        getattr(attention, f"mean_{stride}").copy_(voxels.mean(1))
        getattr(attention, f"spread_{stride}").copy_(voxels.std(1) + 1e-3)
