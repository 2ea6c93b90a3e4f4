"""The tables of the vocabulary hold together, and spelling is brought to one form."""

from __future__ import annotations

import pytest

from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.expansion import WORDS_SEARCHED, expand
from diffugts.descriptions.training_words import KINDS, ORGAN_WORDS, ORGANS_OF_REGION, REGION_WORDS
from diffugts.descriptions.vocabulary import BODY_REGIONS, Vocabulary, american_spelling, load_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_vocabulary()


@pytest.mark.parametrize(
    ("british", "american"),
    [
        ("Tumour with oedema", "Tumor with edema"),
        ("haemorrhagic oesophageal tumours", "hemorrhagic esophageal tumors"),
        ("caecal and coeliac masses", "cecal and celiac masses"),
        ("GREY MATTER TUMOUR", "GRAY MATTER TUMOR"),
        ("leukaemia, phaeochromocytoma", "leukemia, pheochromocytoma"),
        ("œdème", "oedème"),
    ],
)
def test_british_spelling_becomes_american(british: str, american: str) -> None:
    assert american_spelling(british) == american


def test_american_spelling_leaves_american_texts_alone() -> None:
    text = "Hypodense liver tumor with edema, gray matter, esophagus, celiac node, labored breathing"
    assert american_spelling(text) == text


def test_every_region_of_the_anatomy_is_a_body_region(vocabulary: Vocabulary) -> None:
    assert {place.region for place in vocabulary.places.values() if place.region} <= set(BODY_REGIONS)


def test_every_table_entry_is_already_in_the_spelling_it_is_looked_up_in(vocabulary: Vocabulary) -> None:
    for term in (*vocabulary.places, *vocabulary.findings):
        assert american_spelling(term) == term, f"'{term}' would never be found"


def test_findings_imply_organs_that_exist(vocabulary: Vocabulary) -> None:
    implied = {finding.organ for finding in vocabulary.findings.values() if finding.organ}
    assert implied <= set(vocabulary.organs)


def test_plurals_are_understood(vocabulary: Vocabulary) -> None:
    for word in ("kidneys", "vertebrae", "biopsies", "meningiomas", "metastases", "masses", "fibromata", "arteries"):
        known = vocabulary.place(word) or vocabulary.finding(word)
        assert (known is None) == (word == "biopsies"), word


def test_unlisted_greek_tumor_names_are_findings_and_ordinary_words_are_not(vocabulary: Vocabulary) -> None:
    assert vocabulary.finding("fibroadenolipoma") is not None
    assert vocabulary.finding("cholangitis") is not None
    for word in ("diploma", "coma", "aroma", "diagnosis", "oklahoma"):
        assert vocabulary.finding(word) is None


def test_every_abbreviation_expands_to_words_the_tables_know(vocabulary: Vocabulary) -> None:
    modifiers = ("right", "left", "with", "without", "consistent with", "suspicious for", "ultrasound")
    not_understood = [
        reading.expansion
        for readings in vocabulary.abbreviations.values()
        for reading in readings
        if reading.expansion not in modifiers and not parse_descriptions(reading.expansion, vocabulary)[0].is_understood
    ]
    assert not_understood == []


def test_translations_are_english_the_tables_know(vocabulary: Vocabulary) -> None:
    tables = (vocabulary.places, vocabulary.findings, *vocabulary.words.values())
    english = {word for table in tables for term in table for word in term.split()}
    for entries in vocabulary.translations.values():
        for entry in entries:
            for word in entry.english.split():
                assert word in english or vocabulary.knows(word), (entry.language, entry.english)


def test_training_words_use_the_organs_of_the_vocabulary(vocabulary: Vocabulary) -> None:
    organs = {*ORGAN_WORDS, *(o for members in ORGANS_OF_REGION.values() for o in members)}
    organs |= {organ for kind in KINDS.values() for organ in kind.organs}
    assert organs - {"limb"} <= set(vocabulary.organs)
    assert set(REGION_WORDS) == set(BODY_REGIONS)
    for region, members in ORGANS_OF_REGION.items():
        assert {vocabulary.region_of(organ) for organ in members} == {region}


def test_no_word_of_the_encoders_vocabulary_is_taken_for_a_typing_error(vocabulary: Vocabulary) -> None:
    """The encoder's 30,000 word pieces hold the common English words; none may turn into an organ."""
    from diffugts.descriptions.encoder import preset_folder

    words = (preset_folder("compact") / "vocab.txt").read_text(encoding="utf-8").split()
    ordinary = [word for word in words if len(word) >= 6 and word.isalpha() and word.isascii()]
    assert len(ordinary) > 10_000
    for first in range(0, len(ordinary), WORDS_SEARCHED):
        notes = expand(" ".join(ordinary[first : first + WORDS_SEARCHED]), vocabulary).notes
        assert [note for note in notes if "was read as" in note] == []
