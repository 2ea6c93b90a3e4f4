"""Training of the attention: adapters, pyramid and text attention on the frozen foundation.

Every case is asked several descriptions at once, because the image side is shared: one or two that describe what
is there, one that does not (another organ's tumour, health, nonsense), whose right answer is an empty map.
Loss per description: weighted BCE, Dice where there is something to find, BCE of the anomaly score.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from diffugts.attention import AnomalyAttention, AttentionMaps
from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.encoder import TextEncoder, load_text_encoder
from diffugts.descriptions.templates import prompt_pair
from diffugts.descriptions.training_texts import TumourText, draw_description, draw_other_description
from diffugts.training.batches import CaseBatch, EncodedBatch, ReadyBatches, batches_of, encoded
from diffugts.training.cases import Case, CaseSource
from diffugts.training.draws import draws
from diffugts.training.encoding import EncodedCase, Foundation, FreshCases
from diffugts.training.generated_volumes import generated_volumes
from diffugts.training.run import RunSettings, TrainingRun
from diffugts.training.volumes import SPACING_MM, Volume, read_volumes

HELD_OUT_PATIENTS = ("STS_003", "STS_015", "STS_027")
PRESENCE_WEIGHT = 0.2
LARGEST_POSITIVE_WEIGHT = 8.0
DICE_SMOOTHING = 5.0
SURELY_CLEAN_SHARE = 0.95
"""Share of a crop that must be surely healthy before 'there is no tumour' is taught of it as a whole."""

TEXTS_PER_TUMOUR, OTHER_TEXTS = 48, 160


@dataclass(frozen=True)
class AttentionTask:
    """What a step learns from.

    On a processor: `cases` in all, the newly drawn ones first, then of the last `remembered`. Encoding is the costly part,
    hence the replay; `encoders` processes do it beside the training, none leaves it to the training itself.
    On a GPU: one batch of `batch` cases, a new one where it is ready, else one of the last `remembered_batches`; cases are
    drawn by `encoders` processes and encoded on the GPU.
    `bodies` is the number of generated bodies among the volumes. `left_out` are categories (`cases.CATEGORIES`) whose tumours
    are never shown.
    """

    cases: int = 3
    remembered: int = 300
    bodies: int = 36
    encoders: int = 0
    batch: int = 8
    remembered_batches: int = 160
    left_out: tuple[str, ...] = ()


def train_attention(
    volumes: Path,
    autoencoder: Path,
    denoiser: Path,
    folder: Path,
    settings: RunSettings,
    task: AttentionTask,
    initial: Path | None = None,
    texts_of: TextEncoder | None = None,
) -> dict[str, float]:
    """Train on packed `volumes`; the component ends up in `folder`/last. Returns DSC on held-out training patients.

    `initial` is a trained attention to go on from; its foundation must be the one given here, or one that went on from it.
    `texts_of` embeds the descriptions, the compact model's text encoder where none is given.
    """
    module = AnomalyAttention() if initial is None else AnomalyAttention.from_pretrained(initial).train()
    run = TrainingRun(folder, module, settings)
    device = run.accelerator.device
    bodies = generated_volumes(task.bodies, task.encoders)
    source, foundation = source_and_foundation(volumes, autoencoder, denoiser, bodies, run.seed, device, task.left_out)
    texts = TextPool(texts_of or load_text_encoder(), settings.seed + 1)
    if run.step == 0 and initial is None:
        measure_features(module, [foundation.encode(source.draw()) for _ in range(24)])
        run.averaged = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}
    rng = np.random.default_rng(run.seed + 2)
    if device.type == "cuda":
        loss, close = _learning_from_batches(source, foundation, texts, task, run.seed, rng)
    else:
        making = partial(_source_and_foundation_anew, volumes, autoencoder, denoiser, task)
        stream = FreshCases(making if task.encoders else lambda _: (source, foundation), run.seed, task.encoders)
        loss, close = _learning_from_cases(stream, texts, task, rng), stream.close

    held_out = CaseSource([v for v in read_volumes(volumes) if _is_held_out(v)], 11)
    sarcomas = [foundation.encode(held_out.sarcoma(v)) for v in held_out.real for _ in range(2)]
    unseen = CaseSource(source.others, 12)
    generated = {name: generated_cases(unseen, name, foundation) for name in source.groups}
    brains = unseen.clean_groups.get("brain", [])
    silent = [foundation.encode(unseen.nothing(brains[n % len(brains)])) for n in range(6 if brains else 0)]

    def validate(module: nn.Module) -> dict[str, float]:
        figures = held_out_dice(module, sarcomas, texts)
        for name, cases in generated.items():
            if cases:
                figures[f"{name}_dice_0.5"] = held_out_dice(module, cases, texts)["dice_0.5"]
        return figures | ({"silent_ml": marked_ml(module, silent, texts)} if silent else {})

    try:
        return run.train(loss, validate)
    finally:
        close()


def source_and_foundation(
    volumes: Path,
    autoencoder: Path,
    denoiser: Path,
    bodies: list[Volume],
    seed: int,
    device: torch.device | str = "cpu",
    left_out: Collection[str] = (),
) -> tuple[CaseSource, Foundation]:
    """What training cases are drawn from, without the held-out patients, and what encodes them."""
    everything = [*read_volumes(volumes), *bodies]
    source = CaseSource([v for v in everything if not _is_held_out(v)], seed, left_out)
    return source, Foundation(autoencoder, denoiser, device)


def _source_and_foundation_anew(
    volumes: Path, autoencoder: Path, denoiser: Path, task: AttentionTask, seed: int
) -> tuple[CaseSource, Foundation]:
    bodies = generated_volumes(task.bodies)
    return source_and_foundation(volumes, autoencoder, denoiser, bodies, seed, left_out=task.left_out)


def _learning_from_cases(
    stream: FreshCases, texts: TextPool, task: AttentionTask, rng: np.random.Generator
) -> Callable[[nn.Module], torch.Tensor]:
    remembered: list[EncodedCase] = []

    def loss(module: nn.Module) -> torch.Tensor:
        fresh = stream.take()
        old = [remembered[rng.integers(len(remembered))] for _ in range(task.cases - len(fresh) if remembered else 0)]
        remembered.extend(fresh)
        del remembered[: -task.remembered]
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
    remembered: list[EncodedBatch] = []

    def loss(module: nn.Module) -> torch.Tensor:
        fresh = ready.take(wait=not remembered)
        if fresh is None:
            return batch_loss(module, remembered[rng.integers(len(remembered))], texts).mean()
        batch = encoded(fresh, foundation)
        remembered.append(batch)
        del remembered[: -task.remembered_batches]
        return batch_loss(module, batch, texts).mean()

    return loss, ready.close


def _is_held_out(volume: Volume) -> bool:
    return volume.name.startswith(HELD_OUT_PATIENTS)


def generated_cases(source: CaseSource, group: str, foundation: Foundation, count: int = 8) -> list[EncodedCase]:
    """Generated lesions in volumes of one group, drawn by a source of their own: the volumes were seen, the lesions not.

    Fewer than `count`, where few of 20 tries for each find room for a lesion.
    """
    drawn: list[EncodedCase] = []
    for _ in range(20 * count):
        if len(drawn) == count:
            break
        case = source.generated(source.groups[group][int(source.rng.integers(len(source.groups[group])))])
        if case is not None and case.target.sum() > 300:
            drawn.append(foundation.encode(case))
    return drawn


class TextPool:
    """Embedded prompt pairs of many wordings, drawn once per tumour and kind of scan: the same ones for the same seed."""

    def __init__(self, encoder: TextEncoder, seed: int) -> None:
        self.encoder, self.seed, self.rng = encoder, seed, np.random.default_rng(seed)
        self._pools: dict[tuple[object, ...], torch.Tensor] = {}

    def describing(self, tumour: TumourText, sequence: str | None) -> torch.Tensor:
        """(2, text_size): normal and abnormal embedding of one wording of `tumour`."""
        key = (tumour, sequence)
        if key not in self._pools:
            rng = self._drawing(key)
            drawn = [draw_description(rng, tumour) for _ in range(TEXTS_PER_TUMOUR)]
            self._pools[key] = self._embed(drawn, tumour.modality, sequence)
        return self._pick(key)

    def other(self, region: str | None, organ: str | None, modality: str, sequence: str | None) -> torch.Tensor:
        """(2, text_size) of a description of something that is not there."""
        key = (region, organ, modality, sequence)
        if key not in self._pools:
            rng = self._drawing(key)
            drawn = [draw_other_description(rng, region, organ).text for _ in range(OTHER_TEXTS)]
            self._pools[key] = self._embed(drawn, modality, sequence)
        return self._pick(key)

    def _drawing(self, key: tuple[object, ...]) -> np.random.Generator:
        return np.random.default_rng([self.seed, crc32(repr(key).encode())])

    def _pick(self, key: tuple[object, ...]) -> torch.Tensor:
        pool = self._pools[key]
        return pool[int(self.rng.integers(len(pool)))]

    def _embed(self, texts: list[str], modality: str, sequence: str | None) -> torch.Tensor:
        pairs = [prompt_pair(parse_descriptions(text)[0], modality, sequence) for text in texts]
        embedded = self.encoder.embed([text for pair in pairs for text in (pair.normal, pair.abnormal)])
        return embedded.view(len(texts), 2, -1)


def asked_of(case: Case, texts: TextPool) -> torch.Tensor:
    """Prompt pairs (3, 2, text_size) that a case is asked: two of what it shows, or could show, and one of something else."""
    anything = TumourText("", None, None, modality=case.modality)
    described = case.tumour or anything
    again = described if case.tumour and texts.rng.random() < 0.7 else case.absent or anything
    return torch.stack(
        [
            texts.describing(described, case.sequence),
            texts.describing(again, case.sequence),
            texts.other(case.region, case.organ, case.modality, case.sequence),
        ]
    )


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


def held_out_dice(attention: AnomalyAttention, cases: list[EncodedCase], texts: TextPool) -> dict[str, float]:
    """Mean DSC at thresholds 0.3, 0.5, 0.7 on cases that are all positive, and the share a wrong description fires on."""
    figures: dict[str, list[float]] = {"dice_0.3": [], "dice_0.5": [], "dice_0.7": [], "other_fires": []}
    for case in cases:
        facts = case.case
        assert facts.tumour is not None
        right = texts.describing(facts.tumour, facts.sequence)
        other = texts.other(facts.region, facts.organ, facts.modality, facts.sequence)
        score = torch.sigmoid(_maps(attention, case, torch.stack([right, other])).logits.float()).cpu()
        truth = case.target[0] > 0.5
        for threshold in (0.3, 0.5, 0.7):
            mask = score[0] > threshold
            figures[f"dice_{threshold}"].append(
                float(2 * (mask & truth).sum() / (mask.sum() + truth.sum()).clamp(min=1))
            )
        figures["other_fires"].append(float((score[1] > 0.5).sum() / truth.sum().clamp(min=1)))
    return {name: float(np.mean(values)) for name, values in figures.items()}


@torch.no_grad()
def marked_ml(attention: AnomalyAttention, cases: list[EncodedCase], texts: TextPool) -> float:
    """Mean volume marked at threshold 0.5 in cases without a tumour when asked for one."""
    marked = []
    for case in cases:
        asked = case.case.absent or TumourText("", None, None, modality=case.case.modality)
        embeddings = texts.describing(asked, case.case.sequence)[None]
        logits = _maps(attention, case, embeddings).logits.float().cpu()
        marked.append(float(((logits > 0) & (case.weight > 0.5)).sum()) * (2 * SPACING_MM) ** 3 / 1000)
    return float(np.mean(marked))


def _maps(attention: AnomalyAttention, case: EncodedCase, embeddings: torch.Tensor) -> AttentionMaps:
    """Attention maps of the prompt pairs `embeddings` (n, 2, text_size), on the attention's own device."""
    device = attention.bias.device
    queries = attention.query({stride: level.to(device, torch.float32) for stride, level in case.levels.items()})
    embeddings = embeddings.to(device)
    return attention.attend(queries, embeddings[:, 0], embeddings[:, 1])
