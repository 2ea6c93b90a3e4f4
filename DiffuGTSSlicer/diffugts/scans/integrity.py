"""Is a scan's file whole? What ITK's readers do not notice themselves.

ITK fills what is missing from a truncated NIfTI or DICOM file with whatever lies in memory, and the NRRD
and MetaImage readers ignore the checksum of damaged compressed voxels. A segmentation of such voxels would
look like a result. So the voxels are unpacked once here, only to be counted and checked.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from diffugts.errors import ScanError
from diffugts.scans.nifti import NiftiHeader

CHUNK_BYTES = 1 << 22
HEADER_LINES = 4000
"""A text header longer than this is not a header."""

METAIMAGE_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4, "MET_LONG": 4,
    "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4, "MET_DOUBLE": 8,
}  # fmt: skip
"""Bytes of one value, by MetaImage's ElementType (MET_LONG is 4 bytes in MetaIO, whatever the machine)."""


class Damaged(Exception):
    """What is wrong with the file, as the middle of a sentence. Never leaves this module."""


def require_whole(path: Path) -> None:
    """Raise ScanError if the file `path` is shorter than its header says or its voxels cannot be unpacked.

    NIfTI, NRRD and MetaImage, with their detached data file if there is one; other files pass unchecked.
    """
    name = path.name.lower()
    try:
        if name.endswith((".nii", ".nii.gz")):
            _check_nifti(path)
        elif name.endswith((".nrrd", ".nhdr")):
            _check_nrrd(path)
        elif name.endswith((".mha", ".mhd")):
            _check_metaimage(path)
    except (Damaged, EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = str(error) if isinstance(error, Damaged) else "its compressed voxels cannot be unpacked"
        raise ScanError(
            f"'{path.name}' is damaged or incomplete: {reason}. Copy or download the file again, or export it anew."
        ) from error


def _chunks(stream: BinaryIO | gzip.GzipFile) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK_BYTES):
        yield chunk


def _check_nifti(path: Path) -> None:
    """NIfTI-1 and NIfTI-2 in one file: count the bytes that the header promises."""
    with path.open("rb") as raw:
        compressed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        stream = gzip.GzipFile(fileobj=raw) if compressed else raw
        start = stream.read(540)
        try:
            promised = NiftiHeader.parse(start).file_bytes
        except ValueError as error:
            raise Damaged(str(error)) from error
        held = len(start) + sum(len(chunk) for chunk in _chunks(stream))
    if held < promised:
        raise Damaged(f"its header promises {promised} bytes, it holds {held}")


def _header_fields(stream: BinaryIO, separator: str, last_key: str | None) -> dict[str, str]:
    """The 'key<separator>value' lines of a text header, keys in lower case; the stream then stands behind it.

    The header ends with the line of `last_key`, or with an empty line where that is None.
    """
    fields: dict[str, str] = {}
    for _ in range(HEADER_LINES):
        line = stream.readline(65536)
        text = line.decode("utf-8", errors="replace").strip()
        if not line or (last_key is None and not text):
            break
        key, found, value = text.partition(separator)
        if found:
            fields[key.strip().lower()] = value.strip()
        if key.strip().lower() == last_key:
            break
    return fields


def _check_nrrd(path: Path) -> None:
    """NRRD: the checksum of gzip-compressed voxels. Other encodings are counted by ITK's reader itself."""
    with path.open("rb") as stream:
        fields = _header_fields(stream, ":", None)
        if fields.get("encoding", "").lower() not in ("gzip", "gz") or {"byte skip", "line skip"} & fields.keys():
            return
        detached = fields.get("data file", fields.get("datafile"))
        if detached is None:
            for _ in _chunks(gzip.GzipFile(fileobj=stream)):
                pass
            return
    data = path.parent / detached
    if os.path.isfile(data):
        with gzip.open(data) as unpacked:
            for _ in _chunks(unpacked):
                pass


def _check_metaimage(path: Path) -> None:
    """MetaImage: count raw voxels, unpack and count zlib-compressed ones."""
    with path.open("rb") as stream:
        fields = _header_fields(stream, "=", "elementdatafile")
        value_bytes = METAIMAGE_BYTES.get(fields.get("elementtype", ""))
        data_file = fields.get("elementdatafile", "")
        if value_bytes is None or not data_file:
            return  # ITK's reader says what it does not understand
        try:
            channels = int(fields.get("elementnumberofchannels", "1"))
            promised = math.prod(int(size) for size in fields.get("dimsize", "0").split()) * channels * value_bytes
        except ValueError as error:  # ITK's reader takes the digits that such a word begins with
            raise Damaged("the sizes in its header are no numbers") from error
        compressed = fields.get("compresseddata", "").lower() == "true"
        if data_file == "LOCAL":
            held = _metaimage_bytes(stream, compressed)
        elif os.path.isfile(path.parent / data_file):  # unlike pathlib's, it takes a name too long for any disk
            with (path.parent / data_file).open("rb") as detached:
                held = _metaimage_bytes(detached, compressed)
        elif data_file.split()[0] == "LIST" or "%" in data_file:
            return  # one file per slice: ITK's reader opens each
        else:
            raise Damaged(f"its voxels should lie beside it in '{data_file}', which is not there")
    if held < promised:
        raise Damaged(f"its header promises {promised} bytes of voxels, it holds {held}")


def _metaimage_bytes(stream: BinaryIO, compressed: bool) -> int:
    if not compressed:
        return sum(len(chunk) for chunk in _chunks(stream))
    unpack, held = zlib.decompressobj(zlib.MAX_WBITS | 32), 0  # MetaIO writes zlib or gzip streams
    for chunk in _chunks(stream):
        held += len(unpack.decompress(chunk))
        if unpack.eof:
            return held
    raise Damaged("its compressed voxels end too early")


PIXEL_DATA = b"\xe0\x7f\x10\x00"
"""The tag 7FE0,0010 as it lies in a little-endian DICOM file."""
SEQUENCE_END = b"\xfe\xff\xdd\xe0"
"""The tag FFFE,E0DD, which closes compressed pixel data."""
DEFLATED = b"1.2.840.10008.1.2.1.99"
BIG_ENDIAN = b"1.2.840.10008.1.2.2\x00"


def dicom_pixels_are_whole(path: Path, pixel_bytes: int | None) -> bool:
    """Whether the DICOM file `path` holds its image to the end: `pixel_bytes` of it unpacked, where that is known.

    GDCM may read a file that was cut off without complaint. Plain pixel data must be as long as the image, compressed
    ones must be closed (DICOM PS3.5, 8 and A.4). Files without pixel data (reports, structure sets) and the two rare
    whole-file encodings pass.
    """
    data = path.read_bytes()
    start = data.find(PIXEL_DATA)
    if start < 0 or DEFLATED in data[:1024] or BIG_ENDIAN in data[:1024]:
        return True
    while start >= 0:
        explicit = data[start + 4 : start + 6] in (b"OW", b"OB")
        at = start + (12 if explicit else 8)
        length = int.from_bytes(data[at - 4 : at], "little")
        if length == 0xFFFFFFFF:
            if SEQUENCE_END in data[at:]:
                return True
        elif length <= len(data) - at and (pixel_bytes is None or length in (pixel_bytes, pixel_bytes + 1)):
            return True
        start = data.find(PIXEL_DATA, start + 1)
    return False
