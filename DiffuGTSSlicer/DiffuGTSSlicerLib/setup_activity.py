"""What is being done to the worker's environment right now, in words and as a share."""

from __future__ import annotations

from dataclasses import dataclass

from slicer.i18n import tr as _

from DiffuGTSSlicerLib.package_install import CHECK as CHECK_STEP
from DiffuGTSSlicerLib.package_install import OTHERS, PREPARE, SWAP, TORCH, UNPACK
from DiffuGTSSlicerLib.setup_sentences import size_in_words, step_in_words

INSTALL, RESUME, REMOVE, DISCARD, CHECK = "install", "resume", "remove", "discard", "check"

BEGINNINGS = {PREPARE: 0.0, TORCH: 0.0, OTHERS: 0.3, UNPACK: 0.7, CHECK_STEP: 0.9, SWAP: 0.98}
"""Where in the course of an installation each step begins."""


@dataclass(frozen=True)
class Activity:
    """What is being done now: the task, its step, bytes that have arrived in it, and whether it was told to stop.

    `by_itself` where an installation goes on after a restart, without a click since then.
    """

    task: str
    step: str = ""
    bytes: int = 0
    stopping: bool = False
    by_itself: bool = False

    @property
    def installs(self) -> bool:
        """Whether it is an installation, begun or resumed."""
        return self.task in (INSTALL, RESUME)

    @property
    def in_words(self) -> str:
        """One line for people."""
        if self.stopping:
            return _("Stopping")
        if self.task == CHECK:
            return _("Checking: trying every package and device, about 10 to 60 seconds")
        words = step_in_words(self.step) if self.step else _("Starting")
        return _("{step}: {size} so far").format(step=words, size=size_in_words(self.bytes)) if self.bytes else words

    def share(self, download_bytes: float) -> float | None:
        """How much of it is done, 0 to 1; None where it cannot be told. `download_bytes` are all that will arrive."""
        if self.step not in BEGINNINGS:
            return None
        if self.step not in (TORCH, OTHERS):
            return BEGINNINGS[self.step]
        arrived = min(self.bytes / download_bytes, 1.0)
        return max(BEGINNINGS[self.step], arrived * BEGINNINGS[UNPACK])
