"""Connecting signals by their C++ signature, as in ``button.connect("clicked(bool)", self.onClicked)``.

As in PythonQt, the callable gets as many of the signal's arguments as it takes. Unlike in PythonQt, where a wrong
signature only prints a warning, an unknown signal is an error here.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from PySide6 import QtCore
from shiboken6 import Shiboken

from host.allowed_names import SIGNALS_ONLY_IN_QT6, SLICER_NAMES


class UnknownSignalError(ValueError):
    """The class has no signal of that signature in Slicer."""


@dataclass
class _Connection:
    signature: str
    receiver: Callable[..., Any]
    signal: Any
    relay: Callable[..., Any]


@dataclass
class _Connections:
    """The connections made by name, by the address of the sender; forgotten when the sender is destroyed."""

    by_sender: dict[int, list[_Connection]] = field(default_factory=dict)

    def of(self, sender: QtCore.QObject) -> list[_Connection]:
        address = Shiboken.getCppPointer(sender)[0]
        if address not in self.by_sender:
            self.by_sender[address] = []
            sender.destroyed.connect(lambda *_: self.by_sender.pop(address, None))
        return self.by_sender[address]


_CONNECTIONS = _Connections()


def signatures_of(sender: QtCore.QObject) -> set[str]:
    """All signal signatures the sender's class has in Slicer; a Python subclass adds the signals it declares."""
    cls = type(sender)
    slicer_class = next((base for base in cls.__mro__ if "_stand_in_for_cpp" in vars(base)), None)
    if slicer_class is None:
        return cpp_signals(cls) - SIGNALS_ONLY_IN_QT6
    qt_base = next(base for base in slicer_class.__mro__ if base.__module__.startswith("PySide6."))
    of_subclass = cpp_signals(cls) - cpp_signals(slicer_class)
    return (SLICER_NAMES.signals(slicer_class.__name__) | cpp_signals(qt_base) | of_subclass) - SIGNALS_ONLY_IN_QT6


@functools.cache
def cpp_signals(cls: type) -> frozenset[str]:
    """The signatures of a class's signals, inherited ones too.

    Asked of every class before any instance is made: PySide6 may take a class's meta object away with an instance of it.
    """
    meta = cls.staticMetaObject
    methods = (meta.method(index) for index in range(meta.methodCount()))
    return frozenset(
        bytes(method.methodSignature().data()).decode()
        for method in methods
        if method.methodType() == QtCore.QMetaMethod.MethodType.Signal
    )


def normalised(signature: str) -> str:
    """The signature as Qt's meta objects write it, without spaces and const references."""
    return bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()


def connect_by_name(sender: QtCore.QObject, signature: str, receiver: Any, slot: str | None = None) -> bool:
    """Connect a signal given by its signature to a callable, or to a slot of another object given by its signature.

    Raises:
        UnknownSignalError: the sender has no such signal, with those of a similar name.
        TypeError: the receiver is not callable.
    """
    wanted = normalised(signature)
    available = signatures_of(sender)
    name = wanted.partition("(")[0]
    if wanted not in available:
        names = {each.partition("(")[0] for each in available}
        close = difflib.get_close_matches(name, names, n=3)
        similar = sorted(each for each in available if each.partition("(")[0] in close)
        raise UnknownSignalError(f"{sender.className()} has no signal {signature}; similar ones: {similar}")
    if slot is not None:
        receiver = getattr(receiver, slot.partition("(")[0])
    if not callable(receiver):
        raise TypeError(f"{receiver!r} is not callable and cannot receive {signature}")
    types = [each for each in wanted.partition("(")[2].rstrip(")").split(",") if each]
    signal = _bound_signal(sender, name, types)
    accepted = _number_of_arguments(receiver)
    count = len(types) if accepted is None else min(len(types), accepted)

    def relay(*values: Any) -> None:
        receiver(*[bool(value) if kind == "bool" else value for kind, value in zip(types, values)][:count])

    signal.connect(relay)
    _CONNECTIONS.of(sender).append(_Connection(name, receiver, signal, relay))
    return True


def disconnect_by_name(sender: QtCore.QObject, signature: str, receiver: Any = None, slot: str | None = None) -> bool:
    """Undo `connect_by_name`; without a receiver, for all of that signal. False when there was no such connection."""
    wanted = normalised(signature)
    if wanted not in signatures_of(sender):
        raise UnknownSignalError(f"{sender.className()} has no signal {signature}")
    if slot is not None:
        receiver = getattr(receiver, slot.partition("(")[0])
    connections = _CONNECTIONS.of(sender)
    name = wanted.partition("(")[0]
    gone = [each for each in connections if each.signature == name and receiver in (None, each.receiver)]
    for each in gone:
        each.signal.disconnect(each.relay)
        connections.remove(each)
    return bool(gone)


def _bound_signal(sender: QtCore.QObject, name: str, types: list[str]) -> Any:
    signal = getattr(sender, name, None)
    if not hasattr(signal, "connect"):
        raise UnknownSignalError(f"{name} exists on {sender.className()} in Slicer, but its stand-in does not emit it")
    if not any("_stand_in_for_cpp" in vars(cls) for cls in type(sender).__mro__):
        try:
            return signal[",".join(types)] if types else signal
        except (KeyError, IndexError, TypeError):
            return signal
    return signal


def _number_of_arguments(receiver: Callable[..., Any]) -> int | None:
    """How many positional arguments the receiver takes; None for any number."""
    if isinstance(getattr(receiver, "__self__", None), QtCore.QObject) and inspect.isbuiltin(receiver):
        meta = receiver.__self__.metaObject()
        slots = [meta.method(i) for i in range(meta.methodCount())]
        return max(
            (s.parameterCount() for s in slots if bytes(s.name().data()).decode() == receiver.__name__), default=0
        )
    try:
        parameters = inspect.signature(receiver).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    return sum(each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD) for each in parameters)
