"""A worker process at the other end of its pipes: one job at a time, a new process after a lost one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from diffugts.errors import DiffuGTSError, InstallationError, RequestError
from diffugts.protocol import PROTOCOL_VERSION, Command, Event, parse_event
from diffugts.protocol.events import CLOSING, LONGEST_LINE

START_WITHIN_S = 60.0
END_WITHIN_S = 6.0


class WorkerLost(DiffuGTSError):
    """The worker process ended in the middle of a job."""

    code = "worker"


class Link(Protocol):
    """A worker wherever it is, as a server or a cohort sees it: one job at a time."""

    async def ready(self) -> None:
        """Wait until there is a worker that a job can be given to. Raises InstallationError where none can be started."""

    async def carry_out(self, job: str, request: Path, hear: Callable[[Event], Awaitable[None]]) -> Event:
        """Run a job, telling its progress; the closing event. Raises WorkerLost or InstallationError."""

    async def cancel(self, job: str) -> None:
        """Ask the worker to stop a job."""

    def kill(self) -> None:
        """End the worker now."""

    async def close(self) -> None:
        """Have the worker end."""


class WorkerLink:
    """Starts a worker when there is a job for it and keeps it. Its standard error is not read: it may quote a request.

    Args:
        command: the worker's command line.
        variables: what its environment has beside this process's own, such as which GPU it sees.
    """

    def __init__(self, command: Sequence[str], variables: Mapping[str, str] | None = None) -> None:
        self._command, self._variables = command, variables or {}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The number of the process that runs now."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def ready(self) -> None:
        """Start the process if none runs. Raises InstallationError."""
        if self.pid is None:
            await self._start()

    async def carry_out(self, job: str, request: Path, hear: Callable[[Event], Awaitable[None]]) -> Event:
        """Run a job, telling its progress; the closing event. Raises WorkerLost, or InstallationError where none starts."""
        await self.ready()
        await self._send(Command("run", job=job, request=str(request)))
        while True:
            event = await self._next()
            if event.name == "failed" and event.fields["job"] is None:
                return Event("failed", {**event.fields, "job": job})
            if event.fields.get("job") != job:
                continue
            if event.name in CLOSING:
                return event
            if event.name == "progress":
                await hear(event)

    async def cancel(self, job: str) -> None:
        """Ask the worker to stop a job."""
        with suppress(WorkerLost):
            await self._send(Command("cancel", job=job))

    def kill(self) -> None:
        """End the process now; `carry_out` then raises WorkerLost."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def close(self) -> None:
        """Have the worker end by itself, or by force."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_WITHIN_S)
        except asyncio.TimeoutError:
            process.kill()
            await process.wait()

    async def _start(self) -> None:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, **self._variables},
                limit=2 * LONGEST_LINE,
            )
            hello = await asyncio.wait_for(self._next(), START_WITHIN_S)
            if hello.name != "hello" or hello.fields["protocol"] != PROTOCOL_VERSION:
                raise WorkerLost("the worker is of another version")
        except (OSError, asyncio.TimeoutError, WorkerLost) as error:
            self.kill()
            raise InstallationError(
                "The worker could not be started. Try `diffugts doctor` on the machine that computes."
            ) from error

    async def _send(self, command: Command) -> None:
        if self._process is None or self._process.stdin is None:
            raise WorkerLost("The worker is not running.")
        try:
            self._process.stdin.write((command.to_line() + "\n").encode())
            await self._process.stdin.drain()
        except OSError as error:
            raise self._lost() from error

    async def _next(self) -> Event:
        assert self._process is not None and self._process.stdout is not None
        while True:
            try:
                line = await self._process.stdout.readline()
            except ValueError:  # longer than any event
                continue
            if not line:
                self.kill()
                await self._process.wait()
                raise self._lost()
            with suppress(RequestError):
                return parse_event(line.decode("utf-8", "replace"))

    def _lost(self) -> WorkerLost:
        return WorkerLost(
            "The worker ended in the middle of the job; it may have run out of memory. Segment again; if it happens "
            "again, choose the quality 'fast' or a smaller part of the scan."
        )
