"""A cohort carried out: cases handed to workers that keep their model, what is finished kept, lost workers outlived."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from diffugts.cohort.case_folder import CaseFolder
from diffugts.cohort.table import Case
from diffugts.errors import DiffuGTSError, InstallationError, ResultError
from diffugts.protocol import Event, ResultManifest
from diffugts.worker.link import Link, WorkerLost

WORKER = (sys.executable, "-m", "diffugts", "worker", "--idle-release", "0", "--keep-mb", "0", "--picture")
"""A worker's command line: no scan comes twice, so nothing of one is kept, and the model always is."""

LOCK = ".cohort.lock"
MOST_ATTEMPTS = 3
"""Of a case whose worker is lost: the machine's fault is forgiven twice, the case's own ends it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a case: its result, or the sentence why there is none; `earlier` where it was done before."""

    case: Case
    manifest: ResultManifest | None = None
    failure: str = ""
    earlier: bool = False


class Listener(Protocol):
    """Whoever is told how the cohort goes, always on the thread that carries it out."""

    def began(self, case: Case) -> None:
        """A worker has taken up a case; again, where the first one was lost."""

    def progress(self, case: Case, event: Event) -> None:
        """A worker's `progress` event on its case."""

    def ended(self, outcome: Outcome) -> None:
        """A case is over, or was found done before."""


def carry_out_cohort(cases: Sequence[Case], output: Path, links: Sequence[Link], listener: Listener) -> list[Outcome]:
    """Every case that is not finished, each link with one case at a time; the outcomes in the order of the cases.

    A case whose worker is lost goes to whichever is free next. After an interrupt the workers are ended; what they were at
    leaves nothing, what was finished stays. Raises ResultError where the folder cannot be written or another process is at
    work in it, InstallationError where no worker can be started.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / LOCK, timeout=0):
            return asyncio.run(_Cohort(cases, output, links, listener).carry_out())
    except Timeout:
        raise ResultError(
            f"Another process is at work on the cohort in '{output}'. Wait for it, or give another --output."
        ) from None
    except OSError as error:
        raise ResultError(f"The folder '{output}' cannot be written: {error}. Check disk and rights.") from error


class _Cohort:
    """One run over the cases: one task looks for what is finished, one task per link computes."""

    def __init__(self, cases: Sequence[Case], output: Path, links: Sequence[Link], listener: Listener) -> None:
        self._cases, self._links, self._listener = cases, links, listener
        self._folders = [CaseFolder(output, case) for case in cases]
        self._waiting: deque[int] = deque()
        self._attempts: Counter[int] = Counter()
        self._outcomes: dict[int, Outcome] = {}
        self._some_wait, self._all_over = asyncio.Event(), asyncio.Event()

    async def carry_out(self) -> list[Outcome]:
        over = asyncio.create_task(self._all_over.wait())
        keeping = asyncio.create_task(self._keep_finished())
        works = {asyncio.create_task(self._work(link)) for link in self._links}
        running: set[asyncio.Task[Any]] = {over, keeping, *works}
        try:
            while not over.done():
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    fault = task.exception()
                    works.discard(task)
                    # One machine of several that cannot start its worker is done without.
                    if fault is not None and not (works and isinstance(fault, InstallationError)):
                        raise fault
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            await asyncio.gather(*(link.close() for link in self._links))
        return [self._outcomes[number] for number in sorted(self._outcomes)]

    async def _keep_finished(self) -> None:
        """Tell what is done already, and have the rest wait for a worker, in the order of the cases."""
        for number, folder in enumerate(self._folders):
            manifest = await asyncio.to_thread(folder.finished)
            if manifest is not None:
                self._end(number, Outcome(folder.case, manifest, earlier=True))
            else:
                self._waiting.append(number)
                self._some_wait.set()

    async def _work(self, link: Link) -> None:
        """Take up cases for ever. A worker is there before a case is taken: none waits for a place in a full cluster."""
        while True:
            await self._some_wait.wait()
            await link.ready()
            if not self._waiting:
                self._some_wait.clear()
                continue
            number = self._waiting.popleft()
            self._attempts[number] += 1
            try:
                self._end(number, await self._outcome(self._folders[number], link))
            except WorkerLost as lost:
                if self._attempts[number] >= MOST_ATTEMPTS:
                    self._end(number, Outcome(self._cases[number], failure=str(lost)))
                else:
                    self._put_back(number)
            except InstallationError:
                self._put_back(number)
                raise

    async def _outcome(self, folder: CaseFolder, link: Link) -> Outcome:
        """Carry out one case. Raises WorkerLost, or InstallationError where no worker starts any more."""

        async def hear(event: Event) -> None:
            self._listener.progress(folder.case, event)

        self._listener.began(folder.case)
        try:
            await asyncio.to_thread(folder.prepare)
            event = await link.carry_out(folder.case.name, folder.request_path, hear)
            if event.name != "done":
                return Outcome(folder.case, failure=str(event.fields.get("message", "The case was cancelled.")))
            return Outcome(folder.case, await asyncio.to_thread(folder.finish))
        except (WorkerLost, InstallationError):
            raise
        except DiffuGTSError as error:
            return Outcome(folder.case, failure=str(error))
        except OSError as error:
            return Outcome(folder.case, failure=f"The case's folder cannot be written: {error}. Check disk and rights.")

    def _put_back(self, number: int) -> None:
        self._waiting.appendleft(number)
        self._some_wait.set()

    def _end(self, number: int, outcome: Outcome) -> None:
        self._outcomes[number] = outcome
        self._listener.ended(outcome)
        if len(self._outcomes) == len(self._cases):
            self._all_over.set()
