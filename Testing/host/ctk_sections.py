"""Stand-ins for CTK's sections, buttons and boxes."""

from __future__ import annotations

from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from host.message_boxes import answer_message_box
from host.stand_in_classes import STAND_INS

Property, Signal = QtCore.Property, QtCore.Signal


def split_text_and_parent(arguments: tuple[Any, ...]) -> tuple[str, QtWidgets.QWidget | None]:
    """The (text, parent) of a CTK constructor that takes both in either form: Class(), Class(parent), Class(text)."""
    text = next((each for each in arguments if isinstance(each, str)), "")
    parent = next((each for each in arguments if isinstance(each, QtWidgets.QWidget)), None)
    return text, parent


@STAND_INS.add
class ctkCollapsibleButton(QtWidgets.QAbstractButton):
    """A titled section; clicking the title bar hides or shows the contents."""

    contentsCollapsed = Signal(bool)

    def __init__(self, *arguments: Any) -> None:
        text, parent = split_text_and_parent(arguments)
        super().__init__(parent)
        self._collapsed = False
        self._hidden_by_collapse: list[QtWidgets.QWidget] = []
        self._flat = False
        self.setText(text)
        self.setCheckable(True)
        self.setChecked(True)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Preferred, QtWidgets.QSizePolicy.Policy.Preferred)
        self.setContentsMargins(0, self._title_height(), 0, 0)
        self.toggled.connect(lambda checked: self._set_collapsed(not checked))

    def _title_height(self) -> int:
        """Height of the title bar in pixels."""
        return self.fontMetrics().height() + 10

    def _set_collapsed(self, collapsed: bool) -> None:
        if collapsed == self._collapsed:
            return
        self._collapsed = collapsed
        self.setChecked(not collapsed)
        if collapsed:
            children = [each for each in self.children() if isinstance(each, QtWidgets.QWidget)]
            self._hidden_by_collapse = [each for each in children if not each.isHidden()]
            for each in self._hidden_by_collapse:
                each.hide()
        else:
            for each in self._hidden_by_collapse:
                each.show()
        self.setMaximumHeight(self._title_height() if collapsed else 16777215)
        self.updateGeometry()
        self.contentsCollapsed.emit(collapsed)

    def sizeHint(self) -> QtCore.QSize:
        title = QtCore.QSize(self.fontMetrics().horizontalAdvance(self.property("text")) + 40, self._title_height())
        layout = self.layout()
        return title if self._collapsed or layout is None else title.expandedTo(layout.totalSizeHint())

    def minimumSizeHint(self) -> QtCore.QSize:
        title = QtCore.QSize(0, self._title_height())
        layout = self.layout()
        return title if self._collapsed or layout is None else title.expandedTo(layout.totalMinimumSize())

    def hitButton(self, position: QtCore.QPoint) -> bool:
        return position.y() < self._title_height()

    def paintEvent(self, event: QtGui.QPaintEvent) -> None:
        painter = QtWidgets.QStylePainter(self)
        title = QtWidgets.QStyleOptionButton()
        title.initFrom(self)
        title.rect.setHeight(self._title_height())
        painter.drawControl(QtWidgets.QStyle.ControlElement.CE_PushButtonBevel, title)
        arrow = QtWidgets.QStyleOption()
        arrow.initFrom(self)
        arrow.rect = QtCore.QRect(6, (self._title_height() - 10) // 2, 10, 10)
        style = QtWidgets.QStyle.PrimitiveElement
        painter.drawPrimitive(style.PE_IndicatorArrowRight if self._collapsed else style.PE_IndicatorArrowDown, arrow)
        painter.drawText(title.rect.adjusted(22, 0, -4, 0), QtCore.Qt.AlignmentFlag.AlignVCenter, self.property("text"))

    collapsed = Property(bool, lambda self: self._collapsed, _set_collapsed)
    collapsedHeight = Property(int, lambda self: 0)
    flat = Property(bool, lambda self: self._flat, lambda self, flat: setattr(self, "_flat", flat))


@STAND_INS.add
class ctkCollapsibleGroupBox(QtWidgets.QGroupBox):
    """A group box whose check mark hides or shows the contents."""

    def __init__(self, *arguments: Any) -> None:
        text, parent = split_text_and_parent(arguments)
        super().__init__(text, parent)
        self.setCheckable(True)
        self.setChecked(True)
        self.toggled.connect(self._show_contents)

    def _show_contents(self, shown: bool) -> None:
        for each in self.children():
            if isinstance(each, QtWidgets.QWidget):
                each.setVisible(shown)
        self.setFlat(not shown)
        self.setMaximumHeight(16777215 if shown else self.fontMetrics().height() + 8)

    collapsed = Property(
        bool, lambda self: not self.isChecked(), lambda self, collapsed: self.setChecked(not collapsed)
    )
    collapsedHeight = Property(int, lambda self: 14, lambda self, height: None)


@STAND_INS.add
class ctkPushButton(QtWidgets.QPushButton):
    """A push button."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*split_text_and_parent(arguments))


@STAND_INS.add
class ctkMenuButton(QtWidgets.QPushButton):
    """A push button with a menu beside it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*split_text_and_parent(arguments))


@STAND_INS.add
class ctkExpandButton(QtWidgets.QToolButton):
    """A tool button that shows whether something is expanded."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self.setCheckable(True)


@STAND_INS.add
class ctkColorPickerButton(QtWidgets.QPushButton):
    """A button with a colour; choosing one by dialog is left out, `setColor` works."""

    colorChanged = Signal(QtGui.QColor)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*split_text_and_parent(arguments))
        self._color = QtGui.QColor("black")
        self._display_color_name = True
        self._show_color()

    def setColor(self, color: QtGui.QColor) -> None:
        color = QtGui.QColor(color)
        if color != self._color:
            self._color = color
            self._show_color()
            self.colorChanged.emit(color)

    def _show_color(self) -> None:
        swatch = QtGui.QPixmap(16, 16)
        swatch.fill(self._color)
        self.setIcon(QtGui.QIcon(swatch))
        self.setText(self._color.name() if self._display_color_name else "")

    def _set_display_color_name(self, shown: bool) -> None:
        self._display_color_name = shown
        self._show_color()

    color = Property(QtGui.QColor, lambda self: self._color, setColor)
    displayColorName = Property(bool, lambda self: self._display_color_name, _set_display_color_name)


@STAND_INS.add
class ctkSearchBox(QtWidgets.QLineEdit):
    """A line edit for searching."""


@STAND_INS.add
class ctkFittedTextBrowser(QtWidgets.QTextBrowser):
    """A text browser."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._collapsible_text = ""

    def setCollapsibleText(self, text: str) -> None:
        self._collapsible_text = text
        self.setHtml(text)

    def collapsibleText(self) -> str:
        return self._collapsible_text


@STAND_INS.add
class ctkComboBox(QtWidgets.QComboBox):
    """A combo box that can show a text while nothing is chosen."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._default_text = ""

    def _set_default_text(self, text: str) -> None:
        self._default_text = text
        self.setPlaceholderText(text)

    def _choose_user_data(self, data: str) -> None:
        self.setCurrentIndex(self.findData(data))

    setCurrentUserDataAsString = _choose_user_data
    defaultText = Property(str, lambda self: self._default_text, _set_default_text)
    currentUserDataAsString = Property(str, lambda self: str(self.property("currentData") or ""), _choose_user_data)


@STAND_INS.add
class ctkMessageBox(QtWidgets.QMessageBox):
    """A message box with "don't show again", recorded like every message box."""

    def __init__(self, parent: QtWidgets.QWidget | None = None) -> None:
        super().__init__(parent)
        self._dont_show_again = False
        self._settings_key = ""

    def exec_(self) -> Any:
        return answer_message_box(self)

    exec = exec_

    dontShowAgain = Property(
        bool, lambda self: self._dont_show_again, lambda self, on: setattr(self, "_dont_show_again", on)
    )
    dontShowAgainSettingsKey = Property(
        str, lambda self: self._settings_key, lambda self, key: setattr(self, "_settings_key", key)
    )
    dontShowAgainVisible = Property(bool, lambda self: bool(self._settings_key), lambda self, on: None)
