"""The embedding bank gives back what the encoder gave, bit for bit, and says what it does not hold."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from diffugts.descriptions.bank import (
    EmbeddingBank,
    common_descriptions,
    common_prompts,
    embed_with_bank,
)
from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.encoder import TextEncoder, load_text_encoder
from diffugts.descriptions.templates import prompt_pair
from diffugts.errors import DescriptionError, ModelError

TEXTS = ("liver tumor", "an abnormal CT scan: renal mass", "métastase 🎉 ورم")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return load_text_encoder("compact")


@pytest.fixture(scope="module")
def bank(encoder: TextEncoder) -> EmbeddingBank:
    return EmbeddingBank.build(encoder, TEXTS)


def test_a_bank_written_and_read_is_the_same_bit_for_bit(bank: EmbeddingBank, tmp_path: Path) -> None:
    bank.save(tmp_path / "bank.safetensors")
    read = EmbeddingBank.load(tmp_path / "bank.safetensors")
    assert read.texts == bank.texts == TEXTS
    assert read.encoder_name == bank.encoder_name == "all-MiniLM-L6-v2"
    assert torch.equal(read.embeddings, bank.embeddings.half().float())


def test_the_same_bank_is_the_same_file(bank: EmbeddingBank, tmp_path: Path) -> None:
    digests = set()
    for name in ("one", "two", "three"):
        bank.save(tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_the_bank_answers_as_the_encoder_does(bank: EmbeddingBank, encoder: TextEncoder) -> None:
    found = bank.lookup(TEXTS)
    assert found is not None
    assert torch.equal(found, encoder.embed(TEXTS))
    assert torch.allclose(found, load_text_encoder("compact").embed(TEXTS[::-1]).flip(0), atol=1e-6)


def test_case_spaces_and_spelling_do_not_matter(bank: EmbeddingBank) -> None:
    for text in ("Liver Tumor", " liver   tumor ", "liver tumour", "LIVER TUMOUR"):
        found = bank.lookup([text])
        assert found is not None and torch.equal(found[0], bank.embeddings[0]), text


def test_one_missing_text_means_no_answer(bank: EmbeddingBank) -> None:
    assert bank.lookup(["liver tumor", "brain tumor"]) is None
    assert bank.row("brain tumor") is None
    empty = bank.lookup([])
    assert empty is not None and empty.shape == (0, 384)


def test_texts_with_the_same_key_are_kept_once(encoder: TextEncoder) -> None:
    assert EmbeddingBank.build(encoder, ["Liver tumour", "liver tumor", "mass"]).texts == ("Liver tumour", "mass")
    with pytest.raises(ValueError, match="differ in spelling"):
        EmbeddingBank(("liver", "Liver"), torch.zeros(2, 3), "x")
    with pytest.raises(ValueError, match="shape"):
        EmbeddingBank(("liver",), torch.zeros(2, 3), "x")


def test_bank_and_encoder_together_answer_everything(bank: EmbeddingBank, encoder: TextEncoder) -> None:
    texts = ["brain tumor", "liver tumor", "brain tumor"]
    assert torch.equal(embed_with_bank(bank, encoder, texts), encoder.embed(texts))
    assert torch.equal(embed_with_bank(None, encoder, texts), encoder.embed(texts))
    assert torch.equal(embed_with_bank(bank, None, ["liver tumor"]), bank.embeddings[:1])
    assert embed_with_bank(bank, None, []).shape == (0, 384)


@pytest.mark.parametrize("with_bank", [True, False])
def test_a_text_that_is_nowhere_is_named_with_what_to_do(with_bank: bool, bank: EmbeddingBank) -> None:
    with pytest.raises(DescriptionError, match="'brain tumor'.*Install the text encoder"):
        embed_with_bank(bank if with_bank else None, None, ["brain tumor"])


def test_a_bank_of_another_encoder_is_refused(bank: EmbeddingBank, encoder: TextEncoder) -> None:
    other = EmbeddingBank(bank.texts, bank.embeddings, "SapBERT")
    with pytest.raises(DescriptionError, match="SapBERT.*all-MiniLM-L6-v2"):
        embed_with_bank(other, encoder, ["liver tumor"])


def test_missing_damaged_and_foreign_files_are_refused(bank: EmbeddingBank, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing"):
        EmbeddingBank.load(tmp_path / "none")
    bank.save(tmp_path / "whole")
    (tmp_path / "half").write_bytes((tmp_path / "whole").read_bytes()[:-100])
    with pytest.raises(ModelError, match="is damaged"):
        EmbeddingBank.load(tmp_path / "half")
    save_file({"embeddings": bank.embeddings}, tmp_path / "bare")
    with pytest.raises(ModelError, match="is damaged"):
        EmbeddingBank.load(tmp_path / "bare")
    save_file(
        {"embeddings": bank.embeddings},
        tmp_path / "later",
        metadata={"bank": '{"schema": "diffugts-embedding-bank/9"}'},
    )
    with pytest.raises(ModelError, match="diffugts-embedding-bank/9"):
        EmbeddingBank.load(tmp_path / "later")


def test_common_descriptions_are_some_hundreds_and_all_understood() -> None:
    common = common_descriptions()
    assert 250 <= len(common) <= 600
    assert len(set(common)) == len(common)
    assert [d.text for d in parse_descriptions(common) if not d.is_understood] == []


def test_a_bank_of_the_common_prompts_needs_no_encoder_for_common_descriptions() -> None:
    prompts = frozenset(common_prompts())
    for text in ("liver tumour", "HCC", "a tumor", "Renal mass", "normal liver"):
        (description,) = parse_descriptions(text)
        for modality, sequence in (("CT", None), ("MR", "T1"), ("MR", "FLAIR"), ("MR", None)):
            pair = prompt_pair(description, modality, sequence)
            lowered = {prompt.lower() for prompt in prompts}
            assert pair.normal.lower() in lowered and pair.abnormal.lower() in lowered, text
