"""What cases are asked: many wordings, embedded once."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import torch

from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.encoder import TextEncoder
from diffugts.descriptions.templates import prompt_pair
from diffugts.descriptions.training_texts import TumourText, draw_description, draw_other_description
from diffugts.training.case import Case

TEXTS_PER_TUMOUR, OTHER_TEXTS = 48, 160


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
