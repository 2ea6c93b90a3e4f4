"""Message boxes, questions and file dialogs that are recorded and answered by the test instead of popping up."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from PySide6 import QtWidgets

QMessageBox = QtWidgets.QMessageBox


class UnansweredQuestionError(AssertionError):
    """A dialog offered a choice and the test had not said what to answer."""


@dataclass(frozen=True)
class ShownDialog:
    """What the user would have seen.

    Attributes:
        kind: "message" for message boxes, else the name of the dialog function, for example "getOpenFileName".
        text: the main text, or the caption of a file dialog.
        detailed_text: the text behind "Show Details".
        title: the window title.
        buttons: the standard buttons' names, for example ("Cancel", "Ok"), then the texts of other buttons.
    """

    kind: str
    text: str
    informative_text: str = ""
    detailed_text: str = ""
    title: str = ""
    buttons: tuple[str, ...] = ()


@dataclass
class Dialogs:
    """The dialogs shown since the last `clear`, and the answers waiting for those to come."""

    shown: list[ShownDialog] = field(default_factory=list)
    _answers: deque[Any] = field(default_factory=deque)

    def answer(self, *answers: Any) -> None:
        """Answer the next dialogs: a button's name or text ("Ok", "Install"), or a path or text for input dialogs."""
        self._answers.extend(answers)

    @property
    def unused_answers(self) -> list[Any]:
        """Answers no dialog has asked for yet."""
        return list(self._answers)

    def clear(self) -> None:
        self.shown.clear()
        self._answers.clear()

    def take_answer(self, dialog: ShownDialog) -> Any:
        """Record the dialog and take the next answer; a message with one button needs none.

        Raises:
            UnansweredQuestionError: the dialog has a choice and no answer waits.
        """
        self.shown.append(dialog)
        if dialog.kind == "message" and len(dialog.buttons) <= 1:
            return dialog.buttons[0] if dialog.buttons else "Ok"
        if not self._answers:
            raise UnansweredQuestionError(f"no answer was prepared for {dialog}")
        return self._answers.popleft()


DIALOGS = Dialogs()


def _button_names(box: QMessageBox) -> dict[str, QtWidgets.QAbstractButton]:
    names = {}
    for button in box.buttons():
        if box.property("detailedText") and box.buttonRole(button) == QMessageBox.ButtonRole.ActionRole:
            if button.property("text").startswith("Show Details"):  # answers nothing
                continue
        standard = box.standardButton(button)
        name = button.property("text").replace("&", "")
        names[name if standard == QMessageBox.StandardButton.NoButton else standard.name] = button
    return names


def answer_message_box(box: QMessageBox) -> Any:
    """What `exec_` of a message box returns: the standard button answered, or 0 for a button of the box's own."""
    buttons = _button_names(box)
    shown = ShownDialog(
        "message",
        box.property("text"),
        box.property("informativeText"),
        box.property("detailedText"),
        box.property("windowTitle").strip(),
        tuple(buttons),
    )
    answer = DIALOGS.take_answer(shown)
    if buttons and answer not in buttons:
        raise UnansweredQuestionError(f"the answer {answer!r} is none of the buttons {sorted(buttons)} of {shown}")
    if answer in buttons:
        buttons[answer].click()
    standard = QMessageBox.StandardButton.__members__.get(answer)
    return QMessageBox.StandardButton.NoButton if standard is None else standard


def _static_message(icon: str) -> Any:
    def show(parent: Any, title: str, text: str, buttons: Any = None, default: Any = None) -> Any:
        offered = buttons or {"question": QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No}.get(
            icon, QMessageBox.StandardButton.Ok
        )
        box = QMessageBox()
        box.setWindowTitle(title)
        box.setText(text)
        box.setStandardButtons(offered)
        return answer_message_box(box)

    return staticmethod(show)


def _static_input(function: str) -> Any:
    def show(parent: Any = None, caption: str = "", *_: Any, **__: Any) -> Any:
        # PythonQt returns the value alone, where PySide6 returns a tuple with the filter or the "accepted" flag.
        return DIALOGS.take_answer(ShownDialog(function, caption))

    return staticmethod(show)


def teach_dialogs_to_record() -> None:
    """Replace the blocking functions of Qt's dialogs."""
    QMessageBox.exec = answer_message_box
    QMessageBox.exec_ = answer_message_box
    for icon in ("information", "question", "warning", "critical"):
        setattr(QMessageBox, icon, _static_message(icon))
    for function in ("getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"):
        setattr(QtWidgets.QFileDialog, function, _static_input(function))
    for function in ("getText", "getItem", "getInt", "getDouble", "getMultiLineText"):
        setattr(QtWidgets.QInputDialog, function, _static_input(function))
