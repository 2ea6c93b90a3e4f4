"""Texts for training: many wordings of the tumour that is there, and of what is not.

`draw_description` words one tumour the way reports and users do; `draw_other_description` gives texts whose
right answer on the same scan is nothing, with the reason. Some wordings are never drawn (`HELD_OUT_SYNONYMS`):
they measure whether a model follows meaning or has learnt strings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from diffugts.descriptions.description import parse_descriptions
from diffugts.descriptions.training_words import (
    GENERIC,
    HEALTHY,
    HEALTHY_ANYWHERE,
    HELD_OUT_SYNONYMS,
    KINDS,
    LOOKS,
    NONSENSE_WORDS,
    ORGAN_WORDS,
    ORGANS_OF_REGION,
    PLACE_NOUNS,
    REGION_WORDS,
    TumourKind,
)
from diffugts.descriptions.vocabulary import american_spelling

GENERIC_SHARE = 0.25
"""Share of drawn texts that name neither organ nor kind ("a suspicious lesion")."""


@dataclass(frozen=True)
class TumourText:
    """What is known of one tumour, to be put into words.

    Attributes:
        kind: key of `training_words.KINDS` ("soft tissue sarcoma", "glioma"); another kind is used as it is written;
            "" where only the place is known.
        organ: canonical organ (vocabulary), None where open.
        region: body region (vocabulary.BODY_REGIONS), None where open.
        size_mm: longest diameter.
        density: how it looks, such as "hypodense" or "T2-hyperintense".
        side: "left" or "right".
        modality: "CT" or "MR".
    """

    kind: str = ""
    organ: str | None = None
    region: str | None = None
    size_mm: float | None = None
    density: tuple[str, ...] = ()
    side: str | None = None
    modality: str = "CT"


class OtherReason(str, Enum):
    """Why a text's right answer on a scan is nothing."""

    OTHER_ORGAN = "another organ's tumour"
    HEALTHY = "a healthy state"
    NONSENSE = "no medical meaning"


@dataclass(frozen=True)
class OtherText:
    """A text that does not describe the tumour in the scan, and why."""

    text: str
    reason: OtherReason


_NEIGHBOURS: dict[str, frozenset[str]] = {
    "head": frozenset({"neck"}),
    "neck": frozenset({"head", "chest"}),
    "chest": frozenset({"neck", "abdomen"}),
    "abdomen": frozenset({"pelvis", "chest"}),
    "pelvis": frozenset({"abdomen", "extremity"}),
    "extremity": frozenset({"pelvis"}),
    "spine": frozenset({"neck", "chest", "abdomen", "pelvis"}),
}
"""Regions whose border a tumour can lie on: texts of them are no safe negatives without a known organ."""


def texts_of_marks(description: str, modality: str) -> tuple[TumourText, ...]:
    """What may be said of tumours that their owner calls `description`: their words, their place, their kind if it has a name."""
    read = parse_descriptions(description)[0]
    words = american_spelling(read.text).lower()
    organ, region = read.organ, read.region if read.organ is None else None
    texts = [TumourText(words, organ, region, modality=modality)] if words in KINDS else []
    if organ is not None or region is not None:
        texts.append(TumourText("", organ, region, modality=modality))
    # Beside an organ's own name the words of another kind would be said twice: "liver tumor in the liver".
    return (*texts, TumourText(words, modality=modality)) if words not in KINDS else tuple(texts)


def draw_description(rng: np.random.Generator, tumour: TumourText) -> str:
    """One wording of a tumour, as a user might type it. Never one of `HELD_OUT_SYNONYMS`."""
    while True:
        text = _draw(rng, tumour)
        if not contains_held_out(text):
            return text


def contains_held_out(text: str) -> bool:
    """Whether a text contains a wording that is kept out of training, whatever its case."""
    lowered = text.lower().replace("tumour", "tumor")
    return any(synonym.lower() in lowered for synonym in HELD_OUT_SYNONYMS)


def _draw(rng: np.random.Generator, tumour: TumourText) -> str:
    if rng.random() < GENERIC_SHARE:
        return _varied(rng, _with_look(rng, str(rng.choice(GENERIC)), tumour, 0.25))
    kind = KINDS.get(tumour.kind)
    place = _place_words(rng, tumour, kind)
    if tumour.kind and (place is None or rng.random() < 0.7):
        words = str(rng.choice(kind.words)) if kind else tumour.kind
        place = None if (kind and kind.names_organ) or rng.random() < 0.4 else place
    else:
        words = str(rng.choice(PLACE_NOUNS))
    words = _with_look(rng, words, tumour, 0.35)
    if place is not None:
        words = f"{place} {words}" if rng.random() < 0.4 and " of " not in place else f"{words} in the {place}"
    return _varied(rng, words)


def _place_words(rng: np.random.Generator, tumour: TumourText, kind: TumourKind | None) -> str | None:
    organ = tumour.organ
    if organ is None and kind is not None and len(kind.organs) == 1:
        organ = kind.organs[0]
    if organ is not None and (tumour.region is None or rng.random() < 0.85):
        words = str(rng.choice(ORGAN_WORDS.get(organ, (organ,))))
    elif tumour.region is not None:
        words = str(rng.choice(REGION_WORDS.get(tumour.region, (tumour.region,))))
    else:
        return None
    return f"{tumour.side} {words}" if tumour.side and rng.random() < 0.4 else words


def _with_look(rng: np.random.Generator, words: str, tumour: TumourText, share: float) -> str:
    """The words, sometimes with what was measured of the tumour before them: how it looks, its size."""
    looks = [str(rng.choice(tumour.density))] if tumour.density and rng.random() < share else []
    if tumour.size_mm is not None and rng.random() < 0.2:
        looks.insert(0, _size_words(rng, tumour.size_mm))
    return " ".join([*looks, words.removeprefix("a ").removeprefix("an ")]) if looks else words


def _size_words(rng: np.random.Generator, size_mm: float) -> str:
    if rng.random() < 0.5:
        return f"{size_mm:.0f} mm" if size_mm < 20 or rng.random() < 0.3 else f"{size_mm / 10:.1f} cm"
    return "small" if size_mm < 15 else "large" if size_mm > 50 else "medium-sized"


def _varied(rng: np.random.Generator, text: str) -> str:
    """Articles, spelling and case as they vary between users."""
    if rng.random() < 0.15 and not text.startswith(("a ", "an ", "any")):
        text = ("an " if text[0].lower() in "aeiou" else "a ") + text
    if rng.random() < 0.4:
        text = text.replace("tumor", "tumour")
    if rng.random() < 0.2:
        text = text[0].upper() + text[1:]
    return text


def draw_other_description(
    rng: np.random.Generator, exclude_region: str | None, exclude_organ: str | None = None
) -> OtherText:
    """A text whose right answer is nothing on a scan with one tumour in `exclude_organ` of `exclude_region`.

    Another organ's tumour (70 %; of another region, that is not next to it unless both organs are known), a
    healthy state (20 %) or nonsense (10 %). With neither region nor organ known only the last two are safe.
    """
    share = rng.random()
    if share < 0.7 and (exclude_region is not None or exclude_organ is not None):
        text = _other_organ(rng, exclude_region, exclude_organ)
        if text is not None:
            return OtherText(text, OtherReason.OTHER_ORGAN)
    if share < 0.9:
        return OtherText(draw_healthy(rng, exclude_organ), OtherReason.HEALTHY)
    return OtherText(draw_nonsense(rng), OtherReason.NONSENSE)


def _region_of(organ: str | None) -> str | None:
    return next((region for region, organs in ORGANS_OF_REGION.items() if organ in organs), None)


def _other_organ(rng: np.random.Generator, region: str | None, organ: str | None) -> str | None:
    region = region or _region_of(organ)
    if region is None:
        return None
    far = [other for other in ORGANS_OF_REGION if other != region and other not in _NEIGHBOURS[region]]
    near = sorted(_NEIGHBOURS[region] | {region}) if organ is not None and region != "extremity" else []
    choices = [o for other in far for o in ORGANS_OF_REGION[other]]
    close = [o for other in near for o in ORGANS_OF_REGION.get(other, ()) if o != organ]
    if close and rng.random() < 0.4:
        choices = close
    other_organ = str(rng.choice(choices))
    kinds = [kind for kind, entry in KINDS.items() if other_organ in entry.organs]
    kind = str(rng.choice(kinds)) if kinds else ""
    return _named(rng, kind, other_organ)


def _named(rng: np.random.Generator, kind: str, organ: str) -> str:
    """A description that certainly names the organ or a kind that occurs nowhere else."""
    entry = KINDS.get(kind)
    looks = LOOKS["CT"] if rng.random() < 0.5 else LOOKS["MR"]
    while True:
        place = str(rng.choice(ORGAN_WORDS.get(organ, (organ,))))
        if entry is not None and (entry.names_organ or entry.organs == (organ,)) and rng.random() < 0.65:
            words, named = str(rng.choice(entry.words)), True
        elif entry is not None and not entry.names_organ and rng.random() < 0.6:
            words, named = str(rng.choice(entry.words)), False
        else:
            words, named = str(rng.choice(PLACE_NOUNS)), False
        if rng.random() < 0.3:
            words = f"{rng.choice(looks)} {words}"
        text = words if named else f"{words} in the {place}"
        if not contains_held_out(text):
            return _varied(rng, text)


def draw_healthy(rng: np.random.Generator, organ: str | None = None) -> str:
    """A description of health: of the given organ in half the draws, of any organ or none in the others."""
    if rng.random() < 0.15:
        return str(rng.choice(HEALTHY_ANYWHERE))
    if organ is None or rng.random() < 0.5:
        organ = str(rng.choice([o for organs in ORGANS_OF_REGION.values() for o in organs]))
    return str(rng.choice(HEALTHY)).format(organ=organ)


def draw_nonsense(rng: np.random.Generator) -> str:
    """Two to five words without medical meaning, or letters drawn at random."""
    if rng.random() < 0.25:
        letters = "abcdefghijklmnopqrstuvwxyz"
        return " ".join("".join(rng.choice(list(letters), rng.integers(3, 9))) for _ in range(rng.integers(1, 4)))
    return " ".join(str(word) for word in rng.choice(NONSENSE_WORDS, rng.integers(2, 6), replace=False))
