"""The jobs of a server under what comes between two of its steps, and what a damaged disk has left of an earlier one."""

from __future__ import annotations

import asyncio
import errno
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
from fastapi.testclient import TestClient  # noqa: E402
from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from diffugts.protocol import Event  # noqa: E402
from diffugts.server import service as module  # noqa: E402
from diffugts.server.app import make_app  # noqa: E402
from diffugts.server.faults import Refused  # noqa: E402
from diffugts.server.service import JobService  # noqa: E402
from diffugts.server.settings import ServerSettings  # noqa: E402
from diffugts.server.stored_job import RECORD, State, StoredJob  # noqa: E402
from fuzzing import DAMAGE, damaged, fuzzed  # noqa: E402
from running_server import announced, made_upload  # noqa: E402

OWNER = "0123456789abcdef"


class Bench:
    """A worker whose start can be held up. It carries out every job at once."""

    def __init__(self) -> None:
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.ran: list[str] = []
        self.told: list[str] = []

    async def ready(self) -> None:
        await self.may_start.wait()

    async def carry_out(self, job: str, request: Path, hear: Callable[[Event], Awaitable[None]]) -> Event:
        await self.ready()
        self.ran.append(job)
        return Event(
            "cancelled" if job in self.told else "failed", {"job": job, "code": "x", "message": "x", "details": ""}
        )

    async def cancel(self, job: str) -> None:
        if job in self.ran:  # a worker passes over what it was not given
            self.told.append(job)

    def kill(self) -> None: ...

    async def close(self) -> None: ...


def settings(folder: Path) -> ServerSettings:
    return ServerSettings(folder=folder / "jobs", models={"compact": folder})


async def announce(service: JobService, upload: bytes) -> StoredJob:
    body = announced(upload)
    facts = {"model": "compact", **body["request"]}
    return await service.add(OWNER, facts, body["scan"]["bytes"], body["scan"]["sha256"])


async def pieces(upload: bytes) -> AsyncIterator[bytes]:
    yield upload


@pytest.fixture
def held_check(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """The check of a scan that has arrived waits for the second event; the first says that it has begun."""
    began, go_on = threading.Event(), threading.Event()

    def check(part: Path) -> None:
        began.set()
        assert go_on.wait(10)

    monkeypatch.setattr(module, "require_upload", check)
    return began, go_on


@pytest.mark.parametrize("how", ["cancel", "forget"])
def test_a_job_cancelled_while_its_scan_is_checked_is_not_run(tmp_path: Path, held_check: Any, how: str) -> None:
    began, go_on = held_check

    async def scene() -> tuple[list[str], str]:
        bench = Bench()
        service = JobService(settings(tmp_path), [bench])
        await service.start()
        upload = made_upload(tmp_path)
        job = await announce(service, upload)
        arriving = asyncio.create_task(service.receive(job, pieces(upload)))
        await asyncio.to_thread(began.wait, 10)
        await (service.cancel(job) if how == "cancel" else service.forget(job))
        go_on.set()
        with pytest.raises(Refused, match="cancelled while its scan was sent") as refused:
            await arriving
        assert refused.value.status == 409
        await asyncio.sleep(0.05)
        await service.close()
        return bench.ran, job.state.value

    assert asyncio.run(scene()) == ([], State.OVER.value)


def test_a_job_cancelled_while_its_worker_starts_is_not_run(tmp_path: Path) -> None:
    async def scene() -> tuple[list[str], str, str]:
        bench = Bench()
        bench.may_start.clear()
        service = JobService(settings(tmp_path), [bench])
        await service.start()
        upload = made_upload(tmp_path)
        job = await announce(service, upload)
        await service.receive(job, pieces(upload))
        while service.load["running"] == 0:
            await asyncio.sleep(0.01)
        await service.cancel(job)
        bench.may_start.set()
        while job.state is not State.OVER:
            await asyncio.sleep(0.01)
        await service.close()
        return bench.ran, job.state.value, job.record.ending

    assert asyncio.run(scene()) == ([], State.OVER.value, "cancelled")


def test_a_disk_that_fills_while_a_scan_arrives_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    upload = made_upload(tmp_path)
    with TestClient(make_app(settings(tmp_path)), base_url="http://localhost") as client:
        job = client.post("/v1/jobs", json=announced(upload)).json()["job"]

        def full(source: Any, target: Any) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(module.os, "replace", full)
            answer = client.put(f"/v1/jobs/{job}/scan", content=upload)
        assert answer.status_code == 507 and "disk is nearly full" in answer.json()["message"]
        assert client.put(f"/v1/jobs/{job}/scan", content=upload).status_code == 202


# -- what a damaged disk has left --------------------------------------------------------------------------------------


def left_folder(tmp_path: Path) -> dict[str, bytes]:
    """What a server leaves whose three jobs were uploading, in line and over: {path below its folder: content}."""

    async def scene() -> None:
        bench = Bench()
        service = JobService(settings(tmp_path), [bench])
        await service.start()
        upload = made_upload(tmp_path)
        over = await announce(service, upload)
        await service.receive(over, pieces(upload))
        while over.state is not State.OVER:
            await asyncio.sleep(0.01)
        bench.may_start.clear()
        waiting = await announce(service, upload)
        await service.receive(waiting, pieces(upload))
        await announce(service, upload)
        await service.close()

    asyncio.run(scene())
    folder = tmp_path / "jobs"
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: content for name, content in found.items() if not name.startswith(".")}


def laid_anew(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)


def started(tmp_path: Path) -> int:
    """How many jobs a new server has after it started and carried out what is in line."""

    async def scene() -> int:
        service = JobService(settings(tmp_path), [Bench()])
        await service.start()
        try:
            while any(job.state is State.ACCEPTED for job in service._jobs.values()):
                await asyncio.sleep(0.001)
            return len(service._jobs)
        finally:
            await service.close()

    return asyncio.run(asyncio.wait_for(scene(), 10))


def test_a_server_starts_on_whatever_is_left_of_its_jobs(tmp_path: Path) -> None:
    files = left_folder(tmp_path)
    assert len(files) >= 6 and started(tmp_path) == 3

    @fuzzed(60)
    @given(st.sampled_from(sorted(files)), DAMAGE)
    def start(name: str, steps: list[tuple[str, float, bytes]]) -> None:
        changed = damaged(files[name], steps, 0, len(files[name]))
        laid_anew(tmp_path / "jobs", {**files, name: changed})
        assert started(tmp_path) in (2, 3)

    start()


@pytest.mark.parametrize(
    "damage", [{"ending": "no such"}, {"state": "no such"}, {"ending": "done", "manifest_sha256": ""}]
)
def test_a_record_that_says_what_cannot_be_is_no_job(tmp_path: Path, damage: dict[str, str]) -> None:
    files = left_folder(tmp_path)
    (name,) = [name for name in files if name.endswith(RECORD) and json.loads(files[name])["state"] == "over"]
    laid_anew(tmp_path / "jobs", {name: json.dumps({**json.loads(files[name]), **damage}).encode()})
    assert started(tmp_path) == 2


def test_a_record_nested_without_end_is_no_job(tmp_path: Path) -> None:
    files = left_folder(tmp_path)
    name = next(name for name in files if name.endswith(RECORD))
    laid_anew(tmp_path / "jobs", {name: b"[" * 100_000})
    assert started(tmp_path) == 2
