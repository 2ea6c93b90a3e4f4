"""A cohort carried out on this machine: cases handed to workers that keep their model, what is finished kept."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from diffugts.cohort.case_folder import CaseFolder
from diffugts.cohort.local_worker import LocalWorker, WorkerLost
from diffugts.cohort.table import Case
from diffugts.errors import DiffuGTSError, ResultError
from diffugts.protocol import ResultManifest

LOCK = ".cohort.lock"


@dataclass(frozen=True)
class Outcome:
    """What became of a case: its result, or the sentence why there is none; `earlier` where it was done before."""

    case: Case
    manifest: ResultManifest | None = None
    failure: str = ""
    earlier: bool = False


def carry_out_cohort(
    cases: Sequence[Case], output: Path, workers: Sequence[LocalWorker], hear: Callable[[Outcome], None]
) -> list[Outcome]:
    """Every case that is not finished, one worker a thread; `hear` gets each outcome as it comes, under a lock.

    A case whose worker is lost is tried once more by a new one. After an interrupt the workers are ended; what they
    were at leaves nothing, what was finished stays. The outcomes are in the order of the cases. Raises ResultError where
    the folder cannot be written, or another process is at work in it.
    """
    try:
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / LOCK, timeout=0):
            return _carried_out(cases, output, workers, hear)
    except Timeout:
        raise ResultError(
            f"Another process is at work on the cohort in '{output}'. Wait for it, or give another --output."
        ) from None
    except OSError as error:
        raise ResultError(f"The folder '{output}' cannot be written: {error}. Check disk and rights.") from error


def _carried_out(
    cases: Sequence[Case], output: Path, workers: Sequence[LocalWorker], hear: Callable[[Outcome], None]
) -> list[Outcome]:
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in range(len(cases)):
        waiting.put(number)
    outcomes: dict[int, Outcome] = {}
    faults: list[BaseException] = []
    told, stopped = threading.Lock(), threading.Event()

    def work(worker: LocalWorker) -> None:
        try:
            while not stopped.is_set():
                number = waiting.get_nowait()
                outcome = _outcome(CaseFolder(output, cases[number]), worker)
                with told:
                    if not stopped.is_set():
                        outcomes[number] = outcome
                        hear(outcome)
        except queue.Empty:
            pass
        except BaseException as error:  # raised again by the thread that waits
            faults.append(error)
            stopped.set()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
    finally:
        stopped.set()
        for worker in workers:
            worker.close()
        for thread in threads:
            thread.join()
    if faults:
        raise faults[0]
    return [outcomes[number] for number in sorted(outcomes)]


def _outcome(folder: CaseFolder, worker: LocalWorker) -> Outcome:
    manifest = folder.finished()
    if manifest is not None:
        return Outcome(folder.case, manifest, earlier=True)
    try:
        folder.prepare()
        try:
            event = worker.carry_out(folder.case.name, folder.request_path, lambda event: None)
        except WorkerLost:
            event = worker.carry_out(folder.case.name, folder.request_path, lambda event: None)
        if event.name != "done":
            return Outcome(folder.case, failure=str(event.fields.get("message", "The case was cancelled.")))
        return Outcome(folder.case, folder.finish())
    except DiffuGTSError as error:
        return Outcome(folder.case, failure=str(error))
    except OSError as error:
        return Outcome(folder.case, failure=f"The case's folder cannot be written: {error}. Check disk and rights.")
