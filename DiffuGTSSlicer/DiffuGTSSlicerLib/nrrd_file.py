"""The NRRD files of a result, as the engine writes them, read beside the main thread.

Not by Slicer's own readers: they would hold up the window while they unpack, and the one for segmentations ends the whole
application at a damaged header (ITK's exception passes through vtkMRMLSegmentationStorageNode). Standard library and numpy.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from slicer.i18n import tr as _

from diffugts.errors import ResultError
from DiffuGTSSlicerLib.volume_geometry import LPS_TO_RAS, VolumeGeometry

NUMBER_TYPES = {
    "float": "<f4",
    "double": "<f8",
    "unsigned char": "u1",
    "uint8": "u1",
    "short": "<i2",
    "int16": "<i2",
}
LONGEST_HEADER = 50_000_000
BLOCK_BYTES = 1 << 22
"""What is unpacked at once: milliseconds, in which Python's other threads can run."""


@dataclass(frozen=True)
class NrrdHeader:
    """What a header says: `layers` voxels lie on every place of the grid, the fastest axis; `facts` are its key:=value pairs.

    `data_begins` is the file's first byte after the header; `packed` whether the voxels are gzip's.
    """

    geometry: VolumeGeometry
    layers: int
    number_type: np.dtype
    packed: bool
    facts: dict[str, str]
    data_begins: int


def read_header(path: Path) -> NrrdHeader:
    """A file's header. Raises ResultError where it is none that the engine writes."""
    try:
        with path.open("rb") as file:
            head, end, _rest = file.read(LONGEST_HEADER).partition(b"\n\n")
        if not end or not head.startswith(b"NRRD000"):
            raise ValueError("it is no NRRD file")
        return _understood(head)
    except (OSError, ValueError, LookupError) as error:
        raise _unreadable(path, _("its header is damaged: {reason}").format(reason=error)) from error


def read_voxels(path: Path, header: NrrdHeader, voxels: np.ndarray) -> None:
    """Fill an array of the header's number type, in the file's order. Raises ResultError where the file holds more or less."""
    target = voxels.reshape(-1).view(np.uint8).data
    filled = 0
    try:
        with path.open("rb") as file:
            file.seek(header.data_begins)
            if not header.packed:
                filled = file.readinto(target)
                if file.read(1):
                    raise ValueError("it holds more voxels than its header says")
            unpacker = zlib.decompressobj(wbits=31)  # gzip, its checksum included
            while header.packed and not unpacker.eof:
                packed = unpacker.unconsumed_tail or file.read(BLOCK_BYTES)
                if not packed:
                    break
                part = unpacker.decompress(packed, BLOCK_BYTES)
                if filled + len(part) > len(target):
                    raise ValueError("it holds more voxels than its header says")
                target[filled : filled + len(part)] = part
                filled += len(part)
    except (OSError, ValueError, zlib.error) as error:
        raise _unreadable(path, str(error)) from error
    if filled != len(target) or (header.packed and not unpacker.eof):
        raise _unreadable(path, _("its end is missing"))


def _understood(head: bytes) -> NrrdHeader:
    fields, facts = {}, {}
    for line in head.decode("utf-8", "replace").split("\n")[1:]:
        key, is_fact, value = line.partition(":=")
        if is_fact:
            facts[key] = value
        elif not line.startswith("#"):
            key, _colon, value = line.partition(": ")
            fields[key] = value.strip()
    for key, expected in (("space", "left-posterior-superior"), ("encoding", "gzip raw"), ("endian", "little")):
        if fields.get(key, "little" if key == "endian" else "") not in expected.split():
            raise ValueError(f"'{key}' is {fields.get(key)!r:.80}, expected {expected}")
    sizes = [int(n) for n in fields["sizes"].split()]
    directions = fields["space directions"].split()
    layers = sizes.pop(0) if directions[0] == "none" else 1
    columns = [_numbers(text) for text in directions if text != "none"]
    if len(sizes) != 3 or len(columns) != 3 or min(sizes) < 1 or layers < 1:
        raise ValueError(f"it has the sizes {fields['sizes']!r:.80}, expected three and layers")
    matrix = np.eye(4)
    matrix[:3, :3] = np.transpose(columns)
    matrix[:3, 3] = _numbers(fields["space origin"])
    return NrrdHeader(
        VolumeGeometry.of((sizes[0], sizes[1], sizes[2]), LPS_TO_RAS @ matrix),
        layers,
        np.dtype(NUMBER_TYPES[fields["type"]]),
        fields["encoding"] == "gzip",
        facts,
        len(head) + 2,
    )


def _numbers(text: str) -> list[float]:
    """Three numbers of "(x,y,z)"."""
    if not (text.startswith("(") and text.endswith(")")):
        raise ValueError(f"{text!r:.80} is not in parentheses")
    numbers = [float(part) for part in text[1:-1].split(",")]
    if len(numbers) != 3:
        raise ValueError(f"{text!r:.80} has {len(numbers)} numbers, expected three")
    return numbers


def _unreadable(path: Path, why: str) -> ResultError:
    text = _("'{file}' of the result cannot be read ({reason}). Nothing was imported; segment again.")
    return ResultError(text.format(file=path.name, reason=why))
