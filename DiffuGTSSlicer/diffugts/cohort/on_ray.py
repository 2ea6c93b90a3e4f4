"""A cohort on the machines of a Ray cluster: where its workers may run, and the links to them.

Ray starts them, gives each its GPU and starts them anew elsewhere when a machine is lost; nothing but the workers' lines goes
through its object store. Scans, the cohort's folder and a model given as a folder have to be where all machines see them,
under the same path.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import ray

from diffugts.cohort.run import WORKER
from diffugts.errors import RequestError
from diffugts.worker.on_ray import OWN_PYTHON, RayLink

DEVICES = ("auto", "cuda", "cpu")
MOST_CORES = 8
"""Processor cores that a worker with a GPU is given: what it does beside the GPU uses no more."""

COMMAND = (OWN_PYTHON, *WORKER[1:])


@dataclass(frozen=True)
class Machine:
    """What one machine of the cluster has to give."""

    cores: int
    gpus: int


@dataclass(frozen=True)
class Share:
    """How many workers there are, and what each takes."""

    workers: int
    cores: int
    gpus: int


@contextmanager
def cluster(address: str) -> Iterator[tuple[Machine, ...]]:
    """The machines of the cluster at an address ("auto": the one that runs on this machine, or of RAY_ADDRESS).

    Raises RequestError where there is none.
    """
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        known = "Start one with 'ray start --head'" if address == "auto" else "Check the address"
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise RequestError(f"There is no Ray cluster at '{address}' ({first:.200}). {known}.") from error
    try:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        yield tuple(Machine(int(node.get("CPU", 0)), int(node.get("GPU", 0))) for node in nodes)
    finally:
        ray.shutdown()


def share_of(machines: Sequence[Machine], device: str, workers: int | None) -> Share:
    """What each of so many workers takes: a GPU where there are any, otherwise as many cores as let all of them run.

    Without a number there is one on each GPU, or as many as there are machines. More than there is place for wait until there is.
    Raises RequestError where the cluster has not what the device needs.
    """
    if device not in DEVICES:
        raise RequestError(
            f"With --ray the --device is auto, cuda or cpu, not '{device:.80}': Ray gives each worker its GPU."
        )
    gpus = sum(machine.gpus for machine in machines)
    if device == "cuda" and not gpus:
        raise RequestError("The Ray cluster has no GPU. Choose --device auto or cpu, or start Ray where the GPUs are.")
    if gpus and device != "cpu":
        cores = min(machine.cores // machine.gpus for machine in machines if machine.gpus)
        return Share(workers or gpus, max(1, min(MOST_CORES, cores)), 1)
    able = [machine.cores for machine in machines if machine.cores]
    if not able:
        raise RequestError("The Ray cluster has no processor core to give. Start Ray with --num-cpus.")
    count = workers or len(able)
    fitting = (cores for cores in range(max(able), 0, -1) if sum(each // cores for each in able) >= count)
    return Share(count, next(fitting, 1), 0)


def links(share: Share, most: int, command: Sequence[str] = COMMAND) -> list[RayLink]:
    """The links to the workers, no more than there are cases; in a cluster that is connected."""
    return [RayLink(command, share.gpus, share.cores) for _ in range(min(share.workers, most))]
