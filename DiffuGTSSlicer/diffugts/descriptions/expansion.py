"""Bring a typed description to the words the text encoder knows.

General-purpose sentence encoders lose "HCC" and "sigmoid mass" (cosine under 0.2 with "a tumor in the liver"
and "a tumor in the colon"), so translations, spelling, abbreviations and typing errors are resolved first.
Every change is reported in a note.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice

from diffugts.descriptions.vocabulary import (
    WORD,
    Abbreviation,
    Translation,
    Vocabulary,
    american_spelling,
    without_accents,
)

LONGEST_PHRASE = 5
"""Words in the longest phrase that is looked up as one."""

WORDS_SEARCHED = 1000
"""Words from the start that are looked up; the encoder reads all of them."""

LONGEST_COMPOUND = 40
"""Letters of the longest word that is tried as a German compound."""

SHORTEST_CORRECTED = 6
"""Letters below which a word is left as typed: "river" is one letter from "liver"."""

_FOREIGN_WORD = re.compile(r"[^\W_]+(?:-[^\W_]+)*")
"""A word that ends at an apostrophe: "l'estomac" is two."""

_VERB_CUES = frozenset("was were is are be been being has have had i we he she they who not never criteria".split())
_VERB_FOLLOWERS = frozenset("with by the a an at all his her for him us them".split())


@dataclass(frozen=True)
class Expansion:
    """The expanded text and sentences on what was read as what."""

    text: str
    notes: tuple[str, ...]


def phrases(words: list[str], longest: int = LONGEST_PHRASE) -> list[tuple[int, int, str]]:
    """All runs of up to `longest` words as (start, stop, phrase), longest first, then from the left."""
    return [
        (start, start + n, " ".join(words[start : start + n]))
        for n in range(min(longest, len(words)), 0, -1)
        for start in range(len(words) - n + 1)
    ]


def expand(text: str, vocabulary: Vocabulary) -> Expansion:
    """Translate, spell, expand and correct one description.

    Args:
        text: one description, cleaned (description.py); any language, any length.
    """
    notes: list[str] = []
    text = american_spelling(_translated(text, vocabulary, notes))
    text = _without_abbreviations(text, vocabulary, notes)
    text = _without_typing_errors(text, vocabulary, notes)
    return Expansion(re.sub(r"[^\S\n]+", " ", text).strip(), tuple(notes))


def _replaced(text: str, replacements: list[tuple[int, int, str]]) -> str:
    """`text` with character ranges replaced; the ranges do not overlap."""
    for start, stop, new in sorted(replacements, reverse=True):
        text = text[:start] + new + text[stop:]
    return text


def _translated(text: str, vocabulary: Vocabulary, notes: list[str]) -> str:
    """Words of the one language that explains most of the text, in English; English texts unchanged."""
    spans = [match.span() for match in _FOREIGN_WORD.finditer(text)][:WORDS_SEARCHED]
    words = [without_accents(text[start:stop]) for start, stop in spans]
    hits: dict[str, dict[tuple[int, int], Translation]] = {}
    for start, stop, phrase in phrases(words):
        entries = [entry for entry in vocabulary.translations.get(phrase, ()) if entry.strength in ("strong", "weak")]
        if stop - start == 1 and not entries:
            entries = _compound(phrase.replace("-", ""), vocabulary)
        for entry in entries:
            found = hits.setdefault(entry.language, {})
            if all(stop <= taken_start or taken_stop <= start for taken_start, taken_stop in found):
                found[start, stop] = entry

    def is_strong(start: int, stop: int, entry: Translation) -> bool:
        # "lesión" typed without its accent is an English word, as every strong term that the tables know is.
        typed = " ".join(text[first:last].lower() for first, last in spans[start:stop])
        return entry.strength == "strong" and (not typed.isascii() or not vocabulary.knows(typed))

    hits = {
        language: found
        for language, found in hits.items()
        if any(is_strong(start, stop, entry) for (start, stop), entry in found.items())
    }
    if not hits:
        return text
    language = max(hits, key=lambda name: (sum(stop - start for start, stop in hits[name]), name))
    ranges = [(spans[start][0], spans[stop - 1][1], entry.english) for (start, stop), entry in hits[language].items()]
    english = re.sub(r"\s+", " ", _replaced(text, ranges).replace("'", " ")).strip()
    notes.append(f"Read as {language}: '{english}'. Only common words of this language are known; English is safest.")
    return english


def _compound(word: str, vocabulary: Vocabulary) -> list[Translation]:
    """A German compound of an organ and a finding ("lebermetastase"), as one strong term."""
    if len(word) > LONGEST_COMPOUND:
        return []
    for cut in range(3, len(word) - 3):
        prefixes = (e for e in vocabulary.translations.get(word[:cut], ()) if e.strength == "prefix")
        suffixes = (e for e in vocabulary.translations.get(word[cut:], ()) if e.strength == "suffix")
        prefix, suffix = next(prefixes, None), next(suffixes, None)
        if prefix is not None and suffix is not None:
            return [Translation(prefix.language, f"{prefix.english} {suffix.english}", "strong")]
    return []


def _without_abbreviations(text: str, vocabulary: Vocabulary, notes: list[str]) -> str:
    matches = list(islice(WORD.finditer(text), WORDS_SEARCHED))
    words = [match[0].lower() for match in matches]
    present = frozenset(words)
    replacements = []
    for index, match in enumerate(matches):
        reading = _reading(match[0], index, words, present, vocabulary)
        if reading is None:
            continue
        replacements.append((*match.span(), reading.expansion))
        notes.append(f"'{match[0]}' was read as '{reading.expansion}'." + (f" {reading.note}" if reading.note else ""))
    return _replaced(text, replacements)


def _reading(
    typed: str, index: int, words: list[str], present: frozenset[str], vocabulary: Vocabulary
) -> Abbreviation | None:
    """The reading of an abbreviation in its context, None where the word is not one."""
    for reading in vocabulary.abbreviations.get(typed.lower(), ()):
        if reading.exact_case and typed != reading.short:
            continue
        neighbours = words[max(0, index - 1) : index] + words[index + 1 : index + 2]
        if reading.context == ("@noun",):
            previous, following = words[index - 1] if index else "", words[index + 1] if index + 1 < len(words) else ""
            if previous in _VERB_CUES or following in _VERB_FOLLOWERS:
                continue
        elif reading.context == ("@organ",):
            if not any(vocabulary.place(word) or vocabulary.finding(word) for word in neighbours):
                continue
        elif reading.context and present.isdisjoint(reading.context):
            continue
        return reading
    return None


def _without_typing_errors(text: str, vocabulary: Vocabulary, notes: list[str]) -> str:
    """Words of six letters or more that are one slip away from exactly one known term, corrected.

    The first letter must be right ("rumor" is no tumor) and so must words listed as look-alikes.
    """
    known = [
        term
        for table in (vocabulary.places, vocabulary.findings)
        for term in table
        if len(term) >= SHORTEST_CORRECTED and " " not in term
    ]
    replacements = []
    for match in islice(WORD.finditer(text), WORDS_SEARCHED):
        word = match[0].lower()
        if len(word) < SHORTEST_CORRECTED or not word.isalpha() or vocabulary.knows(word):
            continue
        if vocabulary.is_word("lookalike", word):
            continue
        near = {term for term in known if term[0] == word[0] and one_slip_apart(word, term)}
        if len(near) == 1:
            term = near.pop()
            replacements.append((*match.span(), term))
            notes.append(f"'{match[0]}' was read as '{term}'.")
    return _replaced(text, replacements)


def one_slip_apart(typed: str, meant: str) -> bool:
    """Whether one letter is missing, extra, wrong or swapped with its neighbour (Damerau distance 1)."""
    if abs(len(typed) - len(meant)) > 1 or typed == meant:
        return False
    same = (a == b for a, b in zip(typed, meant, strict=False))
    first = next((i for i, equal in enumerate(same) if not equal), min(len(typed), len(meant)))
    rest_typed, rest_meant = typed[first:], meant[first:]
    return (
        rest_typed[1:] == rest_meant[1:]
        or rest_typed[1:] == rest_meant
        or rest_typed == rest_meant[1:]
        or (rest_typed[:2] == rest_meant[1::-1] and rest_typed[2:] == rest_meant[2:] and len(rest_typed) > 1)
    )
