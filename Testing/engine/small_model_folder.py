"""A small model with random weights as a folder, with a bank of prepared texts, so that no text encoder is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from diffugts.descriptions.bank import EmbeddingBank
from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.templates import prompt_pair
from small_model import small_pipeline

PREPARED = ("soft tissue sarcoma", "liver tumour")


def save_small_model(folder: Path) -> Path:
    """Write the model; it knows `PREPARED`, for CT and MR."""
    pipeline = small_pipeline()
    pipeline.bank = bank_of(PREPARED)
    pipeline.save_pretrained(folder)
    return folder


def bank_of(descriptions: Sequence[str]) -> EmbeddingBank:
    """Prepared texts of these descriptions for CT and MR, with embeddings that mean nothing."""
    pairs = [
        prompt_pair(d, modality, None) for d in parse_descriptions(list(descriptions)) for modality in ("CT", "MR")
    ]
    texts = tuple(dict.fromkeys(text for pair in pairs for text in (pair.normal, pair.abnormal)))
    embeddings = torch.randn(len(texts), 384, generator=torch.Generator().manual_seed(0))
    return EmbeddingBank(texts, torch.nn.functional.normalize(embeddings, dim=1), "all-MiniLM-L6-v2")
