"""What a training has learnt from and goes over again, within a bound of memory."""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

import numpy as np
import psutil
import torch

SHARE_OF_MEMORY = 0.4
"""Of a device's memory, or the machine's: a full-size foundation's features are some 50 MB a case."""


class _Held(Protocol):
    @property
    def nbytes(self) -> int: ...


Item = TypeVar("Item", bound=_Held)


class Replay(Generic[Item]):
    """The last items, at most `most` of them and `most_bytes` in all; at least the last one."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self.most, self.most_bytes = most, most_bytes
        self._items: list[Item] = []

    def __len__(self) -> int:
        return len(self._items)

    def add(self, item: Item) -> None:
        """Remember an item; the oldest make room."""
        self._items.append(item)
        del self._items[: -self.most]
        while len(self._items) > 1 and sum(i.nbytes for i in self._items) > self.most_bytes:
            del self._items[0]

    def one(self, rng: np.random.Generator) -> Item:
        """One of them, drawn."""
        return self._items[rng.integers(len(self._items))]


def bytes_to_remember(device: torch.device) -> int:
    """Bytes of features that may be held for a device: on it where it is a GPU, else in the machine's memory."""
    if device.type == "cuda":
        return int(SHARE_OF_MEMORY * torch.cuda.get_device_properties(device).total_memory)
    return int(SHARE_OF_MEMORY * psutil.virtual_memory().total)
