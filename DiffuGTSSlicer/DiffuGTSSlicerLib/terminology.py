"""The coded name of a segment as Slicer writes it, which DICOM segmentations need."""

from __future__ import annotations

import slicer

from diffugts.protocol.coded_names import coded_name

CONTEXT = "Segmentation category and type - DICOM master list"
REGION_CONTEXT = "Anatomic codes - DICOM master list"
"""The lists of Slicer's Terminologies module that offer these types and regions."""


def terminology_of(description: str) -> str:
    """The terminology entry for a description: type and anatomic region as far as its words name them, else a mass."""
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


def set_terminology(segment: slicer.vtkSegment, description: str) -> None:
    """Give a segment its terminology entry."""
    if hasattr(segment, "SetTerminology"):  # Slicer 5.10 and later
        segment.SetTerminology(terminology_of(description))
    else:
        segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_of(description))
