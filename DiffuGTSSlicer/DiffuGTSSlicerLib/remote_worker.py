"""A worker that computes nothing itself: it speaks the worker's lines with Slicer, and has a server compute.

    PythonSlicer -m DiffuGTSSlicerLib.remote_worker https://gpu-server:8765 [--certificate FILE] [--test]

To Slicer it is a worker like any other: the same commands and events, the same job folder, the same result; so that
queue, cancelling and checks are the same. What leaves is built anew from a list of what may: voxels, sizes and geometry,
descriptions, choices (`diffugts.protocol.remote`). The token comes in the environment. Standard library only.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from diffugts.errors import Cancelled, DiffuGTSError, RequestError, ResultError
from diffugts.protocol import PROTOCOL_VERSION, Command, Event, Request, ResultManifest, Stage, parse_command, sha256_of
from diffugts.protocol.manifest import FILE_NAME
from diffugts.protocol.remote import PROGRAM_VERSION, UploadHeader, travelling_request, upload_header
from DiffuGTSSlicerLib.server_address import TOKEN_VARIABLE, server_address
from DiffuGTSSlicerLib.server_connection import Refused, ServerConnection, Unreachable

PATIENCE_S = 600.0
"""How long a server that does not answer any more is asked again, as after its restart."""

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 5.0
SENDING, COMPUTING = 0.1, 0.95
"""Shares of the whole at which the scan has been sent, and the result is to be fetched."""

PROGRESS_S = 0.2
FORGET_S = 2.0
SILENT_ENOUGH_S = 15.0
"""Whoever has answered for so long is there."""

Answer = TypeVar("Answer")


class RemoteJob:
    """One job on the server, carried out by `run` on a thread of its own; `cancel` may be called by another.

    Args:
        command: the `run` command.
        server: who computes.
        tell: takes the events for Slicer.
    """

    def __init__(self, command: Command, server: ServerConnection, tell: Callable[[Event], None]) -> None:
        self.name, self._request_path = command.job, Path(command.request)
        self._server, self._tell = server, tell
        self._cancels = 0
        self._remote = ""
        self._told_at = 0.0

    def run(self) -> None:
        """Carry it out; exactly one closing event is told."""
        try:
            closing = self._carried_out()
        except Cancelled:
            closing = Event("cancelled", {"job": self.name})
        except DiffuGTSError as error:
            on_the_way = self._cancels > 0 and isinstance(error, (Refused, Unreachable))
            closing = Event("cancelled", {"job": self.name}) if on_the_way else self._failed(error.code, str(error))
        except OSError as error:
            closing = self._failed("error", f"A file of the job cannot be read or written ({error.strerror or error}).")
        except Exception as error:  # noqa: BLE001 - whatever happens, Slicer hears an end
            closing = self._failed("error", "Something went wrong that the program did not foresee.", repr(error))
        forgetting = threading.Thread(target=self._forget, daemon=True)
        forgetting.start()
        forgetting.join(FORGET_S)  # a server that does not answer must not hold up the news
        self._tell(closing)

    def cancel(self) -> None:
        """Stop; asked again, keep nothing. Returns at once."""
        self._cancels += 1
        threading.Thread(target=self._cancel_there, daemon=True).start()

    def _cancel_there(self) -> None:
        if self._remote:
            with contextlib.suppress(DiffuGTSError):
                self._server.ask("POST", f"/jobs/{self._remote}/cancel")

    def _forget(self) -> None:
        """Have the server delete everything of the job: it is delivered, or nobody wants it any more."""
        if self._remote:
            with contextlib.suppress(DiffuGTSError):
                self._server.ask("DELETE", f"/jobs/{self._remote}")
            self._remote = ""

    def abandon(self) -> None:
        """Slicer is gone or wants nothing more: the server need not go on."""
        self._cancels += 1
        self._forget()

    def _carried_out(self) -> Event:
        request = Request.load(self._request_path)
        scan = Path(request.scan)
        header = upload_header(scan)
        self._server.hello()
        announced = {
            "request": travelling_request(request, _model_name(request.model)),
            "scan": {"bytes": header.total_bytes, "sha256": _upload_sha256(scan, header)},
        }
        self._check()
        self._remote = str(self._server.ask("POST", "/jobs", announced)["job"])
        self._patiently(lambda: self._send(scan, header))
        closing = self._listen()
        if closing.name == "failed" or "sha256" not in closing.fields:
            return Event(closing.name, {**closing.fields, "job": self.name})
        return self._fetch(closing, Path(request.output))

    def _send(self, scan: Path, header: UploadHeader) -> None:
        total = max(1, header.total_bytes >> 20)

        def sent(count: int) -> None:
            self._check()
            self._progress(Stage.READING, min(count >> 20, total), total, SENDING * count / header.total_bytes)

        with scan.open("rb") as file:
            try:
                self._server.upload(self._remote, header, file, sent)
            except Refused as refusal:
                if refusal.status != 409 or self._cancels:  # it had arrived, and only the answer was lost
                    raise

    def _listen(self) -> Event:
        """Pass on what the server says until it says how the job ended; after a broken connection go on where it was."""
        last, closing = "", None
        while closing is None:

            def hear() -> Event | None:
                nonlocal last
                for number, event in self._server.events(self._remote, last):
                    last = number
                    if event.name in ("done", "failed", "cancelled"):
                        return event
                    self._pass_on(event)
                return None

            closing = self._patiently(hear)
            if closing is None:  # the server ended in good order, in the middle of the job
                time.sleep(FIRST_PAUSE_S)
        return closing

    def _pass_on(self, event: Event) -> None:
        fields = event.fields
        if event.name == "queued":
            self._progress(Stage.READING, fields["position"], 0, SENDING, at_once=True)
        elif event.name == "progress":
            done, whole = fields.get("fraction"), {}
            if isinstance(done, (int, float)) and not isinstance(done, bool):
                whole["fraction"] = SENDING + (COMPUTING - SENDING) * done
            self._tell(Event("progress", {**fields, **whole, "job": self.name}))

    def _fetch(self, closing: Event, folder: Path) -> Event:
        """Bring the result here: it appears in its place when every checksum has held, or not at all."""
        part = folder.with_name(f".{folder.name}.part-{os.getpid()}")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        try:
            self._get(FILE_NAME, part)
            if sha256_of(part / FILE_NAME) != closing.fields["sha256"]:
                raise ResultError("The result's list of files was changed on the way. Segment again.")
            listed = ResultManifest.load(part, verify=False, cancelled_too=True)
            for number, record in enumerate(listed.files):
                if self._cancels > 1:
                    raise Cancelled("The job was cancelled.")
                self._progress(Stage.WRITING, number, len(listed.files), COMPUTING)
                self._get(_plain(record.name), part)
            listed.verify()
            os.replace(part, folder)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        path = str(folder / FILE_NAME)
        return Event(closing.name, {"job": self.name, "result": path, "sha256": closing.fields["sha256"]})

    def _get(self, name: str, part: Path) -> None:
        self._patiently(lambda: self._server.download(self._remote, name, part / name, lambda count: None))

    def _patiently(self, asked: Callable[[], Answer]) -> Answer:
        """Ask again while the server does not answer; a cancelled job is not waited for."""
        ends, pause = time.monotonic() + PATIENCE_S, FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            try:
                return asked()
            except Unreachable:
                now = time.monotonic()
                if now - began > SILENT_ENOUGH_S:  # it had answered for a while: the patience begins anew
                    ends, pause = now + PATIENCE_S, FIRST_PAUSE_S
                if self._cancels:
                    raise Cancelled("The job was cancelled.") from None
                if now > ends:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _progress(self, stage: Stage, done: int, total: int, fraction: float, at_once: bool = False) -> None:
        now = time.monotonic()
        if at_once or now - self._told_at >= PROGRESS_S:
            self._told_at = now
            fields = {"stage": stage.value, "done": done, "total": total, "message": "", "eta_s": None}
            self._tell(Event("progress", {"job": self.name, **fields, "fraction": fraction}))

    def _check(self) -> None:
        if self._cancels:
            raise Cancelled("The job was cancelled.")

    def _failed(self, code: str, message: str, details: str = "") -> Event:
        return Event("failed", {"job": self.name, "code": code, "message": message, "details": details})


class RemoteWorker:
    """Obeys the lines on standard input until they end. Slicer sends one job after the other."""

    def __init__(self, server: ServerConnection) -> None:
        self._server = server
        self._telling = threading.Lock()
        self._job: RemoteJob | None = None

    def serve(self) -> None:
        """Greet, and obey until the input ends."""
        self._greet()
        for line in sys.stdin.buffer:
            try:
                if not self._obey(parse_command(line.decode("utf-8", "replace"))):
                    break
            except RequestError as error:
                self._tell(Event("failed", {"job": None, "code": error.code, "message": str(error), "details": ""}))
        if self._job is not None:
            self._job.abandon()

    def _obey(self, command: Command) -> bool:
        if command.name == "hello":
            self._greet()
        elif command.name == "run":
            if self._job is not None:
                raise RequestError("A job runs already. Wait until it is over.")
            self._job = job = RemoteJob(command, self._server, self._tell)
            threading.Thread(target=job.run, daemon=True).start()
        elif command.name == "cancel" and self._job is not None and self._job.name == command.job:
            self._job.cancel()
        elif command.name == "release":
            self._tell(Event("released", {"message": "The other machine keeps or lets go of scans by itself."}))
        return command.name != "quit"

    def _greet(self) -> None:
        self._tell(Event("hello", {"protocol": PROTOCOL_VERSION, "version": PROGRAM_VERSION, "pid": os.getpid()}))

    def _tell(self, event: Event) -> None:
        if event.name in ("done", "failed", "cancelled"):
            self._job = None
        with self._telling, contextlib.suppress(OSError):
            sys.stdout.buffer.write((event.to_line() + "\n").encode())
            sys.stdout.buffer.flush()


def main() -> None:
    """Serve Slicer, or with --test say in one line of JSON who answers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--certificate", default="")
    parser.add_argument("--test", action="store_true")
    chosen = parser.parse_args()
    token = os.environ.pop(TOKEN_VARIABLE, "")
    if chosen.test:
        try:
            facts = ServerConnection(server_address(chosen.address), token, chosen.certificate).hello()
        except DiffuGTSError as error:
            facts = {"code": error.code, "message": str(error)}
        print(json.dumps(facts), flush=True)
        return
    RemoteWorker(ServerConnection(server_address(chosen.address), token, chosen.certificate)).serve()


def _model_name(model: str) -> str:
    """What the server knows a model by: the name of its folder here, never the path."""
    return Path(model).name


def _plain(name: str) -> str:
    """A file name that is one, whatever the server lists."""
    if not name or name.startswith(".") or any(sign in name for sign in "/\\:\x00?#% "):
        raise ResultError(f"The result lists {name!r:.80}, which is not a file of its own folder. Segment again.")
    return name


def _upload_sha256(scan: Path, header: UploadHeader) -> str:
    digest = hashlib.sha256(header.text)
    with scan.open("rb") as file:
        file.seek(header.data_begins)
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


if __name__ == "__main__":
    main()
