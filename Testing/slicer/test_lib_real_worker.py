"""End to end: a generated scan in a real scene, the real worker, the compact model.

The worker's Python is the one that the variable DIFFUGTS_WORKER_PYTHON names, else the project's `.venv`.
"""

from __future__ import annotations

import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from made_volumes import matrix  # noqa: E402

from DiffuGTSSlicerLib.export import export_job  # noqa: E402
from DiffuGTSSlicerLib.finding_segment import FindingSegment  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import Job, JobState  # noqa: E402
from DiffuGTSSlicerLib.job_queue import JobQueue  # noqa: E402
from DiffuGTSSlicerLib.recut import hand_work  # noqa: E402
from DiffuGTSSlicerLib.results import import_result  # noqa: E402
from DiffuGTSSlicerLib.worker_command import WorkerCommand  # noqa: E402
from DiffuGTSSlicerLib.worker_process import WorkerProcess  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("DIFFUGTS_WORKER_PYTHON", ROOT / ".venv" / "bin" / "python"))


@pytest.fixture(scope="module")
def worker_command() -> WorkerCommand:
    if not PYTHON.is_file():
        pytest.skip("no Python for the worker; name one in DIFFUGTS_WORKER_PYTHON")
    if not (ROOT / "Resources" / "Models" / "compact" / "model_index.json").is_file():
        pytest.skip("the compact model is not in Resources/Models")
    command = WorkerCommand(PYTHON, ROOT / "DiffuGTSSlicer", {**os.environ, "OMP_NUM_THREADS": "1"})
    asked = subprocess.run([PYTHON, "-c", "import torch, monai"], env=command.environment(), capture_output=True)
    if asked.returncode:
        pytest.skip(f"{PYTHON} has no torch or no monai")
    return command


def made_phantom(kind: str):
    """A body of soft tissue with a darker ball in it, in HU."""
    random, place = np.random.default_rng(0), np.indices((24, 48, 48)).astype(float)
    voxels = np.full(place.shape[1:], -1000.0)
    body = ((place[1] - 24) / 20) ** 2 + ((place[2] - 24) / 22) ** 2 < 1
    ball = ((place[0] - 12) / 3) ** 2 + ((place[1] - 22) / 5) ** 2 + ((place[2] - 28) / 5) ** 2 < 1
    voxels[body] = random.normal(55, 10, body.sum())
    voxels[ball] = random.normal(-10, 10, ball.sum())
    to_ras = matrix(kind)
    to_ras[:3, :3] *= np.array([4.0, 4.0, 5.0]) / np.linalg.norm(to_ras[:3, :3], axis=0)
    return slicer.util.addVolumeFromArray(voxels.astype(np.int16), ijkToRAS=to_ras, name="phantom")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["oblique", "left-handed"])
def test_two_jobs_on_one_scan_the_second_one_quicker(scene, tmp_path: Path, worker_command: WorkerCommand, kind: str):
    volume = made_phantom(kind)
    checks = ThreadPoolExecutor(1)
    queue = JobQueue(
        lambda: WorkerProcess(worker_command),
        partial(export_job, scene=scene),
        partial(import_result, scene=scene),
        tmp_path,
        checks,
    )

    def run(*descriptions: str) -> tuple[Job, float]:
        began = time.monotonic()
        job = queue.add(freeze_order(volume, descriptions, modality="CT"))
        while not job.state.over:
            assert time.monotonic() - began < 240, job.progress
            queue.tick()
            time.sleep(0.02)
        assert job.state is JobState.DONE, f"{job.reason} {job.details}"
        return job, time.monotonic() - began

    try:
        first, took_first = run("hypodense liver metastasis", "renal cell carcinoma")
        _, took_second = run("soft tissue sarcoma")
    finally:
        queue.close()
        checks.shutdown()
    assert took_second < took_first
    for number in (1, 2):
        finding = FindingSegment.of_result(scene, first.name, f"finding_{number}")
        assert not hand_work(finding), "the engine's mask is the cut of its own map"
    assert len(first.result.record.provenance.weights_sha256) == 64
