"""The server under Ray Serve with two workers; skipped where Ray is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray.serve", reason="the extra 'ray' is not installed")
httpx = pytest.importorskip("httpx", reason="the extra 'test' is not installed")

from diffugts.protocol import ResultManifest  # noqa: E402
from running_server import TOKEN, ending, fetch, free_port, made_upload, submit  # noqa: E402
from worker_process import HERE, environment  # noqa: E402


@pytest.mark.slow
def test_two_workers_of_a_cluster_deliver_two_jobs(tmp_path: Path) -> None:
    tokens, port = tmp_path / "tokens.txt", free_port()
    tokens.write_text(TOKEN)
    tokens.chmod(0o600)
    (tmp_path / "models" / "stand-in").mkdir(parents=True)
    (tmp_path / "models" / "stand-in" / "model_index.json").write_text("{}")
    worker = f"{sys.executable} {HERE / 'slow_pipeline_worker.py'} 0.05"
    arguments = [f"folder={tmp_path / 'jobs'}", f"tokens={tokens}", "workers=2", "gpus_per_worker=0"]
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
            jobs = [submit(client, made_upload(tmp_path), model="stand-in") for _ in range(2)]
            for number, job in enumerate(jobs):
                assert ending(client, job)[0] == "done"
                ResultManifest.load(fetch(client, job, tmp_path / f"result-{number}"))
                assert client.delete(f"/v1/jobs/{job}").status_code == 204
            assert client.get(f"/v1/jobs/{jobs[0]}").status_code == 404
    finally:
        process.communicate(timeout=60)
