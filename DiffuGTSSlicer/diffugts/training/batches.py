"""Training cases in batches, for a GPU: drawn and padded in processes beside the training, encoded on the device.

Crops differ in shape. A batch takes cases of similar size, filled up to the largest of them; what was filled
up carries no weight. Batches are kept on the device behind the foundation and gone over again while no new one is ready.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch

from diffugts.training.case import Case
from diffugts.training.cases import CaseSource
from diffugts.training.encoding import Foundation, halved

POOL = 4
"""Batches that are cut from one draw of cases sorted by size."""

READY_BATCHES = 4


@dataclass(frozen=True)
class CaseBatch:
    """Cases as they come from a drawing process: `intensities` (n, k, j, i), `target` and `weight` (n, k/2, j/2, i/2), float16."""

    intensities: np.ndarray
    target: np.ndarray
    weight: np.ndarray
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class EncodedBatch:
    """Cases behind the foundation: features float16 by stride, `target` and `weight` (n, 1, k/2, j/2, i/2)."""

    levels: dict[int, torch.Tensor]
    target: torch.Tensor
    weight: torch.Tensor
    cases: tuple[Case, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of their features."""
        return sum(level.nbytes for level in self.levels.values())


def batches_of(source: CaseSource, size: int) -> Callable[[], CaseBatch]:
    """What draws batches of `size` cases from `source`."""
    waiting: list[CaseBatch] = []

    def draw() -> CaseBatch:
        if not waiting:
            cases = sorted((source.draw() for _ in range(POOL * size)), key=lambda case: case.intensities.size)
            together = [collated(cases[n : n + size]) for n in range(0, len(cases), size)]
            waiting.extend(together[n] for n in source.rng.permutation(len(together)))
        return waiting.pop()

    return draw


def collated(cases: list[Case]) -> CaseBatch:
    """One batch of `cases`, filled up at their far ends with air that carries no weight."""
    shape = np.max([case.intensities.shape for case in cases], axis=0)
    filled = [[_filled(array, shape) for array in (c.intensities, c.target, c.weight)] for c in cases]
    scans, targets, weights = (list(arrays) for arrays in zip(*filled))
    return CaseBatch(
        np.stack(scans).astype(np.float16),
        torch.cat([halved(mask) for mask in targets])[:, 0].numpy().astype(np.float16),
        torch.cat([halved(mask) for mask in weights])[:, 0].numpy().astype(np.float16),
        tuple(
            replace(case, intensities=case.intensities[:0], target=case.target[:0], weight=case.weight[:0])
            for case in cases
        ),
    )


def encoded(batch: CaseBatch, foundation: Foundation) -> EncodedBatch:
    """The batch behind the foundation, on its device."""
    levels = foundation.features(batch.intensities, [case.modality_class for case in batch.cases])
    target, weight = (torch.from_numpy(a)[:, None].to(foundation.device) for a in (batch.target, batch.weight))
    return EncodedBatch(levels, target.float(), weight.float(), batch.cases)


class ReadyBatches:
    """Takes batches from `drawn` in a thread of its own, so that the training can ask whether one is there."""

    def __init__(self, drawn: Iterator[CaseBatch]) -> None:
        self._queue: queue.Queue[CaseBatch | BaseException] = queue.Queue(READY_BATCHES)
        self._closed = False
        self._thread = threading.Thread(target=self._take_for_ever, args=(drawn,), daemon=True)
        self._thread.start()

    def take(self, wait: bool) -> CaseBatch | None:
        """The next batch; without `wait` None where none is ready. Raises what a drawing process has raised."""
        try:
            came = self._queue.get(block=wait)
        except queue.Empty:
            return None
        if isinstance(came, BaseException):
            raise came
        return came

    def close(self) -> None:
        """Stop taking."""
        self._closed = True
        while self._thread.is_alive():
            with suppress(queue.Empty):  # room for what the thread holds, so that it sees that it is to end
                self._queue.get_nowait()
            self._thread.join(0.1)

    def _take_for_ever(self, drawn: Iterator[CaseBatch]) -> None:
        try:
            for batch in drawn:
                if self._closed:
                    return
                self._queue.put(batch)
        except BaseException as error:  # noqa: BLE001 - it is raised where the batch is asked for
            self._queue.put(error)


def _filled(array: np.ndarray, shape: np.ndarray) -> np.ndarray:
    return np.pad(array, [(0, int(s) - n) for n, s in zip(array.shape, shape)])
