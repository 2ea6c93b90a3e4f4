"""A pipeline that computes something simple but real, in slow steps: for tests of what stands around a pipeline.

The score of a voxel is how far its smoothed value lies above the scan's mean; findings, lesions and verdicts are the
engine's own. Needs no torch, so that a test's worker starts in a moment. A description may ask for trouble:

    crash               raises an error that nobody foresees
    exit                a library ends the process
    print               prints on standard output, from Python, from C and from a child process
    no memory           memory runs out, unless in small tiles
    no memory at all    memory runs out
    fill the memory     asks for more and more of it, until the system refuses
    deaf                computes for a minute without a callback
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from diffugts.errors import Cancelled
from diffugts.findings.finding import Finding, ModelIdentity, Segmentation
from diffugts.findings.lesions import VerdictRule, cut, measure_lesions, verdict
from diffugts.preset import ModelPreset
from diffugts.protocol import ProgressCallback, Quality, Region, Stage
from diffugts.scans.scan import Scan
from diffugts.views import View
from diffugts.worker.loading import LoadedModel

STEPS = 10


@dataclass(frozen=True)
class SmoothedScan:
    """What the stand-in keeps of a scan."""

    scan: Scan
    smooth: np.ndarray
    further: Mapping[View, np.ndarray] = field(default_factory=dict)

    def seen_by(self, views: Collection[View]) -> SmoothedScan:
        return replace(self, further={view: self.further[view] for view in views})

    @property
    def nbytes(self) -> int:
        return self.scan.voxels.nbytes + self.smooth.nbytes + sum(s.nbytes for s in self.further.values())


def brought_back(view: View, seen: np.ndarray) -> np.ndarray:
    """What was seen of a scan, where the scan lies."""
    part = seen[(slice(view.shift_voxels, None),) * 3]
    return part[:, :, ::-1] if view.mirrored else part


def smoothed(voxels: np.ndarray) -> np.ndarray:
    """Means of 3 x 3 x 3 voxels, a voxel off centre: as with a network, every view differs."""
    return ndimage.uniform_filter(voxels, 3, origin=(0, 0, 1))


class StandInPipeline:
    """See above. Every step of a stage takes `step_s` seconds."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.preset = ModelPreset("stand-in", "Smoothing instead of a model")
        self.low_memory = False
        self.step_s = step_s
        self.encoded = 0
        """Scans encoded so far."""

    def encode(
        self, scan: Scan, progress: ProgressCallback | None = None, views: Collection[View] = ()
    ) -> SmoothedScan:
        self.encoded += 1
        self._steps(Stage.ENCODING, progress)
        further = {view: smoothed(view.seen(scan.voxels, 1)) for view in views}
        return SmoothedScan(scan, smoothed(scan.voxels), further)

    def __call__(
        self,
        scan: Scan | SmoothedScan,
        descriptions: Sequence[str],
        quality: str | Quality = Quality.STANDARD,
        region: Region | None = None,
        threshold: float | None = None,
        smallest_lesion_ml: float = 0.1,
        seed: int = 0,
        progress: ProgressCallback | None = None,
    ) -> Segmentation:
        assert isinstance(scan, SmoothedScan), "a job encodes first"
        smooth = np.mean([scan.smooth, *(brought_back(view, seen) for view, seen in scan.further.items())], axis=0)
        rule = VerdictRule(threshold if threshold is not None else self.preset.threshold)
        findings: list[Finding] = []
        healthy = None
        cancelled = False
        try:
            for number, description in enumerate(descriptions):
                self._steps(Stage.ATTENDING, progress, number, len(descriptions))
                self._trouble(description)
                score = 1 / (1 + np.exp(-(smooth - smooth.mean()) / smooth.std() + 2))
                mask = cut(score, rule.threshold, smallest_lesion_ml, scan.scan.geometry)
                lesions = measure_lesions(mask, score, scan.scan)
                decision, notes = verdict(description, score, lesions, 1.0, rule)
                highest = float(score.max())
                score = score.astype(np.float32)
                findings.append(
                    Finding(description, score, mask, decision, highest, 1.0, rule.threshold, lesions, notes)
                )
            if quality != Quality.FAST:
                self._steps(Stage.INPAINTING, progress)
                healthy = np.where(findings[0].mask, np.median(scan.scan.voxels), scan.scan.voxels).astype(np.float32)
                self._steps(Stage.REFINING, progress)
        except Cancelled:
            if not findings:
                raise
            cancelled = True
        return Segmentation(
            scan=scan.scan,
            findings=findings,
            pseudo_healthy=healthy,
            residual=None if healthy is None else scan.scan.voxels - healthy,
            hole=None if healthy is None else findings[0].mask,
            quality=Quality(quality),
            seed=seed,
            timings_s={"attend_s": STEPS * self.step_s},
            model=ModelIdentity("stand-in", "", "0" * 64),
            device="cpu",
            cancelled=cancelled,
            unfinished=tuple(descriptions[len(findings) :]),
        )

    def _steps(self, stage: Stage, progress: ProgressCallback | None, part: int = 0, parts: int = 1) -> None:
        """One of the equal parts of a stage."""
        for done in range(STEPS):
            if progress:
                progress(stage, part * STEPS + done, parts * STEPS)
            time.sleep(self.step_s)

    def _trouble(self, description: str) -> None:
        if description == "crash":
            raise KeyError("nobody foresaw this")
        if description == "exit":
            sys.exit(3)
        if description == "deaf":
            time.sleep(60)
        if description == "print":
            print('{"event": "hello"} from Python')
            os.write(1, b'{"event": "hello"} from C\n')
            subprocess.run([sys.executable, "-c", "print('a child speaks')"], check=True)
        if description == "fill the memory":
            taken: list[np.ndarray] = []
            while True:
                taken.append(np.ones(1 << 24))
        if description == "no memory at all" or (description == "no memory" and not self.low_memory):
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")


class StandInLoader:
    """Loads stand-ins, in slow steps too; `pipelines` are those it has loaded."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.pipelines: list[StandInPipeline] = []

    def __call__(self, folder: Path, device: str, progress: ProgressCallback) -> LoadedModel:
        pipeline = StandInPipeline(self.step_s)
        pipeline._steps(Stage.LOADING, progress)
        self.pipelines.append(pipeline)
        return LoadedModel(pipeline)
