"""The colour of every finding in the scene: on one volume a text keeps its colour, and different texts differ.

The result files of a run give colours by the place in the list, as there is no scene behind them (`diffugts.protocol.colours`).
In the scene a second run may ask something else, or the same in another order; there the colours of here are taken.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import slicer

from diffugts.protocol.colours import PALETTE

Colour = tuple[float, float, float]
"""Red, green, blue, 0..1."""

NAME_WIDTH = 200


class VolumeColours:
    """The colours that the findings of one volume have, by the names of their segments."""

    def __init__(self, taken: Mapping[str, Colour]) -> None:
        self._taken = dict(taken)

    @classmethod
    def of(cls, results: Iterable[slicer.vtkMRMLSegmentationNode]) -> VolumeColours:
        """Of the volume's results as they are now, the newest last: its colour counts where a text was looked for twice.

        Whoever chose a colour, it is kept; deleted segments have set theirs free.
        """
        taken: dict[str, Colour] = {}
        for node in results:
            segmentation = node.GetSegmentation()
            for number in range(segmentation.GetNumberOfSegments()):
                segment = segmentation.GetNthSegment(number)
                taken[segment.GetName()] = segment.GetColor()
        return cls(taken)

    def take(self, descriptions: Iterable[str]) -> tuple[Colour, ...]:
        """A colour for each description: the one that its text has already, or the first free one, which it then has."""
        return tuple(self._taken.setdefault(segment_name(text), self._next()) for text in descriptions)

    def _next(self) -> Colour:
        """The first colour of the palette that is not taken; where all are, the first of those taken least often."""
        times = Counter(_rounded(colour) for colour in self._taken.values())
        return min(PALETTE, key=lambda colour: times[_rounded(colour)])


def segment_name(description: str) -> str:
    """The name of a description's segment: in one line, and not too long for a table."""
    line = " ".join(description.split())
    return line if len(line) <= NAME_WIDTH else line[: NAME_WIDTH - 1] + "…"


def _rounded(colour: Colour) -> Colour:
    """A file keeps a colour in few digits."""
    return tuple(round(share, 2) for share in colour)  # type: ignore[return-value]
