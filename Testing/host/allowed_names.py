"""Which names Python may use on the Qt-side classes of 3D Slicer and CTK.

The facts are in `slicer_qt_names.json`, read from the public headers. A stand-in offers nothing beyond them, so code
that passes here uses no name that Slicer lacks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

NAMES_FILE = Path(__file__).with_name("slicer_qt_names.json")

# Signals of Qt 6 that Qt 5.15 lacks: Slicer 5.10 is built with Qt 5, so a module may not rely on them.
SIGNALS_ONLY_IN_QT6 = frozenset(
    {
        "checkStateChanged(Qt::CheckState)",
        "errorOccurred(QProcess::ProcessError,QString)",
        "flagsChanged(QFlags<Qt::WindowFlags>)",
    }
)


@dataclass(frozen=True)
class ClassNames:
    """The names one Qt-side class adds to those of its base class."""

    name: str
    base: str
    properties: frozenset[str]
    signals: frozenset[str]
    methods: frozenset[str]
    constants: frozenset[str]

    @cached_property
    def attributes(self) -> frozenset[str]:
        """Everything reachable as an attribute: properties, methods, constants, signals without their arguments."""
        signal_names = {signal.partition("(")[0] for signal in self.signals}
        return self.properties | self.methods | self.constants | signal_names


class SlicerNames:
    """The allowed names of all Qt-side classes, with inheritance."""

    def __init__(self, path: Path = NAMES_FILE) -> None:
        classes = json.loads(path.read_text(encoding="utf-8"))["classes"]
        self._classes = {
            name: ClassNames(
                name,
                facts["base"],
                frozenset(facts["properties"]),
                frozenset(facts["signals"]),
                frozenset(facts["methods"]),
                frozenset(facts["constants"]),
            )
            for name, facts in classes.items()
        }

    def __contains__(self, class_name: str) -> bool:
        return class_name in self._classes

    def lineage(self, class_name: str) -> list[ClassNames]:
        """The class and its bases, as far as they are Slicer's or CTK's own (Qt's own classes speak for themselves)."""
        found = []
        while class_name in self._classes:
            found.append(self._classes[class_name])
            class_name = found[-1].base
        return found

    def attributes(self, class_name: str) -> frozenset[str]:
        """All attribute names the class has beyond those of its first Qt base class."""
        return frozenset().union(*(each.attributes for each in self.lineage(class_name)))

    def signals(self, class_name: str) -> frozenset[str]:
        """All signal signatures the class has beyond those of its first Qt base class."""
        return frozenset().union(*(each.signals for each in self.lineage(class_name)))

    def qt_base(self, class_name: str) -> str:
        """The first base class that is not Slicer's or CTK's own, for example QWidget."""
        lineage = self.lineage(class_name)
        return lineage[-1].base if lineage else class_name


SLICER_NAMES = SlicerNames()
