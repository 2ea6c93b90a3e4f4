"""The coded name of a description: what DICOM segmentations and Slicer's segments call it, chosen by its words.

A code says no more than the words do: what they leave open is a mass, somewhere. The words are those of the person who
asked; nobody has looked whether what was found lies in the organ that they name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from diffugts.protocol.coded_concepts import (
    ALTERED_STRUCTURE,
    LEFT,
    MASS,
    NEOPLASM,
    NO_FINDING,
    REGIONS,
    RIGHT,
    SECONDARY,
    TYPES,
    CodedConcept,
)

CONTEXT = "Segmentation category and type - DICOM master list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
"""The lists of Slicer's Terminologies module that offer these types and regions."""

_PLACE = r"(?:in|within|inside|at|on|of|to)\s+(?:the\s+|both\s+|left\s+|right\s+)*"
_HEAD_ENDS = re.compile(r"[,;:(]|\b(?:in|of|with|without|within|near|next|around|at|on|from|to|after|behind|and|or)\b")


@dataclass(frozen=True)
class CodedName:
    """Category and type of a segment, and its anatomic region and side where the words name one."""

    category: CodedConcept
    kind: CodedConcept
    region: CodedConcept | None
    side: CodedConcept | None


def coded_name(description: str) -> CodedName:
    """The coded name for a description: type and anatomic region as far as its words name them, else a mass."""
    words = " ".join(description.lower().split())
    kind = type_of(words)
    region = region_of(words, secondary=kind is SECONDARY)
    side = side_of(words) if region is not None and region.paired else None
    return CodedName(ALTERED_STRUCTURE, kind, region, side)


def terminology_entry(description: str) -> str:
    """The coded name for a description as Slicer writes it: in a segment, and in the header of a .seg.nrrd."""
    name = coded_name(description)
    return "~".join(
        (
            CONTEXT,
            str(name.category),
            str(name.kind),
            "^^",
            REGION_CONTEXT,
            *(str(each or "^^") for each in (name.region, name.side)),
        )
    )


def type_of(words: str) -> CodedConcept:
    """What the words are about: the last finding named before the first "of", "in", "with" and the like.

    So that "tumour necrosis" is a necrosis, and "necrotic tumour with oedema" a neoplasm.
    """
    end = _HEAD_ENDS.search(words)
    head = words[: end.start()] if end and _last_finding(words[: end.start()]) else words
    kind = _last_finding(head) or MASS
    is_metastatic = kind is NEOPLASM and re.search(r"\bmetasta", head)
    return SECONDARY if is_metastatic else kind


def _last_finding(words: str) -> CodedConcept | None:
    """The concept of TYPES that is named last in the words."""
    words = re.sub(rf"\b(?:{NO_FINDING})\b", " ", words)
    last_at, last = -1, None
    for concept in TYPES:
        for found in re.finditer(rf"\b(?:{concept.words})\b", words):
            if found.start() > last_at:
                last_at, last = found.start(), concept
    return last


def region_of(words: str, secondary: bool = False) -> CodedConcept | None:
    """The organ or body part that the words place the finding in; None where they name none, or several.

    The organ named with a `secondary` tumour may be where it came from: only "liver metastasis" and "metastasis in the
    liver" place it.
    """
    named = _regions_named(words)
    if secondary:
        named = [each for each in named if _places_metastasis(words, each)]
    elif len(named) > 1:
        named = [each for each in named if re.search(rf"\b{_PLACE}(?:{each.words})\b", words)]
    return named[0] if len(named) == 1 else None


def _regions_named(words: str) -> list[CodedConcept]:
    return [each for each in REGIONS if re.search(rf"\b(?:{each.words})\b", words)]


def _places_metastasis(words: str, region: CodedConcept) -> bool:
    before = rf"\b(?:{region.words})\s+(?:{SECONDARY.words})\b"
    after = rf"\b(?:{SECONDARY.words})\s+{_PLACE}(?:{region.words})\b(?!\s+(?:cell|{NEOPLASM.words})\b)"
    last = rf"\bmetastatic\s+(?:{region.words})$"
    return any(re.search(pattern, words) for pattern in (before, after, last))


def side_of(words: str) -> CodedConcept | None:
    """Left or right, where the words name one of them."""
    sides = [side for side, word in ((LEFT, "left"), (RIGHT, "right")) if re.search(rf"\b{word}\b", words)]
    return sides[0] if len(sides) == 1 else None
