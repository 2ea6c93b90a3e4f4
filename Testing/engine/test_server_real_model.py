"""`diffugts serve` as an administrator starts it, its own worker, and a small model of the real classes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
httpx = pytest.importorskip("httpx", reason="the extra 'test' is not installed")

from diffugts.protocol import ResultManifest  # noqa: E402
from running_server import TOKEN, ending, fetch, free_port, made_upload, submit  # noqa: E402
from small_model_folder import save_small_model  # noqa: E402
from worker_process import environment  # noqa: E402


@pytest.mark.slow
def test_the_command_serves_a_model_and_ends_in_good_order(tmp_path: Path) -> None:
    model = save_small_model(tmp_path / "models" / "small")
    tokens, port = tmp_path / "tokens.txt", free_port()
    tokens.write_text(f"# radiology\n{TOKEN}\n")
    tokens.chmod(0o600)
    options = [
        "--port",
        str(port),
        "--tokens",
        str(tokens),
        "--folder",
        str(tmp_path / "jobs"),
        "--models",
        str(model.parent),
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "diffugts", "serve", *options], env=environment(), stderr=subprocess.PIPE, text=True
    )
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120, trust_env=False) as client:
            end = time.monotonic() + 60
            while True:
                try:
                    assert "small" in client.get("/v1/hello").json()["models"]
                    break
                except httpx.TransportError:
                    assert process.poll() is None and time.monotonic() < end
                    time.sleep(0.1)
            job = submit(client, made_upload(tmp_path, 32), "soft tissue sarcoma", model="small", quality="fast")
            assert ending(client, job)[0] == "done"
            manifest = ResultManifest.load(fetch(client, job, tmp_path / "result"))
            assert manifest.findings[0].description == "soft tissue sarcoma"
            assert len(manifest.provenance.weights_sha256) == 64
            wrong = client.post("/v1/jobs", json={"request": {"descriptions": []}, "scan": {}})
            assert wrong.status_code == 422
        process.terminate()
        _, said = process.communicate(timeout=30)
    finally:
        process.kill()
    assert "Traceback" not in said and "sarcoma" not in said and TOKEN not in said, said


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--host", "0.0.0.0"], "no token is set"),
        (["--host", "0.0.0.0", "--tokens", "TOKENS"], "without TLS"),
        (["--tokens", "MISSING"], "cannot be read"),
    ],
)
def test_what_would_expose_scans_is_refused_with_a_sentence(tmp_path: Path, options: list[str], sentence: str) -> None:
    tokens = tmp_path / "tokens.txt"
    tokens.write_text(TOKEN)
    tokens.chmod(0o600)
    places = {"TOKENS": str(tokens), "MISSING": str(tmp_path / "missing.txt")}
    line = [sys.executable, "-m", "diffugts", "serve", *(places.get(option, option) for option in options)]
    ended = subprocess.run(line, env=environment(), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2 and sentence in " ".join(ended.stderr.split()), ended.stderr
    assert "Traceback" not in ended.stderr
