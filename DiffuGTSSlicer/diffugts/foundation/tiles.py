"""Cutting a volume that is too large for a network into tiles with a halo."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_CUTS = 16
"""Tiles along one axis that are considered at most."""

Box = tuple[slice, slice, slice]

NOTHING_AROUND = ((0, 0), (0, 0), (0, 0))


@dataclass(frozen=True)
class Tile:
    """`core`, the part of the volume this tile answers for, and `wide`, the part the network must see; slices (k, j, i).

    Where there is more around the volume, `wide` begins below 0 or ends beyond its size.
    """

    core: Box
    wide: Box

    @property
    def inner(self) -> Box:
        """The core, counted from the first element of `wide`."""
        k, j, i = (slice(c.start - w.start, c.stop - w.start) for c, w in zip(self.core, self.wide))
        return k, j, i


def tiles(
    size: Sequence[int], most: int, halo: int, step: int, around: Sequence[tuple[int, int]] = NOTHING_AROUND
) -> list[Tile]:
    """Tiles whose cores make up a volume of `size` (k, j, i), none wider than `most` elements with its halo.

    Cores begin at multiples of `step`. `around` are the elements before and after the volume, along each axis, that halos
    reach into. Among the ways to cut, the one with the least to compute is taken; where none is small enough, the one with
    the smallest tiles.
    """
    cuts = [_cuts(n, halo, step, beyond) for n, beyond in zip(size, around)]
    choices = list(itertools.product(*cuts))
    fitting = [c for c in choices if math.prod(_widest(axis) for axis in c) <= most]
    best = (
        min(fitting, key=lambda c: (math.prod(_computed(axis) for axis in c), sum(len(axis) for axis in c)))
        if fitting
        else min(choices, key=lambda c: math.prod(_widest(axis) for axis in c))
    )
    return [Tile((k[0], j[0], i[0]), (k[1], j[1], i[1])) for k, j, i in itertools.product(*best)]


Cut = list[tuple[slice, slice]]
"""One axis cut into (core, wide) pieces."""


def _cuts(size: int, halo: int, step: int, around: tuple[int, int]) -> list[Cut]:
    thicknesses = {math.ceil(size / count / step) * step for count in range(1, MOST_CUTS + 1)}
    return [list(_pieces(size, thickness, halo, around)) for thickness in sorted(thicknesses, reverse=True)]


def _pieces(size: int, thickness: int, halo: int, around: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    before, after = around
    for start in range(0, size, thickness):
        stop = min(start + thickness, size)
        yield slice(start, stop), slice(max(-before, start - halo), min(size + after, stop + halo))


def _widest(cut: Cut) -> int:
    return max(wide.stop - wide.start for _, wide in cut)


def _computed(cut: Cut) -> int:
    return sum(wide.stop - wide.start for _, wide in cut)
