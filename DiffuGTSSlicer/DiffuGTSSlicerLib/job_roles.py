"""The roles around the queue of jobs: who computes, who writes the volume, who brings the result in."""

from __future__ import annotations

from typing import Protocol

from diffugts.protocol import Command, ResultManifest
from DiffuGTSSlicerLib.job import Job
from DiffuGTSSlicerLib.result_files import ReadResult
from DiffuGTSSlicerLib.worker_process import News


class Worker(Protocol):
    """What the queue needs of `worker_process.WorkerProcess`."""

    @property
    def running(self) -> bool: ...
    @property
    def log(self) -> str: ...
    def start(self) -> None: ...
    def send(self, command: Command) -> None: ...
    def drain(self) -> list[News]: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...


class Exporter(Protocol):
    """Writes a job's scan and request into its folder. Raises DiffuGTSError with a sentence."""

    def __call__(self, job: Job) -> None: ...


class Importer(Protocol):
    """Brings a job's checked result into the scene and returns what it made. Raises DiffuGTSError with a sentence."""

    def __call__(self, job: Job, manifest: ResultManifest, *, content: ReadResult) -> object: ...
