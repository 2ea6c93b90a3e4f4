"""What a machine that asks and a server that computes agree on, besides requests, events and results.

    GET    /v1/hello               version, protocol, models, limits
    POST   /v1/jobs                {"request": choices and descriptions, "scan": {"bytes", "sha256"}} -> {"job"}
    PUT    /v1/jobs/JOB/scan       the volume, as `upload_header` makes its header
    GET    /v1/jobs/JOB            where it stands
    GET    /v1/jobs/JOB/events     the worker's events as server-sent events; goes on after Last-Event-ID
    POST   /v1/jobs/JOB/cancel     as the worker's `cancel`
    GET    /v1/jobs/JOB/result/F   result.json, and the files that it lists
    DELETE /v1/jobs/JOB            stop it, forget it, delete everything of it

Standard library only.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffugts import __version__
from diffugts.errors import RequestError, ScanError
from diffugts.protocol.request import Request

API = "/v1"
PROGRAM_VERSION = __version__
"""Of the program on this machine, for those who may import no other part of it."""

PROTOCOL_HEADER = "X-DiffuGTS-Protocol"
TRAVELLING = (
    "descriptions",
    "model",
    "quality",
    "modality",
    "sequence",
    "region",
    "threshold",
    "smallest_lesion_ml",
    "seed",
)
"""Fields of a request that go to another machine: none that names a file, a folder or a device of this one."""

MASK_STAYS = (
    "A rough mask is a file on the machine that asks, and a server takes no file but the scan. Give a box (region) instead, "
    "or compute on this machine."
)

LONGEST_HEADER = 4096
_VECTOR = r"\([-+0-9.eE]+,[-+0-9.eE]+,[-+0-9.eE]+\)"
_SPACES = "left-posterior-superior|right-anterior-superior|left-anterior-superior|LPS|RAS|LAS"
_BYTES = {
    "signed char": 1, "int8": 1, "int8_t": 1, "uchar": 1, "unsigned char": 1, "uint8": 1, "uint8_t": 1,
    "short": 2, "int16": 2, "int16_t": 2, "ushort": 2, "unsigned short": 2, "uint16": 2, "uint16_t": 2,
    "int": 4, "int32": 4, "int32_t": 4, "uint": 4, "unsigned int": 4, "uint32": 4, "uint32_t": 4,
    "float": 4, "double": 8,
}  # fmt: skip
_FIELDS = {
    "type": "|".join(_BYTES),
    "dimension": "3",
    "space": _SPACES,
    "sizes": r"\d{1,5} \d{1,5} \d{1,5}",
    "space directions": rf"{_VECTOR} {_VECTOR} {_VECTOR}",
    "kinds": "(domain|space) (domain|space) (domain|space)",
    "endian": "little|big",
    "encoding": "raw",
    "space origin": _VECTOR,
}
"""Every field of a scan's header that travels, with what it may say: sizes and geometry. A header has no room for a name."""

_NEEDED = ("type", "dimension", "space", "sizes", "space directions", "encoding", "space origin")


@dataclass(frozen=True)
class UploadHeader:
    """The header that travels, its end included; where the voxels begin in the file that it was made from, and their bytes."""

    text: bytes
    data_begins: int
    data_bytes: int

    @property
    def total_bytes(self) -> int:
        """Bytes of the whole upload."""
        return len(self.text) + self.data_bytes


def upload_header(path: Path) -> UploadHeader:
    """The header of a scan (NRRD, voxels in the same file and not packed) with nothing but sizes and geometry in it.

    Raises ScanError where the file is of another kind; OSError where it cannot be read.
    """
    head, data_begins, size = _head_of(path)
    fields = {}
    for line in head.split("\n")[1:]:
        key, colon, value = line.partition(": ")
        if colon and ":=" not in line and not line.startswith("#") and key in _FIELDS:
            fields[key] = _checked(key, value.strip())
        elif colon and key in ("data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip"):
            raise _unsuitable(f"it has a field '{key}'")
    for key in _NEEDED:
        if key not in fields:
            raise _unsuitable(f"it has no '{key}'")
    if _BYTES[fields["type"]] > 1 and "endian" not in fields:
        raise _unsuitable("it does not say the order of its bytes")
    expected = math.prod(map(int, fields["sizes"].split())) * _BYTES[fields["type"]]
    if size - data_begins != expected:
        raise _unsuitable(f"it holds {size - data_begins} bytes of voxels, expected {expected}")
    text = "NRRD0004\n" + "".join(f"{key}: {value}\n" for key, value in fields.items()) + "\n"
    return UploadHeader(text.encode("ascii"), data_begins, expected)


def require_upload(path: Path) -> None:
    """Raise ScanError unless a file is what `upload_header` makes, byte for byte: no comment, no other field or file."""
    header = upload_header(path)
    with path.open("rb") as file:
        if file.read(len(header.text)) != header.text or header.data_begins != len(header.text):
            raise _unsuitable("its header holds more than sizes and geometry")


def travelling_request(request: Request, model: str) -> dict[str, Any]:
    """What of a request goes to another machine; `model` is the model's name there.

    Raises RequestError where it names a mask: a file of this machine, which no server takes.
    """
    if request.mask is not None:
        raise RequestError(MASK_STAYS)
    facts = {name: getattr(request, name) for name in TRAVELLING}
    region = request.region
    return {
        **facts,
        "descriptions": list(request.descriptions),
        "model": model,
        "quality": request.quality.value,
        "region": None
        if region is None
        else {"minimum_ras_mm": list(region.minimum_ras_mm), "maximum_ras_mm": list(region.maximum_ras_mm)},
    }


def version_problem(theirs: object, their_version: object, ours: int, our_version: str) -> str:
    """A sentence where two machines speak different protocols; empty where they speak the same."""
    if theirs == ours:
        return ""
    return (
        f"The two machines do not fit together: the server is DiffuGTS {their_version} (protocol {theirs}), this program is "
        f"DiffuGTS {our_version} (protocol {ours}). Install the same version on both."
    )


def problem_of(facts: object) -> tuple[str, str]:
    """(code, sentence) of a server's refusal. A reply that is none says so."""
    if isinstance(facts, Mapping) and isinstance(facts.get("code"), str) and isinstance(facts.get("message"), str):
        return facts["code"], facts["message"]
    return RequestError.code, "The answer is not one of a DiffuGTS server. Check the address."


def _head_of(path: Path) -> tuple[str, int, int]:
    with path.open("rb") as file:
        start = file.read(LONGEST_HEADER)
        size = file.seek(0, 2)
    head, end, _ = start.partition(b"\n\n")
    if not end or not re.match(rb"NRRD000\d\n", head):
        raise _unsuitable("it is no NRRD file with its voxels in it")
    return head.decode("latin-1"), len(head) + 2, size


def _checked(key: str, value: str) -> str:
    if not re.fullmatch(_FIELDS[key], value):
        raise _unsuitable(f"its field '{key}' is not one of a scan of this program")
    return value


def _unsuitable(why: str) -> ScanError:
    return ScanError(
        f"The scan's file cannot be computed on another machine: {why}. Write it uncompressed as one NRRD file."
    )
