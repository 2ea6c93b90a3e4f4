"""How the Slicer side feels, in figures, as JSON on standard output: `python Testing/slicer/benchmark.py`.

Measured through the opened panel, so that what the panel does at every change of a job is in the figures:

* the longest that one turn of the module's timer holds up the main thread while a job runs on 512 x 512 x 300 voxels, by
  what the job is busy with (a worker that writes known results, so that only the Slicer side is measured), and the longest
  turn of the event loop in the second afterwards,
* how long a new cut at another threshold takes on that volume, the rows and lesions that are read after it, choosing another
  finding, accepting and rejecting a lesion; the same with hundreds of specks at a low threshold,
* how long from Segment to the first progress, and from the worker's start to its greeting,
* how long the second description takes on a scan whose features are kept, as a share of the first (with torch only).

"wall_ms" is what a user waits; "processor_ms" is this thread's own time, which does not depend on what else the machine does.
The window is not shown, so that drawing the views is not in the figures.

    python Testing/slicer/benchmark.py [--voxels 512 512 300] [--no-real-worker]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "Testing"), str(ROOT / "Testing" / "slicer"), str(ROOT / "DiffuGTSSlicer")]

import host  # noqa: E402

LARGE = (512, 512, 300)
"""Voxels along i, j and k."""

THRESHOLDS = (0.45, 0.55, 0.62, 0.66, 0.72, 0.8, 0.5)
DESCRIPTIONS = ("hypodense liver metastasis", "renal cell carcinoma", "soft tissue sarcoma")
SMALLEST_LESION_ML = 0.1
SPECK_SCORE = 0.4
AFTERWARDS_S = 1.0
PATIENCE_S = 1200.0


def noisy_volume(voxels: Sequence[int]) -> Any:
    """A noisy volume, int16, as a CT of the trunk has; `voxels` along i, j and k."""
    import numpy as np
    import slicer

    to_ras = np.diag([-0.7, -0.7, 1.0, 1.0])
    values = np.random.default_rng(0).integers(-100, 200, tuple(voxels)[::-1], np.int16)
    return slicer.util.addVolumeFromArray(values, ijkToRAS=to_ras, name="large")


@contextmanager
def opened_panel(running: host.Host, environment: Any) -> Iterator[Any]:
    """The module's Python widget, opened as a user opens it, in an empty scene; closed at the end."""
    import slicer

    if not hasattr(slicer.modules, "diffugtsslicer"):
        running.load_module(ROOT / "DiffuGTSSlicer" / "DiffuGTSSlicer.py")
    import DiffuGTSSlicer

    slicer.mrmlScene.Clear(0)
    of_the_module, DiffuGTSSlicer.Environment = DiffuGTSSlicer.Environment, lambda: environment
    try:
        panel = running.open_module("DiffuGTSSlicer")
        running.wait_until(lambda: environment.activity is None, PATIENCE_S)
        yield panel
    finally:
        DiffuGTSSlicer.Environment = of_the_module
        running.unload_widget("DiffuGTSSlicer")


class Watch:
    """A job's course, turn by turn: what each turn of the module's timer cost, by the job's state before it."""

    def __init__(self, running: host.Host, panel: Any) -> None:
        self.running, self.panel = running, panel
        self.wall_ms: dict[str, float] = {}
        self.processor_ms: dict[str, float] = {}
        self.click_ms = self.afterwards_ms = (0.0, 0.0)
        self.first_progress_s: float | None = None
        self.greeting_s: float | None = None
        self._jobs = panel.logic.jobs
        self._tick = self._jobs._ticker._tick
        self._jobs._ticker._tick = self._watched_tick
        self._job: Any = None
        self._began = 0.0
        self._worker_started: float | None = None

    def run(self, volume: Any, descriptions: Sequence[str], quality: str) -> tuple[Any, float]:
        """Choose, press Segment, wait; returns the job and the seconds that it took."""
        from DiffuGTSSlicerLib.choices import ModalityChoice, QualityChoice

        parameters = self.panel.logic.getParameterNode()
        parameters.volume, parameters.descriptions = volume, "\n".join(descriptions)
        parameters.modality, parameters.quality = ModalityChoice.CT, QualityChoice[quality.upper()]
        self.running.process_events(300)
        if missing := self.panel.describeSection.missing():
            raise RuntimeError(" ".join(missing))
        self._began = time.monotonic()
        self.click_ms = _timed_ms(self.panel.ui.segmentButton.click)
        (self._job,) = self._jobs.unfinished
        self.running.wait_until(lambda: self._job.state.over, PATIENCE_S)
        took_s = time.monotonic() - self._began
        if self._job.state.value != "done":
            raise RuntimeError(f"{self._job.reason} {self._job.details}")
        self._look_afterwards()
        return self._job, took_s

    def _watched_tick(self) -> None:
        job, state = self._job, self._job.state.value
        if job.state.over:
            return self._tick()
        wall, processor = _timed_ms(self._tick)
        for longest, took in ((self.wall_ms, wall), (self.processor_ms, processor)):
            longest[state] = round(max(longest.get(state, 0.0), took), 1)
        now = time.monotonic()
        if self._worker_started is None and self._jobs.worker_pid is not None:
            self._worker_started = now
        if self._worker_started is not None and self.greeting_s is None and self._jobs._queue._greeted:
            self.greeting_s = now - self._worker_started
        if self.first_progress_s is None and job.progress.fraction is not None:
            self.first_progress_s = now - self._began

    def _look_afterwards(self) -> None:
        """What the panel does once the timer's turn is over: rows and lesions are read anew."""
        ends = time.monotonic() + AFTERWARDS_S
        while time.monotonic() < ends:
            turn = _timed_ms(self.running.application.processEvents)
            self.afterwards_ms = max(self.afterwards_ms, turn)
            time.sleep(0.005)


def main_thread(running: host.Host, voxels: Sequence[int] = LARGE) -> dict[str, Any]:
    """The longest turns on a large volume, and what a user does with what came of it."""
    from scripted_environment import ScriptedEnvironment

    with opened_panel(running, ScriptedEnvironment()) as panel:
        watch = Watch(running, panel)
        _, seconds = watch.run(noisy_volume(voxels), DESCRIPTIONS, "standard")
        corrected = correcting(running, panel.findingsSection)
    return {
        "voxels": " x ".join(map(str, voxels)),
        "main_thread_longest_turn": {"wall_ms": watch.wall_ms, "processor_ms": watch.processor_ms},
        "press_segment": _figures(watch.click_ms),
        "longest_turn_of_the_event_loop_afterwards": _figures(watch.afterwards_ms),
        "whole_job_with_a_worker_that_computes_nothing_s": round(seconds, 1),
        **corrected,
    }


def correcting(running: host.Host, section: Any) -> dict[str, Any]:
    """What correcting takes in the section Findings, whose first finding is chosen."""
    do, table = section._correcting, section.ui.findingsTable
    first, again = (
        [_timed_ms(lambda row=row: table.selectRow(row)) for row in rows]  # noqa: B023
        for rows in ((1, 2), (0, 1, 2, 0))
    )
    section.ui.smallestField.setValue(SMALLEST_LESION_ML)
    cuts, lesions = [], []
    for threshold in THRESHOLDS:
        section.ui.thresholdField.setValue(threshold)
        cuts.append(_timed_ms(do._cut))
        lesions.append(_timed_ms(section.refresh))
    section.ui.lesionsTable.selectRow(0)
    accepted, rejected = _timed_ms(do.accept), _timed_ms(do.reject)
    running.process_events(300)
    return {
        "recut": _of_several(cuts),
        "lesions_after_a_cut": _of_several(lesions),
        "choose_a_finding_first": _of_several(first),
        "choose_a_finding_again": _of_several(again),
        "accept_a_lesion": _figures(accepted),
        "reject_a_lesion": _figures(rejected),
        **specks(running, section),
    }


def specks(running: host.Host, section: Any) -> dict[str, Any]:
    """The same where a low threshold leaves a hundred specks and more: every one has to be found and measured."""
    import slicer

    row = section._table.rows[2]
    score_map = slicer.mrmlScene.GetNodeByID(row.map_id)
    scores = slicer.util.arrayFromVolume(score_map)
    count = 0
    for k in range(5, scores.shape[0] - 8, 40):
        for j in range(5, scores.shape[1] - 8, 80):
            for i in range(5, scores.shape[2] - 8, 80):
                part = scores[k : k + 7, j : j + 7, i : i + 7]
                count += not (part > SPECK_SCORE).any()
                part[part < SPECK_SCORE] = SPECK_SCORE
    slicer.util.arrayFromVolumeModified(score_map)
    running.process_events(1000)
    section._table.select(row.key)
    chosen = _timed_ms(lambda: section._choose(row))
    section.ui.smallestField.setValue(0.0)
    section.ui.thresholdField.setValue(SPECK_SCORE - 0.05)
    cut = _timed_ms(section._correcting._cut)
    shown = _timed_ms(section.refresh)
    section.ui.lesionsTable.selectRow(1)
    rejected = _timed_ms(section._correcting.reject)
    running.process_events(300)
    took = {"choose": chosen, "cut": cut, "rows_and_lesions": shown, "reject": rejected}
    return {"specks": {"count": count, **{name: _figures(figures) for name, figures in took.items()}}}


def real_worker(running: host.Host) -> dict[str, Any]:
    """First and second description on a generated scan, with the module's own worker and the compact model."""
    import numpy as np
    import slicer

    from diffugts.generated.phantom import draw_phantom
    from DiffuGTSSlicerLib.environment import VARIABLE, Environment

    os.environ[VARIABLE], os.environ["OMP_NUM_THREADS"] = sys.executable, "1"
    scan = draw_phantom(0, "abdomen", "CT", spacing_mm=2.0).scan
    to_ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ _ijk_to_lps(scan.geometry)
    result: dict[str, Any] = {"generated_scan": " x ".join(str(n) for n in scan.voxels.shape[::-1])}
    for quality in ("fast", "standard"):
        with opened_panel(running, Environment()) as panel:
            volume = slicer.util.addVolumeFromArray(scan.voxels.astype(np.int16), ijkToRAS=to_ras, name="abdomen")
            watch = Watch(running, panel)
            _, first_s = watch.run(volume, DESCRIPTIONS[:1], quality)
            second, second_s = watch.run(volume, DESCRIPTIONS[1:2], quality)
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


def _figures(took_ms: tuple[float, float]) -> dict[str, float]:
    return {"wall_ms": round(took_ms[0], 1), "processor_ms": round(took_ms[1], 1)}


def _of_several(took_ms: list[tuple[float, float]]) -> dict[str, float]:
    wall, processor = zip(*took_ms)
    return {
        "median_wall_ms": round(statistics.median(wall), 1),
        "longest_wall_ms": round(max(wall), 1),
        "median_processor_ms": round(statistics.median(processor), 1),
        "longest_processor_ms": round(max(processor), 1),
    }


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
    parser = argparse.ArgumentParser(description="Measures how long the Slicer side holds up the window.")
    parser.add_argument("--voxels", type=int, nargs=3, default=LARGE, metavar=("I", "J", "K"))
    parser.add_argument("--no-real-worker", action="store_true", help="leave out what needs torch and the model")
    asked = parser.parse_args()
    figures: dict[str, Any] = {"machine": _machine()}
    print_to, sys.stdout = sys.stdout, sys.stderr  # nothing but the figures on standard output
    running = host.start()
    figures |= main_thread(running, asked.voxels)
    if asked.no_real_worker:
        figures["real_worker"] = "not measured: --no-real-worker"
    elif importlib.util.find_spec("torch") is None:
        figures["real_worker"] = "not measured: this Python has no torch"
    else:
        figures["real_worker"] = real_worker(running)
    running.faults.check()
    print(json.dumps(figures, indent=2), file=print_to)


if __name__ == "__main__":
    main()
