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
from running_server import TOKEN, ending, events, fetch, free_port, made_upload, submit  # noqa: E402
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


@pytest.mark.slow
def test_a_replica_that_is_killed_is_started_again_and_delivers_its_job(tmp_path: Path) -> None:
    with served(tmp_path, workers=1, step_s=0.1) as client:
        job = submit(client, made_upload(tmp_path), model="stand-in")
        wait_for(client, job, Stage.ATTENDING)
        kill("ray::ServeReplica")
        end = time.monotonic() + 60
        while True:
            with suppress(httpx.HTTPError):
                if client.get(f"/v1/jobs/{job}").status_code == 200:
                    break
            assert time.monotonic() < end, "the server did not come back"
            time.sleep(0.5)
        assert ending(client, job)[0] == "done"
        ResultManifest.load(fetch(client, job, tmp_path / "result"))
