"""Gives PySide6 the manners of PythonQt, the Qt binding inside 3D Slicer.

* A Qt property is an attribute: ``button.enabled = False``, ``label.text``; its setter stays: ``button.setText("x")``.
* ``name`` is short for ``objectName``; ``className()`` gives the class name.
* Assigning an attribute that the C++ class lacks is refused, as is reading one. PythonQt refuses it because the
  attribute would be lost with its wrapper; here it is also the guard against misspelt names.
* Signals are connected by attribute or by signature (see `signals_by_name`).

Everything is applied to the PySide6 classes themselves by `teach_pythonqt_manners`, because widgets loaded from a .ui
file are made by Qt and have exactly those classes.
"""

from __future__ import annotations

import difflib
import inspect
from contextvars import ContextVar
from typing import Any

from PySide6 import QtCore, QtGui, QtUiTools, QtWidgets

from host.signals_by_name import connect_by_name, cpp_signals, disconnect_by_name

QT_MODULES = (QtCore, QtGui, QtWidgets, QtUiTools)

# PySide6's loader assigns every child widget to its top-level widget under the child's name; PythonQt does not.
LOADING_UI_FILE: ContextVar[bool] = ContextVar("LOADING_UI_FILE", default=False)

_MISSING = object()
# The ancestor of every PySide6 class: its assignment is the plain one, which the patched classes fall back to.
_BINDING_BASE = next(each for each in QtCore.QObject.__mro__ if each.__name__ == "Object" and each is not object)


class QtPropertyAttribute:
    """A Qt property as a Python attribute; on the class itself, whatever the binding had under that name."""

    def __init__(self, name: str, on_class: Any, writable: bool, setter: str) -> None:
        self.name = name
        self.on_class = on_class
        self.writable = writable
        self.setter = setter
        self._being_read: set[int] = set()

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self if self.on_class is _MISSING else self.on_class
        if id(instance) in self._being_read:
            return None  # Qt reads a virtual getter, for which PySide6 looks for a Python function of the name: none
        self._being_read.add(id(instance))
        try:
            return instance.property(self.name)
        finally:
            self._being_read.discard(id(instance))

    def __set__(self, instance: Any, value: Any) -> None:
        if not self.writable:
            raise AttributeError(f"property '{self.name}' of {type(instance).__name__} is read-only")
        if instance.setProperty(self.name, value):
            return
        setter = getattr(instance, self.setter, None)
        if setter is None:
            raise TypeError(f"{type(instance).__name__}.{self.name} does not take {value!r}")
        setter(value)


def qobject_classes() -> list[type]:
    """Every QObject class of the Qt modules in use, base classes first."""
    classes = {
        each
        for module in QT_MODULES
        for each in (getattr(module, name) for name in dir(module))
        if isinstance(each, type) and issubclass(each, QtCore.QObject)
    }
    return sorted(classes, key=lambda each: (len(each.__mro__), each.__name__))


def is_cpp_class(cls: type) -> bool:
    """Whether the class stands for a C++ class (Qt's own, or a stand-in for one of Slicer's), not a Python subclass."""
    return cls.__module__.startswith("PySide6.") or "_stand_in_for_cpp" in vars(cls)


def teach_pythonqt_manners() -> int:
    """Change the PySide6 classes as described above, once per process.

    Returns:
        The number of Qt properties that became attributes; 0 when it had been done before.
    """
    if isinstance(inspect.getattr_static(QtWidgets.QWidget, "enabled", None), QtPropertyAttribute):
        return 0
    classes = qobject_classes()
    properties = 0
    for cls in classes:
        cls.__setattr__ = _guarded_setattr
        cpp_signals(cls)
        meta = cls.staticMetaObject
        for index in range(meta.propertyOffset(), meta.propertyCount()):
            qt_property = meta.property(index)
            name = qt_property.name()
            on_class = getattr(cls, name, _MISSING)
            setter = f"set{name[0].upper()}{name[1:]}"
            setattr(cls, name, QtPropertyAttribute(name, on_class, qt_property.isWritable(), setter))
            properties += 1
        _hide_reimplemented_getters(cls)
        if {"exec", "exec_"} <= vars(cls).keys():
            cls.exec_ = cls.exec  # the name in PythonQt; PySide6 only warns of it
    object_name = QtPropertyAttribute("objectName", _MISSING, True, "setObjectName")
    QtCore.QObject.name = object_name
    QtCore.QObject.className = lambda self: self.metaObject().className()
    for cls in classes:
        if "__getattribute__" in vars(cls):  # QObject, and a few classes that do not inherit its look-up
            _connect_by_name_on(cls)
    return properties


def _connect_by_name_on(cls: type) -> None:
    """Put our `connect` before PySide6's, which is found before anything declared on the class."""
    plain_getattribute = cls.__getattribute__

    def getattribute(self: QtCore.QObject, name: str) -> Any:
        by_name = {"connect": connect_by_name, "disconnect": disconnect_by_name}.get(name)
        if by_name is not None:
            plain = plain_getattribute(self, name)  # PySide6 itself uses it, never with a signature as first argument
            return lambda *given: by_name(self, *given) if given and isinstance(given[0], str) else plain(*given)
        return plain_getattribute(self, name)

    cls.__getattribute__ = getattribute


def _hide_reimplemented_getters(cls: type) -> None:
    """Make an attribute of a property whose getter the class declares again, as QPushButton does with sizeHint."""
    for name, value in list(vars(cls).items()):
        inherited = next((vars(base)[name] for base in cls.__mro__[1:] if name in vars(base)), None)
        if isinstance(inherited, QtPropertyAttribute) and not isinstance(value, QtPropertyAttribute):
            setattr(cls, name, QtPropertyAttribute(name, getattr(cls, name), inherited.writable, inherited.setter))


def _guarded_setattr(self: Any, name: str, value: Any) -> None:
    """Assign a property or a field of a Python subclass; refuse every other name.

    Raises:
        AttributeError: the C++ class has no such property, or the name is a method or signal, or it is read-only.
    """
    cls = type(self)
    known = inspect.getattr_static(cls, name, _MISSING)
    if isinstance(known, (QtPropertyAttribute, property)):
        known.__set__(self, value)
        return
    if isinstance(known, QtCore.Property):
        if known.fset is None:
            raise AttributeError(f"property '{name}' of {cls.__name__} is read-only")
        known.fset(self, value)
        return
    if not is_cpp_class(cls) or isinstance(value, QtCore.SignalInstance):  # PySide6 keeps bound signals in the object
        _BINDING_BASE.__setattr__(self, name, value)
        return
    if known is not _MISSING and not LOADING_UI_FILE.get():
        raise AttributeError(f"'{name}' of {cls.__name__} is a method or signal and cannot be assigned")
    if name in self.__dict__ or (
        name.startswith("_") and "_stand_in_for_cpp" in vars(cls) and not self.__dict__.get("_made")
    ):
        _BINDING_BASE.__setattr__(self, name, value)
        return
    if name.encode() in [bytes(each.data()) for each in self.dynamicPropertyNames()]:
        self.setProperty(name, value)
        return
    if LOADING_UI_FILE.get():
        return
    close = difflib.get_close_matches(name, dir(cls), n=3)
    hint = f"; did you mean {', '.join(close)}?" if close else ""
    raise AttributeError(f"{cls.__name__} has no property '{name}'{hint}")
