"""The embedding bank: embeddings of common descriptions' prompts, kept with a model.

With it, the common descriptions need no text encoder, which may be missing, large or slow to load. One
safetensors file: the tensor "embeddings" (n, dim), half precision, and, in its metadata, the texts as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.encoder import TextEncoder
from diffugts.descriptions.templates import prompt_pair
from diffugts.descriptions.training_words import GENERIC, KINDS, ORGANS_OF_REGION
from diffugts.descriptions.vocabulary import Vocabulary, american_spelling, load_vocabulary
from diffugts.errors import DescriptionError, ModelError

SCHEMA = "diffugts-embedding-bank/1"

SCAN_KINDS = (("CT", None), ("MR", None), ("MR", "T1"), ("MR", "T1c"), ("MR", "T2"), ("MR", "FLAIR"))
"""Modality and sequence of the prompts a bank holds."""

_LOOKS = ("hypodense", "enhancing", "necrotic", "hyperintense")


def bank_key(text: str) -> str:
    """A text as the bank compares it: American spelling, lower case, single spaces."""
    return " ".join(american_spelling(text).casefold().split())


@dataclass(frozen=True, eq=False)
class EmbeddingBank:
    """Texts and their embeddings.

    Attributes:
        texts: as they were embedded; no two with the same `bank_key`.
        embeddings: float32 (n, dim), each of length 1.
        encoder_name: the text encoder they come from.
    """

    texts: tuple[str, ...]
    embeddings: torch.Tensor
    encoder_name: str
    _rows: dict[str, int] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.embeddings.ndim != 2 or len(self.texts) != len(self.embeddings):
            raise ValueError(f"{len(self.texts)} texts and embeddings of shape {tuple(self.embeddings.shape)} differ")
        self._rows.update((bank_key(text), row) for row, text in enumerate(self.texts))
        if len(self._rows) != len(self.texts):
            raise ValueError("two texts of the bank differ in spelling, case or spaces only")

    @classmethod
    def build(cls, encoder: TextEncoder, texts: Sequence[str]) -> EmbeddingBank:
        """Embed texts; of those with the same key the first is kept."""
        unique = tuple({bank_key(text): text for text in reversed(texts)}.values())[::-1]
        return cls(unique, encoder.embed(unique), encoder.name)

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self.embeddings.shape[1]

    def row(self, text: str) -> torch.Tensor | None:
        """The embedding (dim,) of one text, None where the bank does not hold it."""
        index = self._rows.get(bank_key(text))
        return None if index is None else self.embeddings[index]

    def lookup(self, texts: Sequence[str]) -> torch.Tensor | None:
        """Embeddings float32 (n, dim), None where the bank does not hold every text."""
        rows = [row for text in texts if (row := self.row(text)) is not None]
        if len(rows) != len(texts):
            return None
        return torch.stack(rows) if rows else self.embeddings[:0]

    def save(self, path: str | Path) -> None:
        """Write the bank, its numbers in half precision (0.0005 of each at most); the same bank gives the same bytes."""
        # One metadata entry only: safetensors writes several in a varying order, which would change the checksum.
        content = {"schema": SCHEMA, "encoder": self.encoder_name, "texts": list(self.texts)}
        save_file({"embeddings": self.embeddings.half().contiguous()}, path, metadata={"bank": json.dumps(content)})

    @classmethod
    def load(cls, path: str | Path) -> EmbeddingBank:
        """Read a bank. Raises ModelError where the file is missing, damaged or no bank."""
        if not Path(path).is_file():
            raise ModelError(f"The embedding bank '{path}' is missing. Install the model again.")
        try:
            with safe_open(path, framework="pt") as file:
                content = json.loads((file.metadata() or {})["bank"])
                embeddings = file.get_tensor("embeddings").float()
            if content["schema"] != SCHEMA:
                raise ModelError(
                    f"The embedding bank '{path}' has the schema '{content['schema']}', expected '{SCHEMA}'. "
                    "Install the model and this program in matching versions."
                )
            return cls(tuple(content["texts"]), embeddings, content["encoder"])
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise ModelError(f"The embedding bank '{path}' is damaged ({error}). Install the model again.") from error


def common_descriptions() -> tuple[str, ...]:
    """Some hundreds of descriptions that users are likely to type: generic ones, tumours by organ, health."""
    organs = tuple(organ for members in ORGANS_OF_REGION.values() for organ in members)
    kinds = [word for kind in KINDS.values() for word in kind.words]
    looks = [f"{look} {kind}" for kind in ("liver metastasis", "liver lesion", "renal mass", "mass") for look in _LOOKS]
    places = [f"{organ} {noun}" for organ in (*organs, "bone", "lymph node") for noun in ("tumor", "mass", "lesion")]
    generic = [*GENERIC, "tumors", "lesions", "metastases", "metastasis", "soft tissue mass"]
    healthy = ["normal", "no tumor", *(f"normal {organ}" for organ in organs)]
    return tuple(dict.fromkeys([*generic, *kinds, *looks, *places, *healthy]))


def common_prompts(
    vocabulary: Vocabulary | None = None, scan_kinds: Sequence[tuple[str, str | None]] = SCAN_KINDS
) -> tuple[str, ...]:
    """The prompts of `common_descriptions` for kinds of scan: what a bank is built from (2,100, 1.7 MB at 384-d)."""
    descriptions = parse_descriptions(common_descriptions(), vocabulary or load_vocabulary())
    pairs = [prompt_pair(description, *scan) for scan in scan_kinds for description in descriptions]
    return tuple(dict.fromkeys(text for pair in pairs for text in (pair.normal, pair.abnormal)))


def embed_with_bank(bank: EmbeddingBank | None, encoder: TextEncoder | None, texts: Sequence[str]) -> torch.Tensor:
    """Embeddings float32 (n, dim): from the bank where it holds a text, from the encoder for the others.

    Raises DescriptionError for a text that is in neither, or where bank and encoder do not belong together.
    """
    if bank is not None and encoder is not None and bank.encoder_name != encoder.name:
        raise DescriptionError(
            f"The model's embedding bank was made with {bank.encoder_name}, but the text encoder is {encoder.name}. "
            "Install the model again."
        )
    rows = {text: bank.row(text) if bank is not None else None for text in texts}
    missing = [text for text, row in rows.items() if row is None]
    if missing and encoder is None:
        raise DescriptionError(
            f"The text '{_shortened(missing[0])}' is not among the model's prepared descriptions, and no text encoder "
            "is installed to read it. Install the text encoder, or choose one of the example descriptions."
        )
    if missing and encoder is not None:
        rows.update(zip(missing, encoder.embed(missing), strict=True))
    found = [row for text in texts if (row := rows[text]) is not None]
    if found:
        return torch.stack(found)
    return torch.zeros(0, bank.dim if bank is not None else encoder.dim if encoder is not None else 0)


def _shortened(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
