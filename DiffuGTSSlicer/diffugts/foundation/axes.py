"""The order of axes a network was trained with.

Tensors here are (n, c, k, j, i) with k, j, i running to superior, posterior and left. MAISI's scripts orient scans to
"RAS" and read them as (x, y, z), running to right, anterior and superior (NV-Generate-CTMR, scripts/transforms.py):
its kernels are not symmetric, so that a scan must be turned for it. Turning interpolates nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

AxisOrder = Literal["kji", "xyz"]
"""What a network reads: "kji", tensors as they are here; "xyz", MAISI's."""


def to_network(tensor: torch.Tensor, order: AxisOrder) -> torch.Tensor:
    """(n, c, k, j, i) as a network of this `order` reads it."""
    return tensor if order == "kji" else tensor.permute(0, 1, 4, 3, 2).flip(2, 3)


def from_network(tensor: torch.Tensor, order: AxisOrder) -> torch.Tensor:
    """What a network of this `order` returned, as (n, c, k, j, i): the inverse of `to_network`."""
    return tensor if order == "kji" else tensor.flip(2, 3).permute(0, 1, 4, 3, 2)


def box_to_network(
    box: tuple[slice, slice, slice], size: Sequence[int], order: AxisOrder
) -> tuple[slice, slice, slice]:
    """Slices (k, j, i) of a volume of `size` (k, j, i) as slices of what `to_network` makes of it."""
    if order == "kji":
        return box
    k, j, i = box
    return slice(size[2] - i.stop, size[2] - i.start), slice(size[1] - j.stop, size[1] - j.start), k
