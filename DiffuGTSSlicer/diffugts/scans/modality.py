"""Modality and MR sequence: from what the file says, from its name, at last from its voxels.

Guessing wrong would feed HU to a network as an MR intensity and give a confident, meaningless map. So a
guess is made only from a clear sign, and where two signs contradict each other the user is asked.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from diffugts.errors import ScanError
from diffugts.protocol.modality import looks_like_ct, modality_from_words, sequence_from_words

MODALITIES = ("CT", "MR")
SEQUENCES = ("T1", "T1c", "T2", "FLAIR", "PD")

UNSIGNED_SOFT_TISSUE = (900, 1300)
"""Where soft tissue lies in a CT stored with the offset of 1000 or 1024 that keeps it positive."""


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
