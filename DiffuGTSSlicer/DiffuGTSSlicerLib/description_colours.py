"""The colour of every description's segment, drawn beside its line while it is typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import qt

from diffugts.protocol.lines import description_lines
from DiffuGTSSlicerLib.finding_colours import Colour

DOT_PX = 10


class DescriptionColours:
    """Draws dots on a label that stands left of the text, as high as the text.

    Args:
        edit: the descriptions, one per line.
        strip: where the dots are drawn.
        colours_of: the colours that the segments of different descriptions will have, in their order.
    """

    def __init__(
        self, edit: qt.QTextEdit, strip: qt.QLabel, colours_of: Callable[[Sequence[str]], Sequence[Colour]]
    ) -> None:
        self._edit, self._strip, self._colours_of = edit, strip, colours_of
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
        for middle_px, colour in self._places():
            painter.setBrush(qt.QBrush(qt.QColor(*(round(255 * share) for share in colour))))
            painter.drawEllipse(qt.QRectF(1.0, middle_px - DOT_PX / 2, DOT_PX, DOT_PX))
        painter.end()
        self._strip.setPixmap(picture)

    def _places(self) -> list[tuple[float, Colour]]:
        """The middle of each description's first line in pixels from the top, and its segment's colour."""
        found, document = [], self._edit.document
        lines = [description_lines([document.findBlockByNumber(n).text()]) for n in range(document.blockCount)]
        different = list(dict.fromkeys(text for texts in lines for text in texts))
        colours = dict(zip(different, self._colours_of(different)))
        for place, texts in enumerate(lines):
            if texts:
                line = self._edit.cursorRect(qt.QTextCursor(document.findBlockByNumber(place)))
                found.append((float(line.center().y() + self._edit.frameWidth), colours[texts[0]]))
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
