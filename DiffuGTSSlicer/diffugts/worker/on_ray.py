"""A worker process on some machine of a Ray cluster, with the GPU that Ray gives it, as a server or a cohort sees a worker.

Through Ray go the lines of the worker alone: scans and results lie in a folder that all machines see.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import ray

from diffugts.errors import DiffuGTSError, InstallationError
from diffugts.protocol import Event, parse_event
from diffugts.protocol.events import CLOSING
from diffugts.worker.link import WorkerLink, WorkerLost

OWN_PYTHON = "{python}"
"""In a worker's command line: the Python that Ray runs with on that machine."""

SENTENCE = "The machine that computed the job was lost. Segment again."
PAUSE_S, MOST_FAILURES = 2.0, 5
"""Seconds between attempts to reach an actor, and how many may fail for another reason than that no machine is there."""


class WorkerActor:
    """A worker process on one machine of the cluster."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._link = WorkerLink([sys.executable if part == OWN_PYTHON else part for part in command])
        self._running: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """As `WorkerLink.ready`."""
        await self._link.ready()

    async def carry_out(self, job: str, request: str) -> AsyncIterator[str]:
        """The job's events as lines, the closing one last; a failure of the link is told as one.

        A job that is still running has been given up by whoever asked for it: its process is ended first.
        """
        if self._running is not None and not self._running.done():
            self._link.kill()
            await self._running
        lines: asyncio.Queue[str] = asyncio.Queue()

        async def hear(event: Event) -> None:
            await lines.put(event.to_line())

        async def run() -> None:
            try:
                closing = await self._link.carry_out(job, Path(request), hear)
            except DiffuGTSError as error:
                fields = {"job": job, "code": error.code, "message": str(error), "details": ""}
                closing = Event("failed", fields)
            await lines.put(closing.to_line())

        self._running = running = asyncio.create_task(run())
        while parse_event(line := await lines.get()).name not in CLOSING:
            yield line
        yield line
        await running

    async def cancel(self, job: str) -> None:
        """As `WorkerLink.cancel`."""
        await self._link.cancel(job)

    async def kill(self) -> None:
        """As `WorkerLink.kill`."""
        self._link.kill()

    async def close(self) -> None:
        """As `WorkerLink.close`."""
        await self._link.close()


class RayLink:
    """A worker actor. Ray starts it anew, on another machine if need be, after it was lost.

    Args:
        command: the worker's command line.
        gpus: GPUs it takes; a part of one where several share it.
        cpus: processor cores it takes.
    """

    def __init__(self, command: Sequence[str], gpus: float, cpus: float = 1) -> None:
        options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus, "max_restarts": -1, "max_concurrency": 8}
        self._actor = ray.remote(WorkerActor).options(**options).remote(tuple(command))

    async def ready(self) -> None:
        """Wait until the cluster has a place for the worker. Raises InstallationError where Ray cannot keep one anywhere."""
        failures = 0
        while failures < MOST_FAILURES:
            try:
                await self._actor.ready.remote()
                return
            except InstallationError:
                raise
            except ray.exceptions.ActorUnavailableError:
                await asyncio.sleep(PAUSE_S)  # its machine is lost, or slow: Ray waits for one that can take it
            except ray.exceptions.RayError as error:
                failures, fault = failures + 1, error
                await asyncio.sleep(PAUSE_S)
        raise InstallationError(
            f"Ray cannot keep a worker running ({type(fault).__name__}). See that all machines of the cluster have the same "
            "version of diffugts, and try `diffugts doctor` on them."
        ) from fault

    async def carry_out(self, job: str, request: Path, hear: Callable[[Event], Awaitable[None]]) -> Event:
        """As `WorkerLink.carry_out`. Raises WorkerLost where the worker or its machine was lost."""
        try:
            async for reference in self._actor.carry_out.options(num_returns="streaming").remote(job, str(request)):
                event = parse_event(await reference)
                if event.name == "failed" and event.fields["code"] == WorkerLost.code:
                    raise WorkerLost(event.fields["message"])
                if event.name in CLOSING:
                    return event
                await hear(event)
        except ray.exceptions.RayError as error:
            raise WorkerLost(SENTENCE) from error
        raise WorkerLost(SENTENCE)

    async def cancel(self, job: str) -> None:
        """Ask the worker to stop a job. Where it was lost, `carry_out` says so."""
        with suppress(ray.exceptions.RayError):
            await self._actor.cancel.remote(job)

    def kill(self) -> None:
        """End the worker process; the actor stays."""
        self._actor.kill.remote()

    async def close(self) -> None:
        """End the actor, and with it its worker process."""
        ray.kill(self._actor, no_restart=True)
