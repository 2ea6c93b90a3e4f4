"""Prompts: for every description a text of the normal and one of the abnormal state.

In the manner of the paper ("A normal {modality} of {organ}" / "An abnormal {modality} of {disease}").
The second prompt always repeats what was typed, even "a healthy thigh": the attention heads learn to answer
such texts with nothing. For these it says health twice, because sentence encoders hardly hear a negation:
with all-MiniLM-L6-v2 "an abnormal CT scan: liver without tumor" has a cosine of 0.94 with the liver tumor's
prompt, in the wording used here 0.82.
"""

from __future__ import annotations

from dataclasses import dataclass

from diffugts.descriptions.description import Description

_SEQUENCES = {
    "T1": "T1-weighted MRI",
    "T1C": "contrast-enhanced T1-weighted MRI",
    "T2": "T2-weighted MRI",
    "FLAIR": "FLAIR MRI",
    "PD": "proton-density MRI",
}
_REGIONS = {"extremity": "limb"}


@dataclass(frozen=True)
class PromptPair:
    """The two texts whose embeddings the attention heads compare with the scan's features.

    `abnormal` is the prompt of what was typed, also where that is health.
    """

    normal: str
    abnormal: str


def scan_name(modality: str, sequence: str | None = None) -> str:
    """A modality ("CT", "MR") and MR sequence in words: "CT scan", "T2-weighted MRI"."""
    if modality == "CT":
        return "CT scan"
    return _SEQUENCES.get((sequence or "").upper(), "MRI")


def prompt_pair(description: Description, modality: str, sequence: str | None = None) -> PromptPair:
    """The normal and the abnormal prompt of one description on one kind of scan."""
    scan = scan_name(modality, sequence)
    where = description.organ or _REGIONS.get(description.region or "", description.region)
    normal = f"a normal {scan} of the {where}" if where else f"a normal {scan}"
    if description.is_normal:
        return PromptPair(normal=normal, abnormal=f"a healthy {scan}: {description.expanded}, healthy and normal")
    return PromptPair(normal=normal, abnormal=f"an abnormal {scan}: {description.expanded}")
