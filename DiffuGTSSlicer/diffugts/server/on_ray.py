"""The same server under Ray Serve: its HTTP side in one replica, a worker on each GPU of the cluster's machines.

    serve run diffugts.server.on_ray:application workers=4 gpus_per_worker=1 folder=/shared/jobs tokens=tokens.txt

The folder has to be one that all machines see. Ray restarts a worker that was lost, on another machine if need be.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import ray
from ray import serve

from diffugts.errors import DiffuGTSError, RequestError
from diffugts.models import models_by_name
from diffugts.protocol import Event, parse_event
from diffugts.server.app import make_app
from diffugts.server.event_log import CLOSING
from diffugts.server.settings import WORKER, ServerSettings, read_tokens
from diffugts.server.worker_link import WorkerLink, WorkerLost

SENTENCE = "The machine that computed the job was lost. Segment again."


class WorkerActor:
    """A worker process on one machine of the cluster, with the GPU that Ray gives it."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._link = WorkerLink(command)

    async def carry_out(self, job: str, request: str) -> AsyncIterator[str]:
        """The job's events as lines, the closing one last; a failure of the link is told as one."""
        import asyncio

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

        running = asyncio.create_task(run())
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


class RayLink:
    """A worker actor, as a server's jobs see a worker."""

    def __init__(self, command: tuple[str, ...], gpus: float) -> None:
        options: dict[str, Any] = {"num_cpus": 1, "num_gpus": gpus, "max_restarts": -1, "max_concurrency": 8}
        self._actor = ray.remote(WorkerActor).options(**options).remote(command)

    async def carry_out(self, job: str, request: Path, hear: Callable[[Event], Awaitable[None]]) -> Event:
        """As `WorkerLink.carry_out`. Raises WorkerLost where the machine was lost."""
        try:
            async for reference in self._actor.carry_out.options(num_returns="streaming").remote(job, str(request)):
                event = parse_event(await reference)
                if event.name in CLOSING:
                    return event
                await hear(event)
        except ray.exceptions.RayError as error:
            raise WorkerLost(SENTENCE) from error
        raise WorkerLost(SENTENCE)

    async def cancel(self, job: str) -> None:
        """Ask the worker to stop a job."""
        await self._actor.cancel.remote(job)

    def kill(self) -> None:
        """End the worker process; the actor stays."""
        self._actor.kill.remote()

    async def close(self) -> None:
        """End the actor, and with it its worker process."""
        ray.kill(self._actor, no_restart=True)


def application(arguments: Mapping[str, str]) -> Any:
    """The Serve application. Arguments: folder, tokens, workers, gpus_per_worker, models. Raises RequestError."""
    if "folder" not in arguments or "tokens" not in arguments:
        raise RequestError("Give folder=... (one that all machines see) and tokens=... (a file of tokens).")
    further = [Path(arguments["models"])] if "models" in arguments else []
    command = tuple(arguments["worker"].split()) if "worker" in arguments else WORKER
    settings = ServerSettings(
        folder=Path(arguments["folder"]),
        models=models_by_name(further),
        tokens=read_tokens(Path(arguments["tokens"])),
        worker=command,
    )
    workers, gpus = int(arguments.get("workers", "1")), float(arguments.get("gpus_per_worker", "1"))

    def build() -> Any:
        return make_app(settings, [RayLink(command, gpus) for _ in range(workers)])

    # One replica: jobs and their events are its own; what computes is in the actors.
    ingress = serve.ingress(build)(type("Server", (), {}))
    options = {"num_replicas": 1, "max_ongoing_requests": 200, "logging_config": {"enable_access_log": False}}
    return serve.deployment(**options)(ingress).bind()
