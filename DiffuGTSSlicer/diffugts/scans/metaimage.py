"""MetaImage's header, read directly: what would end ITK's reader, and the whole program with it.

MetaIO takes memory for as many axes as the header says before it looks at the number, and hands the name of a file
per slice to printf as it is. Format: https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

import re
from pathlib import Path

from diffugts.errors import ScanError

LONGEST_HEADER = 1 << 20
MOST_AXES = 10
"""MetaIO has room for so many."""

_NO_TEXT = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FILE_PER_SLICE = re.compile(r"[^%]*%(0?[1-9])?d[^%]*\s+\d{1,6}\s+\d{1,6}\s+[1-9]\d{0,5}")


def require_sound_header(path: Path) -> None:
    """Raise ScanError for a header that ITK's reader must not be given. Others it refuses itself. Raises OSError."""
    problem = _problem_of(path)
    if problem:
        raise ScanError(f"The header of '{path.name}' is damaged: {problem}. Copy the file again, or export it anew.")


def _problem_of(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(LONGEST_HEADER)
    axes_are_told = False
    for line in re.split(rb"[\r\n]", start):
        if _NO_TEXT.search(line):
            return "it is no text"
        key, _, value = line.decode("latin-1").partition("=")
        key, value = key.strip().lower(), value.strip()
        if key == "ndims":
            axes_are_told = True
            if not re.fullmatch(r"\d{1,2}", value) or not 1 <= int(value) <= MOST_AXES:
                return f"it gives '{value:.40}' axes, expected 3"
        elif key == "elementdatafile":
            if "%" in value and not _FILE_PER_SLICE.fullmatch(value):
                return f"its voxels should lie in '{value:.80}', which names no files"
            return "" if axes_are_told else "it does not say how many axes there are"
    return "it does not say where its voxels lie"
