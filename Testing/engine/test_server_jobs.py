"""Jobs through a real server and its real worker process: delivered whole, isolated, logged without a word of them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
pytest.importorskip("httpx", reason="the extra 'test' is not installed")
from diffugts.protocol import ResultManifest  # noqa: E402
from job_folders import job_folder  # noqa: E402
from running_server import (  # noqa: E402
    OTHER_TOKEN,
    TOKEN,
    RunningServer,
    announced,
    ending,
    events,
    fetch,
    made_upload,
    submit,
)
from worker_process import WorkerProcess  # noqa: E402

CALLED = "Grandmother's liver tumour"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RunningServer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def slow(tmp_path):
    with RunningServer(tmp_path / "server", step_s=0.1) as running:
        yield running


def test_a_result_is_the_one_that_the_same_request_gives_on_this_machine(server, tmp_path: Path) -> None:
    with server.client() as client:
        job = submit(client, made_upload(tmp_path), "bright ball", CALLED)
        assert ending(client, job)[0] == "done"
        delivered = ResultManifest.load(fetch(client, job, tmp_path / "result"))
        assert client.delete(f"/v1/jobs/{job}").status_code == 204
    with WorkerProcess.stand_in(0.0) as worker:
        worker.send("run", "here", job_folder(tmp_path / "here", "bright ball", CALLED))
        assert worker.ending("here").name == "done"
    here = ResultManifest.load(tmp_path / "here" / "result")
    assert delivered.findings == here.findings and delivered.geometry == here.geometry
    assert [(file.role, file.sha256) for file in delivered.files if file.role != "lesion table"] == [
        (file.role, file.sha256) for file in here.files if file.role != "lesion table"
    ]


def test_a_mask_is_refused_because_it_would_be_a_file_of_the_servers(server, tmp_path: Path) -> None:
    with server.client() as client:
        refused = client.post("/v1/jobs", json=announced(made_upload(tmp_path), mask="/etc/hostname"))
        assert refused.status_code == 422 and refused.json()["code"] == "request"
        assert "a server takes no file but the scan. Give a box (region)" in refused.json()["message"]
        assert "/etc/hostname" not in refused.text
        taken = client.post("/v1/jobs", json=announced(made_upload(tmp_path), mask=None))
        assert taken.status_code == 201
        assert client.delete(f"/v1/jobs/{taken.json()['job']}").status_code == 204


def test_a_delivered_job_leaves_nothing_on_the_server(server, tmp_path: Path) -> None:
    with server.client() as client:
        job = submit(client, made_upload(tmp_path))
        ending(client, job)
        client.delete(f"/v1/jobs/{job}")
        assert client.get(f"/v1/jobs/{job}").status_code == 404
    assert job not in [folder.name for folder in server.job_folders]


def test_the_scan_is_deleted_as_soon_as_the_job_is_over(server, tmp_path: Path) -> None:
    with server.client() as client:
        job = submit(client, made_upload(tmp_path))
        ending(client, job)
    (folder,) = [folder for folder in server.job_folders if folder.name == job]
    assert not (folder / "scan.nrrd").exists()


def test_the_log_holds_no_token_no_description_and_no_message(server, tmp_path: Path) -> None:
    with server.client() as client:
        job = submit(client, made_upload(tmp_path), CALLED)
        ending(client, job)
        client.get("/v1/jobs/Grandmother")
    assert job in server.log, "it says that there was a job"
    for word in ("Grandmother", TOKEN, "liver", "/v1/jobs"):
        assert word not in server.log


def test_a_job_of_another_token_is_as_if_it_were_not_there(server, tmp_path: Path) -> None:
    with server.client() as client, server.client(OTHER_TOKEN) as stranger:
        job = submit(client, made_upload(tmp_path))
        ending(client, job)
        asked = [
            stranger.get(f"/v1/jobs/{job}"),
            stranger.get(f"/v1/jobs/{job}/events"),
            stranger.get(f"/v1/jobs/{job}/result/result.json"),
            stranger.post(f"/v1/jobs/{job}/cancel"),
            stranger.put(f"/v1/jobs/{job}/scan", content=b"x"),
            stranger.delete(f"/v1/jobs/{job}"),
        ]
        assert [answer.status_code for answer in asked] == [404] * len(asked)
        not_there = stranger.get(f"/v1/jobs/{'0' * 32}")
        assert {answer.text for answer in asked} == {not_there.text}
        assert client.get(f"/v1/jobs/{job}").json()["ending"] == "done"


def test_without_a_token_or_with_a_wrong_one_nothing_is_answered(server) -> None:
    for token in (None, "a-token-for-tests-of-nobody", TOKEN[:-1]):
        with server.client(token) as client:
            answer = client.get("/v1/hello")
            assert answer.status_code == 401 and "does not know this token" in answer.json()["message"]


def test_another_version_is_told_in_a_sentence(server) -> None:
    with server.client(**{"X-DiffuGTS-Protocol": "999"}) as client:
        answer = client.get("/v1/hello")
    assert answer.status_code == 426
    assert "protocol 999" in answer.json()["message"]
    assert "Install the same version on both." in answer.json()["message"]


def test_whatever_was_changed_on_the_way_is_refused(server, tmp_path: Path) -> None:
    upload = made_upload(tmp_path)
    with server.client() as client:
        job = client.post("/v1/jobs", json=announced(upload)).json()["job"]
        answer = client.put(f"/v1/jobs/{job}/scan", content=upload[:-1] + b"\x00")
        assert answer.status_code == 400 and "changed on the way" in answer.json()["message"]
        assert client.put(f"/v1/jobs/{job}/scan", content=upload).status_code == 202, "it can be sent again"
        assert ending(client, job)[0] == "done"


@pytest.mark.parametrize(
    "line", [b"content: A. Patient\n", b"# A. Patient\n", b"name:=A. Patient\n", b"data file: /etc/passwd\n"]
)
def test_a_scan_with_more_than_sizes_and_geometry_in_its_header_is_refused(server, tmp_path: Path, line: bytes) -> None:
    upload = made_upload(tmp_path).replace(b"encoding: raw\n", line + b"encoding: raw\n", 1)
    with server.client() as client:
        job = client.post("/v1/jobs", json=announced(upload)).json()["job"]
        answer = client.put(f"/v1/jobs/{job}/scan", content=upload)
        assert answer.status_code == 400, answer.text
        assert "Patient" not in answer.text
        client.delete(f"/v1/jobs/{job}")


@pytest.mark.parametrize("model", ["../model", "/", "elsewhere"])
def test_a_model_is_one_of_the_servers_and_never_a_path(server, tmp_path: Path, model: str) -> None:
    with server.client() as client:
        answer = client.post("/v1/jobs", json=announced(made_upload(tmp_path), model=model))
    assert answer.status_code == 400 and "It has 'compact'" in answer.json()["message"]


def test_a_reader_who_lost_the_connection_goes_on_where_it_was(slow, tmp_path: Path) -> None:
    with slow.client() as client:
        job = submit(client, made_upload(tmp_path))
        heard = []
        for number, name, fields in events(client, job):
            heard.append((number, name, fields))
            if name == "progress" and fields["done"] >= 3:
                break
        rest = list(events(client, job, heard[-1][0]))
        order = [int(number.rpartition("-")[2]) for number, _, _ in (*heard, *rest)]
        assert order == sorted(set(order)), "nothing comes twice"
        assert rest[-1][1] == "done"
        assert list(events(client, job, rest[-1][0])) == [], "there is nothing after the end"


def test_a_cancelled_job_keeps_what_was_finished(slow, tmp_path: Path) -> None:
    with slow.client() as client:
        job = submit(client, made_upload(tmp_path), "bright ball", "dark ball")
        for _, name, fields in events(client, job):
            if name == "progress" and fields["stage"] == "attending" and fields["done"] >= 12:
                client.post(f"/v1/jobs/{job}/cancel")
                break
        name, fields = ending(client, job)
        assert name == "cancelled"
        kept = ResultManifest.load(fetch(client, job, tmp_path / "kept"), cancelled_too=True)
    assert [finding.description for finding in kept.findings] == ["bright ball"]
    assert kept.unfinished == ("dark ball",)


def test_a_waiting_job_is_told_its_place_and_can_be_cancelled(slow, tmp_path: Path) -> None:
    with slow.client() as client, slow.client(OTHER_TOKEN) as stranger:
        upload = made_upload(tmp_path)
        running, waiting = submit(client, upload), submit(stranger, upload)
        number, name, fields = next(events(stranger, waiting))
        assert (name, fields) == ("queued", {"position": 1})
        stranger.post(f"/v1/jobs/{waiting}/cancel")
        assert ending(stranger, waiting)[0] == "cancelled"
        client.delete(f"/v1/jobs/{running}")


def test_a_result_that_nobody_fetches_is_deleted_in_time(tmp_path: Path) -> None:
    with RunningServer(tmp_path / "server", limits={"keep_s": 0.5}) as server, server.client() as client:
        job = submit(client, made_upload(tmp_path))
        ending(client, job)
        end = time.monotonic() + 20
        while server.job_folders:
            assert time.monotonic() < end
            time.sleep(0.1)
        assert client.get(f"/v1/jobs/{job}").status_code == 404


def test_what_is_too_large_or_too_much_is_refused(tmp_path: Path) -> None:
    limits = {"scan_bytes": 40_000, "body_bytes": 2_000, "jobs_per_token": 1, "requests_per_minute": 12}
    upload = made_upload(tmp_path, 16)
    with RunningServer(tmp_path / "server", limits=limits) as server, server.client() as client:
        large = client.post("/v1/jobs", json=announced(made_upload(tmp_path, 32)))
        assert large.status_code == 413 and "Crop it" in large.json()["message"]
        assert client.post("/v1/jobs", json=announced(upload, "x" * 5000)).status_code == 413
        chunks = (b"x" * 1000 for _ in range(5))
        assert client.post("/v1/jobs", content=chunks, headers={"Content-Type": "application/json"}).status_code == 413
        job = client.post("/v1/jobs", json=announced(upload)).json()["job"]
        assert client.post("/v1/jobs", json=announced(upload)).status_code == 429
        endless = (b"x" * 10_000 for _ in range(100))
        assert client.put(f"/v1/jobs/{job}/scan", content=endless).status_code in (400, 413)
        answers = [client.get("/v1/hello").status_code for _ in range(12)]
        assert answers[-1] == 429 and answers[0] == 200


def test_the_server_adds_less_than_a_second_to_a_job(server, tmp_path: Path) -> None:
    upload = made_upload(tmp_path, 96)
    with server.client() as client:
        client.delete(f"/v1/jobs/{_run(client, upload)}")  # the worker is up now
        began = time.monotonic()
        job = _run(client, upload)
        fetch(client, job, tmp_path / "result")
        client.delete(f"/v1/jobs/{job}")
        through_server = time.monotonic() - began
    with WorkerProcess.stand_in(0.0) as worker:
        worker.send("run", "first", job_folder(tmp_path / "first", size=96))
        worker.ending("first")
        began = time.monotonic()
        worker.send("run", "here", job_folder(tmp_path / "here", size=96))
        worker.ending("here")
        alone = time.monotonic() - began
    print(
        f"\nthrough the server, transfer on loopback included: {through_server:.2f} s; the worker alone: {alone:.2f} s"
    )
    assert through_server < alone + 1.0


def _run(client, upload: bytes) -> str:
    job = submit(client, upload)
    assert ending(client, job)[0] == "done"
    return job
