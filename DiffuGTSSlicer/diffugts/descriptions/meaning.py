"""Whether a description is about the body at all, asked of the text encoder.

The tables of `vocabulary.py` cannot list every word. A text without a listed term still counts as
understood where its embedding is near that of a tumour in one of the organs. With all-MiniLM-L6-v2 the
threshold was chosen on 30 medical and 30 other texts; on 60 new ones, rare terms on purpose, tables and meaning
together accept 60 % of the medical texts (the tables alone 33 %) and 3 % of the others (the tables none).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from diffugts.descriptions.description import NOT_UNDERSTOOD, Description
from diffugts.descriptions.encoder import TextEncoder
from diffugts.descriptions.vocabulary import Vocabulary

NEAREST_ANCHOR = 0.30
"""Cosine with the nearest anchor from which a text counts as understood (all-MiniLM-L6-v2)."""


def anchors(vocabulary: Vocabulary) -> tuple[str, ...]:
    """The texts a description is compared with: a tumor in each organ."""
    return tuple(f"{organ} tumor" for organ in vocabulary.organs)


def nearest_anchor(texts: Sequence[str], encoder: TextEncoder, vocabulary: Vocabulary) -> torch.Tensor:
    """Cosine (n,) of each text with its nearest anchor."""
    return (encoder.embed(texts) @ encoder.embed(anchors(vocabulary)).T).amax(dim=1)


def judge_by_meaning(
    descriptions: Sequence[Description], encoder: TextEncoder, vocabulary: Vocabulary, threshold: float = NEAREST_ANCHOR
) -> tuple[Description, ...]:
    """The descriptions, those the tables did not know marked as understood where the encoder does.

    Texts the tables understood stay so. The threshold belongs to the encoder; measure it again for another.
    """
    unknown = [description.expanded for description in descriptions if not description.is_understood]
    if not unknown:
        return tuple(descriptions)
    near = dict(zip(unknown, (nearest_anchor(unknown, encoder, vocabulary) >= threshold).tolist(), strict=True))
    note = "The words of this description are not in the tables; it was read by its meaning alone."
    return tuple(
        replace(d, is_understood=True, notes=tuple(note if old == NOT_UNDERSTOOD else old for old in d.notes))
        if near.get(d.expanded) and not d.is_understood
        else d
        for d in descriptions
    )
