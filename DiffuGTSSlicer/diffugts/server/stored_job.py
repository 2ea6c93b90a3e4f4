"""A job on the server's disk: enough to go on after the server itself was killed."""

from __future__ import annotations

import json
import shutil
import time
from dataclasses import asdict, dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

from diffugts.errors import RequestError, ResultError
from diffugts.protocol import Event, ResultManifest, sha256_of
from diffugts.protocol.files import as_json, read_text, replace_text
from diffugts.protocol.job_folder import JobFolder
from diffugts.protocol.manifest import DONE, FILE_NAME
from diffugts.protocol.records import record_of

RECORD = "job.json"


class State(str, Enum):
    """Where a job stands; `ACCEPTED` is queued or running."""

    UPLOADING = "uploading"
    ACCEPTED = "accepted"
    OVER = "over"


@dataclass
class Record:
    """What is remembered of a job: no name, no description. Times in seconds since 1970."""

    owner: str
    created: float
    scan_bytes: int
    scan_sha256: str
    state: str = State.UPLOADING.value
    attempts: int = 0
    finished: float | None = None
    ending: str = ""
    code: str = ""
    message: str = ""
    manifest_sha256: str = ""


@dataclass(eq=False)
class StoredJob(JobFolder):
    """A job's folder and its record. Only one thread at a time may change it."""

    name: str
    folder: Path
    record: Record
    deleted: bool = field(default=False)

    @property
    def state(self) -> State:
        """Where it stands."""
        return State(self.record.state)

    def save(self) -> None:
        """Write the record, whole or not at all. Raises OSError."""
        replace_text(self.folder / RECORD, as_json(asdict(self.record)))

    def accept(self) -> None:
        """The scan has arrived whole. Raises OSError."""
        self.record.state = State.ACCEPTED.value
        try:
            self.save()
        except OSError:
            self.record.state = State.UPLOADING.value
            raise

    def begin(self) -> None:
        """One more attempt begins. Raises OSError."""
        self.record.attempts += 1
        self.save()

    def end(self, closing: Event) -> None:
        """The job is over. The scan is of no use any more and is deleted at once. Raises OSError."""
        record, fields = self.record, closing.fields
        record.state, record.finished, record.ending = State.OVER.value, time.time(), closing.name
        record.code, record.message = str(fields.get("code", "")), str(fields.get("message", ""))
        record.manifest_sha256 = str(fields.get("sha256", ""))
        self.save()
        self.scan_path.unlink(missing_ok=True)

    def closing_event(self) -> Event:
        """The event that the job ended with."""
        record = self.record
        if record.ending == "failed":
            fields: dict[str, Any] = {"code": record.code, "message": record.message, "details": ""}
        elif record.manifest_sha256:
            fields = {"result": str(self.result_folder / FILE_NAME), "sha256": record.manifest_sha256}
        else:
            fields = {}
        return Event(record.ending, {"job": self.name, **fields})

    def whole_result(self) -> Event | None:
        """The closing event of a whole result that the worker has left, every checksum verified; None where there is none."""
        try:
            manifest = ResultManifest.load(self.result_folder, cancelled_too=True)
            digest = sha256_of(self.result_folder / FILE_NAME)
        except (ResultError, OSError):
            return None
        name = "done" if manifest.status == DONE else "cancelled"
        return Event(name, {"job": self.name, "result": str(manifest.folder / FILE_NAME), "sha256": digest})

    def delete(self) -> None:
        """Delete everything of the job; its record first, so that a half deleted one is never taken for a job."""
        self.deleted = True
        (self.folder / RECORD).unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def stored_jobs(folder: Path) -> list[StoredJob]:
    """The jobs that an earlier server has left, in order of arrival; what is no job is deleted."""
    found = []
    for entry in folder.iterdir():
        if not entry.is_dir():
            continue
        try:
            job = StoredJob(entry.name, entry, record_of(Record, json.loads(read_text(entry / RECORD))))
            if job.state is State.OVER:
                job.closing_event()
        except (OSError, ValueError, RecursionError, RequestError):
            shutil.rmtree(entry, ignore_errors=True)
        else:
            found.append(job)
    return sorted(found, key=lambda job: job.record.created)
