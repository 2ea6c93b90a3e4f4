"""A look at several volumes before anything runs: what does not fit, of each in a line, and the orders that can be made.

Voxels of every volume are looked at once for each state of it, and no longer than a moment at a time: what is left is
looked at in the next turn of the event loop.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import qt
from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError
from diffugts.protocol.lines import description_lines
from DiffuGTSSlicerLib.job import Order
from DiffuGTSSlicerLib.segmentation_inputs import SegmentationInputs, no_description
from DiffuGTSSlicerLib.sentences_about import about

LOOK_S = 0.03
"""After so long the next volume waits for the next turn; one takes about half of it at 512 x 512 x 300 voxels."""

MOST_LINES = 5


class SeveralPreflight:
    """What was found at the last look.

    Args:
        find_warnings: sentences on what is unusual in a volume; takes milliseconds.
        go_on: called when there is time for another look.

    `orders` are those of all volumes, empty unless each of them can be made; `missing` a sentence for everything that
    keeps them from being made; `said` sentences by the ID of their volume.
    """

    def __init__(
        self, find_warnings: Callable[[SegmentationInputs], tuple[str, ...]], go_on: Callable[[], None]
    ) -> None:
        self._find_warnings = find_warnings
        self._seen: dict[str, tuple[tuple[object, ...], tuple[str, ...]]] = {}
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.connect("timeout()", go_on)
        self._region = ""
        self._names: dict[str, str] = {}
        self.orders: tuple[Order, ...] = ()
        self.missing: tuple[str, ...] = ()
        self.said: dict[str, tuple[str, ...]] = {}

    def cleanup(self) -> None:
        """Look at nothing more."""
        self._timer.stop()

    def look(self, each: Sequence[SegmentationInputs], chosen: SegmentationInputs) -> None:
        """Look at several volumes. `chosen` are the inputs of the one whose region there may be."""
        self.orders, self.missing, self.said = (), (), {}
        self._names = {inputs.volume.GetID(): inputs.volume.GetName() for inputs in each if inputs.volume is not None}
        self._region = _where_the_region_holds(each, chosen)
        looked = self._look_at_some(each)
        if len(looked) < len(each):
            text = _("Looking at the volumes: {done} of {count}.")
            self.missing = (text.format(done=len(looked), count=len(each)),)
            self._timer.start()
            return
        problems = [about(self._names[identifier], each) for identifier, each in looked.items() if each]
        if each and not description_lines(each[0].descriptions):
            problems.append(no_description())
        if not problems:
            try:
                self.orders = tuple(inputs.order() for inputs in each)
            except DiffuGTSError as error:
                problems.append(str(error))
        self.missing = tuple(dict.fromkeys(problems))

    def lines(self) -> list[str]:
        """What does not fit, a short line each; the first few where there are many."""
        found = [about(self._names[identifier], each) for identifier, said in self.said.items() for each in said]
        shown = found[:MOST_LINES] if len(found) > MOST_LINES + 1 else found
        lines = [f"⚠ {sentence}" for sentence in shown]
        if len(shown) < len(found):
            more = _("… and {count} more: hold the mouse over the volumes in the list.")
            lines.append(more.format(count=len(found) - len(shown)))
        return [*lines, *([self._region] if self._region else [])]

    def _look_at_some(self, each: Sequence[SegmentationInputs]) -> dict[str, str]:
        """The problem of each volume, empty where it has none, by its ID; as far as there was time."""
        ends = time.perf_counter() + LOOK_S
        looked: dict[str, str] = {}
        for inputs in each:
            state = _state_of(inputs)
            identifier = str(state[0])
            if self._seen.get(identifier, ((), ()))[0] != state:
                if time.perf_counter() > ends:
                    continue
                self._seen[identifier] = (state, self._find_warnings(inputs))
            problems = inputs.problems()
            looked[identifier] = next(iter(problems), "")
            if problems or self._seen[identifier][1]:
                self.said[identifier] = (*problems, *self._seen[identifier][1])
        return looked


def _state_of(inputs: SegmentationInputs) -> tuple[object, ...]:
    """What warnings on a volume depend on, its ID first."""
    volume = inputs.volume
    image = volume.GetImageData() if volume is not None else None
    times = (volume.GetMTime(), image.GetMTime() if image is not None else 0) if volume is not None else ()
    return (volume.GetID() if volume is not None else "", *times, inputs.modality, inputs.model)


def _where_the_region_holds(each: Sequence[SegmentationInputs], chosen: SegmentationInputs) -> str:
    """A sentence, where a region is chosen and does not hold for all volumes."""
    if chosen.roi is None or all(inputs.roi is not None for inputs in each):
        return ""
    if chosen.volume is not None and any(inputs.roi is not None for inputs in each):
        text = _("The region holds for '{name}' alone; the other volumes are searched as a whole.")
        return text.format(name=chosen.volume.GetName())
    return _("The region holds for the volume above alone, which is not ticked: it is not used.")
