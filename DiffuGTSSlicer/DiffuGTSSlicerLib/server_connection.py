"""Requests to a server that computes, by Python's own HTTP client. The one file of the Slicer side that connects anywhere.

Runs in a process of its own (`remote_worker`), never in Slicer's. No proxy is asked, no redirection followed: what is
sent goes to the address that was agreed to, or nowhere. Standard library only.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from diffugts.errors import DiffuGTSError
from diffugts.protocol import PROTOCOL_VERSION, Event
from diffugts.protocol.remote import API, PROGRAM_VERSION, PROTOCOL_HEADER, UploadHeader, problem_of, version_problem
from DiffuGTSSlicerLib.server_address import ServerAddress

CONNECT_S = 10.0
SILENT_S = 30.0
"""A server that computes says every 10 s that it is there."""

BLOCK_BYTES = 1 << 18
LONGEST_ANSWER = 1 << 20
LONGEST_EVENT_LINE = 1_000_000


class Unreachable(DiffuGTSError):
    """The server does not answer, or the connection broke; it may be tried again."""

    code = "unreachable"


class Refused(DiffuGTSError):
    """The server answered, and will not do it. `code` is its word."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


class ServerConnection:
    """A server, asked by a connection of its own for each request.

    Args:
        address: where it is.
        token: what it knows this user by; empty where it wants none.
        certificate: PEM file of the certificate authority, or of the server itself; empty for those that the system trusts.
    """

    def __init__(self, address: ServerAddress, token: str = "", certificate: str = "") -> None:
        self._address = address
        self._headers = {PROTOCOL_HEADER: str(PROTOCOL_VERSION), "User-Agent": f"DiffuGTS/{PROGRAM_VERSION}"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._tls: ssl.SSLContext | None = None
        if address.secure:
            try:
                self._tls = ssl.create_default_context(cafile=certificate or None)
            except (OSError, ssl.SSLError) as error:
                raise Unreachable(
                    f"The certificate file '{certificate}' cannot be used ({error}). Choose the PEM file that whoever runs the "
                    "server has given."
                ) from error

    def hello(self) -> dict[str, Any]:
        """Who answers. Raises Unreachable, or Refused; also where it is of another version."""
        facts = self.ask("GET", "/hello")
        problem = version_problem(facts.get("protocol"), facts.get("version"), PROTOCOL_VERSION, PROGRAM_VERSION)
        if facts.get("program") != "DiffuGTS":
            raise Refused(200, *problem_of(None))
        if problem:
            raise Refused(426, "version", problem)
        return facts

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """A request with JSON both ways. Raises Unreachable or Refused."""
        sent = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        with self._answer(method, path, sent, headers) as answer:
            return self._facts_of(answer)

    def upload(self, job: str, header: UploadHeader, scan: BinaryIO, sent: Callable[[int], None]) -> None:
        """Send a scan: its cleaned header and its voxels, nothing else of the file. `sent` may raise to stop it."""

        def blocks() -> Iterator[bytes]:
            yield header.text
            scan.seek(header.data_begins)
            left = header.data_bytes
            while left and (block := scan.read(min(BLOCK_BYTES, left))):
                left -= len(block)
                yield block
                sent(header.total_bytes - left)

        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(header.total_bytes)}
        with self._answer("PUT", f"/jobs/{job}/scan", blocks(), headers) as answer:
            self._facts_of(answer)

    def events(self, job: str, last_event_id: str) -> Iterator[tuple[str, Event]]:
        """(id, event) as the server tells them, until it has told all or the connection breaks (Unreachable)."""
        with self._answer("GET", f"/jobs/{job}/events", None, {"Last-Event-ID": last_event_id}) as answer:
            block: dict[str, str] = {}
            while line := answer.readline(LONGEST_EVENT_LINE):
                text = line.decode("utf-8", "replace").rstrip("\r\n")
                if text:
                    key, _, value = text.partition(": ")
                    block[key] = value
                    continue
                if "event" in block:
                    yield block.get("id", ""), _event_of(job, block)
                block = {}

    def download(self, job: str, name: str, target: Path, received: Callable[[int], None]) -> None:
        """A file of the result. Raises OSError where it cannot be written."""
        with self._answer("GET", f"/jobs/{job}/result/{name}", None, {}) as answer, target.open("wb") as file:
            while block := answer.read(BLOCK_BYTES):
                file.write(block)
                received(len(block))

    @contextlib.contextmanager
    def _answer(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        host, port = self._address.host, self._address.port
        connection: http.client.HTTPConnection
        if self._tls is not None:
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_S)
        try:
            connection.connect()
            connection.sock.settimeout(SILENT_S)
            try:
                connection.request(method, API + path, body, {**self._headers, **headers})
            except (BrokenPipeError, ConnectionResetError):
                pass  # a server that refuses in the middle of a body has said why
            answer = connection.getresponse()
            if answer.status >= 300:
                raise Refused(answer.status, *problem_of(_json_of(answer.read(LONGEST_ANSWER))))
            yield answer
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(
                f"The server at {self._address} cannot prove that it is the one it says ({error.verify_message}). Choose its "
                "certificate file in Setup, or check the address."
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(
                f"The server at {self._address} does not answer ({_cause(error)}). Check the address in Setup and whether the "
                "server runs; a firewall may be between."
            ) from error
        finally:
            connection.close()

    def _facts_of(self, answer: http.client.HTTPResponse) -> dict[str, Any]:
        content = answer.read(LONGEST_ANSWER)
        facts = _json_of(content) if content else {}
        if not isinstance(facts, dict):
            raise Refused(answer.status, *problem_of(None))
        return facts


def _event_of(job: str, block: dict[str, str]) -> Event:
    facts = _json_of(block.get("data", "").encode())
    fields = {"job": job, **(facts if isinstance(facts, dict) else {})}
    if block["event"] == "done" or "sha256" in fields:
        fields["result"] = "result.json"
    return Event(block["event"], fields)


def _json_of(content: bytes) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
