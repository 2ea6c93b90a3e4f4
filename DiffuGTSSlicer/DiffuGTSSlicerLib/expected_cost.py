"""About how long a job will take and how much memory: measured once, corrected by every job on this computer."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from diffugts.protocol import Quality
from DiffuGTSSlicerLib.job import Order

SETTINGS_KEY = "DiffuGTS/Pace"

WORKING_SPACING_MM = 2.0
START_S, EXCHANGE_S = 8.0, 1.0
"""Seconds to start the worker and load the model, and to write and read the files where it runs already."""

SECONDS_PER_MILLION_VOXELS = {Quality.FAST: 1.08, Quality.STANDARD: 1.44, Quality.THOROUGH: 2.05}
SECONDS_FOR_KEPT_SCAN = {Quality.FAST: 0.0, Quality.STANDARD: 0.52, Quality.THOROUGH: 1.15}
MEMORY_BASE_GB, MEMORY_GB_PER_MILLION_VOXELS = 0.7, 0.35
"""The compact model on two cores (docs/benchmarks.md, a chest CT of 10.4 million voxels of 2 mm), without what each description
adds. Inpainting takes the longer the more is found: what comes out is a first guess, until a job of that quality was seen
here."""

SECONDS_PER_DESCRIPTION, BYTES_PER_DESCRIPTION = 0.013, 5
"""What each description adds, by the scan's own voxels: seconds per million of them (docs/benchmarks.md, a second one on the kept
scan), and bytes per voxel for its score map in single precision and its mask, which are kept until the result is written."""

LEARNING_RATE = 0.5
QUICKEST, SLOWEST = 0.01, 100.0
MODEL_WITH_KNOWN_COST = "compact"


@dataclass(frozen=True)
class ExpectedCost:
    """`seconds` to the result and `memory_gb` of the worker at its peak; None where nothing is known yet."""

    seconds: float | None
    memory_gb: float | None

    @classmethod
    def together(cls, costs: Iterable[ExpectedCost]) -> ExpectedCost:
        """The cost of jobs one after the other; not known where that of one is not."""
        seconds, memory_gb = zip(*((cost.seconds, cost.memory_gb) for cost in costs))
        return cls(
            None if None in seconds else sum(seconds),
            None if None in memory_gb else max(memory_gb),
        )

    def in_words(self) -> str:
        """For the panel, such as "Takes about 40 s and 2.1 GB of memory."; empty where nothing is known."""
        if self.seconds is None:
            return ""
        time = duration_in_words(self.seconds)
        if self.memory_gb is None:
            return _("Takes about {time}.").format(time=time)
        return _("Takes about {time} and {memory:.1f} GB of memory.").format(time=time, memory=self.memory_gb)


class Pace:
    """How much slower or quicker than measured this computer is, by model, device and quality; kept in Slicer's settings."""

    def expected(self, order: Order, kept: bool, worker_runs: bool) -> ExpectedCost:
        """The cost of an order; `kept` where the worker still has the scan's features."""
        factor = self._factor(order)
        if factor is None:
            return ExpectedCost(None, None)
        memory = MEMORY_BASE_GB + MEMORY_GB_PER_MILLION_VOXELS * _working_voxels(order) / 1e6
        memory += len(order.descriptions) * BYTES_PER_DESCRIPTION * math.prod(order.geometry.dimensions) / 1e9
        known_memory = _model_name(order) == MODEL_WITH_KNOWN_COST and not order.device.startswith("cuda")
        return ExpectedCost(factor * _measured_s(order, kept, worker_runs), memory if known_memory else None)

    def learn(self, order: Order, kept: bool, worker_ran: bool, seconds: float) -> None:
        """Take in how long a finished job took."""
        met, before = seconds / _measured_s(order, kept, worker_ran), self._factor(order)
        factor = met if before is None else before * (met / before) ** LEARNING_RATE
        qt.QSettings().setValue(_key(order), f"{min(max(factor, QUICKEST), SLOWEST):.3f}")

    def _factor(self, order: Order) -> float | None:
        try:
            return float(slicer.util.settingsValue(_key(order), ""))
        except ValueError:
            return 1.0 if _model_name(order) == MODEL_WITH_KNOWN_COST and order.device in ("auto", "cpu") else None


def duration_in_words(seconds: float) -> str:
    """A duration as one says it: "5 s", "40 s", "3 min"."""
    if seconds < 20:
        return _("{seconds} s").format(seconds=5 * max(1, round(seconds / 5)))
    if seconds < 90:
        return _("{seconds} s").format(seconds=10 * round(seconds / 10))
    return _("{minutes} min").format(minutes=math.ceil(seconds / 60))


def _measured_s(order: Order, kept: bool, worker_runs: bool) -> float:
    rate = (SECONDS_FOR_KEPT_SCAN if kept else SECONDS_PER_MILLION_VOXELS)[order.quality]
    attending = SECONDS_PER_DESCRIPTION * len(order.descriptions) * math.prod(order.geometry.dimensions)
    return (EXCHANGE_S if worker_runs else START_S) + (rate * _working_voxels(order) + attending) / 1e6


def _working_voxels(order: Order) -> float:
    """Voxels of the grid that the networks see."""
    grid = order.geometry
    return grid.voxel_ml * 1000.0 * math.prod(grid.dimensions) / WORKING_SPACING_MM**3


def _key(order: Order) -> str:
    names = f"{_model_name(order)} {order.device} {order.quality.value}"
    return f"{SETTINGS_KEY}/" + "".join(sign if sign.isalnum() else "-" for sign in names)


def _model_name(order: Order) -> str:
    """A model's name, where the order names it by its folder too."""
    return Path(order.model).name
