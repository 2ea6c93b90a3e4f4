"""The server under Ray Serve: jobs delivered, actors and its own replica killed; skipped where Ray is not installed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
httpx = pytest.importorskip("httpx", reason="the extra 'test' is not installed")

from diffugts.protocol import ResultManifest, Stage  # noqa: E402
from running_server import TOKEN, announced, ending, events, fetch, free_port, made_upload, submit  # noqa: E402
from worker_process import HERE, environment  # noqa: E402

STAGES = [stage for stage in Stage if stage is not Stage.READING]
"""Reading is over before its event has come here."""


@contextmanager
def served(tmp_path: Path, workers: int, step_s: float) -> Iterator[httpx.Client]:
    """A client of the server under Ray Serve with so many workers around the stand-in pipeline."""
    tokens, port = tmp_path / "tokens.txt", free_port()
    tokens.write_text(TOKEN)
    tokens.chmod(0o600)
    (tmp_path / "models" / "stand-in").mkdir(parents=True)
    (tmp_path / "models" / "stand-in" / "model_index.json").write_text("{}")
    worker = f"{sys.executable} {HERE / 'slow_pipeline_worker.py'} {step_s}"
    arguments = [f"folder={tmp_path / 'jobs'}", f"tokens={tokens}", f"workers={workers}", "gpus_per_worker=0"]
    arguments += [f"models={tmp_path / 'models'}", f"worker={worker}"]
    process = subprocess.Popen(
        [sys.executable, str(HERE / "served_on_ray.py"), str(port), *arguments],
        env=environment(PYTHONPATH=os.pathsep.join((environment()["PYTHONPATH"], *sys.path[1:]))),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert any(line.strip() == "ready" for line in process.stdout), "the server did not come up"
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=60, trust_env=False) as client:
            yield client
    finally:
        process.communicate(timeout=60)


def kill(kind: str) -> None:
    """Kill (-9) the one process of Ray's whose command line begins so."""
    (found,) = [
        process for process in psutil.process_iter(["cmdline"]) if (process.info["cmdline"] or [""])[0].startswith(kind)
    ]
    os.kill(found.pid, signal.SIGKILL)


def wait_for(client: httpx.Client, job: str, stage: Stage) -> None:
    assert any(fields.get("stage") == stage.value for _, _, fields in events(client, job)), stage


@pytest.mark.slow
def test_two_workers_of_a_cluster_deliver_two_jobs(tmp_path: Path) -> None:
    with served(tmp_path, workers=2, step_s=0.05) as client:
        jobs = [submit(client, made_upload(tmp_path), model="stand-in") for _ in range(2)]
        for number, job in enumerate(jobs):
            assert ending(client, job)[0] == "done"
            ResultManifest.load(fetch(client, job, tmp_path / f"result-{number}"))
            assert client.delete(f"/v1/jobs/{job}").status_code == 204
        assert client.get(f"/v1/jobs/{jobs[0]}").status_code == 404


@pytest.mark.slow
def test_an_actor_killed_at_any_stage_ends_its_job_with_a_sentence_and_the_next_one_runs(tmp_path: Path) -> None:
    with served(tmp_path, workers=1, step_s=0.1) as client:
        for stage in STAGES:
            job = submit(client, made_upload(tmp_path), model="stand-in")
            wait_for(client, job, stage)
            kill("ray::WorkerActor")
            name, fields = ending(client, job)
            assert (name, fields["code"]) == ("failed", "worker") and "was lost. Segment again." in fields["message"]
            assert client.get(f"/v1/jobs/{job}/result/result.json").status_code == 404
            client.delete(f"/v1/jobs/{job}")
        job = submit(client, made_upload(tmp_path), model="stand-in")
        assert ending(client, job)[0] == "done"
        ResultManifest.load(fetch(client, job, tmp_path / "result"))


def kill_replica(client: httpx.Client, job: str) -> None:
    """Kill (-9) the server's replica, and wait until Serve has started it anew."""
    kill("ray::ServeReplica")
    state_when_back(client, job)


def state_when_back(client: httpx.Client, job: str) -> str:
    """Where a job stands, as soon as the server says it again."""
    end = time.monotonic() + 120
    while True:
        with suppress(httpx.HTTPError):
            answer = client.get(f"/v1/jobs/{job}")
            if answer.status_code == 200:
                return str(answer.json()["state"])
        assert time.monotonic() < end, "the server did not come back"
        time.sleep(0.5)


@pytest.mark.slow
def test_a_replica_killed_at_any_stage_is_started_again_and_delivers_its_job(tmp_path: Path) -> None:
    with served(tmp_path, workers=1, step_s=0.1) as client:
        for number, stage in enumerate(STAGES):
            # The worker outlives the replica, and would not encode the same scan again.
            job = submit(client, made_upload(tmp_path, 24 + number), model="stand-in")
            wait_for(client, job, stage)
            kill_replica(client, job)
            assert ending(client, job)[0] == "done", stage
            ResultManifest.load(fetch(client, job, tmp_path / stage.value))
            assert client.delete(f"/v1/jobs/{job}").status_code == 204


@pytest.mark.slow
def test_a_replica_killed_while_a_result_waits_for_its_client_loses_nothing(tmp_path: Path) -> None:
    with served(tmp_path, workers=1, step_s=0.02) as client:
        job = submit(client, made_upload(tmp_path), model="stand-in")
        before = ending(client, job)
        kill_replica(client, job)
        assert ending(client, job) == before and before[0] == "done"
        ResultManifest.load(fetch(client, job, tmp_path / "result"))


@pytest.mark.slow
def test_a_replica_killed_while_a_scan_arrives_takes_no_half_scan_for_a_whole_one(tmp_path: Path) -> None:
    upload = made_upload(tmp_path, size=64)
    with served(tmp_path, workers=1, step_s=0.02) as client:
        job = client.post("/v1/jobs", json=announced(upload, model="stand-in")).json()["job"]

        def half() -> Iterator[bytes]:
            yield upload[: len(upload) // 2]
            end = time.monotonic() + 30
            while not (tmp_path / "jobs" / job / ".scan.part").exists():
                assert time.monotonic() < end, "nothing of the scan has arrived"
                time.sleep(0.02)
            kill("ray::ServeReplica")
            yield upload[len(upload) // 2 :]

        with suppress(httpx.TransportError):
            assert client.put(f"/v1/jobs/{job}/scan", content=half()).status_code >= 500
        assert state_when_back(client, job) == "uploading"
        assert client.put(f"/v1/jobs/{job}/scan", content=upload).status_code == 202
        assert ending(client, job)[0] == "done"
        ResultManifest.load(fetch(client, job, tmp_path / "result"))
