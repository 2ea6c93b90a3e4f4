"""What a loaded model does with words: reads descriptions, and embeds texts from its bank or by its encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from diffugts.descriptions.bank import EmbeddingBank, embed_with_bank
from diffugts.descriptions.description import Description, parse_descriptions
from diffugts.descriptions.encoder import TextEncoder, load_text_encoder
from diffugts.descriptions.meaning import judge_by_meaning
from diffugts.descriptions.vocabulary import load_vocabulary
from diffugts.errors import DescriptionError


class DescriptionReader:
    """Vocabulary, embedding bank and text encoder of one model.

    `encoder_name` is the preset's text encoder: it is loaded when a text is met that the bank does not hold, unless an
    `encoder` is given.
    """

    def __init__(self, bank: EmbeddingBank | None, encoder_name: str, encoder: TextEncoder | None = None) -> None:
        self.bank, self.encoder_name = bank, encoder_name
        self._encoder = encoder
        self._vocabulary = load_vocabulary()

    def read(self, descriptions: Sequence[str | Description]) -> list[Description]:
        """Descriptions as the vocabulary reads them; those already read pass through.

        Words that no table knows are judged by their meaning, if the text encoder is at hand.
        """
        parsed: list[Description] = []
        for description in descriptions:
            if isinstance(description, Description):
                parsed.append(description)
            else:
                parsed += parse_descriptions([description], self._vocabulary)
        if all(description.is_understood for description in parsed):
            return parsed
        encoder = self.encoder()
        return list(judge_by_meaning(parsed, encoder, self._vocabulary)) if encoder else parsed

    def embed(self, texts: list[str]) -> torch.Tensor:
        """Embeddings (texts, size). Raises DescriptionError where a text needs an encoder that is not there."""
        banked = self.bank.lookup(texts) if self.bank is not None else None
        return banked if banked is not None else embed_with_bank(self.bank, self.encoder(), texts)

    def encoder(self) -> TextEncoder | None:
        """The text encoder, loaded when first needed; None where it is not installed."""
        if self._encoder is None:
            try:
                self._encoder = load_text_encoder(self.encoder_name)
            except DescriptionError:
                return None
        return self._encoder
