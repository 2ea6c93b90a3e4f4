"""How the Slicer side feels, in figures, as JSON on standard output: `python Testing/slicer/benchmark.py`.

* the longest that one turn of the module's timer holds up the main thread while a job runs on 512 x 512 x 300 voxels, by
  what the job is busy with (a worker that writes known results, so that only the Slicer side is measured),
* how long a new cut at another threshold takes on 512 x 512 x 300 voxels,
* how long from Segment to the first progress, and from the worker's start to its greeting,
* how long the second description takes on a scan whose features are kept, as a share of the first (with torch only).

"wall_ms" is what a user waits; "processor_ms" is this thread's own time, which does not depend on what else the machine does.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "Testing" / "slicer"), str(ROOT / "DiffuGTSSlicer")]

import host  # noqa: E402

LARGE = (300, 512, 512)

THRESHOLDS = (0.45, 0.55, 0.62, 0.66, 0.72, 0.8, 0.5)
DESCRIPTIONS = ("hypodense liver metastasis", "renal cell carcinoma", "soft tissue sarcoma")


def large_volume() -> Any:
    """A noisy volume of 512 x 512 x 300 voxels, int16, as a CT of the trunk has."""
    import numpy as np
    import slicer

    to_ras = np.diag([-0.7, -0.7, 1.0, 1.0])
    voxels = np.random.default_rng(0).integers(-100, 200, LARGE, np.int16)
    return slicer.util.addVolumeFromArray(voxels, ijkToRAS=to_ras, name="large")


class Watch:
    """A job's course, turn by turn: what each turn of the timer cost, by the job's state before it."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.wall_ms: dict[str, float] = {}
        self.processor_ms: dict[str, float] = {}
        self.first_progress_s: float | None = None
        self.greeting_s: float | None = None

    def run(self, order: Any, patience_s: float = 1200.0) -> tuple[Any, float]:
        """Carry an order out; returns the job and the seconds that it took."""
        began = time.monotonic()
        started: float | None = None
        job = self.bench.queue.add(order)
        while not job.state.over:
            if time.monotonic() - began > patience_s:
                raise TimeoutError(f"the job is still at '{job.progress.message}' after {patience_s:g} s")
            state = job.state.value
            wall, processor = time.perf_counter(), time.thread_time()
            self.bench.queue.tick()
            self._note(self.wall_ms, state, time.perf_counter() - wall)
            self._note(self.processor_ms, state, time.thread_time() - processor)
            if started is None and self.bench.workers:
                started = time.monotonic()
            if started is not None and self.greeting_s is None and self.bench.queue._greeted:
                self.greeting_s = time.monotonic() - started
            if self.first_progress_s is None and job.progress.fraction is not None:
                self.first_progress_s = time.monotonic() - began
            time.sleep(0.01)
        if job.state.value != "done":
            raise RuntimeError(f"{job.reason} {job.details}")
        return job, time.monotonic() - began

    @staticmethod
    def _note(longest: dict[str, float], state: str, seconds: float) -> None:
        longest[state] = round(max(longest.get(state, 0.0), 1000 * seconds), 1)


def main_thread(folder: Path) -> dict[str, Any]:
    """The longest turns on a large volume, and new cuts of what came of it."""
    import slicer
    from job_bench import fake_worker, job_bench

    from DiffuGTSSlicerLib.finding_segment import FindingSegment
    from DiffuGTSSlicerLib.freeze import freeze_order
    from DiffuGTSSlicerLib.recut import recut

    volume = large_volume()
    with job_bench(slicer.mrmlScene, folder, fake_worker("well")) as bench:
        watch = Watch(bench)
        job, seconds = watch.run(freeze_order(volume, DESCRIPTIONS, modality="CT"))
    finding = FindingSegment.of_result(slicer.mrmlScene, job.name, "finding_1")
    recut(finding, 0.5, 0.0)  # the first one reads the map
    cuts = [_timed_ms(lambda threshold=threshold: recut(finding, threshold, 0.1)) for threshold in THRESHOLDS]
    wall, processor = zip(*cuts)
    return {
        "main_thread_longest_turn": {"wall_ms": watch.wall_ms, "processor_ms": watch.processor_ms},
        "whole_job_with_a_worker_that_computes_nothing_s": round(seconds, 1),
        "recut": {
            "median_wall_ms": round(statistics.median(wall), 1),
            "longest_wall_ms": round(max(wall), 1),
            "median_processor_ms": round(statistics.median(processor), 1),
            "longest_processor_ms": round(max(processor), 1),
        },
    }


def real_worker(folder: Path) -> dict[str, Any]:
    """First and second description on a generated scan, with the module's own worker and the compact model."""
    import numpy as np
    import slicer
    from job_bench import engine_worker, job_bench

    from diffugts.generated.phantom import draw_phantom
    from DiffuGTSSlicerLib.freeze import freeze_order

    scan = draw_phantom(0, "abdomen", "CT", spacing_mm=2.0).scan
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ _ijk_to_lps(scan.geometry)
    volume = slicer.util.addVolumeFromArray(scan.voxels.astype(np.int16), ijkToRAS=to_ras, name="generated abdomen")
    result: dict[str, Any] = {"generated_scan": " x ".join(str(n) for n in scan.voxels.shape[::-1])}
    for quality in ("fast", "standard"):
        with job_bench(slicer.mrmlScene, folder / quality, engine_worker()) as bench:
            watch = Watch(bench)
            _, first_s = watch.run(freeze_order(volume, DESCRIPTIONS[:1], modality="CT", quality=quality))
            second, second_s = watch.run(freeze_order(volume, DESCRIPTIONS[1:2], modality="CT", quality=quality))
        result[quality] = {
            "segment_to_first_progress_s": round(watch.first_progress_s or 0.0, 2),
            "worker_start_to_greeting_s": round(watch.greeting_s or 0.0, 2),
            "first_description_s": round(first_s, 1),
            "second_description_s": round(second_s, 1),
            "second_to_first": round(second_s / first_s, 2),
            "second_was_inpainted": bool(second.result.pseudo_healthy_id),
        }
    return result


def _ijk_to_lps(geometry: Any) -> Any:
    import numpy as np

    matrix = np.eye(4)
    matrix[:3, :3] = np.reshape(geometry.direction, (3, 3)) * np.asarray(geometry.spacing_mm)
    matrix[:3, 3] = geometry.origin_mm
    return matrix


def _timed_ms(act: Callable[[], object]) -> tuple[float, float]:
    """Wall time and this thread's processor time."""
    wall, processor = time.perf_counter(), time.thread_time()
    act()
    return 1000 * (time.perf_counter() - wall), 1000 * (time.thread_time() - processor)


def _machine() -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    load = round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None
    return {
        "platform": platform.platform(),
        "python": platform.python_version(),
        "processors": len(cores),
        "load_at_start": load,
    }


def main() -> None:
    figures: dict[str, Any] = {"machine": _machine()}
    print_to, sys.stdout = sys.stdout, sys.stderr  # nothing but the figures on standard output
    host.start()
    with tempfile.TemporaryDirectory(prefix="DiffuGTS-benchmark-") as folder:
        figures |= main_thread(Path(folder) / "large")
        if importlib.util.find_spec("torch") is None:
            figures["real_worker"] = "not measured: this Python has no torch"
        else:
            figures["real_worker"] = real_worker(Path(folder) / "real")
    print(json.dumps(figures, indent=2), file=print_to)


if __name__ == "__main__":
    main()
