"""End to end: a generated scan in a real scene, the real worker, the compact model.

The worker's Python is the one that the variable DIFFUGTS_WORKER_PYTHON names, else the project's `.venv`.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from job_bench import at_stage  # noqa: E402
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
    looks = "import sys; from importlib.util import find_spec as f; sys.exit(not (f('torch') and f('monai')))"
    asked = subprocess.run([PYTHON, "-c", looks], env=command.environment(), capture_output=True)
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


@pytest.fixture(scope="module")
def queue(host, worker_command: WorkerCommand, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobQueue]:
    """One worker for all jobs of this file, as a user has it: it takes long to start."""
    checks = ThreadPoolExecutor(1)
    opened = JobQueue(
        lambda: WorkerProcess(worker_command),
        partial(export_job, scene=host.scene),
        partial(import_result, scene=host.scene),
        tmp_path_factory.mktemp("jobs"),
        checks,
    )
    yield opened
    opened.close()
    checks.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["oblique", "left-handed"])
def test_two_jobs_on_one_scan_the_second_one_quicker(scene, queue: JobQueue, kind: str):
    volume = made_phantom(kind)
    stages: set[str] = set()

    def run(*descriptions: str) -> tuple[Job, float]:
        began = time.monotonic()
        stages.clear()
        order = freeze_order(volume, descriptions, modality="CT")
        job = queue.add(order, lambda job: stages.add(job.progress.stage))
        while not job.state.over:
            assert time.monotonic() - began < 240, job.progress
            queue.tick()
            time.sleep(0.02)
        assert job.state is JobState.DONE, f"{job.reason} {job.details}"
        return job, time.monotonic() - began

    first, took_first = run("hypodense liver metastasis", "renal cell carcinoma")
    assert "encoding" in stages
    model_was_loaded = "loading" in stages
    _, took_second = run("soft tissue sarcoma")
    assert "attending" in stages and not {"loading", "encoding"} & stages, "the scan's features were kept"
    if model_was_loaded:  # between two descriptions alone, a busy machine may turn the order around
        assert took_second < took_first
    for number in (1, 2):
        finding = FindingSegment.of_result(scene, first.name, f"finding_{number}")
        assert not hand_work(finding), "the engine's mask is the cut of its own map"
    assert len(first.result.record.provenance.weights_sha256) == 64


@pytest.mark.slow
def test_the_compact_model_keeps_its_findings_when_it_is_cancelled_while_painting(scene, queue: JobQueue):
    texts = ("hypodense liver metastasis", "soft tissue sarcoma")
    order = freeze_order(made_phantom("oblique"), texts, modality="CT", threshold=0.02)
    job = queue.add(order, at_stage("inpainting", queue.cancel))
    ends = time.monotonic() + 240
    while not job.state.over:
        assert time.monotonic() < ends, job.progress
        queue.tick()
        time.sleep(0.01)
    assert job.reason == "Cancelled: 2 of 2 descriptions were finished and are kept, without a pseudo-healthy volume."
    assert len(job.result.score_map_ids) == 2 and not job.result.pseudo_healthy_id
