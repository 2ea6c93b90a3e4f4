"""Texts outside the tables are judged by their meaning, others are left as they were read."""

from __future__ import annotations

import pytest

from diffugts.descriptions.description import NOT_UNDERSTOOD, parse_descriptions
from diffugts.descriptions.encoder import TextEncoder, load_text_encoder
from diffugts.descriptions.meaning import judge_by_meaning
from diffugts.descriptions.vocabulary import Vocabulary, load_vocabulary


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return load_text_encoder("compact")


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_vocabulary()


def test_medical_texts_outside_the_tables_become_understood_and_nonsense_does_not(
    encoder: TextEncoder, vocabulary: Vocabulary
) -> None:
    medical = ["blocked airway", "gynecomastia", "cauliflower-like excrescence", "meniscal tear", "bulging disc"]
    nonsense = ["invoice for the car", "asdf qwer zxcv", "chess opening theory", "../../etc/passwd", "🎉🎉"]
    read = parse_descriptions(medical + nonsense, vocabulary)
    assert not any(description.is_understood for description in read), "these texts have to be outside the tables"
    judged = judge_by_meaning(read, encoder, vocabulary)
    assert [d.text for d in judged if d.is_understood] == medical
    assert all((NOT_UNDERSTOOD in d.notes) != d.is_understood for d in judged)


def test_what_the_tables_understood_is_left_alone(encoder: TextEncoder, vocabulary: Vocabulary) -> None:
    read = parse_descriptions("HCC\nnormal liver\na tumour", vocabulary)
    assert judge_by_meaning(read, encoder, vocabulary, threshold=2.0) == read
