"""The colour of every description's segment, drawn beside its line while it is typed."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import qt

from diffugts.protocol.colours import colour
from diffugts.protocol.lines import description_lines

DOT_PX = 10


class DescriptionColours:
    """Draws dots on a label that stands left of the text, as high as the text.

    Args:
        edit: the descriptions, one per line.
        strip: where the dots are drawn.
    """

    def __init__(self, edit: qt.QTextEdit, strip: qt.QLabel) -> None:
        self._edit, self._strip = edit, strip
        edit.connect("textChanged()", self.draw)
        edit.verticalScrollBar().connect("valueChanged(int)", self.draw)
        self._resizing = _ResizeFilter(self.draw)
        edit.installEventFilter(self._resizing)

    def draw(self) -> None:
        """Draw the dots anew."""
        size = qt.QSize(DOT_PX + 2, max(self._edit.height, 1))
        picture = qt.QPixmap(size)
        picture.fill(qt.QColor(0, 0, 0, 0))
        painter = qt.QPainter(picture)
        painter.setRenderHint(qt.QPainter.Antialiasing)
        painter.setPen(qt.QPen(qt.Qt.NoPen))
        for middle_px, number in self._places():
            painter.setBrush(qt.QBrush(qt.QColor(*(round(255 * share) for share in colour(number)))))
            painter.drawEllipse(qt.QRectF(1.0, middle_px - DOT_PX / 2, DOT_PX, DOT_PX))
        painter.end()
        self._strip.setPixmap(picture)

    def _places(self) -> list[tuple[float, int]]:
        """The middle of each description's first line in pixels from the top, and the number of its finding."""
        found, document = [], self._edit.document
        texts = [document.findBlockByNumber(n).text() for n in range(document.blockCount)]
        for place, number in enumerate(finding_numbers(texts)):
            if number is not None:
                line = self._edit.cursorRect(qt.QTextCursor(document.findBlockByNumber(place)))
                found.append((float(line.center().y() + self._edit.frameWidth), number))
        return found


class _ResizeFilter(qt.QObject):
    """Calls back once a widget has taken a new size: Qt has no signal for it, and the text is wrapped anew then."""

    def __init__(self, resized: Callable[[], None]) -> None:
        super().__init__()
        self._resized = resized

    def eventFilter(self, watched: qt.QObject, event: qt.QEvent) -> bool:
        """Let every event pass."""
        if event.type() == qt.QEvent.Resize:
            qt.QTimer.singleShot(0, self._resized)
        return False


def finding_numbers(lines: Iterable[str]) -> list[int | None]:
    """For every line the number of its finding, from 0: a repetition has that of the first, an empty line none."""
    numbers: dict[str, int] = {}
    cleaned = ("".join(description_lines([line])) for line in lines)
    return [numbers.setdefault(line, len(numbers)) if line else None for line in cleaned]
