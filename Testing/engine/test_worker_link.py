"""The link to a worker process: jobs, a process that is lost, another version, a line that it does not understand."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from diffugts.errors import InstallationError
from diffugts.protocol import Event
from diffugts.worker.link import WorkerLink, WorkerLost
from job_folders import job_folder
from worker_process import HERE, environment


def stand_in(step_s: float = 0.0) -> WorkerLink:
    return WorkerLink([sys.executable, str(HERE / "slow_pipeline_worker.py"), str(step_s)], environment())


def saying(*lines: str) -> WorkerLink:
    """A process that says these lines and then listens."""
    program = f"import sys; print({chr(10).join(lines)!r}, flush=True); sys.stdin.read()"
    return WorkerLink([sys.executable, "-c", program])


async def quiet(event: Event) -> None: ...


def test_jobs_run_one_after_another_in_one_process_that_ends_with_the_link(tmp_path: Path) -> None:
    async def two_jobs() -> tuple[list[str], list[int | None], list[str]]:
        link, heard = stand_in(), []

        async def hear(event: Event) -> None:
            heard.append(event.fields["stage"])

        endings, pids = [], []
        for name in ("a", "b"):
            endings.append((await link.carry_out(name, job_folder(tmp_path / name), hear)).name)
            pids.append(link.pid)
        await link.close()
        return endings, pids, heard

    endings, pids, heard = asyncio.run(two_jobs())
    assert endings == ["done", "done"] and pids[0] == pids[1] and {"reading", "encoding", "writing"} <= set(heard)
    assert not psutil.pid_exists(pids[0])


def test_a_process_that_is_lost_is_told_and_the_next_job_has_a_new_one(tmp_path: Path) -> None:
    async def lose_one() -> tuple[int | None, int | None, str]:
        link = stand_in(0.05)
        first: list[int | None] = []

        async def kill(event: Event) -> None:
            first.append(link.pid)
            os.kill(link.pid or 0, signal.SIGKILL)

        with pytest.raises(WorkerLost, match="out of memory"):
            await link.carry_out("a", job_folder(tmp_path / "a"), kill)
        ending = await link.carry_out("b", job_folder(tmp_path / "b"), quiet)
        second = link.pid
        await link.close()
        return first[0], second, ending.name

    first, second, ending = asyncio.run(lose_one())
    assert ending == "done" and first != second


def test_a_job_that_is_cancelled_says_so_and_the_link_goes_on(tmp_path: Path) -> None:
    async def cancel_one() -> list[str]:
        link = stand_in(0.05)

        async def cancel(event: Event) -> None:
            await link.cancel("a")

        endings = [(await link.carry_out("a", job_folder(tmp_path / "a"), cancel)).name]
        endings.append((await link.carry_out("b", job_folder(tmp_path / "b"), quiet)).name)
        await link.close()
        return endings

    assert asyncio.run(cancel_one()) == ["cancelled", "done"]


@pytest.mark.parametrize(
    "link",
    [
        saying('{"event": "hello", "protocol": 999, "version": "9", "pid": 1}'),
        saying('{"event": "log", "message": "no greeting"}'),
        WorkerLink(["/nowhere/python"]),
        WorkerLink([sys.executable, "-c", "raise SystemExit(1)"]),
    ],
    ids=["another version", "no greeting", "no program", "ends at once"],
)
def test_a_worker_that_cannot_be_used_is_told_before_a_job_is_given_to_it(link: WorkerLink) -> None:
    async def start() -> None:
        try:
            await link.ready()
        finally:
            await link.close()

    with pytest.raises(InstallationError, match="diffugts doctor"):
        asyncio.run(start())
