"""Files and lines damaged at random: never a traceback, never a node from a result that is not whole.

60 of each kind here; DIFFUGTS_FUZZED=2000 in the environment for more.
"""

from __future__ import annotations

import copy
import json
import os
import random
from concurrent.futures import Executor, Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_results import write_result
from made_volumes import SHAPE, made_volume, matrix
from nrrd_files import write_nrrd

from diffugts.errors import RequestError, ResultError, ScanError
from diffugts.protocol import Command, Event, Request, ResultManifest, sha256_of
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job, JobState
from DiffuGTSSlicerLib.job_queue import JobQueue
from DiffuGTSSlicerLib.nrrd_file import read_header
from DiffuGTSSlicerLib.result_check import checked_result
from DiffuGTSSlicerLib.results import import_result, nodes_of_result
from DiffuGTSSlicerLib.worker_process import News, WorkerProcess

CASES = range(int(os.environ.get("DIFFUGTS_FUZZED", "60")))
LPS = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix("oblique")
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 10**30, 0.5, -1e308, "", "finding_1", "x" * 5000, "../../x", "\x00", "\ud800", [], [[]], [1, "a"], {}, {"a": 1},
)  # fmt: skip
ODD_VALUES = (
    b"", b" ", b"none", b"none none", b"3", b"0 0 0", b"-1 8 8 8", b"(1,0,0)", b"(nan,0,0) (0,1,0) (0,0,1)", b"()", b"x" * 300,
)  # fmt: skip


def damaged_json(text: str, chance: random.Random) -> str:
    """A JSON text with one to three values replaced, removed or doubled, or with bytes lost."""
    if text and chance.random() < 0.2:
        start = chance.randrange(len(text))
        return text[:start] + text[start + chance.choice((1, 40, len(text))) :]
    try:
        facts = json.loads(text)
    except ValueError:  # damaged before
        return text
    for _ in range(chance.randint(1, 3)):
        place = facts
        while isinstance(place, (dict, list)):
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            if not keys:
                break
            key = chance.choice(keys)
            if isinstance(place[key], (dict, list)) and chance.random() < 0.8:
                place = place[key]
                continue
            what = chance.random()
            if what < 0.2:
                del place[key]
            elif what < 0.3 and isinstance(place, list):
                place.append(place[key])
            else:
                place[key] = copy.deepcopy(chance.choice(STRANGE))
            break
    return json.dumps(facts)


def damaged_header(content: bytes, chance: random.Random) -> bytes:
    """A NRRD file with its header's lines lost, doubled, misspelt or given another value; sizes stay small."""
    head, body = content.split(b"\n\n", 1)
    lines = head.split(b"\n")
    for _ in range(chance.randint(1, 3)):
        n = chance.randrange(len(lines))
        what = chance.randrange(5)
        if what == 0 and len(lines) > 1:
            del lines[n]
        elif what == 1:
            lines.insert(n, lines[chance.randrange(len(lines))])
        elif what == 2 and lines[n]:
            k = chance.randrange(len(lines[n]))
            sign = bytes([chance.choice(b"aZ :(),.-\x00\xff")])
            lines[n] = lines[n][:k] + sign + lines[n][k + 1 :]
        elif what == 3:
            lines[n] = lines[n].partition(b":")[0] + b": " + chance.choice(ODD_VALUES)
        else:
            body = body[: chance.randrange(len(body) or 1)]
    return b"\n".join(lines) + b"\n\n" + body


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "result"
    write_result(folder, SHAPE, LPS, ("mass", "cyst"))
    return folder


def brought_in(scene, job: Job, status: str = "done") -> str:
    """Check and import a job's result as the queue does; the sentence where it is refused, "" where it came in."""
    result = job.result_folder / "result.json"
    try:
        checked = checked_result(
            job.result_folder, str(result), sha256_of(result), status, job.order.descriptions, job.order.geometry
        )
        import_result(job, checked, scene)
    except ResultError as error:
        return str(error)
    return ""


def require_all_or_nothing(scene, job: Job, refusal: str) -> None:
    nodes = nodes_of_result(scene, job.name)
    if refusal:
        assert nodes == {} and len(refusal) > 20 and "Traceback" not in refusal
    else:
        assert len(nodes["segmentation"]) == 1 and len(nodes["score map"]) == 2


def copied_job(whole: Path, folder: Path, scene) -> Job:
    job = Job("1", freeze_order(made_volume(), ("mass", "cyst")), folder / "job")
    job.result_folder.mkdir(parents=True)
    for path in whole.iterdir():
        (job.result_folder / path.name).write_bytes(path.read_bytes())
    return job


def test_an_undamaged_result_comes_in(scene, whole: Path, tmp_path: Path):
    job = copied_job(whole, tmp_path, scene)
    refusal = brought_in(scene, job)
    assert refusal == ""
    require_all_or_nothing(scene, job, refusal)


@pytest.mark.parametrize("seed", CASES)
def test_a_damaged_manifest_is_refused_in_a_sentence_or_harmless(scene, host, whole: Path, tmp_path: Path, seed: int):
    """The checksum that the worker tells is that of the damaged file: everything behind it has to hold by itself."""
    job, chance = copied_job(whole, tmp_path, scene), random.Random(seed)
    path = job.result_folder / "result.json"
    path.write_text(damaged_json(path.read_text(encoding="utf-8"), chance), encoding="utf-8", errors="surrogatepass")
    refusal = brought_in(scene, job, chance.choice(("done", "cancelled")))
    host.faults.take_vtk_errors()
    require_all_or_nothing(scene, job, refusal)


@pytest.mark.parametrize("seed", CASES)
def test_a_damaged_volume_is_refused_in_a_sentence_or_harmless(scene, host, whole: Path, tmp_path: Path, seed: int):
    """The damaged file's own checksum is in the manifest, as after a worker's own mistake."""
    job, chance = copied_job(whole, tmp_path, scene), random.Random(seed)
    manifest = ResultManifest.load(job.result_folder)
    record = chance.choice([record for record in manifest.files if record.name.endswith(".nrrd")])
    path = job.result_folder / record.name
    path.write_bytes(damaged_header(path.read_bytes(), chance))
    changed = replace(record, size=path.stat().st_size, sha256=sha256_of(path))
    files = tuple(changed if one == record else one for one in manifest.files)
    replace(manifest, files=files).write(job.result_folder)
    refusal = brought_in(scene, job)
    host.faults.take_vtk_errors()  # Slicer's readers say it in their own words too
    require_all_or_nothing(scene, job, refusal)


@pytest.mark.parametrize("field", ["type", "space", "sizes", "space directions", "encoding", "space origin"])
@pytest.mark.parametrize("value", ["", "none", "none none none none", "()", "nan"])
def test_a_field_of_a_volume_that_says_nothing_is_refused(tmp_path: Path, field: str, value: str):
    path = tmp_path / "score.nrrd"
    write_nrrd(path, np.zeros((4, 5, 6), np.float32), LPS)
    head, body = path.read_bytes().split(b"\n\n", 1)
    lines = [f"{field}: {value}" if line.startswith(f"{field}:") else line for line in head.decode().split("\n")]
    path.write_bytes("\n".join(lines).encode() + b"\n\n" + body)
    with pytest.raises(ResultError, match="cannot be read"):
        read_header(path)


@pytest.mark.parametrize("seed", CASES)
def test_a_damaged_scan_is_refused_by_the_engine_in_a_sentence_or_read(whole: Path, tmp_path: Path, seed: int):
    reading = pytest.importorskip("diffugts.scans.reading")
    path = tmp_path / "scan.nrrd"
    path.write_bytes(damaged_header((whole / "pseudo-healthy.nrrd").read_bytes(), random.Random(seed)))
    try:
        scan = reading.read_scan(str(path), "CT")
    except ScanError as error:
        assert len(str(error)) > 20
    else:
        assert np.isfinite(scan.voxels).all()


@pytest.mark.parametrize("seed", CASES)
def test_a_damaged_request_is_refused_in_a_sentence_or_valid(tmp_path: Path, seed: int):
    text = Request(scan="s.nrrd", descriptions=("mass", "cyst"), output="r", threshold=0.4).to_json()
    try:
        again = Request.from_json(damaged_json(text, random.Random(seed)), tmp_path)
    except RequestError as error:
        assert len(str(error)) > 20
    else:
        assert Request.from_json(again.to_json()) == again


class Now(Executor):
    """Carries out at once what is submitted."""

    def submit(self, call, /, *arguments, **named) -> Future:
        future: Future = Future()
        try:
            future.set_result(call(*arguments, **named))
        except Exception as error:  # noqa: BLE001 - it is handed on
            future.set_exception(error)
        return future


class Babbling:
    """A worker in this process that says prepared lines, one at a call."""

    running, log = True, ""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def start(self) -> None: ...
    def send(self, command: Command) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    def close(self) -> None: ...

    def drain(self) -> list[News]:
        return [WorkerProcess._understood(self._lines.pop(0))] if self._lines else []


@pytest.mark.parametrize("seed", CASES)
def test_damaged_events_in_any_order_leave_every_job_over_or_running(scene, whole: Path, tmp_path: Path, seed: int):
    chance, changes = random.Random(seed), []
    volume = made_volume()
    events = [
        Event("hello", {"protocol": 1, "version": "1", "pid": 1}),
        Event("queued", {"job": "JOB", "position": 1}),
        Event("progress", {"job": "JOB", "stage": "encoding", "done": 1, "total": 2, "message": "m", "eta_s": 1.5, "fraction": 0.1}),
        Event("done", {"job": "JOB", "result": str(whole / "result.json"), "sha256": "ab"}),
        Event("cancelled", {"job": "JOB", "result": str(whole / "result.json"), "sha256": "ab"}),
        Event("failed", {"job": "JOB", "code": "scan", "message": "It is damaged.", "details": ""}),
        Event("released", {"message": "All."}),
        Event("log", {"message": "Hm."}),
    ]  # fmt: skip

    def export(job: Job) -> None:
        job.request_path.touch()

    def never(job: Job, manifest: ResultManifest, content: object) -> object:
        raise AssertionError("nothing of this is a whole result")

    name = "JOB"
    lines = [events[0].to_line()]
    queue = JobQueue(lambda: Babbling(lines), export, never, tmp_path, Now(), heard=changes.append)
    job = queue.add(freeze_order(volume, ("mass",)))
    for _ in range(12):
        line = chance.choice(events).to_line().replace(name, job.name)
        lines.append(damaged_json(line, chance) if chance.random() < 0.6 else line)
    for _ in range(40):
        if chance.random() < 0.05:
            queue.cancel(job)
        queue.tick()
    assert job.state in (JobState.RUNNING, JobState.FAILED, JobState.CANCELLED) and job.result is None
    assert "Traceback" not in job.reason and "did not foresee" not in job.reason
    if job.state is JobState.FAILED:
        assert job.reason.strip()
    queue.close()
