"""How an attention is watched while it learns: cases of patients it is not shown, generated lesions, scans with nothing to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from diffugts.attention import AnomalyAttention, AttentionMaps
from diffugts.descriptions.training_texts import TumourText
from diffugts.training.cases import CaseSource
from diffugts.training.encoding import EncodedCase, Foundation
from diffugts.training.grid import TrainingGrid
from diffugts.training.text_pool import TextPool
from diffugts.training.volumes import Volume

MOST_DESCRIBED = 24
"""Cases of held-out scans from elsewhere that every validation looks at, half of them without a tumour."""


@dataclass(frozen=True)
class ValidationCases:
    """Encoded cases: with a tumour of a held-out patient, with generated lesions by group, and with nothing to find."""

    ill: Sequence[EncodedCase]
    generated: dict[str, list[EncodedCase]]
    silent: Sequence[EncodedCase]

    def figures(self, module: AnomalyAttention, texts: TextPool) -> dict[str, float]:
        """What `module` makes of them."""
        figures = held_out_dice(module, self.ill, texts) if self.ill else {}
        for name, cases in self.generated.items():
            if cases:
                figures[f"{name}_dice_0.5"] = held_out_dice(module, cases, texts)["dice_0.5"]
        return figures | ({"silent_ml": marked_ml(module, self.silent, texts)} if self.silent else {})


def validation_cases(
    held_out: list[Volume], source: CaseSource, foundation: Foundation, grid: TrainingGrid
) -> ValidationCases:
    """The cases that a training on `source` is validated with."""
    apart = CaseSource(held_out, 11, grid=grid)
    ill = [foundation.encode(apart.sarcoma(v)) for v in apart.real for _ in range(2)]
    marked = [v for v in apart.described if v.is_ill]
    crops = (apart.marked_crop(marked[n % len(marked)]) for n in range(_crops(len(marked))))
    ill += [foundation.encode(case) for case in crops if case.tumour is not None]
    unseen = CaseSource(source.others, 12, grid=grid)
    generated = {name: generated_cases(unseen, name, foundation) for name in source.groups}
    brains = unseen.clean_groups.get("brain", [])
    silent = [foundation.encode(unseen.nothing(brains[n % len(brains)])) for n in range(6 if brains else 0)]
    anywhere = (apart.anywhere(apart.described[n % len(apart.described)]) for n in range(_crops(len(apart.described))))
    silent += [foundation.encode(case) for case in anywhere if case.tumour is None]
    return ValidationCases(ill, generated, silent)


def _crops(volumes: int) -> int:
    return min(2 * volumes, MOST_DESCRIBED // 2)


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


@torch.no_grad()
def held_out_dice(attention: AnomalyAttention, cases: Sequence[EncodedCase], texts: TextPool) -> dict[str, float]:
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
def marked_ml(attention: AnomalyAttention, cases: Sequence[EncodedCase], texts: TextPool) -> float:
    """Mean volume marked at threshold 0.5 in cases without a tumour when asked for one."""
    marked = []
    for case in cases:
        asked = case.case.absent or TumourText("", None, None, modality=case.case.modality)
        embeddings = texts.describing(asked, case.case.sequence)[None]
        logits = _maps(attention, case, embeddings).logits.float().cpu()
        marked.append(float(((logits > 0) & (case.weight > 0.5)).sum()) * (2 * case.case.spacing_mm) ** 3 / 1000)
    return float(np.mean(marked))


def _maps(attention: AnomalyAttention, case: EncodedCase, embeddings: torch.Tensor) -> AttentionMaps:
    """Attention maps of the prompt pairs `embeddings` (n, 2, text_size), on the attention's own device."""
    device = attention.bias.device
    queries = attention.query({stride: level.to(device, torch.float32) for stride, level in case.levels.items()})
    embeddings = embeddings.to(device)
    return attention.attend(queries, embeddings[:, 0], embeddings[:, 1])
