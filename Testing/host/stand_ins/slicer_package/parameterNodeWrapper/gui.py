"""Connecting parameters to widgets: which widget shows which type, how it is read, written and listened to."""

from __future__ import annotations

import enum
import pathlib
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ctk
import qt
import slicer

from .storage import NodeStorage, storage_for
from .validators import Choice, Maximum, Minimum, WithinRange

SlicerParameterNamePropertyName = "SlicerParameterName"

_PATH_PROPERTIES = {ctk.ctkPathLineEdit: "currentPath", ctk.ctkDirectoryButton: "directory"}


@dataclass
class GuiConnector:
    """One parameter in one widget.

    Attributes:
        read: the value shown by the widget.
        write: shows a value in the widget.
        signal: the widget's signal that its value changed; None for a widget that only shows.
    """

    read: Callable[[], Any]
    write: Callable[[Any], None]
    signal: Any
    listener: Callable[..., None] | None = None

    def listen(self, callback: Callable[[], None]) -> None:
        if self.signal is not None:
            self.listener = lambda *_: callback()
            self.signal.connect(self.listener)

    def end(self) -> None:
        if self.listener is not None:
            self.signal.disconnect(self.listener)
            self.listener = None


def connector_for(widget: Any, datatype: Any) -> GuiConnector:
    """The connector of a widget for a type, annotations included; sets range and choices of the widget from them.

    As in Slicer, only widgets of exactly the listed classes can be connected.

    Raises:
        RuntimeError: the widget cannot show the type.
    """
    annotations = datatype.__metadata__ if typing.get_origin(datatype) is typing.Annotated else ()
    kind = typing.get_args(datatype)[0] if annotations else datatype
    cls = type(widget)
    if kind is bool and cls in (qt.QCheckBox, qt.QPushButton):
        if cls is qt.QPushButton:
            widget.checkable = True
        return _property_connector(widget, "checked", widget.toggled)
    if kind is int and cls in (qt.QSpinBox, qt.QSlider):
        _set_range(widget, annotations, bounded=cls is qt.QSlider, unlimited=(-(2**31), 2**31 - 1))
        return _property_connector(widget, "value", widget.valueChanged)
    if kind is float and cls in (qt.QDoubleSpinBox, ctk.ctkSliderWidget):
        _set_range(widget, annotations, bounded=cls is ctk.ctkSliderWidget, unlimited=(float("-inf"), float("inf")))
        return _property_connector(widget, "value", widget.valueChanged)
    if cls is qt.QComboBox:
        return _combo_box_connector(widget, kind, annotations)
    if kind is str and cls is qt.QLineEdit:
        return _property_connector(widget, "text", widget.textChanged)
    if kind is str and cls is qt.QTextEdit:
        return GuiConnector(widget.toPlainText, widget.setPlainText, widget.textChanged)
    if isinstance(kind, type) and issubclass(kind, pathlib.PurePath) and cls in _PATH_PROPERTIES:
        name = _PATH_PROPERTIES[cls]
        signal = getattr(widget, f"{name}Changed")
        return GuiConnector(lambda: kind(getattr(widget, name)), lambda path: setattr(widget, name, str(path)), signal)
    if cls is slicer.qMRMLNodeComboBox:
        storage = storage_for(kind)
        if isinstance(storage, NodeStorage):
            widget.nodeTypes = [each.__name__ for each in storage.kinds]
            return GuiConnector(widget.currentNode, widget.setCurrentNode, widget.currentNodeChanged)
    raise RuntimeError(f"Unable to create GUI connector from datatype '{datatype}' to widget type '{cls}'")


def _property_connector(widget: Any, name: str, signal: Any) -> GuiConnector:
    return GuiConnector(lambda: getattr(widget, name), lambda value: setattr(widget, name, value), signal)


def _set_range(widget: Any, annotations: tuple[Any, ...], bounded: bool, unlimited: tuple[float, float]) -> None:
    both = next((each for each in annotations if isinstance(each, WithinRange)), None)
    low = both or next((each for each in annotations if isinstance(each, Minimum)), None)
    high = both or next((each for each in annotations if isinstance(each, Maximum)), None)
    if bounded and (low is None or high is None):
        raise RuntimeError("Cannot connect a slider to a number that has no range.")
    widget.minimum = low.minimum if low else unlimited[0]
    widget.maximum = high.maximum if high else unlimited[1]
    for each in annotations:
        if type(each).__name__ == "Decimals":
            widget.decimals = each.value
        if type(each).__name__ == "SingleStep":
            widget.singleStep = each.value


def _combo_box_connector(widget: Any, kind: Any, annotations: tuple[Any, ...]) -> GuiConnector:
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        values = list(kind)
        labels = [each.label() if hasattr(each, "label") else each.name for each in values]
    else:
        choice = next((each for each in annotations if isinstance(each, Choice)), None)
        if choice is None:
            raise RuntimeError("A combo box can show an enumeration, or a value with the Choice annotation.")
        values = list(choice.choices)
        labels = [str(each) for each in values]
    widget.clear()
    for label in labels:
        widget.addItem(label)

    def write(value: Any) -> None:
        widget.currentIndex = values.index(value)

    return GuiConnector(lambda: values[widget.currentIndex], write, widget.currentIndexChanged)


def widgets_by_parameter(gui: Any) -> dict[str, Any]:
    """The widgets that carry the property SlicerParameterName, of a widget's children or of an `ui` object."""
    if getattr(gui, "isWidgetType", lambda: False)():
        widgets = gui.findChildren(qt.QWidget)
    else:
        widgets = [each for each in vars(gui).values() if hasattr(each, "property")]
    named = ((each.property(SlicerParameterNamePropertyName), each) for each in widgets)
    return {name: widget for name, widget in named if name}
