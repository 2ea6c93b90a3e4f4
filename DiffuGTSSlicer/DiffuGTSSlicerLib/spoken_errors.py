"""Slots that say in the panel what went wrong: Qt would print it where no user looks."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError


def says_errors(action: Callable[..., None]) -> Callable[..., None]:
    """A method that hands every error, as a sentence, to the `say` of its object, and then ends."""

    @wraps(action)
    def guarded(self: Any, *arguments: Any) -> None:
        try:
            action(self, *arguments)
        except Exception as error:  # noqa: BLE001 - a user reads it
            self.say(sentence_on(error, action.__name__))

    return guarded


def sentence_on(error: Exception, doing: str) -> str:
    """What a user reads of an error; a defect of ours is logged with the name of what failed."""
    if isinstance(error, (DiffuGTSError, OSError)):
        return str(error)
    logging.error("DiffuGTS: %s failed", doing, exc_info=error)
    text = _("This did not work because of a defect in DiffuGTS ({error}). Slicer's error log has the details.")
    return text.format(error=type(error).__name__)
