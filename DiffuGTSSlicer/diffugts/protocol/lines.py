"""Descriptions as they were typed, made into lines that can be stored, compared and encoded.

Both sides go by it: what the module asks is then, letter by letter, what the result answers.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
"""Characters without a shape: marks of width and of the direction of writing."""


def description_lines(texts: Iterable[str]) -> list[str]:
    """The lines of all texts, cleaned, without those that show nothing: NFC, no control characters, trimmed."""
    lines = (_cleaned(line) for text in texts for line in text.splitlines())
    return [line for line in lines if INVISIBLE.sub("", line).strip()]


def _cleaned(line: str) -> str:
    line = unicodedata.normalize("NFC", line.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in line).strip()
