"""Abbreviations, other languages and typing errors are resolved, each with a note, and only where they are meant."""

from __future__ import annotations

import pytest

from diffugts.descriptions.expansion import expand, one_slip_apart
from diffugts.descriptions.vocabulary import Vocabulary, load_vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return load_vocabulary()


@pytest.mark.parametrize(
    ("typed", "expanded"),
    [
        ("HCC", "hepatocellular carcinoma"),
        ("hcc", "hepatocellular carcinoma"),
        ("left RCC", "left renal cell carcinoma"),
        ("rcc", "renal cell carcinoma"),
        ("ccRCC", "clear cell renal cell carcinoma"),
        ("NSCLC in the RUL", "non-small cell lung cancer in the right upper lobe"),
        ("brain mets", "brain metastases"),
        ("liver met", "liver metastasis"),
        ("met", "metastasis"),
        ("LN met", "lymph node metastasis"),
        ("GBM, not LGG", "glioblastoma, not low-grade glioma"),
        ("PDAC", "pancreatic ductal adenocarcinoma"),
        ("lung ca", "lung cancer"),
        ("GIST", "gastrointestinal stromal tumor"),
        ("duodenal gist", "duodenal gastrointestinal stromal tumor"),
        ("MPNST w/ necrosis", "malignant peripheral nerve sheath tumor with necrosis"),
        ("lesion w/o edema", "lesion without edema"),
        ("osteolytic OS of the femur", "osteolytic osteosarcoma of the femur"),
    ],
)
def test_abbreviations_are_written_out(typed: str, expanded: str, vocabulary: Vocabulary) -> None:
    expansion = expand(typed, vocabulary)
    assert expansion.text == expanded
    assert expansion.notes


@pytest.mark.parametrize(
    "text",
    [
        "the criteria were met",
        "the patient was met by a doctor",
        "fishing net",
        "the gist of it",
        "5 mm nodule",
        "tell us more",
        "os",
        "liver lesion vs cyst",
        "california ca",
    ],
)
def test_ordinary_words_are_not_taken_for_abbreviations(text: str, vocabulary: Vocabulary) -> None:
    expansion = expand(text, vocabulary)
    assert (expansion.text, expansion.notes) == (text, ())


def test_an_ambiguous_abbreviation_follows_its_context_and_says_so_without_one(vocabulary: Vocabulary) -> None:
    assert expand("AML in bone marrow", vocabulary).text == "acute myeloid leukemia in bone marrow"
    assert expand("UC of the colon", vocabulary).text == "ulcerative colitis of the colon"
    assert expand("PNET of the brain", vocabulary).text == "primitive neuroectodermal tumor of the brain"
    alone = expand("AML", vocabulary)
    assert alone.text == "renal angiomyolipoma"
    assert "leukaemia" in alone.notes[0]


@pytest.mark.parametrize(
    ("typed", "english", "language"),
    [
        ("Lebermetastase", "liver metastasis", "German"),
        ("HIRN-METASTASE", "brain metastasis", "German"),
        ("Schilddruesenkarzinom", "thyroid carcinoma", "German"),
        ("hypodense Raumforderung in der linken Niere", "hypodense mass in the left kidney", "German"),
        ("gesunde Leber", "healthy liver", "German"),
        ("tumeur du foie", "tumor of the liver", "French"),
        ("métastase hépatique", "metastasis hepatic", "French"),
        ("metastase hepatique", "metastasis hepatic", "French"),
        ("cancer du sein", "cancer of the breast", "French"),
        ("tumor de hígado", "tumor of liver", "Spanish"),
        ("masa en el riñón izquierdo", "mass in the kidney left", "Spanish"),
        ("tumore del fegato", "tumor of the liver", "Italian"),
        ("massa nel rene sinistro", "mass in the kidney left", "Italian"),
    ],
)
def test_common_words_of_four_languages_are_read(
    typed: str, english: str, language: str, vocabulary: Vocabulary
) -> None:
    expansion = expand(typed, vocabulary)
    assert expansion.text == english
    assert language in expansion.notes[0]


@pytest.mark.parametrize("text", ["main mass on the arm", "patients die of tumor", "rein in the lesion", "a sin", "os"])
def test_english_words_that_other_languages_share_stay_english(text: str, vocabulary: Vocabulary) -> None:
    assert expand(text, vocabulary).text == text


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("metastsis", "metastasis"), ("prostrate", "prostate"), ("pancraes", "pancreas"), ("kidnney", "kidney")],
)
def test_a_slip_of_the_finger_is_corrected_and_said(typed: str, meant: str, vocabulary: Vocabulary) -> None:
    expansion = expand(f"{typed} lesion", vocabulary)
    assert expansion.text == f"{meant} lesion"
    assert expansion.notes == (f"'{typed}' was read as '{meant}'.",)


def test_short_words_and_lookalikes_are_never_corrected(vocabulary: Vocabulary) -> None:
    for word in ("river", "cancel", "lesson", "rumor", "humor", "ladder", "silver", "structure", "injection"):
        assert expand(word, vocabulary).text == word


def test_one_slip_is_one_letter_missing_extra_wrong_or_swapped() -> None:
    for typed in ("lver", "livver", "lover", "lievr", "live", "livers", "ilver"):
        assert one_slip_apart(typed, "liver"), typed
    for typed in ("liver", "lvr", "river s", "lreiv", "kidney", ""):
        assert not one_slip_apart(typed, "liver"), typed
