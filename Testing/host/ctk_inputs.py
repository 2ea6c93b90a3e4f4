"""Stand-ins for CTK's sliders, spin boxes and path fields."""

from __future__ import annotations

import os
from typing import Any

from PySide6 import QtCore, QtWidgets

from host.stand_in_classes import STAND_INS

Property, Signal = QtCore.Property, QtCore.Signal

_SLIDER_STEPS = 1000


def _row(widget: QtWidgets.QWidget, *children: QtWidgets.QWidget) -> None:
    layout = QtWidgets.QHBoxLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    for child in children:
        layout.addWidget(child)


class _ValueInRange(QtWidgets.QWidget):
    """A spin box whose value, range, step, decimals and texts are properties, as CTK's widgets have them."""

    valueChanged = Signal(float)
    decimalsChanged = Signal(int)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._spin_box = QtWidgets.QDoubleSpinBox(self)
        self._spin_box.setMaximum(99.0)
        self._spin_box.valueChanged.connect(self._value_changed)

    def _value_changed(self, value: float) -> None:
        self.valueChanged.emit(value)

    def setValue(self, value: float) -> None:
        self._spin_box.setValue(value)

    def setDecimals(self, decimals: int) -> None:
        self._spin_box.setDecimals(decimals)
        self.decimalsChanged.emit(decimals)

    def _set_minimum(self, minimum: float) -> None:
        self._spin_box.setMinimum(minimum)

    def _set_maximum(self, maximum: float) -> None:
        self._spin_box.setMaximum(maximum)

    def _of_spin_box(self, name: str) -> Any:
        return self._spin_box.property(name)

    value = Property(float, lambda self: self._of_spin_box("value"), setValue)
    minimum = Property(float, lambda self: self._of_spin_box("minimum"), lambda self, value: self._set_minimum(value))
    maximum = Property(float, lambda self: self._of_spin_box("maximum"), lambda self, value: self._set_maximum(value))
    decimals = Property(int, lambda self: self._of_spin_box("decimals"), setDecimals)
    singleStep = Property(
        float, lambda self: self._of_spin_box("singleStep"), lambda self, step: self._spin_box.setSingleStep(step)
    )
    prefix = Property(str, lambda self: self._of_spin_box("prefix"), lambda self, text: self._spin_box.setPrefix(text))
    suffix = Property(str, lambda self: self._of_spin_box("suffix"), lambda self, text: self._spin_box.setSuffix(text))


@STAND_INS.add
class ctkSliderWidget(_ValueInRange):
    """A slider with a spin box."""

    valueIsChanging = Signal(float)

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._slider = QtWidgets.QSlider(QtCore.Qt.Orientation.Horizontal, self)
        self._slider.setRange(0, _SLIDER_STEPS)
        self._slider.sliderMoved.connect(self._slider_moved)
        self._tracking = True
        self._page_step = 10.0
        _row(self, self._slider, self._spin_box)

    def _slider_moved(self, position: int) -> None:
        low, high = self._of_spin_box("minimum"), self._of_spin_box("maximum")
        self.valueIsChanging.emit(low + (high - low) * position / _SLIDER_STEPS)
        self._spin_box.setValue(low + (high - low) * position / _SLIDER_STEPS)

    def _place_slider(self) -> None:
        low, high = self._of_spin_box("minimum"), self._of_spin_box("maximum")
        share = (self._of_spin_box("value") - low) / (high - low) if high > low else 0.0
        self._slider.setValue(round(share * _SLIDER_STEPS))

    def _value_changed(self, value: float) -> None:
        self._place_slider()
        self.valueChanged.emit(value)

    def _set_minimum(self, minimum: float) -> None:
        super()._set_minimum(minimum)
        self._place_slider()

    def _set_maximum(self, maximum: float) -> None:
        super()._set_maximum(maximum)
        self._place_slider()

    def reset(self) -> None:
        self.setValue(0.0)

    def setSpinBoxVisible(self, shown: bool) -> None:
        self._spin_box.setVisible(shown)

    def _set_tracking(self, tracking: bool) -> None:
        self._tracking = tracking
        self._spin_box.setKeyboardTracking(tracking)

    tracking = Property(bool, lambda self: self._tracking, _set_tracking)
    pageStep = Property(float, lambda self: self._page_step, lambda self, step: setattr(self, "_page_step", step))
    spinBoxVisible = Property(bool, lambda self: not self._spin_box.isHidden(), setSpinBoxVisible)


@STAND_INS.add
class ctkDoubleSpinBox(_ValueInRange):
    """A spin box for floating point numbers."""

    editingFinished = Signal()

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._spin_box.editingFinished.connect(self.editingFinished.emit)
        _row(self, self._spin_box)

    def stepUp(self) -> None:
        self._spin_box.stepUp()

    def stepDown(self) -> None:
        self._spin_box.stepDown()


class _ChosenPath(QtWidgets.QWidget):
    """A line for a path with a browse button; the path lies in the line, as the user typed it."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._line = QtWidgets.QComboBox(self)
        self._line.setEditable(True)
        self._line.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._browse_button = QtWidgets.QToolButton(self)
        self._browse_button.setText("...")
        self._browse_button.clicked.connect(lambda: self.browse())
        self._line.editTextChanged.connect(self._path_changed)
        _row(self, self._line, self._browse_button)

    def _path(self) -> str:
        return self._line.property("currentText")

    def _path_changed(self, path: str) -> None:
        raise NotImplementedError("a path field says what follows from a new path")

    def browse(self) -> None:
        path = QtWidgets.QFileDialog.getExistingDirectory(self, "Select a path", self._path())
        if path:
            self._line.setEditText(path)


@STAND_INS.add
class ctkPathLineEdit(_ChosenPath):
    """A line for a file or folder, with history; the history is kept for the session of the widget only."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)

    # CTK's filters, of which Files, Dirs and Executable are set by modules.
    Dirs, Files, Executable = 0x1, 0x2, 0x40

    def __init__(self, *arguments: Any) -> None:
        super().__init__(next((each for each in arguments if isinstance(each, QtWidgets.QWidget)), None))
        self._valid = False
        self._settings_key = ""
        self._label = ""
        self._name_filters: list[str] = []
        self._filters = self.Dirs | self.Files

    def _path_changed(self, path: str) -> None:
        valid = os.path.exists(path)
        if valid != self._valid:
            self._valid = valid
            self.validInputChanged.emit(valid)
        self.currentPathChanged.emit(path)

    def setCurrentPath(self, path: str) -> None:
        self._line.setEditText(path)

    def addCurrentPathToHistory(self) -> None:
        if self._line.findText(self._path()) < 0:
            self._line.addItem(self._path())

    def comboBox(self) -> QtWidgets.QComboBox:
        return self._line

    currentPath = Property(str, lambda self: self._path(), setCurrentPath)
    settingKey = Property(str, lambda self: self._settings_key, lambda self, key: setattr(self, "_settings_key", key))
    label = Property(str, lambda self: self._label, lambda self, text: setattr(self, "_label", text))
    filters = Property("QVariant", lambda self: self._filters, lambda self, value: setattr(self, "_filters", value))
    nameFilters = Property(
        "QStringList", lambda self: self._name_filters, lambda self, value: setattr(self, "_name_filters", value)
    )
    showBrowseButton = Property(
        bool, lambda self: not self._browse_button.isHidden(), lambda self, on: self._browse_button.setVisible(on)
    )
    showHistoryButton = Property(bool, lambda self: True, lambda self, on: None)


@STAND_INS.add
class ctkDirectoryButton(_ChosenPath):
    """A button that chooses a folder."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def _path_changed(self, path: str) -> None:
        self.directoryChanged.emit(path)

    directory = Property(str, lambda self: self._path(), lambda self, path: self._line.setEditText(path))
