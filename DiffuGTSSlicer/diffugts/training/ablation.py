"""What limits the attention? The same short training, again and again, each time with one thing taken away.

All variants start from the same untrained attention and learn, step by step, from the same cases: what differs in the end is
what was taken away, and the chance of one seed. A training of minutes reaches less than one of hours; what is compared is how
far each comes, not how far a model can come.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from diffugts.attention import AnomalyAttention
from diffugts.descriptions.encoder import TextEncoder, load_text_encoder
from diffugts.training.attention import (
    all_volumes,
    case_loss,
    case_source,
    is_held_out,
    measure_features,
    new_attention,
)
from diffugts.training.encoding import EncodedCase, Foundation
from diffugts.training.generated_volumes import generated_volumes
from diffugts.training.grid import TrainingGrid
from diffugts.training.text_pool import TextPool
from diffugts.training.validation import ValidationCases, validation_cases

CASES_PER_STEP = 3
LEARNING_RATE, WEIGHT_DECAY = 1e-3, 1e-3
WARM_UP_STEPS = 20
AVERAGED_SHARE = 0.25
"""The weights that are looked at are the mean over this last share of the steps: single steps differ by chance."""

TEXT_SEED = 1


@dataclass(frozen=True)
class AblationSettings:
    """`steps` of every variant on `cases` that are drawn and encoded once; `bodies` generated ones among the volumes."""

    steps: int = 300
    cases: int = 200
    bodies: int = 12
    seed: int = 0


@dataclass(frozen=True)
class Variant:
    """One training: `title` says what was taken away.

    `silence` takes channels away from the features; `first_share` of the cases is learnt from; `untrained` foundations give
    features of random weights; `seed` is added to that of the order of the cases.
    """

    title: str
    silence: Callable[[AnomalyAttention, Foundation], None] = lambda attention, foundation: None
    first_share: float = 1.0
    untrained: bool = False
    seed: int = 0


def without_denoiser(attention: AnomalyAttention, foundation: Foundation) -> None:
    """Only what the autoencoder sees, its latents included."""
    for stride, (first, last) in _denoiser_channels(foundation).items():
        silence(attention, stride, range(first, last))


def without_encoder(attention: AnomalyAttention, foundation: Foundation) -> None:
    """Only what the denoiser makes of the latents."""
    denoiser = _denoiser_channels(foundation)
    for stride, count in foundation.channels.items():
        silence(attention, stride, range(denoiser.get(stride, (count, count))[0]))


def without_finest(attention: AnomalyAttention, foundation: Foundation) -> None:
    """No features at stride 2."""
    silence(attention, 2, range(foundation.channels[2]))


def without_context(attention: AnomalyAttention, foundation: Foundation) -> None:
    """A pyramid that ends at stride 8: nothing is gathered from farther than some centimetres."""
    attention.pyramid.down[1].register_forward_hook(lambda module, inputs, output: torch.zeros_like(output))


VARIANTS = (
    Variant("nothing"),
    Variant("nothing, with another order of the cases", seed=1),
    Variant("the denoiser's features", without_denoiser),
    Variant("the encoder's features", without_encoder),
    Variant("the encoder's finest features (stride 2)", without_finest),
    Variant("context beyond stride 8", without_context),
    Variant("half of the cases", first_share=0.5),
    Variant("the foundation's training (random weights)", untrained=True),
)


def silence(attention: AnomalyAttention, stride: int, channels: Collection[int]) -> None:
    """Make channels of a level 0 wherever the attention reads them: their spread becomes infinite."""
    getattr(attention, f"spread_{stride}")[list(channels)] = float("inf")


def _denoiser_channels(foundation: Foundation) -> dict[int, tuple[int, int]]:
    """Stride -> the first of the denoiser's channels, and the one behind its last: they lie behind the encoder's."""
    own = dict(foundation.autoencoder.tap_channels)
    own[4] += foundation.autoencoder.config["latent_channels"]
    return {stride: (own.get(stride, 0), count) for stride, count in foundation.channels.items() if stride != 2}


@dataclass
class Ablation:
    """Encoded cases, and what is trained on them."""

    foundation: Foundation
    texts_of: TextEncoder
    settings: AblationSettings
    cases: list[EncodedCase]
    watched: ValidationCases
    measured: AnomalyAttention = field(init=False)

    def __post_init__(self) -> None:
        torch.manual_seed(self.settings.seed)
        self.measured = new_attention(self.foundation, self.texts_of)
        measure_features(self.measured, self.cases[:24])

    @classmethod
    def of(
        cls,
        volumes: Path,
        foundation: Foundation,
        settings: AblationSettings,
        texts_of: TextEncoder | None = None,
    ) -> Ablation:
        """Draw and encode the cases of packed `volumes`."""
        grid = TrainingGrid.of_packed(volumes)
        source = case_source(volumes, generated_volumes(settings.bodies, grid=grid), settings.seed)
        cases = [foundation.encode(source.draw()) for _ in range(settings.cases)]
        held_out = [volume for volume in all_volumes(volumes) if is_held_out(volume)]
        watched = validation_cases(held_out, source, foundation, grid)
        return cls(foundation, texts_of or load_text_encoder(), settings, cases, watched)

    def train(self, variant: Variant) -> dict[str, float]:
        """What a variant reaches: DSC of held-out patients and of generated lesions by group, ml marked where nothing is."""
        attention = copy.deepcopy(self.measured).train()
        variant.silence(attention, self.foundation)
        texts = TextPool(self.texts_of, TEXT_SEED)
        cases = self.cases[: max(1, round(len(self.cases) * variant.first_share))]
        optimiser = torch.optim.AdamW(attention.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        steps = self.settings.steps
        averaged = torch.optim.swa_utils.AveragedModel(attention)
        for step, batch in enumerate(_batches(cases, steps, self.settings.seed + variant.seed)):
            for group in optimiser.param_groups:
                group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS)
            loss = torch.stack([case_loss(attention, case, texts) for case in batch]).mean()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(attention.parameters(), 1.0)
            optimiser.step()
            if step >= min(steps * (1 - AVERAGED_SHARE), steps - 1):
                averaged.update_parameters(attention)
        seen = averaged.module.eval()
        return {name: round(value, 4) for name, value in self.watched.figures(seen, texts).items()}


def run_ablation(
    volumes: Path,
    autoencoder: Path,
    denoiser: Path,
    settings: AblationSettings,
    variants: Sequence[Variant] = VARIANTS,
    said: Callable[[str], None] = print,
    texts_of: TextEncoder | None = None,
) -> Iterator[tuple[Variant, dict[str, float]]]:
    """Train every variant in turn; each is given back as soon as it is measured. `said` is told what is being done."""
    for untrained in (False, True):
        chosen = [variant for variant in variants if variant.untrained is untrained]
        if not chosen:
            continue
        foundation = Foundation(autoencoder, denoiser)
        if untrained:
            _forget(foundation, settings.seed)
        began = time.monotonic()
        ablation = Ablation.of(volumes, foundation, settings, texts_of)
        said(f"{len(ablation.cases)} cases encoded in {time.monotonic() - began:.0f} s")
        for variant in chosen:
            began = time.monotonic()
            figures = ablation.train(variant)
            said(f"without {variant.title}: {time.monotonic() - began:.0f} s")
            yield variant, figures


def table(measured: Sequence[tuple[Variant, dict[str, float]]]) -> str:
    """The figures as a Markdown table."""
    names = list(measured[0][1]) if measured else []
    lines = ["| taken away | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    for variant, figures in measured:
        lines.append(f"| {variant.title} | " + " | ".join(f"{figures[name]:.3f}" for name in names) + " |")
    return "\n".join(lines)


def _batches(cases: Sequence[EncodedCase], steps: int, seed: int) -> Iterator[list[EncodedCase]]:
    """The same cases in the same order for the same seed, each as often as any other."""
    rng = np.random.default_rng(seed)
    order: list[int] = []
    for _ in range(steps):
        while len(order) < CASES_PER_STEP:
            order += rng.permutation(len(cases)).tolist()
        yield [cases[number] for number in order[:CASES_PER_STEP]]
        del order[:CASES_PER_STEP]


def _forget(foundation: Foundation, seed: int) -> None:
    """Random weights of the same spread, layer by layer, so that features keep a sane size; statistics of latents stay."""
    generator = torch.Generator().manual_seed(seed)
    for network in (foundation.autoencoder, foundation.denoiser):
        for parameter in network.parameters():
            if parameter.ndim > 1:
                drawn = torch.randn(parameter.shape, generator=generator)
                parameter.data.copy_(drawn * parameter.std())
