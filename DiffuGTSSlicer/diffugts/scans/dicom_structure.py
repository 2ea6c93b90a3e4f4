"""Do the elements of a DICOM file fit into it? Asked before any library reads it.

GDCM takes memory for whatever length an element states, and where it meets a kind of value that it does not know it tries
other encodings, in which lengths are anything: one damaged byte in a small file can cost gigabytes, which it keeps. So the
elements are walked once, with every kind and length looked at (DICOM PS3.5, 6.2 and 7).
"""

from __future__ import annotations

import mmap
from pathlib import Path

UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
PIXEL_DATA = (0x7FE0, 0x0010)
TRANSFER_SYNTAX = (0x0002, 0x0010)
DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
LONG_FORM = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
"""Value representations whose length takes four bytes."""

SHORT_FORM = frozenset(
    (b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN", b"SH", b"SL", b"SS")
    + (b"ST", b"TM", b"UI", b"UL", b"US")
)
"""Those whose length takes two."""

DEEPEST = 32
"""Sequences nested deeper than this are not a scanner's."""


class DoesNotFit(Exception):
    """A length leads beyond the file, or a value is of no known kind. Never leaves this module."""


def is_dicom(path: Path) -> bool:
    """Whether the file has DICOM's mark after its preamble, as exports without a file ending do."""
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def may_be_dicom(path: Path) -> bool:
    """Whether the file has DICOM's mark, or begins as files from before that mark do: with an element of group 2 or 8."""
    with path.open("rb") as stream:
        start = stream.read(132)
    return start[128:] == b"DICM" or start[:2] in (b"\x02\x00", b"\x08\x00")


def elements_fit(path: Path) -> bool:
    """Whether every element of the DICOM file `path` is of a known kind and ends within the file. Raises OSError.

    What is packed as a whole (deflated) cannot be walked and passes.
    """
    if path.stat().st_size < 8:
        return False
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            _walk_file(data)
        except DoesNotFit:
            return False
    return True


def _walk_file(data: mmap.mmap) -> None:
    at = 132 if data[128:132] == b"DICM" else 0
    syntax, at = _file_meta(data, at)
    if syntax == DEFLATED:
        return
    # Some writers state one encoding and use the other; every reader looks at the first element itself.
    explicit = syntax == BIG_ENDIAN or _looks_explicit(data, at)
    _Walk(data, explicit, "big" if syntax == BIG_ENDIAN else "little").elements(at, len(data), 0)


def _file_meta(data: mmap.mmap, at: int) -> tuple[str, int]:
    """The transfer syntax that the file's group 2 names ("" where it has none), and where that group ends."""
    walk, syntax = _Walk(data, True, "little"), ""
    while at + 8 <= len(data) and data[at : at + 2] == b"\x02\x00":
        tag, _, length, value = walk.header(at)
        end = walk.end_of(value, length, len(data))
        if tag == TRANSFER_SYNTAX:
            syntax = data[value:end].rstrip(b"\x00 ").decode("ascii", "replace")
        at = end
    return syntax, at


def _looks_explicit(data: mmap.mmap, at: int) -> bool:
    """Whether two capital letters stand where an explicit value representation would."""
    return data[at + 4 : at + 6].isalpha() and data[at + 4 : at + 6].isupper()


class _Walk:
    """A walk over elements in one encoding; methods raise DoesNotFit."""

    def __init__(self, data: mmap.mmap, explicit: bool, order: str) -> None:
        self._data, self._explicit, self._order = data, explicit, order

    def header(self, at: int) -> tuple[tuple[int, int], bytes, int, int]:
        """Tag, value representation (empty where it is implicit), length and the value's place of the element at `at`."""
        tag = (self._number(at, 2), self._number(at + 2, 2))
        if not self._explicit or tag[0] == 0xFFFE:
            return tag, b"", self._number(at + 4, 4), at + 8
        kind = self._data[at + 4 : at + 6]
        if kind in LONG_FORM:
            return tag, kind, self._number(at + 8, 4), at + 12
        if kind not in SHORT_FORM:
            raise DoesNotFit
        return tag, kind, self._number(at + 6, 2), at + 8

    def elements(self, at: int, end: int, depth: int, delimiter: tuple[int, int] | None = None) -> int:
        """Walk the elements up to `end`, or through the `delimiter` that closes them; returns where they ended."""
        while at + 8 <= end:
            if depth == 0 and self._number(at, 4) == 0 and not any(self._data[at:end]):
                return end  # a file filled up to the end of a block
            tag, kind, length, value = self.header(at)
            if tag == delimiter:
                return value
            if length == UNDEFINED:
                walk = _Walk(self._data, False, "little") if kind == b"UN" else self  # PS3.5, 6.2.2, note 4
                at = walk._items(value, end, depth + 1, packed=tag == PIXEL_DATA)
                continue
            at = self.end_of(value, length, end)
            if kind == b"SQ" or (kind == b"" and self._begins_with_item(value, at)):
                self._items(value, at, depth + 1, packed=False)
        if delimiter is not None:
            raise DoesNotFit
        return at

    def end_of(self, value: int, length: int, end: int) -> int:
        """Where a value of a stated length ends."""
        if value + length > end:
            raise DoesNotFit
        return value + length

    def _items(self, at: int, end: int, depth: int, packed: bool) -> int:
        """Walk a sequence's items, or the fragments of packed pixels, up to `end` or the mark that closes them."""
        if depth > DEEPEST:
            raise DoesNotFit
        while at + 8 <= end:
            tag, _, length, value = self.header(at)
            if tag == SEQUENCE_END:
                return value
            if tag != ITEM:
                raise DoesNotFit
            if length == UNDEFINED:
                at = self.elements(value, end, depth, ITEM_END)
                continue
            at = self.end_of(value, length, end)
            if not packed:
                self.elements(value, at, depth)
        return at

    def _begins_with_item(self, value: int, end: int) -> bool:
        return end - value >= 8 and (self._number(value, 2), self._number(value + 2, 2)) == ITEM

    def _number(self, at: int, count: int) -> int:
        part = self._data[at : at + count]
        if len(part) < count:
            raise DoesNotFit
        return int.from_bytes(part, self._order)  # type: ignore[arg-type]
