"""SNOMED CT terms for segments: what DICOM segmentations need, chosen by the words of the description.

Types and codes are those of Slicer's "3D Slicer General Anatomy list" and of DICOM CID 7159 (lesion types).
"""

from __future__ import annotations

import re

import slicer

CONTEXT = "Segmentation category and type - 3D Slicer General Anatomy list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
CATEGORY = "SCT^49755003^Morphologically Altered Structure"

MASS = "SCT^4147007^Mass"
TYPES: tuple[tuple[str, str], ...] = (
    (r"\b(metasta\w+)\b", "SCT^14799000^Neoplasm, Secondary"),
    (r"\b(oedema|edema)\b", "SCT^79654002^Edema"),
    (r"\b(necro\w+)\b", "SCT^6574001^Necrosis"),
    (r"\b(cysts?|cystic)\b", "SCT^441457006^Cyst"),
    (r"\b(ha?ematoma)\b", "SCT^385494008^Hematoma"),
    (r"\b(nodules?)\b", "SCT^27925004^Nodule"),
    (
        r"\b(tumou?rs?|neoplasms?|carcinoma\w*|sarcoma\w*|glio\w+|lymphoma\w*|adenocarcinoma\w*)\b",
        "SCT^108369006^Neoplasm",
    ),
    (r"\b(lesions?)\b", "SCT^52988006^Lesion"),
)
"""Words of a description and the type they stand for; the first that matches counts."""


def terminology_of(description: str) -> str:
    """The terminology entry for a description: the type its words name, else a mass."""
    words = description.lower()
    kind = next((kind for pattern, kind in TYPES if re.search(pattern, words)), MASS)
    return f"{CONTEXT}~{CATEGORY}~{kind}~^^~{REGION_CONTEXT}~^^~^^"


def set_terminology(segment: slicer.vtkSegment, description: str) -> None:
    """Give a segment its terminology entry."""
    if hasattr(segment, "SetTerminology"):  # Slicer 5.10 and later
        segment.SetTerminology(terminology_of(description))
    else:
        segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_of(description))
