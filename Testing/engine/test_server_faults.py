"""A server whose worker or whose own process is killed, in every stage; and what comes over TLS."""

from __future__ import annotations

import ssl
import subprocess
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
pytest.importorskip("httpx", reason="the extra 'test' is not installed")
import httpx  # noqa: E402

from diffugts.protocol import ResultManifest  # noqa: E402
from running_server import RunningServer, announced, ending, events, fetch, made_upload, submit  # noqa: E402

STAGES = ("loading", "encoding", "attending", "inpainting", "refining", "writing")


def come_to(client: httpx.Client, job: str, stage: str) -> None:
    """Wait until a job has come to a stage."""
    for _, name, fields in events(client, job):
        assert name in ("progress", "queued"), (name, fields)
        if name == "progress" and fields["stage"] == stage:
            return
    raise AssertionError(f"the job ended before '{stage}'")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with RunningServer(tmp_path_factory.mktemp("server"), step_s=0.02) as running:
        yield running


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_worker_ends_its_job_with_a_sentence_and_the_next_one_runs(server, tmp_path: Path, stage: str) -> None:
    with server.client() as client:
        for worker in server.workers:  # a fresh one, so that it loads
            worker.kill()
            worker.wait(10)
        job = submit(client, made_upload(tmp_path))
        come_to(client, job, stage)
        for worker in server.workers:
            worker.kill()
        name, fields = ending(client, job)
        if name == "done":  # it had written everything before it was killed
            ResultManifest.load(fetch(client, job, tmp_path / "whole"))
        else:
            assert (name, fields["code"]) == ("failed", "worker") and "Segment again" in fields["message"]
            assert client.get(f"/v1/jobs/{job}/result/result.json").status_code == 404, "no half result is delivered"
        following = submit(client, made_upload(tmp_path))
        assert ending(client, following)[0] == "done"
        for each in (job, following):
            client.delete(f"/v1/jobs/{each}")


@pytest.mark.parametrize("stage", STAGES)
def test_after_the_server_was_killed_the_job_is_run_again_and_delivered_whole(tmp_path: Path, stage: str) -> None:
    with RunningServer(tmp_path / "server", step_s=0.03) as server, server.client() as client:
        job = submit(client, made_upload(tmp_path))
        come_to(client, job, stage)
        workers = server.workers
        server.kill()
        for worker in workers:
            worker.wait(20)  # it notices by itself that nobody hears it any more
        server.start()
        name, fields = ending(client, job)
        assert name == "done", fields
        ResultManifest.load(fetch(client, job, tmp_path / "result"))


def test_a_finished_result_outlives_the_server(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "server") as server, server.client() as client:
        job = submit(client, made_upload(tmp_path))
        before = ending(client, job)
        server.kill()
        server.start()
        assert ending(client, job) == before
        ResultManifest.load(fetch(client, job, tmp_path / "result"))


def test_a_half_upload_is_nothing_after_a_restart_and_can_be_sent_anew(tmp_path: Path) -> None:
    upload = made_upload(tmp_path)
    with RunningServer(tmp_path / "server") as server, server.client() as client:
        job = client.post("/v1/jobs", json=announced(upload)).json()["job"]

        def half():
            yield upload[: len(upload) // 2]
            deadline = time.monotonic() + 20
            while not list(Path(str(server.settings["folder"]), job).glob(".scan.part")):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            server.kill()
            yield upload[len(upload) // 2 :]

        with pytest.raises(httpx.TransportError):
            client.put(f"/v1/jobs/{job}/scan", content=half())
        server.start()
        assert client.get(f"/v1/jobs/{job}").json()["state"] == "uploading"
        assert client.put(f"/v1/jobs/{job}/scan", content=upload).status_code == 202
        assert ending(client, job)[0] == "done"


def test_a_job_that_takes_the_server_down_is_not_run_for_ever(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "server", step_s=0.1) as server, server.client() as client:
        job = submit(client, made_upload(tmp_path))
        for _ in range(2):
            come_to(client, job, "encoding")
            server.kill()
            server.start()
        name, fields = ending(client, job)
        assert name == "failed" and "more than once" in fields["message"]


def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "server") as server:
        second = dict(server.settings)
        with pytest.raises(AssertionError):
            other = RunningServer.__new__(RunningServer)
            other.settings, other._said, other._verify = {**second, "port": server.port + 1}, [], True
            other.address = f"http://127.0.0.1:{server.port + 1}"
            other.start()
        assert other.process.wait(20) != 0


def test_without_tokens_a_page_of_another_site_is_kept_out(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "server", tokens=[]) as server, server.client(None) as client:
        assert client.get("/v1/hello").status_code == 200
        foreign = client.get("/v1/hello", headers={"Host": f"evil.example:{server.port}"})
        assert foreign.status_code == 421


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of its own for the loopback address."""
    folder = tmp_path_factory.mktemp("tls")
    line = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    line += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"]
    line += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    try:
        subprocess.run(line, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return folder / "certificate.pem", folder / "key.pem"


def test_over_tls_a_job_is_delivered_and_plain_http_is_not_answered(certificate, tmp_path: Path) -> None:
    public, private = certificate
    with RunningServer(tmp_path / "server", certificate=str(public), key=str(private)) as server:
        with server.client() as client:
            job = submit(client, made_upload(tmp_path))
            assert ending(client, job)[0] == "done"
            ResultManifest.load(fetch(client, job, tmp_path / "result"))
        with pytest.raises(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{server.port}/v1/hello", trust_env=False)
        with pytest.raises(httpx.ConnectError, match="(?i)certificate"):
            httpx.get(f"{server.address}/v1/hello", verify=ssl.create_default_context(), trust_env=False)
