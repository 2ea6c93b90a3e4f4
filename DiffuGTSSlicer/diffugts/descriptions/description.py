"""Descriptions as typed, and what is understood of them.

`parse_descriptions` never fails on what a person can type: only an empty list is refused.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace

from diffugts.descriptions.expansion import WORDS_SEARCHED, expand, phrases
from diffugts.descriptions.normality import describes_health
from diffugts.descriptions.vocabulary import WORD, FindingTerm, Place, Vocabulary, load_vocabulary
from diffugts.errors import RequestError
from diffugts.protocol.lines import INVISIBLE, description_lines

KNOWN_SHARE = 0.25
"""Share of a description's meaningful words that must be known for it to count as understood."""

NOT_UNDERSTOOD = "No medical term was recognised in this description, so what is found for it may mean nothing."
"""The note on descriptions that are not understood."""

_UNSPECIFIC_ORGANS = frozenset({"soft tissue", "muscle", "skin", "blood vessel", "nerve"})
"""Tissues found all over the body: beside them another organ that is named says more about the place."""

_LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Description:
    """One description of what to look for.

    Attributes:
        text: as typed, NFC-normalised and trimmed.
        expanded: the text given to the encoder: translated, American spelling, abbreviations written out,
            and the organ named where only a part of it was.
        organ: canonical organ name ("liver", "thigh"), None where no organ is named or implied.
        region: one of `vocabulary.BODY_REGIONS`, None where open.
        is_normal: the description speaks of health ("normal liver", "no tumor").
        is_understood: it names a place, a finding or health, and enough of its words are medical (KNOWN_SHARE);
            `meaning.judge_by_meaning` asks the text encoder about the others.
        notes: sentences for the user on how the text was read.
    """

    text: str
    expanded: str
    organ: str | None = None
    region: str | None = None
    is_normal: bool = False
    is_understood: bool = True
    notes: tuple[str, ...] = ()


def parse_descriptions(lines: str | Iterable[str], vocabulary: Vocabulary | None = None) -> tuple[Description, ...]:
    """Read descriptions, one per line.

    Args:
        lines: text with line breaks, or several such texts. Blank lines are dropped; a repeated line
            (whatever its case and spacing) is kept once, with a note.
        vocabulary: the tables; read from the package when None.

    Raises:
        RequestError: nothing is left to look for.
    """
    vocabulary = vocabulary or load_vocabulary()
    typed = [lines] if isinstance(lines, str) else list(lines)
    found: dict[str, Description] = {}
    repeats: dict[str, int] = {}
    for text in description_lines(typed):
        key = " ".join(text.casefold().split())
        repeats[key] = repeats.get(key, 0) + 1
        if key not in found:
            found[key] = describe(text, vocabulary)
    if not found:
        raise RequestError(
            "There is no description of what to look for. Type at least one, one per line, such as 'liver metastasis'."
        )
    return tuple(_with_repeats(description, repeats[key]) for key, description in found.items())


def describe(text: str, vocabulary: Vocabulary) -> Description:
    """What is understood of one cleaned, non-empty description."""
    expansion = expand(INVISIBLE.sub("", unicodedata.normalize("NFKC", text)), vocabulary)
    reading = _read(expansion.text, vocabulary)
    is_normal = describes_health(expansion.text, vocabulary)
    notes = list(expansion.notes)
    expanded = expansion.text or text
    is_understood = reading.is_understood or is_normal
    if not is_understood:
        notes.append(NOT_UNDERSTOOD)
    elif is_normal:
        notes.append("This describes health; the model looks for what is abnormal and should find nothing.")
    elif not reading.kinds:
        notes.append("This names a place but no finding; any tumor there is looked for.")
    elif reading.kinds == {"benign"}:
        notes.append("This is usually not a tumor, and models trained on tumors may miss it.")
    organ = reading.place.organ
    where = organ or reading.place.region
    if is_understood and where:
        named = re.search(rf"\b{re.escape(where)}\b", expanded, re.IGNORECASE) is not None
        if is_normal:
            expanded = expanded if named else f"{expanded}, {where}"
        elif not named or not reading.kinds:
            expanded = f"{expanded}, {where} tumor"
    return Description(text, expanded, organ, reading.place.region, is_normal, is_understood, tuple(notes))


@dataclass(frozen=True)
class _Reading:
    place: Place
    kinds: frozenset[str]
    is_understood: bool


def _read(expanded: str, vocabulary: Vocabulary) -> _Reading:
    """Places and findings named, and how much of the text is known."""
    words = [match[0].lower() for match in WORD.finditer(expanded)][:WORDS_SEARCHED]
    places: list[tuple[int, int, Place]] = []
    findings: list[tuple[int, FindingTerm]] = []
    place_taken: set[int] = set()
    finding_taken: set[int] = set()
    for start, stop, phrase in phrases(words):
        span = set(range(start, stop))
        finding = vocabulary.finding(phrase)
        if finding is not None and finding_taken.isdisjoint(span):
            finding_taken |= span
            findings.append((start, finding))
        place = vocabulary.place(phrase)
        if place is not None and place_taken.isdisjoint(span):
            place_taken |= span
            places.append((start, stop, place))
    known = place_taken | finding_taken
    with_letters = (i for i, word in enumerate(words) if _LETTER.search(word))
    meaningful = [i for i in with_letters if not vocabulary.is_word("function", words[i])]
    share = sum(i in known or vocabulary.knows(words[i]) for i in meaningful) / max(1, len(meaningful))
    place = _main_place(words, sorted(places, key=lambda item: item[0]), findings, vocabulary)
    kinds = frozenset(finding.kind for _, finding in findings)
    return _Reading(place, kinds, bool(known) and share >= KNOWN_SHARE)


def _main_place(
    words: list[str],
    places: list[tuple[int, int, Place]],
    findings: list[tuple[int, FindingTerm]],
    vocabulary: Vocabulary,
) -> Place:
    """Where the finding lies, of all places named.

    A primary's origin ("metastasis of lung cancer", "from the colon") gives way to any other place; before
    "metastasis" the nearest organ counts ("colorectal liver metastasis"); otherwise the first organ named.
    An organ that a tumor's name implies counts where no organ is named. A region that is named outdoes the organ's.
    """
    metastasis = next((i for i, word in enumerate(words) if word.startswith("metasta")), None)

    def is_origin(start: int) -> bool:
        before = words[max(0, start - 3) : start]
        return "from" in before or (
            metastasis is not None and start > metastasis and "of" in words[metastasis + 1 : start]
        )

    organs = [(start, stop, place.organ) for start, stop, place in places if place.organ]
    seats = [item for item in organs if not is_origin(item[0])] or organs
    organ: str | None = None
    if seats:
        before = [item for item in seats if metastasis is not None and item[0] < metastasis]
        organ = (before[-1] if before else seats[0])[2]
        specific = [item[2] for item in seats if item[2] not in _UNSPECIFIC_ORGANS]
        if specific and organ in _UNSPECIFIC_ORGANS:
            organ = specific[0]
    else:
        in_order = sorted(findings, key=lambda item: item[0])
        organ = next((finding.organ for _, finding in in_order if finding.organ), None)
    of_organ = [place.region for _, _, place in places if place.organ == organ and place.region]
    named = [place.region for _, _, place in places if place.organ is None and place.region]
    region = next(iter(of_organ), None) or vocabulary.region_of(organ) or next(iter(named), None)
    if region is None:
        region = next((place.region for _, _, place in places if place.region), None)
    return Place(organ, region)


def _with_repeats(description: Description, times: int) -> Description:
    if times == 1:
        return description
    note = f"This line was typed {times} times and is looked for once."
    return replace(description, notes=(*description.notes, note))
