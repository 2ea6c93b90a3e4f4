"""Training texts describe the tumour that is there or certainly something else, and never a held-out wording."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from diffugts.descriptions.bank import common_descriptions
from diffugts.descriptions.description import Description, parse_descriptions
from diffugts.descriptions.training_texts import (
    GENERIC_SHARE,
    OtherReason,
    TumourText,
    draw_description,
    draw_other_description,
)
from diffugts.descriptions.training_words import HELD_OUT_SYNONYMS, KINDS, ORGANS_OF_REGION
from diffugts.descriptions.vocabulary import load_vocabulary

VOCABULARY = load_vocabulary()

TUMOURS = [
    TumourText(kind, organ, VOCABULARY.region_of(organ), size, ("hypodense", "enhancing"), side)
    for kind, entry in KINDS.items()
    for organ in entry.organs
    for size, side in ((None, None), (12.0, "left"), (80.0, "right"))
]


def read(text: str) -> Description:
    return parse_descriptions(text, VOCABULARY)[0]


def test_five_thousand_drawn_texts_hold_no_held_out_wording() -> None:
    rng = np.random.default_rng(5)
    texts = [draw_description(rng, TUMOURS[i % len(TUMOURS)]) for i in range(5000)]
    texts += [draw_other_description(rng, "abdomen", "liver").text for _ in range(1000)]
    texts += [draw_other_description(rng, "extremity", None).text for _ in range(1000)]
    everything = "\n".join(texts).lower().replace("tumour", "tumor")
    for synonym in HELD_OUT_SYNONYMS:
        assert synonym.lower() not in everything


def test_a_held_out_wording_is_not_drawn_even_when_it_is_handed_in_as_a_kind() -> None:
    rng = np.random.default_rng(0)
    tumour = TumourText(kind="hypernephroma", organ="kidney", region="abdomen")
    assert all("hypernephroma" not in draw_description(rng, tumour).lower() for _ in range(200))


def test_held_out_wordings_are_in_no_list_of_common_descriptions_but_are_understood() -> None:
    listed = {text.lower() for text in common_descriptions()}
    for synonym in HELD_OUT_SYNONYMS:
        assert synonym.lower() not in listed
        assert read(synonym).is_understood, synonym


def test_the_same_generator_draws_the_same_texts() -> None:
    def draw(seed: int) -> list[str]:
        rng = np.random.default_rng(seed)
        return [draw_description(rng, TUMOURS[i % len(TUMOURS)]) for i in range(50)]

    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_every_drawn_text_is_understood_and_none_speaks_of_health() -> None:
    rng = np.random.default_rng(1)
    for i in range(1500):
        description = read(draw_description(rng, TUMOURS[i % len(TUMOURS)]))
        assert description.is_understood and not description.is_normal, description.text


def test_drawn_texts_name_the_tumours_own_place_or_none() -> None:
    rng = np.random.default_rng(2)
    for i in range(1500):
        tumour = TUMOURS[i % len(TUMOURS)]
        if tumour.kind in ("lymph node metastasis", "bone tumor", "lung nodule"):
            continue  # these words are places of their own, or lie in regions the organ does not settle
        description = read(draw_description(rng, tumour))
        if description.region is not None and tumour.region is not None:
            assert description.region == tumour.region, (tumour.kind, description.text, description.organ)


def test_about_a_quarter_of_the_texts_are_generic_and_wordings_are_many() -> None:
    rng = np.random.default_rng(3)
    tumour = TumourText("soft tissue sarcoma", "thigh", "extremity", 60.0, ("hyperintense",), "left", "MR")
    drawn = [draw_description(rng, tumour) for _ in range(2000)]
    texts = [read(text) for text in drawn]
    placeless = sum(text.organ is None and text.region is None for text in texts) / len(texts)
    assert GENERIC_SHARE - 0.03 < placeless < 0.75
    assert len({text.text for text in texts}) > 400
    assert len(set(drawn)) / len(drawn) > 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_the_words_of_a_kind_lead_to_its_organs(kind: str) -> None:
    entry, anywhere = KINDS[kind], ("soft tissue", "muscle", "nerve")
    for word in entry.words:
        organ = read(word).organ
        if entry.names_organ:
            assert organ in entry.organs, f"'{word}' is read as {organ}"
        else:
            assert organ is None or organ in entry.organs or organ in anywhere, f"'{word}': {organ}"


@pytest.mark.parametrize(
    ("region", "organ"),
    [("extremity", "thigh"), ("extremity", None), ("abdomen", "liver"), ("abdomen", None), ("head", "brain")]
    + [("chest", "lung"), ("pelvis", None)],
)
def test_texts_of_other_organs_never_fit_the_tumour(region: str, organ: str | None) -> None:
    rng = np.random.default_rng(4)
    for _ in range(600):
        other = draw_other_description(rng, region, organ)
        description = read(other.text)
        if other.reason is OtherReason.OTHER_ORGAN:
            assert description.organ is not None and not description.is_normal, other.text
            assert description.organ != organ
            if organ is None or region == "extremity":
                assert description.region != region, other.text
        elif other.reason is OtherReason.HEALTHY:
            assert description.is_normal, other.text
        else:
            assert not description.is_understood, other.text


def test_all_reasons_are_drawn_in_their_shares() -> None:
    rng = np.random.default_rng(6)
    counts = Counter(draw_other_description(rng, "abdomen", "liver").reason for _ in range(2000))
    assert abs(counts[OtherReason.OTHER_ORGAN] / 2000 - 0.7) < 0.05
    assert abs(counts[OtherReason.HEALTHY] / 2000 - 0.2) < 0.05
    assert abs(counts[OtherReason.NONSENSE] / 2000 - 0.1) < 0.05


def test_without_a_place_only_health_and_nonsense_are_safe() -> None:
    rng = np.random.default_rng(6)
    reasons = {draw_other_description(rng, None, None).reason for _ in range(500)}
    assert reasons == {OtherReason.HEALTHY, OtherReason.NONSENSE}


def test_negatives_reach_every_organ_of_another_region() -> None:
    rng = np.random.default_rng(9)
    organs = {read(draw_other_description(rng, "extremity", None).text).organ for _ in range(3000)}
    assert {organ for region in ("head", "chest", "abdomen") for organ in ORGANS_OF_REGION[region]} <= organs
