"""The worker as it is started by Slicer, `python -m diffugts worker`, with a real (small, untrained) model folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from diffugts.errors import ResultError
from diffugts.models import load_pipeline
from diffugts.protocol import Quality, Request, ResultManifest
from diffugts.scans.reading import read_scan
from job_folders import job_folder
from small_model_folder import PREPARED, save_small_model
from worker_process import WorkerProcess

CANCEL_S = 3.0
THRESHOLD = 0.1
"""Below what the random weights answer everywhere: every stage has something to do."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    with WorkerProcess("-m", "diffugts", "worker", "--idle-release", "0") as running:
        running.wait_for("hello")
        yield running


def cancel_within(seconds: float, worker: WorkerProcess, job: str) -> None:
    """Cancel a job that computes without pause; of the worker's own time, since a busy machine may give it little."""
    before, began = worker.processor_s(), time.monotonic()
    worker.send("cancel", job)
    assert worker.ending(job).name == "cancelled"
    assert min(worker.processor_s() - before, time.monotonic() - began) < seconds


def score_of(manifest: ResultManifest) -> np.ndarray:
    return sitk.GetArrayFromImage(sitk.ReadImage(str(manifest.file("score map", 0))))


def test_the_worker_segments_keeps_the_scan_and_agrees_with_the_pipeline(
    worker: WorkerProcess, model: Path, tmp_path: Path
) -> None:
    requests = {
        text: job_folder(tmp_path / str(n), text, size=40, model=str(model), threshold=THRESHOLD)
        for n, text in enumerate(PREPARED)
    }
    for text, request in requests.items():
        worker.send("run", text, request)
        done = worker.wait_for("done", "failed", job=text, patience_s=90)
        assert done.name == "done", done
    stages = {
        text: {e.fields["stage"] for e in worker.events if e.name == "progress" and e.fields["job"] == text}
        for text in PREPARED
    }
    assert {"reading", "loading", "encoding", "attending", "inpainting", "writing"} <= stages[PREPARED[0]]
    assert not {"loading", "encoding"} & stages[PREPARED[1]]
    manifests = [ResultManifest.load(request.parent / "result") for request in requests.values()]
    assert "encode_s" in manifests[0].provenance.timings_s and "encode_s" not in manifests[1].provenance.timings_s
    asked = Request.load(requests[PREPARED[1]])
    alone = load_pipeline(model)(read_scan(asked.scan, "MR"), asked.descriptions, Quality.STANDARD, threshold=THRESHOLD)
    expected = alone.findings[0].score_map
    assert np.allclose(score_of(manifests[1]), expected, atol=0.005)  # tiny scores are written as 0
    assert manifests[1].provenance.weights_sha256 == alone.model.weights_sha256


@pytest.mark.parametrize("stage", ["loading", "encoding", "attending", "inpainting"])
def test_a_real_model_is_cancelled_in_every_stage(
    worker: WorkerProcess, model: Path, tmp_path: Path, stage: str
) -> None:
    worker.send("release")
    worker.wait_for("released")
    request = job_folder(tmp_path / "job", *PREPARED, size=100, seed=5, model=str(model), threshold=THRESHOLD)
    worker.send("run", stage, request)
    worker.wait_for_stage(stage, stage)
    cancel_within(CANCEL_S, worker, stage)
    result = tmp_path / "job" / "result"
    if stage in ("loading", "encoding"):
        assert not result.exists()
    if stage == "inpainting":
        assert result.exists(), "every description was finished before anything was inpainted"
    if result.exists():  # what was finished is kept, and never taken for a whole result
        with pytest.raises(ResultError):
            ResultManifest.load(result)
        kept = ResultManifest.load(result, cancelled_too=True)
        assert kept.findings and len(kept.findings) + len(kept.unfinished) == len(PREPARED)


def test_a_job_is_cancelled_while_the_libraries_are_imported(model: Path, tmp_path: Path) -> None:
    with WorkerProcess("-m", "diffugts", "worker") as fresh:
        fresh.send("run", "1", job_folder(tmp_path / "job", PREPARED[0], model=str(model)))
        event = fresh.wait_for_stage("loading", "1")
        while event.fields["done"] < 3:  # torch is next
            event = fresh.wait_for("progress")
        cancel_within(CANCEL_S, fresh, "1")
    assert not (tmp_path / "job" / "result").exists()


def test_an_unknown_device_and_a_damaged_model_fail_with_a_sentence(
    worker: WorkerProcess, model: Path, tmp_path: Path
) -> None:
    worker.send("run", "device", job_folder(tmp_path / "1", PREPARED[0], model=str(model), device="abacus"))
    failed = worker.ending("device")
    assert failed.fields["code"] == "request" and "'abacus'" in failed.fields["message"]
    broken = save_small_model(tmp_path / "broken")
    weights = next((broken / "denoiser").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:500])
    worker.send("run", "damaged", job_folder(tmp_path / "2", PREPARED[0], model=str(broken)))
    failed = worker.ending("damaged")
    assert failed.fields["code"] == "model" and "damaged" in failed.fields["message"]
