"""The server under generated requests: whatever comes, an answer that its document foresees, and no defect.

The variable DIFFUGTS_FUZZED says how many examples each operation gets; docs/robustness.md has a long run.
"""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
schemathesis = pytest.importorskip("schemathesis", reason="the extra 'test' is not installed")
from hypothesis import given, strategies  # noqa: E402
from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.specs.openapi.checks import (  # noqa: E402
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from fuzzing import DAMAGE, FUZZED, damaged, fuzzed  # noqa: E402
from running_server import TOKEN, RunningServer, announced, ending, made_upload, submit  # noqa: E402

USUALLY = 40
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
LIMITS = {"requests_per_minute": 10_000_000, "failed_logins_per_minute": 10_000_000, "jobs_per_token": 1000}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    with RunningServer(tmp_path_factory.mktemp("server"), limits=LIMITS) as running:
        yield running


@pytest.fixture(scope="module")
def document(server):
    return schemathesis.openapi.from_url(f"{server.address}/openapi.json")


@pytest.fixture(scope="module")
def finished_job(server, tmp_path_factory: pytest.TempPathFactory) -> str:
    with server.client() as client:
        job = submit(client, made_upload(tmp_path_factory.mktemp("upload")))
        assert ending(client, job)[0] == "done"
    return job


ANSWERS: Counter[int] = Counter()
"""How often which status came, shown with `pytest -s`."""

OPERATIONS = (
    ("GET", "/v1/hello"),
    ("POST", "/v1/jobs"),
    ("PUT", "/v1/jobs/{job}/scan"),
    ("GET", "/v1/jobs/{job}"),
    ("GET", "/v1/jobs/{job}/events"),
    ("POST", "/v1/jobs/{job}/cancel"),
    ("GET", "/v1/jobs/{job}/result/{name}"),
    ("DELETE", "/v1/jobs/{job}"),
)


def test_the_document_lists_every_operation(document) -> None:
    listed = {(each.ok().method.upper(), each.ok().path) for each in document.get_all_operations()}
    assert listed == set(OPERATIONS)


@pytest.mark.parametrize("mode", ["positive", "negative"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=" ".join)
def test_every_operation_answers_as_its_document_says(
    document, finished_job: str, operation: tuple[str, str], mode: str
) -> None:
    """`positive` requests are as the document asks, `negative` ones are not."""
    method, path = operation
    described = document[path][method]

    @fuzzed(USUALLY)
    @given(
        case=described.as_strategy(generation_mode=schemathesis.GenerationMode(mode)),
        of_a_job=strategies.booleans(),
    )
    def answers(case, of_a_job: bool) -> None:
        if of_a_job and case.path_parameters and method != "DELETE":
            case.path_parameters["job"] = finished_job
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}"}, timeout=30)
        ANSWERS[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)

    answers()


def test_damaged_scans_are_refused_or_computed_and_every_job_ends(server, tmp_path: Path) -> None:
    """The checksum that was announced is that of the damaged scan: everything behind it has to hold by itself."""
    upload = made_upload(tmp_path)
    end = upload.index(b"\n\n") + 2
    became: Counter[str] = Counter()
    with server.client() as client:

        @fuzzed(USUALLY)
        @given(DAMAGE)
        def send(steps: list[tuple[str, float, bytes]]) -> None:
            scan = damaged(upload, steps, 0, end)
            job = client.post("/v1/jobs", json=announced(scan)).json()["job"]
            answer = client.put(f"/v1/jobs/{job}/scan", content=scan)
            if answer.status_code == 202:
                name, fields = ending(client, job)
                assert name == "done" or (name == "failed" and len(fields["message"]) > 20), fields
                assert "did not foresee" not in fields.get("message", "")
                became[name] += 1
            else:
                assert answer.status_code == 400 and len(answer.json()["message"]) > 20
                became["refused"] += 1
            assert client.delete(f"/v1/jobs/{job}").status_code == 204

        send()
    print(f"\n{became.total()} damaged scans: {dict(became)}")


def test_damaged_announcements_are_refused_or_taken(server, tmp_path: Path) -> None:
    text = json.dumps(announced(made_upload(tmp_path), "liver metastasis", "cyst", threshold=0.4)).encode()
    became: Counter[int] = Counter()
    with server.client() as client:

        @fuzzed(USUALLY)
        @given(DAMAGE)
        def announce(steps: list[tuple[str, float, bytes]]) -> None:
            headers = {"Content-Type": "application/json"}
            answer = client.post("/v1/jobs", content=damaged(text, steps, 0, len(text)), headers=headers)
            became[answer.status_code] += 1
            if answer.status_code == 201:
                assert client.delete(f"/v1/jobs/{answer.json()['job']}").status_code == 204
            else:
                assert answer.status_code in (400, 413, 422) and answer.json()["message"].endswith(".")

        announce()
    print(f"\n{became.total()} damaged announcements: {dict(became)}")


def test_after_all_of_it_the_server_still_works(server, tmp_path: Path) -> None:
    print(f"\n{ANSWERS.total()} requests were answered: {dict(sorted(ANSWERS.items()))}")
    with server.client() as client:
        job = submit(client, made_upload(tmp_path))
        assert ending(client, job)[0] == "done"
    assert "Traceback" not in server.log and "ERROR" not in server.log, server.log[-2000:]


def test_bytes_that_are_no_http_neither_end_nor_hang_it(server) -> None:
    chance = random.Random(0)
    starts = [
        b"",
        b"GET ",
        b"PUT /v1/jobs/",
        b"POST /v1/jobs HTTP/1.1\r\nContent-Length: 9999999999999999999\r\n\r\n{",
        b"\x16\x03\x01",
    ]
    for number in range(3 * int(FUZZED or USUALLY)):
        content = starts[number % len(starts)] + chance.randbytes(chance.randrange(400))
        with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
            try:
                connection.sendall(content + b"\r\n\r\n")
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except ConnectionError:
                pass  # refused in the middle: as good an answer
    with server.client() as client:
        assert client.get("/v1/hello").status_code == 200
    assert "Traceback" not in server.log, server.log[-2000:]
