"""Keys that work only while the panel is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import qt


class Shortcuts:
    """Keys of a section: `start` when the panel is entered, `stop` when it is left.

    Typing stays typing: a text field that has the keyboard takes plain letters before any shortcut does.

    Args:
        actions: what each key does, for example {"N": go_to_the_next}.
    """

    def __init__(self, actions: Mapping[str, Callable[[], None]]) -> None:
        self._actions = dict(actions)
        self._shortcuts: list[qt.QShortcut] = []

    def start(self, window: qt.QWidget) -> None:
        """Listen to the keys in a window."""
        self.stop()
        for key, action in self._actions.items():
            shortcut = qt.QShortcut(qt.QKeySequence(key), window)
            shortcut.connect("activated()", action)
            self._shortcuts.append(shortcut)

    def stop(self) -> None:
        """Listen no more."""
        for shortcut in self._shortcuts:
            shortcut.setEnabled(False)
            shortcut.deleteLater()
        self._shortcuts = []
