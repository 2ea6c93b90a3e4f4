"""What crosses the process boundary between Slicer and the engine: requests, events, results.

Standard library only. Slicer's own process imports this package; it must never pull in torch.
"""

from diffugts.protocol.events import Command, Event, parse_command, parse_event
from diffugts.protocol.files import sha256_of
from diffugts.protocol.manifest import (
    FileRecord,
    FindingRecord,
    Grid,
    LesionRecord,
    MaskRecord,
    Provenance,
    ResultManifest,
)
from diffugts.protocol.request import Choices, ProgressCallback, Quality, Region, Request, Stage

PROTOCOL_VERSION = 1
"""Raised whenever a command or an event changes its meaning; `hello` carries it."""

__all__ = [
    "PROTOCOL_VERSION",
    "Choices",
    "Command",
    "Event",
    "FileRecord",
    "FindingRecord",
    "Grid",
    "LesionRecord",
    "MaskRecord",
    "ProgressCallback",
    "Provenance",
    "Quality",
    "Region",
    "Request",
    "ResultManifest",
    "Stage",
    "parse_command",
    "parse_event",
    "sha256_of",
]
