"""What a cohort costs beside its cases, on generated scans by the shipped model on the processor, as JSON.

    python Testing/engine/benchmark_cohort.py overhead [CASES] [REPETITIONS]   one worker, against a bare loop over the same requests
    python Testing/engine/benchmark_cohort.py between [CASES]                  what a worker waits for between two cases
    python Testing/engine/benchmark_cohort.py workers [CASES]                  two workers, against one
    python Testing/engine/benchmark_cohort.py memory [JOBS]                    one worker's memory, files and processes from job to job

The bare loop is one process that loads the model once and calls `run_request` for one case after another, with pictures: no
worker process, no checksums, no tables. Processor time is that of the command and all its processes; it is the fairer clock
where other programs run. Every time is of the whole command, from its start to its end.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psutil
import SimpleITK as sitk

from diffugts.cohort.contact_sheet import write_contact_sheet
from diffugts.cohort.findings_table import write_findings_table
from diffugts.cohort.run import WORKER, Outcome, carry_out_cohort
from diffugts.cohort.table import Case, read_table
from diffugts.generated.phantom import demo_case
from diffugts.protocol import Event, Request
from diffugts.worker.link import WorkerLink
from job_folders import write_scan

BODIES = ("thigh", "abdomen", "thorax", "head")
SETTLED = 20
"""Jobs after which a worker's memory is taken for settled: each size and each description has come twice and more."""


@dataclass(frozen=True)
class Cost:
    """Of one command."""

    wall_s: float
    processor_s: float


def generated_table(folder: Path, cases: int) -> Path:
    """A table of generated scans of 2 mm voxels, each with a lesion and asked for it."""
    rows = ["image,descriptions"]
    for number in range(cases):
        body = BODIES[number % len(BODIES)]
        scan, _, words = demo_case(number, body)
        path = folder / f"{body}-{number}_{scan.modality}.nrrd"
        sitk.WriteImage(scan.geometry.image(scan.voxels), str(path))
        rows.append(f"{path.name},{words}")
    table = folder / "table.csv"
    table.write_text("\n".join(rows))
    return table


def cost_of(*command: str | Path) -> Cost:
    """Run a command to its end."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(
        [sys.executable, *map(str, command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(round(time.monotonic() - began, 2), round(spent, 2))


def cohort(table: Path, workers: int = 1) -> Cost:
    """The command on an empty folder."""
    output = table.with_name("out")
    shutil.rmtree(output, ignore_errors=True)
    asked = ("cohort", table, "--output", output, "--device", "cpu", "--workers", workers)
    return cost_of("-m", "diffugts", *map(str, asked))


def loop_over(table: Path) -> None:
    """The bare loop, in this process."""
    from diffugts.worker.job import run_request
    from diffugts.worker.progress import ProgressTracker
    from diffugts.worker.shelf import ModelShelf

    shelf = ModelShelf(most_feature_bytes=0)
    for case in read_table(table, {"device": "cpu"}):
        request = Request(**{**vars(case.request), "output": str(table.with_name("loop") / case.name)})
        run_request(request, shelf, ProgressTracker(request.quality, lambda progress: None), picture=True)


def overhead(folder: Path, cases: int, repetitions: int) -> dict[str, object]:
    """Cohort and loop in turn; what the cohort adds by the medians."""
    table = generated_table(folder, cases)
    cohorts, loops = [], []
    for _ in range(repetitions):
        shutil.rmtree(folder / "loop", ignore_errors=True)
        loops.append(cost_of(__file__, "loop", table))
        cohorts.append(cohort(table))
    facts: dict[str, object] = {"cases": cases, "loop": [*map(asdict, loops)], "cohort": [*map(asdict, cohorts)]}
    for clock in ("wall_s", "processor_s"):
        ours, bare = (median(getattr(cost, clock) for cost in costs) for costs in (cohorts, loops))
        facts[f"added_{clock}_per_case"] = round((ours - bare) / cases, 3)
        facts[f"added_{clock}_percent"] = round(100 * (ours - bare) / bare, 1)
    return facts


class Timed:
    """A link that notes when its worker is given a case and when that is over, in seconds."""

    def __init__(self, link: WorkerLink) -> None:
        self._link = link
        self.began: list[float] = []
        self.over: list[float] = []

    async def ready(self) -> None:
        await self._link.ready()

    async def carry_out(self, job: str, request: Path, hear: Callable[[Event], Awaitable[None]]) -> Event:
        self.began.append(time.monotonic())
        event = await self._link.carry_out(job, request, hear)
        self.over.append(time.monotonic())
        return event

    async def cancel(self, job: str) -> None:
        await self._link.cancel(job)

    def kill(self) -> None:
        self._link.kill()

    async def close(self) -> None:
        await self._link.close()


class Deaf:
    """A listener that does nothing."""

    def began(self, case: Case) -> None: ...

    def progress(self, case: Case, event: Event) -> None: ...

    def ended(self, outcome: Outcome) -> None: ...


def between(folder: Path, cases: int) -> dict[str, object]:
    """What a worker waits for from case to case: checks, records, the next request. And the tables and the page at the end."""
    table = generated_table(folder, cases)
    link = Timed(WorkerLink(WORKER))
    outcomes = carry_out_cohort(read_table(table, {"device": "cpu"}), folder / "out", [link], Deaf())
    assert all(outcome.manifest is not None for outcome in outcomes)
    began = time.monotonic()
    write_findings_table(outcomes, folder / "findings.csv")
    write_contact_sheet(outcomes, folder / "sheet.html")
    written = time.monotonic() - began
    at_work = [over - start for start, over in zip(link.began, link.over)]
    waits = [start - over for start, over in zip(link.began[1:], link.over)]
    usual = median(at_work[1:])
    return {
        "cases": cases,
        "at_work_s": [round(seconds, 2) for seconds in at_work],
        "waits_s": [round(seconds, 3) for seconds in waits],
        "tables_and_page_s_per_case": round(written / cases, 3),
        "added_percent_of_a_case": round(100 * (median(waits) + written / cases) / usual, 2),
    }


def two_workers(folder: Path, cases: int) -> dict[str, object]:
    """The same cohort by one worker and by two."""
    table = generated_table(folder, cases)
    one, two = cohort(table, 1), cohort(table, 2)
    return {
        "cases": cases,
        "cores": len(os.sched_getaffinity(0)),
        "one": asdict(one),
        "two": asdict(two),
        "times_faster": round(one.wall_s / two.wall_s, 2),
    }


class Weighed(Deaf):
    """Looks at the worker's process after every job."""

    def __init__(self, link: WorkerLink) -> None:
        self._link = link
        self.rss_mb: list[float] = []
        self.files: list[int] = []
        self.children: list[int] = []
        self.pids: set[int] = set()

    def ended(self, outcome: Outcome) -> None:
        assert outcome.manifest is not None, outcome.failure
        process = psutil.Process(self._link.pid)
        self.pids.add(process.pid)
        self.rss_mb.append(round(process.memory_info().rss / 1e6, 1))
        self.files.append(process.num_fds())
        self.children.append(len(process.children(recursive=True)))


def memory(folder: Path, jobs: int) -> dict[str, object]:
    """Many small scans of differing sizes through one worker; megabytes are resident ones."""
    rows = ["image,descriptions,modality"]
    for number in range(jobs):
        path = write_scan(folder / f"s{number}.nrrd", size=24 + 4 * (number % 5), seed=number)
        rows.append(f"{path.name},{'soft tissue sarcoma' if number % 2 else 'cyst|lipoma'},MR")
    (folder / "table.csv").write_text("\n".join(rows))
    link = WorkerLink(WORKER)
    weighed = Weighed(link)
    carry_out_cohort(read_table(folder / "table.csv", {"device": "cpu"}), folder / "out", [link], weighed)
    settled, last = median(weighed.rss_mb[SETTLED : SETTLED + 5]), median(weighed.rss_mb[-5:])
    return {
        "jobs": jobs,
        "worker_processes": len(weighed.pids),
        "first_mb": weighed.rss_mb[0],
        f"settled_mb_jobs_{SETTLED + 1}_to_{SETTLED + 5}": settled,
        "last_5_jobs_mb": last,
        "grown_percent": round(100 * (last - settled) / settled, 2),
        "peak_after_a_job_mb": max(weighed.rss_mb),
        "open_files": [weighed.files[SETTLED], weighed.files[-1]],
        "child_processes": [weighed.children[SETTLED], weighed.children[-1]],
        "rss_mb": weighed.rss_mb,
    }


if __name__ == "__main__":
    kind, *rest = sys.argv[1:]
    if kind == "loop":
        loop_over(Path(rest[0]))
        sys.exit()
    numbers = [int(value) for value in rest]
    with tempfile.TemporaryDirectory() as place:
        if kind == "overhead":
            facts = overhead(Path(place), *(*numbers, *(8, 3)[len(numbers) :]))
        elif kind == "between":
            facts = between(Path(place), *(numbers or [6]))
        elif kind == "workers":
            facts = two_workers(Path(place), *(numbers or [8]))
        else:
            facts = memory(Path(place), *(numbers or [60]))
    print(json.dumps(facts, indent=1))
