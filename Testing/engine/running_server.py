"""A server process at the other end of a connection, for tests, and the requests that a client makes of it."""

from __future__ import annotations

import hashlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
import psutil

from diffugts.protocol.remote import upload_header
from job_folders import write_scan
from worker_process import HERE, environment

TOKEN, OTHER_TOKEN = "a-token-for-tests-of-the-first", "a-token-for-tests-of-the-second"
PATIENCE_S = 60.0


def free_port() -> int:
    """A port that nobody listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RunningServer:
    """A server with tokens on the loopback address. Use it as a context; `restart` follows `kill`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        model = folder / "model"
        model.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.settings = {
            "folder": str(folder / "jobs"),
            "port": self.port,
            "models": {"compact": str(model)},
            "tokens": [TOKEN, OTHER_TOKEN],
            **settings,
        }
        scheme = "https" if "certificate" in settings else "http"
        self.address = f"{scheme}://127.0.0.1:{self.port}"
        # Without TLS there is nothing to verify, and reading all the system's certificates for each client takes long.
        self._verify: Any = scheme == "https" and ssl.create_default_context(cafile=settings["certificate"])
        self._said: list[bytes] = []
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / "served_stand_in.py"), json.dumps(self.settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        threading.Thread(target=self._read, args=(self.process.stderr,), daemon=True).start()
        end = time.monotonic() + PATIENCE_S
        with self.client(None) as client:
            while True:
                try:
                    client.get("/v1/hello")
                    return
                except httpx.TransportError:
                    assert self.process.poll() is None, self.log
                    assert time.monotonic() < end, f"the server does not answer: {self.log}"
                    time.sleep(0.05)

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if value is not None:
            sys.stderr.write(self.log)

    @property
    def log(self) -> str:
        """What the server has written."""
        return b"".join(self._said).decode("utf-8", "replace")

    @property
    def workers(self) -> list[psutil.Process]:
        """The worker processes that run now."""
        return psutil.Process(self.process.pid).children()

    @property
    def job_folders(self) -> list[Path]:
        """What lies on the server's disk."""
        return [entry for entry in Path(str(self.settings["folder"])).iterdir() if entry.is_dir()]

    def kill(self) -> None:
        """End the server as a power failure does: at once, without a word."""
        self.process.kill()
        self.process.wait()

    def client(self, token: str | None = TOKEN, **headers: str) -> httpx.Client:
        """Requests with a token."""
        known = {"Authorization": f"Bearer {token}"} if token else {}
        # trust_env: a proxy of the machine's environment is not asked for the loopback address.
        return httpx.Client(
            base_url=self.address,
            headers={**known, **headers},
            verify=self._verify,
            timeout=PATIENCE_S,
            trust_env=False,
        )

    def _read(self, pipe: Any) -> None:
        for line in pipe:
            self._said.append(line)


def made_upload(folder: Path, size: int = 24) -> bytes:
    """A scan as it travels."""
    path = write_scan(folder / f"upload-{size}.nrrd", size)
    header = upload_header(path)
    return header.text + path.read_bytes()[header.data_begins :]


def announced(upload: bytes, *descriptions: str, **more: Any) -> dict[str, Any]:
    """The body that announces a job."""
    request = {"descriptions": list(descriptions or ("bright ball",)), "modality": "MR", **more}
    return {"request": request, "scan": {"bytes": len(upload), "sha256": hashlib.sha256(upload).hexdigest()}}


def submit(client: httpx.Client, upload: bytes, *descriptions: str, **more: Any) -> str:
    """Announce and send a job; its name."""
    answer = client.post("/v1/jobs", json=announced(upload, *descriptions, **more))
    assert answer.status_code == 201, answer.text
    job = str(answer.json()["job"])
    sent = client.put(f"/v1/jobs/{job}/scan", content=upload)
    assert sent.status_code == 202, sent.text
    return job


def events(client: httpx.Client, job: str, last: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(id, name, fields) of a job's events, as long as the server sends."""
    headers = {"Last-Event-ID": last} if last else {}
    with client.stream("GET", f"/v1/jobs/{job}/events", headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        block: dict[str, str] = {}
        for line in answer.iter_lines():
            key, colon, value = line.partition(": ")
            if line and key:
                block[key] = value
            elif block:
                yield block["id"], block["event"], json.loads(block["data"])
                block = {}


def ending(client: httpx.Client, job: str) -> tuple[str, dict[str, Any]]:
    """How a job ends."""
    *_, (_, name, fields) = events(client, job)
    return name, fields


def fetch(client: httpx.Client, job: str, folder: Path) -> Path:
    """The whole result in a folder."""
    folder.mkdir()
    manifest = client.get(f"/v1/jobs/{job}/result/result.json")
    assert manifest.status_code == 200, manifest.text
    (folder / "result.json").write_bytes(manifest.content)
    for record in manifest.json()["files"]:
        (folder / record["name"]).write_bytes(client.get(f"/v1/jobs/{job}/result/{record['name']}").content)
    return folder
