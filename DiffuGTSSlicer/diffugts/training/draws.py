"""Training draws made in processes beside the training, by torch's DataLoader.

What is drawn are numpy arrays: nothing a drawing process does touches a GPU or needs torch's threads.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from torch.utils.data import DataLoader, IterableDataset, get_worker_info

Drawn = TypeVar("Drawn")

SEED_STEP = 7919
"""Between the seeds of two processes: every one draws something else."""

START = "fork" if sys.platform == "linux" else "spawn"
"""How processes are started: forked ones share what was read already."""

WAITING = 3
"""Draws that a process makes ahead of the training."""


class _Endless(IterableDataset, Generic[Drawn]):
    def __init__(self, make: Callable[[int], Callable[[], Drawn]], seed: int) -> None:
        self.make, self.seed = make, seed

    def __iter__(self) -> Iterator[Drawn]:
        worker = get_worker_info()
        draw = self.make(self.seed + (SEED_STEP * (worker.id + 1) if worker else 0))
        while True:
            yield draw()


def _as_drawn(drawn: Drawn) -> Drawn:
    """Arrays stay arrays: as tensors they would go through shared memory, of which containers have little."""
    return drawn


def draws(make: Callable[[int], Callable[[], Drawn]], seed: int, processes: int = 0) -> Iterator[Drawn]:
    """Draws without end: `make(seed)` gives what draws one.

    Without `processes` each is drawn when it is asked for, and the same seed gives the same ones. With them they come
    from one process after the other. On Linux these are forked, so that `make` may hold gigabytes of volumes, which all
    share; elsewhere `make` has to be picklable. They end with the iterator. A fault in one is raised here.
    """
    if not processes:
        return iter(_Endless(make, seed))
    loader = DataLoader(
        _Endless(make, seed),
        batch_size=None,
        num_workers=processes,
        prefetch_factor=WAITING,
        collate_fn=_as_drawn,
        multiprocessing_context=START,
    )
    return iter(loader)
