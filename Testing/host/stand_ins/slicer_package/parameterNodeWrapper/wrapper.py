"""The class decorator `parameterNodeWrapper`."""

from __future__ import annotations

import copy
import typing
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from .gui import GuiConnector, connector_for, widgets_by_parameter
from .storage import Storage, storage_for, validate
from .validators import Validator


@dataclass
class Default:
    """Annotation for a parameter's first value; may be a function without arguments."""

    value: Any


@dataclass
class Decimals:
    """Annotation for the decimals that a widget shows."""

    value: int


@dataclass
class SingleStep:
    """Annotation for the step of a widget."""

    value: float


@dataclass
class _Parameter:
    name: str
    datatype: Any
    storage: Storage
    validators: tuple[Validator, ...]
    default: Any

    def first_value(self) -> Any:
        return self.default() if callable(self.default) else copy.copy(self.default)

    def read(self, node: Any) -> Any:
        if not self.storage.isIn(node, self.name):
            self.write(node, self.first_value())
        return self.storage.read(node, self.name)

    def write(self, node: Any, value: Any) -> None:
        validate((*self.storage.validators, *self.validators), value)
        self.storage.write(node, self.name, value)

    def as_attribute(self) -> property:
        def write(wrapper: Any, value: Any) -> None:
            with slicer.util.NodeModify(wrapper.parameterNode):
                self.write(wrapper.parameterNode, value)

        return property(lambda wrapper: self.read(wrapper.parameterNode), write)


class _Wrapper:
    """What every decorated class gets, beside its parameters as attributes."""

    allParameters: dict[str, _Parameter]

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._connected: dict[int, dict[str, GuiConnector]] = {}
        self._next_tag = 0
        self._updating_gui = False
        self._observer_tag: int | None = None
        for parameter in self.allParameters.values():
            if not parameter.storage.isIn(parameterNode, parameter.name):
                parameter.write(parameterNode, parameter.first_value())

    def _parameter(self, name: str) -> _Parameter:
        if name not in self.allParameters:
            raise ValueError(f"Cannot find a param with the given name: {name}; there are {list(self.allParameters)}")
        return self.allParameters[name]

    def getValue(self, name: str) -> Any:
        return self._parameter(name).read(self.parameterNode)

    def setValue(self, name: str, value: Any) -> None:
        setattr(self, self._parameter(name).name, value)

    def default(self, name: str) -> Default:
        return Default(self._parameter(name).first_value())

    def dataType(self, name: str) -> Any:
        return self._parameter(name).datatype

    def connectGui(self, gui: Any) -> int:
        """Connect all widgets with the property SlicerParameterName; returns the tag for `disconnectGui`."""
        return self.connectParametersToGui(widgets_by_parameter(gui))

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        connectors = {
            name: widget if isinstance(widget, GuiConnector) else connector_for(widget, self._parameter(name).datatype)
            for name, widget in mapping.items()
        }
        tag = self._next_tag
        self._next_tag += 1
        self._connected[tag] = connectors
        for name, connector in connectors.items():
            connector.write(self.getValue(name))
            connector.listen(self._gui_listener(name, connector))
        if self._observer_tag is None:
            # Weakly: an observer that holds the wrapper makes a cycle through the node, which Python's collector may
            # clear while the node is still in the scene and calls the observer.
            weak = weakref.ref(self)
            listener = lambda *_: _update_gui_of(weak)  # noqa: E731
            _LISTENERS.append(listener)
            self._observer_tag = self.AddObserver(vtk.vtkCommand.ModifiedEvent, listener)
        return tag

    def _gui_listener(self, name: str, connector: GuiConnector) -> Callable[[], None]:
        def changed() -> None:
            if not self._updating_gui:
                self.setValue(name, connector.read())

        return changed

    def _update_gui(self) -> None:
        if self._updating_gui:
            return
        self._updating_gui = True
        try:
            for connectors in list(self._connected.values()):
                for name, connector in connectors.items():
                    connector.write(self.getValue(name))
        finally:
            self._updating_gui = False

    def disconnectGui(self, tag: int) -> None:
        for connector in self._connected.pop(tag, {}).values():
            connector.end()
        if not self._connected and self._observer_tag is not None:
            self.RemoveObserver(self._observer_tag)
            self._observer_tag = None

    def StartModify(self) -> Any:
        return self.parameterNode.StartModify()

    def EndModify(self, was_modified: Any) -> Any:
        return self.parameterNode.EndModify(was_modified)

    def AddObserver(self, event: Any, callback: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def Modified(self) -> None:
        self.parameterNode.Modified()


_LISTENERS: list[Callable[..., None]] = []
"""Every listener ever made: Python's collector clears one that it sees only in the garbage around a node's Python object,
while the node itself is still in the scene and calls it."""


def _update_gui_of(weak: weakref.ref[Any]) -> None:
    wrapper = weak()
    if wrapper is not None:
        wrapper._update_gui()


def _declared_parameter(cls: type, name: str, datatype: Any) -> _Parameter:
    annotated = typing.get_origin(datatype) is typing.Annotated
    kind = typing.get_args(datatype)[0] if annotated else datatype
    annotations = datatype.__metadata__ if annotated else ()
    unknown = [each for each in annotations if not isinstance(each, (Validator, Default, Decimals, SingleStep))]
    if unknown:
        raise TypeError(f"unknown annotations of {cls.__name__}.{name}: {unknown}")
    storage = storage_for(kind)
    default = next((each.value for each in annotations if isinstance(each, Default)), storage.default)
    default = getattr(cls, name, default)
    validators = tuple(each for each in annotations if isinstance(each, Validator))
    return _Parameter(name, datatype, storage, validators, default)


def parameterNodeWrapper(cls: type | None = None) -> Any:
    """Make of a class with typed members one that keeps them in a parameter node, given to its constructor."""
    if cls is None:
        return parameterNodeWrapper
    hints = typing.get_type_hints(cls, include_extras=True)
    parameters = {name: _declared_parameter(cls, name, datatype) for name, datatype in hints.items()}
    reserved = [name for name in parameters if hasattr(_Wrapper, name)]
    if reserved:
        raise ValueError(f"Cannot use reserved names {reserved} in a parameterNodeWrapper")
    for name, member in vars(_Wrapper).items():
        if not name.startswith("__") or name == "__init__":
            setattr(cls, name, member)
    for name, parameter in parameters.items():
        setattr(cls, name, parameter.as_attribute())
    cls.allParameters = parameters
    cls._is_parameter_node_wrapper = True
    return cls


def isParameterNodeWrapper(class_or_object: Any) -> bool:
    return getattr(class_or_object, "_is_parameter_node_wrapper", False)
