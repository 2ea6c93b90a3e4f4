"""What a server adds to a job: the same jobs through `diffugts serve` on loopback and by the worker alone, as JSON.

    python Testing/engine/benchmark_server.py [EDGE_IN_VOXELS] [REPETITIONS]
    python Testing/engine/benchmark_server.py memory [JOBS] [EDGE_IN_VOXELS]      the server process's memory, files and threads

The worker's pipeline is the stand-in, so that the job itself is short and what is added shows.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil

from job_folders import job_folder
from running_server import RunningServer, ending, fetch, made_upload, submit
from worker_process import WorkerProcess


def through_server(folder: Path, upload: bytes, repetitions: int) -> tuple[list[float], list[float]]:
    """Seconds of each job from the announcement to the deletion, and of its transfers alone; the first warms up."""
    whole, transfers = [], []
    with RunningServer(folder / "server") as server, server.client() as client:
        for number in range(repetitions + 1):
            began = time.monotonic()
            job = submit(client, upload)
            sent = time.monotonic()
            assert ending(client, job)[0] == "done"
            computed = time.monotonic()
            fetch(client, job, folder / f"fetched-{number}")
            client.delete(f"/v1/jobs/{job}")
            ended = time.monotonic()
            whole.append(ended - began)
            transfers.append(sent - began + ended - computed)
    return whole[1:], transfers[1:]


def by_the_worker_alone(folder: Path, edge: int, repetitions: int) -> list[float]:
    """Seconds of the same jobs without a server; the first warms up."""
    whole = []
    with WorkerProcess.stand_in(0.0) as worker:
        for number in range(repetitions + 1):
            request = job_folder(folder / f"job-{number}", size=edge)
            began = time.monotonic()
            worker.send("run", str(number), request)
            assert worker.ending(str(number)).name == "done"
            whole.append(time.monotonic() - began)
    return whole[1:]


def kept_by_the_server(folder: Path, jobs: int, edge: int) -> dict[str, object]:
    """Resident memory of the server process (MB, after every tenth job), its open files and threads, over so many jobs."""
    memory, files, threads = [], [], []
    upload = made_upload(folder, edge)
    # The rates are lifted: a benchmark asks faster than people do.
    limits = {"requests_per_minute": 1_000_000}
    with RunningServer(folder / "server", limits=limits) as server, server.client() as client:
        process = psutil.Process(server.process.pid)
        before = process.memory_info().rss / 1e6
        for number in range(1, jobs + 1):
            job = submit(client, upload)
            assert ending(client, job)[0] == "done"
            fetch(client, job, folder / f"fetched-{number}")
            shutil.rmtree(folder / f"fetched-{number}")
            client.delete(f"/v1/jobs/{job}")
            if number % 10 == 0:
                memory.append(round(process.memory_info().rss / 1e6, 1))
                files.append(process.num_fds())
                threads.append(process.num_threads())
        left = [path.name for path in server.job_folders]
    return {"jobs": jobs, "scan_mb": round(len(upload) / 1e6, 1), "before_mb": round(before, 1), "memory_mb": memory,
            "open_files": files, "threads": threads, "folders_left": left}  # fmt: skip


if __name__ == "__main__" and sys.argv[1:2] == ["memory"]:
    jobs, edge = (int(value) for value in (*sys.argv[2:], *("500", "48")[len(sys.argv) - 2 :]))
    with tempfile.TemporaryDirectory() as place:
        print(json.dumps(kept_by_the_server(Path(place), jobs, edge)))
elif __name__ == "__main__":
    edge, repetitions = (int(value) for value in (*sys.argv[1:], *("256", "5")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        upload = made_upload(folder, edge)
        served, transfers = through_server(folder, upload, repetitions)
        alone = by_the_worker_alone(folder, edge, repetitions)
    added = median(served) - median(transfers) - median(alone)
    facts = {
        "scan_mb": len(upload) / 1e6,
        "served_s": served,
        "transfers_s": transfers,
        "alone_s": alone,
        "added_s": added,
    }
    print(
        json.dumps(
            {name: value if isinstance(value, list) else round(value, 3) for name, value in facts.items()}, indent=1
        )
    )
