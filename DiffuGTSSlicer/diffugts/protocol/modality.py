"""Modality and MR sequence by clear signs: the words of a name, and voxels that can only be Hounsfield units.

Slicer shows what will be taken before anything runs, the engine decides by it: one rule for both. Standard library only;
arrays come in and nothing is imported for them.
"""

from __future__ import annotations

import re
from typing import Any

CT_WORDS = frozenset({"ct", "cta", "cect", "ncct", "ldct", "cbct"})
MR_WORDS = frozenset({"mr", "mri", "mra", "mrt"})
T1_WORDS = frozenset({"t1", "t1w", "t1wi", "mprage", "spgr", "vibe", "lava", "bravo", "dce"})
T1C_WORDS = frozenset({"t1c", "t1ce", "t1gd", "t1post", "t1cgd", "gd", "gad"})
T2_WORDS = frozenset({"t2", "t2w", "t2wi", "haste", "ssfse"})
PD_WORDS = frozenset({"pd", "pdw"})
OTHER_MR_WORDS = frozenset({"dwi", "adc", "swi", "t2star"})
CONTRAST_WORDS = frozenset({"c", "ce", "post", "postcontrast", "contrast", "gado", "gadolinium", "km"})
NO_CONTRAST_WORDS = frozenset({"pre", "precontrast", "native", "without", "non", "no", "unenhanced", "op"})
"""Words that say no contrast agent was given, and 'op': 'T1 post-op' is not 'T1 post contrast'."""

AIR_HU = (-1100, -300)
"""Air, lung and the edges of the body: no MR has a peak there and soft tissue around 0 as well."""
SOFT_TISSUE_HU = (-250, 350)


def words(text: str) -> list[str]:
    """The words of a file name or description in lower case; 'CTChest' and 'kneeMR' give 'ct' and 'mr' first."""
    found: list[str] = []
    for token in re.split(r"[^A-Za-z0-9]+", text):
        glued = re.match(r"(CTA?|MRI?)(?=[A-Z])", token) or re.search(r"(?<=[a-z])(CT|MRI?)$", token)
        if glued:
            found.append(glued.group(1).lower())
        if token:
            found.append(token.lower())
        numbered = re.fullmatch(r"([A-Za-z]{2,})\d+", token)  # DCE1, FLAIR2; not T1
        if numbered:
            found.append(numbered.group(1).lower())
    return found


def sequence_from_words(text: str) -> str | None:
    """The MR sequence that a file name or series description names, None where it names none or several."""
    named = set(words(text))
    t1, t1c, t2 = bool(named & T1_WORDS), bool(named & T1C_WORDS), bool(named & T2_WORDS)
    if "flair" in named:
        return "T1" if t1 or t1c else "FLAIR"  # a T1 FLAIR is T1-weighted
    candidates = [t1 or t1c, t2, bool(named & PD_WORDS)]
    if sum(candidates) != 1 or "t2star" in named:
        return None
    if candidates[0]:
        enhanced = (t1c or bool(named & CONTRAST_WORDS)) and not named & NO_CONTRAST_WORDS
        return "T1c" if enhanced else "T1"
    return "T2" if t2 else "PD"


def modality_from_words(text: str) -> str | None:
    """ "CT" or "MR" where a name says one of them, or names an MR sequence; None where it says neither or both."""
    named = set(words(text))
    ct, mr = bool(named & CT_WORDS), bool(named & MR_WORDS)
    if ct != mr:
        return "CT" if ct else "MR"
    if ct and mr:
        return None
    sequences = T1_WORDS | T1C_WORDS | T2_WORDS | PD_WORDS | OTHER_MR_WORDS | {"flair"}
    return "MR" if named & sequences else None


def looks_like_ct(sample: Any) -> bool:
    """Whether values of a scan (a numpy array) show both air near -1000 and soft tissue near 0, as HU do, and nothing below air.

    Below air only a few padding values may lie (-2000, -3024, -32768), not a range of them as in an MR phase image.
    """
    below = sample[sample < AIR_HU[0]]
    if below.size > 0.01 * sample.size and len(set(below.tolist())) > 3:
        return False
    air = ((sample >= AIR_HU[0]) & (sample <= AIR_HU[1])).mean()
    tissue = ((sample >= SOFT_TISSUE_HU[0]) & (sample <= SOFT_TISSUE_HU[1])).mean()
    return bool(air >= 0.02 and tissue >= 0.02)
