"""A worker that speaks the protocol, knows nothing of tumours, and misbehaves on demand.

    python fake_worker.py MODE [STATE_FOLDER]

"slow" computes for five seconds, long enough to be interrupted at leisure; "unhurried" for half a second, long enough
for the scene to change meanwhile. With a state folder, a misbehaviour that ends the process happens to the first job
only, so that a test can watch the next job get a new worker.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from diffugts.protocol import PROTOCOL_VERSION, Event, Request, parse_command, sha256_of  # noqa: E402

MODE = sys.argv[1] if len(sys.argv) > 1 else "well"
STATE = Path(sys.argv[2]) if len(sys.argv) > 2 else None
CANCELLED, CANCELLED_TWICE = threading.Event(), threading.Event()


def tell(name: str, **fields: object) -> None:
    sys.stdout.write(Event(name, dict(fields)).to_line() + "\n")
    sys.stdout.flush()


def progress(job: str, stage: str, done: int, total: int, fraction: float) -> None:
    tell("progress", job=job, stage=stage, done=done, total=total, message=f"At {stage}", eta_s=3.0, fraction=fraction)


def first_time() -> bool:
    if STATE is None:
        return True
    mark = STATE / "misbehaved"
    if mark.exists():
        return False
    mark.touch()
    return True


def misbehave(job: str) -> None:
    """What ends the process, or what comes between."""
    if MODE == "killed" and first_time():
        os.kill(os.getpid(), signal.SIGKILL)
    elif MODE.startswith("traceback") and first_time():
        sys.stderr.write("Traceback (most recent call last):\n  File 'x'\nRuntimeError: boom\n")
        sys.stderr.flush()
        os._exit(int(MODE[-1]))
    elif MODE == "garbage":
        os.write(1, b'\xff\xfe not JSON\n{"event": "nonsense"}\n{"event": "progress"}\n[1, 2]\n\n')
        os.write(1, b"x" * 1_200_000 + b"\n")
    elif MODE == "split":
        line = Event("log", {"message": "Leberläsion 肝臓 🩻"}).to_line().encode() + b"\n"
        line = json.dumps({"event": "log", "message": "Leberläsion 肝臓 🩻"}, ensure_ascii=False).encode() + b"\n"
        for byte in line:
            os.write(1, bytes([byte]))
            time.sleep(0.001)
    elif MODE == "truncated" and first_time():
        os.write(1, b'{"event": "done", "job": "' + job.encode())
        os._exit(0)
    elif MODE == "failed":
        raise MemoryError


def keep_what_is_finished(job: str, request: Request) -> None:
    """All descriptions but the last are finished when the job is cancelled."""
    from made_results import write_result
    from nrrd_files import read_nrrd

    progress(job, "writing", 0, 4, 0.9)
    if MODE == "keeps for ever":
        time.sleep(600)
    if MODE == "keeps slowly":
        time.sleep(1.0)
    if CANCELLED_TWICE.is_set():
        tell("cancelled", job=job)
        return
    voxels, matrix = read_nrrd(Path(request.scan))
    folder = Path(request.output)
    descriptions = request.descriptions if MODE != "keeps others" else ("something else", *request.descriptions[1:])
    write_result(folder, voxels.shape, matrix, descriptions, finished=len(descriptions) - 1)
    result = folder / "result.json"
    if MODE == "keeps badly":
        (folder / "01-score.nrrd").write_bytes(b"cut off")
    tell(
        "done" if MODE == "keeps and calls it done" else "cancelled",
        job=job,
        result=str(result),
        sha256=sha256_of(result),
    )


def carry_out(job: str, path: str) -> None:
    request = Request.load(Path(path))
    import numpy as np  # here, so that the greeting comes at once, as the real worker's does
    from made_results import write_result
    from nrrd_files import read_nrrd

    progress(job, "reading", 0, 1, 0.0)
    if MODE == "no listening" or MODE == "children":
        if MODE == "children":
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            tell("log", message=f"child {child.pid}")
        time.sleep(600)
    waits = MODE in ("slow", "unhurried") or MODE.startswith("keeps")
    steps = 2 if not waits else 10 if MODE == "unhurried" else 100
    for step in range(steps):
        progress(job, "encoding", step, 100, step / 100)
        if CANCELLED.wait(0.05 if waits else 0.0):
            if MODE.startswith("keeps"):
                keep_what_is_finished(job, request)
            else:
                tell("cancelled", job=job)
            return
    try:
        misbehave(job)
    except MemoryError:
        tell("failed", job=job, code="memory", message="The scan does not fit.", details="MemoryError: 3 GB")
        return
    progress(job, "writing", 0, 1, 0.9)
    voxels, matrix = read_nrrd(Path(request.scan))
    folder = Path(request.output)
    stated, written = matrix, matrix
    if MODE == "wrong geometry":
        stated = written = matrix @ np.diag([1.0, 1.0, 1.001, 1.0])
    if MODE == "wrong map geometry":
        written = matrix @ np.diag([1.0, 1.0, 1.001, 1.0])
    descriptions = request.descriptions if MODE != "other descriptions" else ("something else",)
    model = Path(request.model).name
    write_result(folder, voxels.shape, written, descriptions, request.region, stated_lps=stated, model=model)
    result = folder / "result.json"
    checksum = sha256_of(result)
    if MODE == "missing file":
        (folder / "01-score.nrrd").unlink()
    elif MODE == "wrong checksum":
        with (folder / "01-score.nrrd").open("r+b") as file:
            file.seek(-4, os.SEEK_END)
            file.write(b"\0\1\2\3")
    elif MODE == "changed manifest":
        result.write_text(result.read_text().replace('"seed": 7', '"seed": 8'))
    elif MODE == "no manifest":
        result.unlink()
    elif MODE == "done and exit 1":
        tell("done", job=job, result=str(result), sha256=checksum)
        os._exit(1)
    tell("done", job=job, result=str(result), sha256=checksum)


def main() -> None:
    if MODE == "does not start":
        sys.exit("ModuleNotFoundError: No module named 'torch'")
    if MODE == "silent":
        time.sleep(600)
    tell("hello", protocol=PROTOCOL_VERSION if MODE != "other protocol" else 99, version="0", pid=os.getpid())
    print("fake worker ready", file=sys.stderr, flush=True)
    for line in sys.stdin:
        command = parse_command(line)
        if command.name == "run":
            CANCELLED.clear()
            CANCELLED_TWICE.clear()
            threading.Thread(target=carry_out, args=(command.job, command.request), daemon=True).start()
        elif command.name == "cancel":
            if CANCELLED.is_set():
                CANCELLED_TWICE.set()
            CANCELLED.set()
        elif command.name == "release":
            tell("released", message="Nothing was kept.")
        elif command.name == "quit" and MODE != "no listening":
            return
    if MODE == "no listening":
        time.sleep(600)


main()
