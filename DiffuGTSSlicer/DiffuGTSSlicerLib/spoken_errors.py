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
        except (DiffuGTSError, OSError) as error:
            self.say(str(error))
        except Exception as error:
            logging.exception("DiffuGTS: %s failed", action.__name__)
            text = _("This did not work because of a defect in DiffuGTS ({error}). Slicer's error log has the details.")
            self.say(text.format(error=type(error).__name__))

    return guarded
