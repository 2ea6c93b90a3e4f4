"""Where the workers of a cohort compute: one on each GPU that works, or several that share the processor's cores.

A worker sees its own GPU alone (CUDA_VISIBLE_DEVICES), so that every case is asked for the same device and its request does
not depend on who takes it up.

    python -m diffugts.cohort.devices

tries every GPU in a process of its own, which a broken driver may end, and prints what came of it as a line of JSON.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from diffugts.errors import RequestError

PATIENCE_S = 120.0
EXPECTED = "'auto', 'cpu', 'mps', 'cuda', or GPUs parted by commas such as 'cuda:0,cuda:1'"


@dataclass(frozen=True)
class Workplaces:
    """The device that requests ask for, and for each worker what its environment has beside this process's own."""

    device: str
    variables: tuple[dict[str, str], ...]
    notes: tuple[str, ...] = ()


def workplaces(
    device: str,
    workers: int | None,
    gpu_problems: Callable[[], Sequence[str | None]] | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Workplaces:
    """The places for `workers` processes, None for one on each GPU, or one where there is none.

    `device` as `EXPECTED`; "auto" takes every GPU that works and notes those that do not. `gpu_problems` tells for every GPU
    why it cannot be used, None where it can. Raises RequestError for a device that is not known or cannot be used.
    """
    if device in ("cpu", "mps"):
        return Workplaces(device, _sharing_cores(workers or 1, environment))
    problems = (gpu_problems or try_gpus)()
    if device == "auto":
        working = [number for number, problem in enumerate(problems) if problem is None]
        notes = tuple(f"cuda:{number} is left out: {problem}" for number, problem in enumerate(problems) if problem)
        if not working:
            return Workplaces(device, _sharing_cores(workers or 1, environment), notes)
        return Workplaces(device, _on_gpus(working, workers, environment), notes)
    return Workplaces("cuda", _on_gpus(_named(device, problems), workers, environment))


def try_gpus(command: Sequence[str] = (sys.executable, "-m", __name__)) -> list[str | None]:
    """For every GPU that torch sees why it cannot be used, None where it can; empty where there is none, or no driver."""
    try:
        tried = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=PATIENCE_S)
        problems = json.loads(tried.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return []  # a worker will say what is wrong when it comes to compute
    return list(problems)


def _named(device: str, problems: Sequence[str | None]) -> list[int]:
    parts = [part.strip() for part in device.split(",")]
    if not all(re.fullmatch(r"cuda(:[0-9]{1,3})?", part) for part in parts):
        raise RequestError(f"--device is '{device:.80}', expected {EXPECTED}.")
    numbers = [int(part.partition(":")[2] or 0) for part in parts]
    if len(set(numbers)) < len(numbers):
        raise RequestError(f"--device is '{device:.80}': name each GPU once. --workers says how many share them.")
    for number in numbers:
        problem = problems[number] if number < len(problems) else f"torch finds {len(problems)} GPUs here."
        if problem is not None:
            raise RequestError(f"The device 'cuda:{number}' cannot be used: {problem} Choose 'auto' or 'cpu'.")
    return numbers


def _on_gpus(numbers: Sequence[int], workers: int | None, environment: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    """Places on the GPUs in turn. What a scheduler has given to this process keeps its names."""
    given = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = [given[number] if number < len(given) else str(number) for number in numbers]
    return tuple({"CUDA_VISIBLE_DEVICES": names[n % len(names)]} for n in range(workers or len(names)))


def _sharing_cores(workers: int, environment: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    """Several workers with all cores each would wait for one another; one alone, or told threads, is left as it is."""
    if workers == 1 or "OMP_NUM_THREADS" in environment:
        return ({},) * workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ({"OMP_NUM_THREADS": str(max(1, cores // workers))},) * workers


if __name__ == "__main__":
    lines = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print when they are imported: only the answer belongs on standard output
    import torch

    from diffugts.worker.device import device_problem

    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    print(json.dumps([device_problem(f"cuda:{number}") for number in range(there)]), file=lines)
