"""Descriptions that were used before, kept in Slicer's settings of this user."""

from __future__ import annotations

import json
from collections.abc import Iterable

import qt
import slicer

SETTINGS_KEY = "DiffuGTS/DescriptionHistory"
MOST_KEPT = 30
LONGEST_KEPT = 300
"""Characters; a longer text is a paste, not a phrase to pick from a menu."""


def used_descriptions() -> tuple[str, ...]:
    """The latest first."""
    try:
        kept = json.loads(slicer.util.settingsValue(SETTINGS_KEY, "[]"))
        return tuple(text for text in kept if isinstance(text, str) and text.strip())[:MOST_KEPT]
    except (ValueError, TypeError):  # written by another version, or by hand: the next use writes it anew
        return ()


def remember_descriptions(descriptions: Iterable[str]) -> None:
    """Put descriptions first in the history."""
    latest = [text for text in descriptions if len(text) <= LONGEST_KEPT]
    _store(list(dict.fromkeys([*latest, *used_descriptions()]))[:MOST_KEPT])


def forget_descriptions() -> None:
    """Empty the history."""
    _store([])


def _store(descriptions: list[str]) -> None:
    qt.QSettings().setValue(SETTINGS_KEY, json.dumps(descriptions))
