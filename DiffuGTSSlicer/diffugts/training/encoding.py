"""Training cases behind the frozen foundation, made in the training's own process or beside it.

Drawing a case and encoding it cost more than learning from it. Processes of their own do both beside the training,
which takes what is ready and goes over earlier cases again while nothing is.
"""

from __future__ import annotations

import multiprocessing
import os
import queue
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional

from diffugts.foundation.autoencoder import ScanAutoencoder
from diffugts.foundation.denoiser import HoleDenoiser
from diffugts.foundation.features import fast_arithmetic, feature_channels, features_of_crops
from diffugts.training.case import Case
from diffugts.training.cases import CaseSource

LARGEST_FEATURE = 6e4
"""Of float16 a little less than the largest number."""

WAITING_CASES = 8
LOOK_FOR_PARENT_S, LOOK_FOR_MAKERS_S = 20.0, 1.0
SEED_STEP = 7919


SentCase = tuple[dict[int, np.ndarray], np.ndarray, np.ndarray, Case]


@dataclass(frozen=True)
class EncodedCase:
    """A case behind the frozen foundation: features float16, `target` and `weight` (1, 1, k/2, j/2, i/2)."""

    levels: dict[int, torch.Tensor]
    target: torch.Tensor
    weight: torch.Tensor
    case: Case

    @property
    def nbytes(self) -> int:
        """Bytes of its features."""
        return sum(level.nbytes for level in self.levels.values())

    def sent(self) -> SentCase:
        """As it goes from one process to another: by value, so that it outlives the one that made it."""
        levels = {stride: level.numpy() for stride, level in self.levels.items()}
        return levels, self.target.numpy(), self.weight.numpy(), self.case

    @classmethod
    def received(cls, sent: SentCase) -> EncodedCase:
        """What `sent` gave, in another process."""
        levels, target, weight, case = sent
        tensors = {stride: torch.from_numpy(level) for stride, level in levels.items()}
        return cls(tensors, torch.from_numpy(target), torch.from_numpy(weight), case)


class Foundation:
    """The frozen autoencoder and denoiser, turning cases into features on `device`."""

    def __init__(self, autoencoder: Path, denoiser: Path, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.autoencoder = ScanAutoencoder.from_pretrained(autoencoder).eval().requires_grad_(False).to(device)
        self.denoiser = HoleDenoiser.from_pretrained(denoiser).eval().requires_grad_(False).to(device)

    @property
    def channels(self) -> dict[int, int]:
        """Stride -> channels of the features."""
        return feature_channels(self.autoencoder, self.denoiser)

    def to(self, device: torch.device | str) -> Foundation:
        """The same foundation, moved to a device."""
        self.device = torch.device(device)
        self.autoencoder.to(device)
        self.denoiser.to(device)
        return self

    @torch.no_grad()
    def features(self, intensities: np.ndarray, modality_classes: list[int]) -> dict[int, torch.Tensor]:
        """Features by stride, float16, of crops (n, k, j, i) and their classes."""
        scans = torch.from_numpy(np.ascontiguousarray(intensities))[:, None].to(self.device, torch.float32)
        classes = torch.tensor(modality_classes, device=self.device)
        with fast_arithmetic(self.device):
            levels = features_of_crops(self.autoencoder, self.denoiser, scans, classes)
        return {stride: level.clamp(-LARGEST_FEATURE, LARGEST_FEATURE).half() for stride, level in levels.items()}

    def encode(self, case: Case) -> EncodedCase:
        """Features, target and weight of a case."""
        return EncodedCase(
            self.features(np.asarray(case.intensities, np.float32)[None], [case.modality_class]),
            halved(case.target),
            halved(case.weight),
            replace(case, intensities=case.intensities[:0]),
        )


class FreshCases:
    """Newly drawn cases, encoded. `make(seed)` gives a source and a foundation, and must be picklable.

    Without `processes` every call draws one: the same seed gives the same cases. With them they are made beside the
    training, and a call returns at once with what is ready, perhaps nothing; the first waits. Ends with `close`.
    """

    def __init__(self, make: Callable[[int], tuple[CaseSource, Foundation]], seed: int, processes: int = 0) -> None:
        self._own = make(seed) if not processes else None
        self._processes: list[multiprocessing.process.BaseProcess] = []
        self._came = False
        if processes:
            context = multiprocessing.get_context("spawn")
            self._queue = context.Queue(WAITING_CASES)
            for number in range(processes):
                arguments = (self._queue, make, seed + SEED_STEP * (number + 1))
                process = context.Process(target=_encode_for_ever, args=arguments, daemon=True)
                process.start()
                self._processes.append(process)

    def take(self) -> list[EncodedCase]:
        """What is there to be learnt from newly.

        Raises:
            RuntimeError: the processes that make the cases have ended.
        """
        if self._own is not None:
            source, foundation = self._own
            return [foundation.encode(source.draw())]
        ready: list[EncodedCase] = []
        while len(ready) < WAITING_CASES:
            self._require_makers()
            try:
                sent = self._queue.get_nowait() if self._came else self._queue.get(timeout=LOOK_FOR_MAKERS_S)
            except queue.Empty:
                if self._came:
                    return ready
                continue
            self._came = True
            ready.append(EncodedCase.received(sent))
        return ready

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
            process.join()
        self._processes.clear()

    def _require_makers(self) -> None:
        if not any(process.is_alive() for process in self._processes):
            codes = [process.exitcode for process in self._processes]
            raise RuntimeError(
                f"The processes that draw and encode the training cases have ended (exit codes {codes}). Their own "
                "message stands above. Start the training again; it goes on from its last checkpoint."
            )


def _encode_for_ever(
    cases: multiprocessing.Queue, make: Callable[[int], tuple[CaseSource, Foundation]], seed: int
) -> None:
    """Body of a process: puts encoded cases until it is ended or its parent is gone."""
    if hasattr(os, "nice"):
        os.nice(10)
    torch.set_num_threads(1)
    source, foundation = make(seed)
    parent = multiprocessing.parent_process()
    while True:
        case = foundation.encode(source.draw()).sent()
        while True:
            try:
                cases.put(case, timeout=LOOK_FOR_PARENT_S)
                break
            except queue.Full:
                if parent is None or not parent.is_alive():
                    return


def halved(mask: np.ndarray) -> torch.Tensor:
    """A mask (k, j, i) on the attention's own grid, (1, 1, k/2, j/2, i/2) float32: shares of each of its voxels."""
    return functional.avg_pool3d(torch.from_numpy(mask.astype(np.float32))[None, None], 2)
