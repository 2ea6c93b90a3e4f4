"""Whether a description speaks of health: "normal liver", "no tumor", "thigh without a mass".

Negation is read in the manner of NegEx (Chapman et al., J Biomed Inform 2001): a cue negates what follows
it up to the end of the clause or a word such as "but".
"""

from __future__ import annotations

import re

from diffugts.descriptions.expansion import phrases
from diffugts.descriptions.vocabulary import WORD, Vocabulary

CHARACTERS_SEARCHED = 10_000
"""Characters of a description that are read for negation."""

_WORD_OR_COMMA = re.compile(f"{WORD.pattern}|,")
_CLAUSE_END = re.compile(r"[.;:!?\n]|\b(?:but|however|except|although|apart from|other than|with)\b", re.IGNORECASE)
_TWO_SIDED = re.compile(r"\b(?:tumor|lesion|cancer|disease|mass|metastasis)[ -]free\b", re.IGNORECASE)
_MIXED = re.compile(
    r"\b(?:otherwise|surrounding|adjacent|background|beside|next to)\s+(?:normal|healthy|unremarkable)\b"
    r"|\bnormal[ -](?:sized|size|appearing|looking)\b",
    re.IGNORECASE,
)


def describes_health(expanded: str, vocabulary: Vocabulary) -> bool:
    """True where health is stated or abnormality denied, and no abnormality is asserted.

    "otherwise normal liver with a lesion" and "abnormal mass" are not health; a bare "liver" is not either.
    """
    text = _MIXED.sub(" ", _TWO_SIDED.sub("healthy", expanded))
    health_stated = denied = False
    for clause in _CLAUSE_END.split(text[:CHARACTERS_SEARCHED]):
        words = [match[0].lower() for match in _WORD_OR_COMMA.finditer(clause)]
        state = _read_clause(words, vocabulary)
        if "asserted" in state:
            return False
        health_stated |= "healthy" in state
        denied |= "denied" in state
    return health_stated or denied


def _read_clause(words: list[str], vocabulary: Vocabulary) -> set[str]:
    """Which of "asserted", "denied" (abnormality) and "healthy" the words (and commas) of one clause say.

    A comma or "and" ends a negation that has named its place: "no tumor in the liver, mass in the kidney",
    but not "no mass, nodule or cyst".
    """
    roles: list[str] = [""] * len(words)
    for start, stop, phrase in phrases(words):
        role = _role(phrase, vocabulary)
        if role and not any(roles[start:stop]):
            roles[start:stop] = [role, *["inside"] * (stop - start - 1)]
    state: set[str] = set()
    pending = 0
    negated = placed = False
    for role in roles:
        if role == "negation":
            negated, placed = True, False
        elif role == "place":
            placed = True
        elif role == "break" and placed:
            negated = False
        elif role == "normality":
            state.add("asserted" if negated else "healthy")
        elif role == "finding" and negated:
            state.add("denied")
        elif role == "finding":
            pending += 1
        elif role == "denial" and pending:
            state.add("denied")
            pending = 0
    return state | {"asserted"} if pending else state


def _role(phrase: str, vocabulary: Vocabulary) -> str:
    for use in ("negation", "denial", "normality"):
        if vocabulary.is_word(use, phrase):
            return use
    if phrase in (",", "and"):
        return "break"
    if vocabulary.finding(phrase) is not None:
        return "finding"
    return "place" if vocabulary.place(phrase) is not None else ""
