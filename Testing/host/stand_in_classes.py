"""How the stand-ins for Slicer's and CTK's own Qt classes are declared, and what they refuse.

A stand-in is a PySide6 class that behaves like the C++ class of its name in the parts a module panel needs. It offers
only names of `slicer_qt_names.json`: declaring another public name fails at import, and asking for a name that Slicer
has but the stand-in lacks says so instead of inventing an answer.
"""

from __future__ import annotations

from typing import Any, TypeVar

from PySide6 import QtCore

from host.allowed_names import SLICER_NAMES
from host.signals_by_name import cpp_signals

WidgetClass = TypeVar("WidgetClass", bound=type)

# Overridable functions of QWidget and QObject that a stand-in may define although no header of Slicer lists them.
_QT_OVERRIDES = frozenset(
    {
        "event",
        "eventFilter",
        "paintEvent",
        "resizeEvent",
        "keyPressEvent",
        "sizeHint",
        "minimumSizeHint",
        "initStyleOption",
        "hitButton",
        "staticMetaObject",
        "exec",
        "exec_",
        "translate",
    }
)


class StandInClasses:
    """The stand-ins by class name: what a .ui file, `slicer` and `ctk` find."""

    def __init__(self) -> None:
        self._classes: dict[str, type] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._classes

    def __getitem__(self, name: str) -> type:
        return self._classes[name]

    def named_like(self, *prefixes: str) -> dict[str, type]:
        """The stand-ins whose class names begin with one of the prefixes."""
        return {name: cls for name, cls in self._classes.items() if name.startswith(prefixes)}

    def add(self, cls: WidgetClass) -> WidgetClass:
        """Class decorator: check the names a stand-in offers, and make its instances refuse unknown ones.

        Raises:
            TypeError: the class is not one of Slicer's or CTK's, or it offers a name that theirs lacks.
        """
        name = cls.__name__
        if name not in SLICER_NAMES:
            raise TypeError(f"{name} is not a Qt-side class of Slicer or CTK")
        own_classes = [
            each for each in cls.__mro__ if not each.__module__.startswith(("PySide6.", "Shiboken", "builtins"))
        ]
        qt_base = next(each for each in cls.__mro__ if each.__module__.startswith("PySide6."))
        allowed = SLICER_NAMES.attributes(name) | _QT_OVERRIDES
        declared = {each for own in own_classes for each in vars(own) if not each.startswith("_")}
        invented = sorted(each for each in declared - allowed if not hasattr(qt_base, each))
        if invented:
            raise TypeError(f"the stand-in for {name} offers names that {name} lacks: {', '.join(invented)}")
        cls._stand_in_for_cpp = True
        cpp_signals(cls)
        cls.__getattr__ = _explain_missing
        initialise = cls.__init__

        def make(self: Any, *arguments: Any, **keywords: Any) -> None:
            initialise(self, *arguments, **keywords)
            if type(self) is cls:
                self.__dict__["_made"] = True  # from here on, only existing fields and properties can be assigned

        cls.__init__ = make
        self._classes[name] = cls
        return cls


def _explain_missing(self: QtCore.QObject, name: str) -> Any:
    for cls in type(self).__mro__:
        if cls.__name__ in SLICER_NAMES and name in SLICER_NAMES.attributes(cls.__name__):
            raise AttributeError(f"{cls.__name__}.{name} exists in Slicer, but this host's stand-in does not do it")
    raise AttributeError(f"{type(self).__name__} has no attribute '{name}'")


def explain_missing_class(module: str, name: str) -> AttributeError:
    """The error for a class asked of `slicer` or `ctk` that the host does not offer."""
    if name in SLICER_NAMES:
        return AttributeError(f"{module}.{name} exists in Slicer, but this host has no stand-in for it")
    return AttributeError(f"module '{module}' has no attribute '{name}'")


STAND_INS = StandInClasses()
