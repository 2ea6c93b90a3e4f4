"""Modality and MR sequence: from what the file says, from its name, at last from its voxels.

Guessing wrong would feed HU to a network as an MR intensity and give a confident, meaningless map. So a
guess is made only from a clear sign, and where two signs contradict each other the user is asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from diffugts.errors import ScanError

MODALITIES = ("CT", "MR")
SEQUENCES = ("T1", "T1c", "T2", "FLAIR", "PD")

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
UNSIGNED_SOFT_TISSUE = (900, 1300)
"""Where soft tissue lies in a CT stored with the offset of 1000 or 1024 that keeps it positive."""


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


def looks_like_ct(sample: np.ndarray) -> bool:
    """Whether values of a scan show both air near -1000 and soft tissue near 0, as HU do, and nothing below air.

    Below air only a few padding values may lie (-2000, -3024, -32768), not a range of them as in an MR phase image.
    """
    below = sample[sample < AIR_HU[0]]
    if below.size > 0.01 * sample.size and np.unique(below).size > 3:
        return False
    air = np.mean((sample >= AIR_HU[0]) & (sample <= AIR_HU[1]))
    tissue = np.mean((sample >= SOFT_TISSUE_HU[0]) & (sample <= SOFT_TISSUE_HU[1]))
    return bool(air >= 0.02 and tissue >= 0.02)


def require_hounsfield(sample: np.ndarray) -> str | None:
    """Raise ScanError for a CT stored with its unsigned offset; a note where a CT is hardly in HU, else None."""
    if float(sample.min()) < 0:
        return None
    tissue = np.mean((sample >= UNSIGNED_SOFT_TISSUE[0]) & (sample <= UNSIGNED_SOFT_TISSUE[1]))
    if tissue >= 0.05:
        raise ScanError(
            "The CT is not in Hounsfield units: its lowest value is not below 0 and its soft tissue lies near 1050. "
            "It was "
            "stored with an offset, mostly 1024. Subtract the offset from every voxel and save it again (water must "
            "be 0 "
            "and air -1000), or export it anew from DICOM."
        )
    return (
        f"No voxel of this CT is below 0 (values go from {float(sample.min()):g} to {float(sample.max()):g}), so it "
        "shows "
        "neither air nor fat. If it was windowed or normalised it is not in Hounsfield units and the result means "
        "nothing."
    )


def resolve_sequence(asked: str | None, modality: str, hints: str) -> str | None:
    """The MR sequence: the one asked for in any usual spelling, else what `hints` (names, descriptions) say.

    Raises ScanError for an unknown one, or for a sequence asked of a CT.
    """
    if asked is None:
        return sequence_from_words(hints) if modality == "MR" else None
    known = next((name for name in SEQUENCES if name.lower() == asked.strip().lower()), None)
    known = known or sequence_from_words(asked)
    if known is None:
        raise ScanError(f"The sequence '{asked}' is not known. Give one of {', '.join(SEQUENCES)}, or leave it out.")
    if modality != "MR":
        raise ScanError(
            f"The sequence '{asked}' was given for a CT scan; only MR has one. Leave it out, or correct the modality."
        )
    return known


def resolve_modality(asked: str | None, stated: str | None, name: str, sample: np.ndarray) -> str:
    """The scan's modality: asked for, stated by the file's metadata, hinted at by its name, or plain from its voxels.

    `stated` is DICOM's 0008|0060 or a like field, None where the file has none; `sample` some of the voxels.
    Raises ScanError where these contradict each other or say nothing.
    """
    if asked is not None:
        asked = asked.strip().upper()
        asked = "MR" if asked == "MRI" else asked
        if asked not in MODALITIES:
            raise ScanError(f"The modality '{asked}' is not known. Give CT or MR.")
    if stated in ("", "OT"):
        stated = None
    if stated is not None and stated not in MODALITIES:
        raise ScanError(f"The scan's modality is {stated} by its own metadata; only CT and MR can be segmented.")
    if asked and stated and asked != stated:
        raise ScanError(f"The scan is {stated} by its own metadata, but {asked} was asked for. Leave the modality out.")
    known = asked or stated
    if known:
        return known
    hinted, ct = modality_from_words(name), looks_like_ct(sample)
    if hinted == "MR" and ct:
        raise ScanError(
            "The scan's name says MR, but its voxels look like a CT's Hounsfield units (air near -1000, soft tissue "
            "near 0). "
            "Say which it is: give the modality, CT or MR (--modality)."
        )
    if hinted or ct:
        return hinted or "CT"
    raise ScanError(
        "Neither the scan's metadata nor its name nor its voxels say whether it is CT or MR. Give the modality, CT "
        "or MR "
        "(--modality)."
    )


def stated_modality(metadata: Mapping[str, str]) -> str | None:
    """The modality that a file's metadata state: DICOM's 0008|0060 (also kept in NRRD and MetaImage), or a field so "
    "named."""
    if "0008|0060" in metadata:
        return metadata["0008|0060"].strip().upper()
    for key, value in metadata.items():
        stated = value.strip().upper().replace("MRI", "MR")
        if key.lower().endswith("modality") and stated in MODALITIES:
            return stated
    return None
