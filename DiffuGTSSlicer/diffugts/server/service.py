"""The jobs of a server: taken, carried out one after another by each worker, kept until they are delivered.

Everything here runs on one event loop; what takes long (checksums, deleting) goes to threads. After the server was killed,
`start` finds the jobs on the disk: a whole result is kept, a job that was interrupted is run again, once.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from diffugts.errors import DiffuGTSError, RequestError, ScanError
from diffugts.protocol import Event, Request
from diffugts.protocol.job_folder import RESULT_FOLDER, SCAN_FILE
from diffugts.protocol.remote import require_upload
from diffugts.server.event_log import EventLog
from diffugts.server.faults import DISK_FULL, Refused, no_such_job
from diffugts.server.settings import ServerSettings
from diffugts.server.stored_job import Record, State, StoredJob, stored_jobs
from diffugts.worker.link import Link, WorkerLink

MOST_ATTEMPTS = 2
SPARE_BYTES = 1 << 30
JANITOR_S = 30.0
log = logging.getLogger("diffugts.server")


class JobService:
    """See above. `start` before anything else, `close` at the end. `links` are the workers; by default processes beside it."""

    def __init__(self, settings: ServerSettings, links: Sequence[Link] | None = None) -> None:
        self._settings, self._limits = settings, settings.limits
        self._jobs: dict[str, StoredJob] = {}
        self._events: dict[str, EventLog] = {}
        self._cancels: dict[str, int] = {}
        self._uploading: set[str] = set()
        self._waiting: list[StoredJob] = []
        self._arrived = asyncio.Condition()
        self._running: dict[str, Link] = {}
        variables = [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in settings.gpus] or [{}]
        self._links = list(links or [WorkerLink(settings.worker, each) for each in variables])
        self._tasks: list[asyncio.Task[None]] = []
        self._lock = FileLock(settings.folder / ".lock")

    async def start(self) -> None:
        """Take the folder, and up what an earlier server has left. Raises RequestError where another server has the folder."""
        folder = self._settings.folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.name == "posix":
            folder.chmod(0o700)
        try:
            self._lock.acquire(timeout=0)
        except Timeout as error:
            raise RequestError(
                f"Another server uses the folder '{folder}'. Give this one another with --folder."
            ) from error
        for job in await asyncio.to_thread(stored_jobs, folder):
            await self._take_up(job)
        self._tasks = [asyncio.create_task(self._serve(link)) for link in self._links]
        self._tasks.append(asyncio.create_task(self._tidy_for_ever()))

    async def close(self) -> None:
        """End the workers; unfinished jobs stay on the disk for the next server."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(link.close() for link in self._links))
        self._lock.release()

    @property
    def load(self) -> dict[str, int]:
        """How many jobs run and wait."""
        return {"running": len(self._running), "waiting": len(self._waiting)}

    # -- what a client asks ------------------------------------------------------------------------------------------

    async def add(self, owner: str, facts: dict[str, Any], scan_bytes: int, scan_sha256: str) -> StoredJob:
        """Make room for a job; its scan comes next. Raises Refused, or RequestError for what the worker would refuse."""
        if scan_bytes > self._limits.scan_bytes:
            raise Refused(
                413,
                "too large",
                f"The scan has {scan_bytes / 1e6:.0f} MB, the server takes at most {self._limits.scan_bytes / 1e6:.0f} MB. "
                "Crop it to the region of interest.",
            )
        if sum(job.record.owner == owner for job in self._jobs.values()) >= self._limits.jobs_per_token:
            raise Refused(
                429,
                "too many jobs",
                f"There are {self._limits.jobs_per_token} jobs of yours on the server already. Wait until one is over, or "
                "delete one.",
            )
        if shutil.disk_usage(self._settings.folder).free < 3 * scan_bytes + SPARE_BYTES:
            raise Refused(507, "disk", DISK_FULL)
        name = secrets.token_hex(16)
        folder = self._settings.folder / name
        request = Request(**{**facts, "model": self._folder_of(facts["model"])}, scan=SCAN_FILE, output=RESULT_FOLDER)
        folder.mkdir(mode=0o700)
        job = StoredJob(name, folder, Record(owner, time.time(), scan_bytes, scan_sha256))
        request.save(job.request_path)
        job.save()
        self._jobs[name], self._events[name] = job, EventLog()
        log.info("job %s of %s: %d bytes announced", name, owner, scan_bytes)
        return job

    def find(self, owner: str, name: str) -> StoredJob:
        """A job of this owner. Raises Refused where there is none."""
        job = self._jobs.get(name)
        if job is None or job.record.owner != owner or job.deleted:
            raise no_such_job()
        return job

    async def receive(self, job: StoredJob, chunks: AsyncIterator[bytes]) -> None:
        """Take a job's scan and put the job in line. Raises Refused where it is not the scan that was announced."""
        if job.state is not State.UPLOADING or job.name in self._uploading:
            raise Refused(409, "state", "The scan of this job has arrived already, or is just arriving.")
        self._uploading.add(job.name)
        part = job.folder / ".scan.part"
        try:
            await self._write(part, job, chunks)
            try:
                with suppress(FileNotFoundError):  # deleted with its job, which is told below
                    await asyncio.to_thread(require_upload, part)
            except ScanError as error:
                raise Refused(400, error.code, str(error)) from error
            self._require_wanted(job)
            os.replace(part, job.scan_path)
            job.accept()  # not in a thread: nobody may cancel the job between the look at it and its record
        finally:
            self._uploading.discard(job.name)
            part.unlink(missing_ok=True)
        await self._put_in_line(job)

    async def cancel(self, job: StoredJob) -> None:
        """As the worker's `cancel`: asked again, the job also keeps nothing. What waits or uploads ends at once."""
        if job.state is State.OVER:
            return
        self._cancels[job.name] = self._cancels.get(job.name, 0) + 1
        link = self._running.get(job.name)
        if link is None:
            if job in self._waiting:
                self._waiting.remove(job)
                await self._tell_positions()
            await self._end(job, Event("cancelled", {"job": job.name}))
            return
        await link.cancel(job.name)
        asyncio.get_running_loop().call_later(self._limits.cancel_within_s, self._end_by_force, job.name, link)

    async def forget(self, job: StoredJob) -> None:
        """Stop a job if it is not over, and delete everything of it."""
        job.deleted = True
        if job.state is not State.OVER:
            await self.cancel(job)
            if job.name in self._running:
                await self.cancel(job)
                return  # deleted when the worker has let go of it
        await self._delete(job)

    def follow(self, job: StoredJob, last_event_id: str) -> AsyncIterator[bytes]:
        """The job's events as server-sent events."""
        return self._events[job.name].follow(last_event_id)

    def result_file(self, job: StoredJob, name: str) -> Path:
        """A file of the result. Raises Refused where there is none of that name."""
        entry = next((path for path in _files_in(job.result_folder) if path.name == name), None)
        if job.state is not State.OVER or not job.record.manifest_sha256 or entry is None:
            raise Refused(404, "unknown", "The job has no such file of a result.")
        return entry

    # -- carrying out ------------------------------------------------------------------------------------------------

    async def _serve(self, link: Link) -> None:
        while True:
            async with self._arrived:
                await self._arrived.wait_for(lambda: bool(self._waiting))
                job = self._waiting.pop(0)
                self._running[job.name] = link
            await self._tell_positions()
            began = time.monotonic()
            try:
                closing = await self._carry_out(job, link)
            finally:
                del self._running[job.name]
            await self._end(job, closing)
            log.info("job %s: %s after %.1f s", job.name, closing.name, time.monotonic() - began)

    async def _carry_out(self, job: StoredJob, link: Link) -> Event:
        try:
            await asyncio.to_thread(job.begin)
            await link.ready()
            if self._is_given_up(job):  # while the worker started, which passes over a cancel of what it was not given
                return Event("cancelled", {"job": job.name})
            return await link.carry_out(job.name, job.request_path, self._events[job.name].add)
        except DiffuGTSError as error:
            if self._cancels.get(job.name):
                return Event("cancelled", {"job": job.name})
            return _failed(job, error.code, str(error))
        except Exception as error:  # noqa: BLE001 - a defect in one job must not stop the others
            log.error("job %s: %s", job.name, type(error).__name__)
            return _failed(job, "error", "Something went wrong on the server that it did not foresee. Segment again.")

    async def _end(self, job: StoredJob, closing: Event) -> None:
        try:
            await asyncio.to_thread(job.end, closing)
        except OSError as error:
            log.error("job %s: its record cannot be written (%s)", job.name, type(error).__name__)
        self._cancels.pop(job.name, None)
        await self._events[job.name].add(closing)
        if job.deleted:
            await self._delete(job)

    async def _put_in_line(self, job: StoredJob) -> None:
        async with self._arrived:
            if self._is_given_up(job):
                return
            self._waiting.append(job)
            self._arrived.notify()
        await self._tell_positions()

    async def _tell_positions(self) -> None:
        free = len(self._links) - len(self._running)
        for position, job in enumerate(tuple(self._waiting)[max(free, 0) :], start=1):
            await self._events[job.name].add(Event("queued", {"job": job.name, "position": position}))

    def _end_by_force(self, name: str, link: Link) -> None:
        if self._running.get(name) is link:
            log.warning("job %s: the worker did not let go of it and is ended", name)
            link.kill()

    # -- keeping and deleting ----------------------------------------------------------------------------------------

    async def _take_up(self, job: StoredJob) -> None:
        self._jobs[job.name], self._events[job.name] = job, EventLog()
        (job.folder / ".scan.part").unlink(missing_ok=True)
        if job.state is State.UPLOADING:
            return
        if job.state is State.OVER:
            await self._events[job.name].add(job.closing_event())
            return
        whole = await asyncio.to_thread(job.whole_result)
        if whole is not None:
            await self._end(job, whole)
        elif job.record.attempts >= MOST_ATTEMPTS or not job.scan_path.is_file():
            sentence = "The server was ended in the middle of the job, more than once. Segment again, with a smaller part of the scan."
            await self._end(job, _failed(job, "worker", sentence))
        else:
            self._waiting.append(job)

    async def _tidy_for_ever(self) -> None:
        while True:
            await self.tidy(time.time())
            await asyncio.sleep(min(JANITOR_S, self._limits.keep_s))

    async def tidy(self, now: float) -> None:
        """Delete what nobody has fetched in time, or never uploaded. `now` in seconds since 1970."""
        for job in tuple(self._jobs.values()):
            record = job.record
            never_came = job.state is State.UPLOADING and job.name not in self._uploading
            if (record.finished is not None and now - record.finished > self._limits.keep_s) or (
                never_came and now - record.created > self._limits.upload_within_s
            ):
                log.info("job %s: kept long enough, deleted", job.name)
                await self._delete(job)

    async def _delete(self, job: StoredJob) -> None:
        self._jobs.pop(job.name, None)
        self._events.pop(job.name, None)
        await asyncio.to_thread(job.delete)

    async def _write(self, part: Path, job: StoredJob, chunks: AsyncIterator[bytes]) -> None:
        digest, arrived = hashlib.sha256(), 0
        iterator = chunks.__aiter__()
        with part.open("wb") as file:
            while True:
                try:
                    chunk = await asyncio.wait_for(iterator.__anext__(), self._limits.chunk_within_s)
                except StopAsyncIteration:
                    break
                except asyncio.TimeoutError as error:
                    raise Refused(408, "slow", "Nothing of the scan came for too long. Send it again.") from error
                arrived += len(chunk)
                if arrived > job.record.scan_bytes or self._is_given_up(job):
                    break
                digest.update(chunk)
                file.write(chunk)
        self._require_wanted(job)
        if arrived != job.record.scan_bytes or digest.hexdigest() != job.record.scan_sha256:
            raise Refused(
                400,
                "damaged",
                "What arrived is not the scan that was announced: it was changed on the way. Send it again.",
            )

    def _is_given_up(self, job: StoredJob) -> bool:
        """Whether somebody has cancelled or deleted a job, even if its record does not say so yet."""
        return job.state is State.OVER or job.deleted or job.name in self._cancels

    def _require_wanted(self, job: StoredJob) -> None:
        if self._is_given_up(job):
            raise Refused(409, "state", "The job was cancelled while its scan was sent.")

    def _folder_of(self, model: str) -> str:
        folder = self._settings.models.get(model)
        if folder is None:
            known = ", ".join(f"'{name}'" for name in sorted(self._settings.models))
            raise RequestError(f"The server has no model '{model:.80}'. It has {known}; choose one of these.")
        return str(folder.resolve())


def _failed(job: StoredJob, code: str, message: str) -> Event:
    return Event("failed", {"job": job.name, "code": code, "message": message, "details": ""})


def _files_in(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")]
    return []
