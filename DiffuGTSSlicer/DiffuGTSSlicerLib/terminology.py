"""The coded name of a segment, which DICOM segmentations need; the words of its description decide."""

from __future__ import annotations

import slicer

from diffugts.protocol.coded_names import terminology_entry


def set_terminology(segment: slicer.vtkSegment, description: str) -> None:
    """Give a segment its terminology entry."""
    if hasattr(segment, "SetTerminology"):  # Slicer 5.10 and later
        segment.SetTerminology(terminology_entry(description))
    else:
        segment.SetTag(segment.GetTerminologyEntryTagName(), terminology_entry(description))
