"""Ctrl-C that is not lost.

Python raises KeyboardInterrupt wherever the program happens to be. Inside a library's callback, a destructor or an import that
catches everything, it is swallowed there, and the command goes on as if nobody had asked. So a signal is also remembered, and
heeded at the next report of progress.

What is raised is an `Interrupt`, not a bare KeyboardInterrupt: one that passes through `exec` of a string, as in the making of a
dataclass during an import, marks the whole process in CPython (`run_eval_code_obj`), and under `python -m` it then ends by
signal 2 instead of its own exit code, however well the exception was handled since. CPython looks for that very class.
"""

from __future__ import annotations

import signal
from types import FrameType

_asked = False


class Interrupt(KeyboardInterrupt):
    """Ctrl-C or SIGTERM."""


def listen() -> None:
    """Take SIGTERM for Ctrl-C, and remember both. A process started with Ctrl-C ignored, in the background, goes on ignoring it."""
    signal.signal(signal.SIGTERM, _interrupt)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def heed() -> None:
    """Raise Interrupt where one was asked for and got lost."""
    if _asked:
        raise Interrupt


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _asked
    _asked = True
    raise Interrupt
