"""What the user chooses from in the panel, kept by name in the parameter node."""

from __future__ import annotations

from enum import Enum

from slicer.i18n import tr as _

from diffugts.protocol import Quality


class QualityChoice(Enum):
    """How much is done."""

    FAST = Quality.FAST
    STANDARD = Quality.STANDARD
    THOROUGH = Quality.THOROUGH

    def label(self) -> str:
        """The word in the panel."""
        return {Quality.FAST: _("Fast"), Quality.STANDARD: _("Standard"), Quality.THOROUGH: _("Thorough")}[self.value]


def quality_in_words(quality: str) -> str:
    """The word in the panel for a quality as a result names it; that name itself where this version has none."""
    return next((choice.label() for choice in QualityChoice if choice.value == quality), quality)


class ModalityChoice(Enum):
    """Which kind of scan the volume is; AUTOMATIC where the volume itself is to say it."""

    AUTOMATIC = None
    CT = "CT"
    MR = "MR"

    def label(self) -> str:
        """The word in the panel."""
        return _("Automatic") if self is ModalityChoice.AUTOMATIC else str(self.value)
