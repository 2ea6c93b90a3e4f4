"""Files that cross the process boundary: written whole or not at all, and their checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LONGEST_TEXT_FILE = 50_000_000
"""Bytes of a JSON file that is still read: 200 descriptions with thousands of lesions need far less."""


def as_json(facts: Mapping[str, Any]) -> str:
    """`facts` as indented JSON, readable in any script.

    Text that is no valid Unicode, such as the name of a file from an old encoding, is escaped and survives. Raises
    ValueError for a number that JSON does not have (NaN, infinity).
    """
    text = json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False)
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        text = json.dumps(facts, indent=2, allow_nan=False)
    return text + "\n"


def read_text(path: Path) -> str:
    """A UTF-8 text file, with or without the mark that Windows editors put first.

    Raises OSError where it cannot be read, ValueError where it is not text or far too long.
    """
    with path.open("rb") as file:
        content = file.read(LONGEST_TEXT_FILE + 1)
    if len(content) > LONGEST_TEXT_FILE:
        raise ValueError(f"it is longer than {LONGEST_TEXT_FILE // 1_000_000} MB")
    return content.decode("utf-8-sig")


def replace_text(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the whole new one, never a part. Raises OSError."""
    temporary = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
