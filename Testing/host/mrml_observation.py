"""Observing MRML nodes from Qt objects without outliving them."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from PySide6 import QtCore
from shiboken6 import Shiboken


class Observations:
    """The observers one Qt object has on VTK objects: they never keep it alive and end with it."""

    def __init__(self, observer: QtCore.QObject) -> None:
        self._observer = weakref.ref(observer)
        self._tags: list[tuple[Any, int]] = []

    def add(self, observed: Any, event: Any, method: Callable[[Any], None]) -> None:
        """Call `method(observer)`, a function of the observer's class, whenever `observed` invokes the event."""

        def relay(*_: Any) -> None:
            observer = self._observer()
            if observer is not None and Shiboken.isValid(observer):
                method(observer)
            else:
                self.end()

        self._tags.append((observed, observed.AddObserver(event, relay)))
        _KEPT.add(self)

    def end(self) -> None:
        """Remove all observers."""
        for observed, tag in self._tags:
            observed.RemoveObserver(tag)
        self._tags.clear()
        _KEPT.discard(self)


_KEPT: set[Observations] = set()
"""All that have observers. Otherwise Python's collector clears one that it sees only in the garbage around a node's Python
object, while the node itself is still in the scene and calls it."""
