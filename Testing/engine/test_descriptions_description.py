"""What is typed is read as an organ, a region, health or nonsense, and nothing that can be typed breaks it."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffugts.descriptions.description import NOT_UNDERSTOOD, Description, describe, parse_descriptions
from diffugts.descriptions.vocabulary import Vocabulary, load_vocabulary
from diffugts.errors import RequestError

VOCABULARY = load_vocabulary()


def read(text: str) -> Description:
    (description,) = parse_descriptions(text, VOCABULARY)
    return description


@pytest.mark.parametrize(
    ("text", "organ", "region"),
    [
        ("hypodense liver metastasis", "liver", "abdomen"),
        ("HCC", "liver", "abdomen"),
        ("RCC", "kidney", "abdomen"),
        ("sigmoid mass", "colon", "abdomen"),
        ("caecal tumour", "colon", "abdomen"),
        ("enhancing necrotic mass with oedema in the cerebrum", "brain", "head"),
        ("nodule in the LLL", "lung", "chest"),
        ("hilar mass", "lung", "chest"),
        ("myxoid liposarcoma of the left quadriceps", "thigh", "extremity"),
        ("soft tissue sarcoma of the thigh", "thigh", "extremity"),
        ("calf lump", "lower leg", "extremity"),
        ("lytic lesion in the femur", "bone", "extremity"),
        ("retroperitoneal sarcoma", "retroperitoneum", "abdomen"),
        ("cervical cancer", "cervix", "pelvis"),
        ("cervical lymph node", "lymph node", "neck"),
        ("enlarged lymph node in the pelvis", "lymph node", "pelvis"),
        ("pelvic mass", None, "pelvis"),
        ("sarcoma of a limb", None, "extremity"),
        ("a tumour", None, None),
        ("GBM", "brain", "head"),
        ("Wilms tumour", "kidney", "abdomen"),
        ("chordoma", "bone", None),
        ("extraskeletal osteosarcoma", None, None),
    ],
)
def test_organ_and_region_are_read(text: str, organ: str | None, region: str | None) -> None:
    description = read(text)
    assert (description.organ, description.region) == (organ, region)
    assert description.is_understood and not description.is_normal


@pytest.mark.parametrize(
    ("text", "organ"),
    [
        ("colorectal liver metastases", "liver"),
        ("brain metastasis of lung cancer", "brain"),
        ("metastasis in the lung from the kidney", "lung"),
        ("liver metastasis from colon cancer", "liver"),
        ("metastasis of the liver", "liver"),
    ],
)
def test_a_metastasis_lies_where_it_is_not_where_it_comes_from(text: str, organ: str) -> None:
    assert read(text).organ == organ


def test_a_part_or_an_implied_organ_is_named_for_the_encoder() -> None:
    assert read("sigmoid mass").expanded == "sigmoid mass, colon tumor"
    assert read("HCC").expanded == "hepatocellular carcinoma, liver tumor"
    assert read("hypodense liver metastasis").expanded == "hypodense liver metastasis"


def test_british_and_american_spelling_reach_the_encoder_as_one() -> None:
    assert read("oesophageal tumour with oedema").expanded == read("esophageal tumor with edema").expanded


def test_an_organ_alone_is_taken_as_a_tumor_there_and_said() -> None:
    description = read("liver")
    assert description.expanded == "liver, liver tumor"
    assert any("no finding" in note for note in description.notes)


def test_a_benign_finding_is_said_to_be_outside_what_models_learn() -> None:
    assert any("usually not a tumor" in note for note in read("simple renal cyst").notes)
    assert not any("usually not a tumor" in note for note in read("renal mass with a cyst").notes)


@pytest.mark.parametrize("text", ["a healthy thigh", "normal liver", "no tumour", "gesunde Leber", "foie normal"])
def test_health_is_marked_and_gets_no_tumor_added(text: str) -> None:
    description = read(text)
    assert description.is_normal and description.is_understood
    assert not description.expanded.endswith(" tumor") or text == "no tumour"


@pytest.mark.parametrize(
    "text",
    [
        "purple elephant",
        "invoice for the car",
        "asdf qwer zxcv",
        "the cat sat on the mat",
        "../../etc/passwd",
        "C:\\Windows\\System32",
        "SELECT * FROM patients;",
        "12345",
        "🎉🎉",
        "?!",
        "lorem ipsum dolor sit amet",
        "I lost my keys under the table near the liver of the elephant at the zoo in Paris yesterday",
    ],
)
def test_nonsense_is_flagged(text: str) -> None:
    description = read(text)
    assert not description.is_understood
    assert NOT_UNDERSTOOD in description.notes
    assert description.expanded


def test_lines_are_split_trimmed_and_blank_ones_dropped() -> None:
    descriptions = parse_descriptions(["  liver tumour \n\n\t\n", "kidney mass", "\u200b", ""], VOCABULARY)
    assert [description.text for description in descriptions] == ["liver tumour", "kidney mass"]


def test_a_repeated_line_is_kept_once_with_a_note() -> None:
    descriptions = parse_descriptions("Liver tumour\nliver  tumour\nrenal mass", VOCABULARY)
    assert [description.text for description in descriptions] == ["Liver tumour", "renal mass"]
    assert any("2 times" in note for note in descriptions[0].notes)
    assert not any("times" in note for note in descriptions[1].notes)


@pytest.mark.parametrize("lines", ["", "\n \n", [], ["", "\t"], "\u200e", "\x00"])
def test_nothing_to_look_for_is_refused_in_a_sentence(lines: str | list[str]) -> None:
    with pytest.raises(RequestError, match="no description of what to look for"):
        parse_descriptions(lines, VOCABULARY)


def test_text_is_normalised_to_composed_form() -> None:
    description = read("me\u0301tastase he\u0301patique")
    assert description.text == "métastase hépatique"
    assert description.organ == "liver"


def test_right_to_left_text_and_quotes_are_kept_as_typed() -> None:
    for text in ("ورم في الكبد", "גידול בכבד", "\"liver\" 'tumour'", "肝臓の腫瘍", "liver tumor \u202ereversed"):
        assert read(text).text == text
    assert "\u202e" not in read("liver tumor \u202ereversed").expanded


def test_a_lone_surrogate_becomes_a_character_that_can_be_written() -> None:
    description = read("liver \ud800 tumor")
    assert description.organ == "liver"
    description.text.encode("utf-8")


def test_two_thousand_characters_and_far_more_are_read() -> None:
    long_text = ("Segment the hypodense metastasis in the right hepatic lobe. " * 40)[:2000]
    description = read(long_text)
    assert description.organ == "liver"
    assert description.expanded.startswith(long_text.strip())
    assert read("liver tumor " + "x" * 200_000).organ == "liver"
    assert read("mass " * 50_000).text.startswith("mass")


def test_the_tables_are_read_from_the_package_when_none_are_handed_in() -> None:
    assert parse_descriptions("HCC") == parse_descriptions("HCC", VOCABULARY)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_anything_that_can_be_typed_is_read_or_refused_as_empty(text: str) -> None:
    try:
        descriptions = parse_descriptions(text, VOCABULARY)
    except RequestError:
        visible = [c for c in text if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf")]
        assert not visible
        return
    for description in descriptions:
        assert description.text.strip() == description.text != ""
        assert description.expanded
        description.expanded.encode("utf-8")
        assert description.is_understood or NOT_UNDERSTOOD in description.notes


_PIECES = st.sampled_from(
    ["liver", "HCC", "no", "tumour", "w/o", "met", ",", ".", "Leber", "du", "foie", "🎉", "ورم", "'", "-", "5 cm", "of"]
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_PIECES, min_size=1, max_size=12))
def test_the_same_text_is_always_read_the_same_way(pieces: list[str]) -> None:
    text = " ".join(pieces)
    first, second = describe(text, VOCABULARY), describe(text, load_vocabulary())
    assert first == second


def test_vocabulary_is_a_value_nobody_can_change() -> None:
    vocabulary: Vocabulary = load_vocabulary()
    with pytest.raises(TypeError):
        vocabulary.places["liver"] = vocabulary.places["lung"]  # type: ignore[index]
