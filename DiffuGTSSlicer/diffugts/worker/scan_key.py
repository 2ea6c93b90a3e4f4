"""Which scan is this? Its content, not its path: the same export under another name is the same scan."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from diffugts.protocol import Request

BLOCK_BYTES = 1 << 20
HEADER_BYTES = 1 << 16
DICOM_ENDINGS = (".dcm", ".ima", ".dicom", "")
DETACHED = re.compile(
    rb"^[ \t]*(?:data ?file|ElementDataFile)[ \t]*[:=][ \t]*(.+?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE
)
"""Where the header of a .nhdr or .mhd names the file with its voxels."""


@dataclass(frozen=True)
class ScanKey:
    """What decides how a scan is read: the bytes of its files, its name and the options that go with it.

    The name counts because modality and sequence may be taken from it.
    """

    sha256: str
    name: str
    modality: str | None
    sequence: str | None
    series: str | None = None


def scan_key(request: Request) -> ScanKey | None:
    """The key of a request's scan; None where it cannot be told which files belong to it, or they cannot be read.

    None is no error: the scan is then read, with the reader's own sentence if it cannot be, and its features are not
    kept.
    """
    path = Path(request.scan)
    digest = hashlib.sha256()
    try:
        files = _files_of(path)
        if files is None:
            return None
        for file in files:
            digest.update(f"{len(file.name)}:{file.name}".encode("utf-8", "surrogateescape") if len(files) > 1 else b"")
            for block in _blocks(file):
                digest.update(block)
    except OSError:
        return None
    return ScanKey(digest.hexdigest(), path.name, request.modality, request.sequence, request.series)


def _files_of(path: Path) -> list[Path] | None:
    """The files a scan is read from, None where the header does not say it plainly."""
    if path.is_dir() or path.suffix.lower() in DICOM_ENDINGS:
        # One image stands for its series, which is read from the whole folder.
        folder = path if path.is_dir() else path.parent
        return sorted(file for file in folder.iterdir() if file.is_file())
    if path.suffix.lower() not in (".nhdr", ".mhd"):
        return [path]
    with path.open("rb") as stream:
        named = DETACHED.search(stream.read(HEADER_BYTES))
    data = path.parent / named.group(1).decode("utf-8", "surrogateescape") if named else None
    return [path, data] if data is not None and data.is_file() else None


def _blocks(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while block := stream.read(BLOCK_BYTES):
            yield block
