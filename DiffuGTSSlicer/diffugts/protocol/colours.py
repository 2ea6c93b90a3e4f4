"""Colours of findings: distinguishable with any colour vision, the same for the same place in the list.

So a result's files depend on nothing but the request; in Slicer's scene a text keeps its colour on a volume instead
(`DiffuGTSSlicerLib/finding_colours.py`).

Paul Tol's "bright" scheme (Technical note SRON/EPS/TN/09-002), its grey left out.
"""

from __future__ import annotations

PALETTE: tuple[tuple[float, float, float], ...] = (
    (0.933, 0.400, 0.467),
    (0.267, 0.467, 0.667),
    (0.133, 0.533, 0.200),
    (0.800, 0.733, 0.267),
    (0.400, 0.800, 0.933),
    (0.667, 0.200, 0.467),
)


def colour(number: int) -> tuple[float, float, float]:
    """Colour (red, green, blue) 0..1 of the finding with this number, from 0."""
    return PALETTE[number % len(PALETTE)]
