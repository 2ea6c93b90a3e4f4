"""The real worker process through its pipes, around a stand-in pipeline: orders, trouble, and every kind of end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from diffugts.errors import ResultError
from diffugts.protocol import Command, Event, ResultManifest, Stage, sha256_of
from fuzzing import fuzzed
from job_folders import job_folder
from worker_process import HERE, WorkerProcess, environment

CANCEL_S = 3.0
"""Within this a cancelled job, or a worker that is to end, is over."""


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerProcess]:
    """One worker for all tests that leave it alive: that it is still alive is part of each."""
    with WorkerProcess.stand_in(0.015) as running:
        running.wait_for("hello")
        yield running


def left_in(folder: Path) -> set[str]:
    """What a job left in its folder, beside what was put there before."""
    return {path.name for path in folder.iterdir()} - {"scan.nrrd", "request.json", "log.txt"}


# -- greeting ------------------------------------------------------------------------------------------------------------


def test_the_worker_greets_within_three_seconds_before_anything_heavy_is_imported() -> None:
    with WorkerProcess("-X", "importtime", "-m", "diffugts", "worker") as worker:
        hello = worker.wait_for("hello", patience_s=10)
        # A busy machine may give it little of itself: then its own time counts.
        took = min(time.monotonic() - worker.started, worker.processor_s())
        assert took < 3, f"hello took {took:.1f} s"
        assert hello.fields["pid"] == worker.process.pid
        worker.send("quit")
        assert worker.process.wait(10) == 0
        time.sleep(0.1)
        imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in worker.log.splitlines()}
    assert "diffugts" in imported
    assert not imported & {"torch", "numpy", "SimpleITK", "scipy", "monai", "diffusers", "transformers"}


def test_the_worker_answers_hello_while_a_job_runs(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send("run", "busy", job_folder(tmp_path / "job"))
    worker.wait_for_stage("encoding", "busy")
    worker.send("hello")
    worker.wait_for("hello", patience_s=1)
    assert worker.ending("busy").name == "done"


# -- jobs ----------------------------------------------------------------------------------------------------------------


def test_a_job_reports_every_stage_and_leaves_a_whole_result(worker: WorkerProcess, tmp_path: Path) -> None:
    before = len(worker.events)
    worker.send("run", "whole", job_folder(tmp_path / "job", "bright ball", "another"))
    done = worker.ending("whole")
    assert done.name == "done", done
    reports = [event.fields for event in worker.events[before:] if event.name == "progress"]
    stages = list(dict.fromkeys(report["stage"] for report in reports))
    expected = [stage.value for stage in Stage]
    assert [stage for stage in stages if stage != "loading"] == [stage for stage in expected if stage != "loading"]
    fractions = [report["fraction"] for report in reports]
    assert fractions == sorted(fractions)
    assert all(report["message"] and report["done"] <= report["total"] for report in reports)
    manifest = ResultManifest.load(tmp_path / "job" / "result")
    assert Path(done.fields["result"]) == tmp_path / "job" / "result" / "result.json"
    assert done.fields["sha256"] == sha256_of(Path(done.fields["result"]))
    assert [finding.description for finding in manifest.findings] == ["bright ball", "another"]
    assert left_in(tmp_path / "job") == {"result"}
    score = sitk.GetArrayFromImage(sitk.ReadImage(str(manifest.file("score map", 0))))
    assert np.unravel_index(score.argmax(), score.shape) and score.shape == (24, 24, 24)


def test_the_second_description_on_a_scan_does_not_encode_it_again(worker: WorkerProcess, tmp_path: Path) -> None:
    for number, text in enumerate(("first", "second")):
        worker.send("run", text, job_folder(tmp_path / str(number), text, seed=7))
        assert worker.ending(text).name == "done"
    stages = {
        job: [e.fields["stage"] for e in worker.events if e.name == "progress" and e.fields["job"] == job]
        for job in ("first", "second")
    }
    timings = [ResultManifest.load(tmp_path / str(n) / "result").provenance.timings_s for n in (0, 1)]
    assert "encoding" in stages["first"] and timings[0]["encode_s"] > 0.1
    assert "encoding" not in stages["second"] and "encode_s" not in timings[1]


def test_jobs_wait_in_line_and_learn_their_position(worker: WorkerProcess, tmp_path: Path) -> None:
    requests = [job_folder(tmp_path / str(n), seed=n) for n in range(3)]
    before = len(worker.events)
    lines = [Command("run", f"line {n}", str(request)).to_line() for n, request in enumerate(requests)]
    worker.send_bytes(("\n".join(lines) + "\n").encode())  # all in one write
    assert worker.ending("line 2").name == "done"
    told = [(e.fields["job"], e.fields["position"]) for e in worker.events[before:] if e.name == "queued"]
    assert told[-1] == ("line 2", 1)
    assert ("line 1", 1) in told and ("line 2", 2) in told
    endings = [e.fields["job"] for e in worker.events[before:] if e.name == "done"]
    assert endings == ["line 0", "line 1", "line 2"]


def test_a_waiting_job_is_cancelled_at_once_and_never_runs(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send("run", "runs", job_folder(tmp_path / "runs"))
    worker.send("run", "waits", job_folder(tmp_path / "waits"))
    worker.wait_for("queued", job="waits")
    worker.send("cancel", "waits")
    worker.wait_for("cancelled", job="waits", patience_s=1)
    assert worker.ending("runs").name == "done"
    assert not [e for e in worker.events if e.name == "progress" and e.fields["job"] == "waits"]
    assert left_in(tmp_path / "waits") == set()


def test_two_jobs_of_one_name_are_not_mixed_up(worker: WorkerProcess, tmp_path: Path) -> None:
    request = job_folder(tmp_path / "job")
    worker.send("run", "twin", request)
    worker.send("run", "twin", request)
    refusal = worker.wait_for("failed")
    assert refusal.fields["job"] is None and "already" in refusal.fields["message"]
    assert worker.ending("twin").name == "done"


# -- cancelling ----------------------------------------------------------------------------------------------------------


TEN = tuple(f"text {n}" for n in range(10))
"""Many descriptions make the writing last."""


def cancelled_in(worker: WorkerProcess, stage: str, request: Path, times: int = 1) -> Event:
    """Run a job, cancel it at the first sign of a stage, and return its ending."""
    name = f"{request.parent.parent.name}, cancelled in {stage}"
    worker.send("run", name, request)
    worker.wait_for_stage(stage, name)
    for _ in range(times):
        worker.send("cancel", name)
    asked = time.monotonic()
    ending = worker.ending(name)
    assert time.monotonic() - asked < CANCEL_S
    return ending


@pytest.mark.parametrize("stage", ["reading", "loading", "encoding", "attending"])
def test_a_job_cancelled_before_any_description_is_finished_leaves_nothing(
    tmp_path: Path, worker: WorkerProcess, stage: str
) -> None:
    # Another model folder makes the model be loaded.
    ending = cancelled_in(worker, stage, job_folder(tmp_path / "job", *TEN, size=64, seed=11))
    assert ending.name == "cancelled" and "result" not in ending.fields
    assert left_in(tmp_path / "job") == set()


@pytest.mark.parametrize("stage", ["inpainting", "refining"])
def test_a_job_cancelled_after_the_descriptions_were_finished_keeps_them(
    tmp_path: Path, worker: WorkerProcess, stage: str
) -> None:
    ending = cancelled_in(worker, stage, job_folder(tmp_path / "job", "one", "two", seed=11))
    assert ending.name == "cancelled"
    assert ending.fields["sha256"] == sha256_of(Path(ending.fields["result"]))
    manifest = ResultManifest.load(tmp_path / "job" / "result", cancelled_too=True)
    assert [finding.description for finding in manifest.findings] == ["one", "two"] and manifest.unfinished == ()
    assert left_in(tmp_path / "job") == {"result"}


def test_a_job_cancelled_between_two_descriptions_keeps_those_before(tmp_path: Path, worker: WorkerProcess) -> None:
    worker.send("run", "half", job_folder(tmp_path / "job", *TEN, seed=12))
    while worker.wait_for_stage("attending", "half").fields["done"] < 20:
        pass
    worker.send("cancel", "half")
    assert "result" in worker.ending("half").fields
    manifest = ResultManifest.load(tmp_path / "job" / "result", cancelled_too=True)
    finished = tuple(finding.description for finding in manifest.findings)
    assert 2 <= len(finished) < 10 and finished + manifest.unfinished == TEN == manifest.provenance.descriptions
    assert manifest.notes[-1].startswith(f"The job was cancelled when {len(finished)} of 10 descriptions were finished")
    assert len([record for record in manifest.files if record.role == "score map"]) == len(finished)
    with pytest.raises(ResultError, match="of status 'cancelled', expected 'done'"):
        ResultManifest.load(tmp_path / "job" / "result")


def test_a_job_cancelled_while_it_writes_is_written_whole(tmp_path: Path, worker: WorkerProcess) -> None:
    ending = cancelled_in(worker, "writing", job_folder(tmp_path / "job", *TEN, seed=11))
    assert ending.name == "done"
    assert len(ResultManifest.load(tmp_path / "job" / "result").findings) == 10


@pytest.mark.parametrize("stage", ["inpainting", "writing"])
def test_a_job_cancelled_twice_leaves_nothing(tmp_path: Path, worker: WorkerProcess, stage: str) -> None:
    ending = cancelled_in(worker, stage, job_folder(tmp_path / "job", *TEN, size=64, seed=11), times=2)
    assert ending.name == "cancelled" and "result" not in ending.fields
    assert left_in(tmp_path / "job") == set()


def test_what_a_cancelled_job_left_is_replaced_by_the_whole_result(tmp_path: Path, worker: WorkerProcess) -> None:
    request = job_folder(tmp_path / "job", "one", "two", seed=13)
    assert "result" in cancelled_in(worker, "inpainting", request).fields
    worker.send("run", "again", request)
    assert worker.ending("again").name == "done"
    assert "was replaced" in ResultManifest.load(tmp_path / "job" / "result").notes[-1]


def test_cancelling_what_is_over_harms_nothing(worker: WorkerProcess) -> None:
    worker.send("cancel", "never heard of")
    assert "never heard of" in worker.wait_for("log", patience_s=2).fields["message"]


# -- requests that fail --------------------------------------------------------------------------------------------------


def test_a_missing_scan_fails_with_its_sentence(worker: WorkerProcess, tmp_path: Path) -> None:
    request = job_folder(tmp_path / "job")
    (tmp_path / "job" / "scan.nrrd").unlink()
    worker.send("run", "no scan", request)
    failed = worker.ending("no scan")
    assert (failed.name, failed.fields["code"]) == ("failed", "scan")
    assert "'scan.nrrd' does not exist" in failed.fields["message"]
    assert left_in(tmp_path / "job") == set()


@pytest.mark.parametrize(
    "text", [None, "", "{}", "[]", '{"schema": "diffugts-request/9"}', '{"schema": "diffugts-request/1", "scan": 3}']
)
def test_a_request_that_cannot_be_read_fails_with_a_sentence(
    worker: WorkerProcess, tmp_path: Path, text: str | None
) -> None:
    if text is not None:
        (tmp_path / "request.json").write_text(text)
    worker.send("run", "bad request", tmp_path / "request.json")
    failed = worker.ending("bad request")
    assert (failed.name, failed.fields["code"]) == ("failed", "request")
    assert failed.fields["message"].endswith(".") or "expected" in failed.fields["message"]


def test_a_crash_is_reported_with_its_traceback_in_the_log_and_the_worker_lives_on(
    worker: WorkerProcess, tmp_path: Path
) -> None:
    worker.send("run", "crashes", job_folder(tmp_path / "job", "crash"))
    failed = worker.ending("crashes")
    assert (failed.name, failed.fields["code"]) == ("failed", "error")
    assert "KeyError" in failed.fields["details"] and str(tmp_path / "job" / "log.txt") in failed.fields["details"]
    log = (tmp_path / "job" / "log.txt").read_text(encoding="utf-8")
    assert "Traceback" in log and "nobody foresaw this" in log
    worker.wait_for_log("nobody foresaw this")
    assert left_in(tmp_path / "job") == set()
    worker.send("run", "next", job_folder(tmp_path / "next"))
    assert worker.ending("next").name == "done"


def test_a_library_that_ends_the_process_does_not_end_the_worker(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send("run", "exits", job_folder(tmp_path / "job", "exit"))
    failed = worker.ending("exits")
    assert failed.name == "failed" and "SystemExit" in failed.fields["details"]


def test_what_libraries_print_never_reaches_the_events(worker: WorkerProcess, tmp_path: Path) -> None:
    before = len(worker.events)
    worker.send("run", "prints", job_folder(tmp_path / "job", "print"))
    assert worker.ending("prints").name == "done"
    assert not [event for event in worker.events[before:] if event.name == "hello"]
    for words in ("from Python", "from C", "a child speaks"):
        worker.wait_for_log(words)


def test_short_memory_is_met_with_small_tiles_then_with_a_sentence(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send("run", "short", job_folder(tmp_path / "short", "no memory"))
    assert worker.ending("short").name == "done"
    assert any("small tiles" in note for note in ResultManifest.load(tmp_path / "short" / "result").notes)
    worker.send("run", "none", job_folder(tmp_path / "none", "no memory at all"))
    failed = worker.ending("none")
    assert (failed.name, failed.fields["code"]) == ("failed", "memory")
    worker.send("run", "after", job_folder(tmp_path / "after"))
    assert worker.ending("after").name == "done"
    assert not ResultManifest.load(tmp_path / "after" / "result").notes, "later jobs run as usual"


# -- garbage -------------------------------------------------------------------------------------------------------------

TYPES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.lists(st.integers(), max_size=3)
)
NEARLY_COMMANDS = st.dictionaries(st.sampled_from(["command", "job", "request", "x"]), TYPES, max_size=4).map(
    json.dumps
)
GARBAGE = (
    st.binary(max_size=200)
    | st.text(max_size=100).map(lambda t: t.encode("utf-8", "replace"))
    | NEARLY_COMMANDS.map(str.encode)
)


@fuzzed(40)
@given(st.lists(GARBAGE.map(lambda line: line.replace(b"\n", b" ")), max_size=8))
def test_every_line_that_is_no_command_gets_one_sentence(worker: WorkerProcess, lines: list[bytes]) -> None:
    worker.send_bytes(b"".join(line + b"\n" for line in lines))
    worker.send("hello")
    answers = []
    while not answers or answers[-1].name != "hello":
        answers.append(worker.next_event(5))
    spoken = [line for line in lines if line.decode("utf-8", "replace").strip()]
    assert [answer.name for answer in answers[:-1]] == ["failed"] * len(spoken)
    for answer in answers[:-1]:
        assert answer.fields["job"] is None and answer.fields["code"] == "request" and answer.fields["message"]


def test_a_flood_without_an_end_of_line_is_one_bad_line(worker: WorkerProcess) -> None:
    worker.send_bytes(b"x" * 5_000_000 + b"\n")
    worker.send("hello")
    assert "characters" in worker.wait_for("failed", patience_s=10).fields["message"]
    assert worker.next_event(5).name == "hello"


# -- letting go ----------------------------------------------------------------------------------------------------------


def test_an_idle_worker_lets_go_of_model_and_scans(tmp_path: Path) -> None:
    with WorkerProcess.stand_in(0.0, 0.4) as worker:
        worker.send("run", "1", job_folder(tmp_path / "1"))
        assert worker.ending("1").name == "done"
        released = worker.wait_for("released", patience_s=5)
        assert "the model and the features of 1 scans" in released.fields["message"]
        worker.send("run", "2", job_folder(tmp_path / "2"))
        assert worker.ending("2").name == "done"
        assert "encode_s" in ResultManifest.load(tmp_path / "2" / "result").provenance.timings_s


def test_release_comes_after_the_running_job(worker: WorkerProcess, tmp_path: Path) -> None:
    worker.send("run", "held", job_folder(tmp_path / "job", seed=21))
    worker.wait_for_stage("encoding", "held")
    worker.send("release")
    assert worker.wait_for("done", "released").name == "done"
    worker.wait_for("released", patience_s=2)


# -- ends ----------------------------------------------------------------------------------------------------------------


def test_a_killed_worker_leaves_no_half_result_and_the_next_one_works(tmp_path: Path) -> None:
    request = job_folder(tmp_path / "job", *(f"text {n}" for n in range(10)), size=64)
    with WorkerProcess.stand_in(0.0) as worker:
        worker.send("run", "1", request)
        worker.wait_for_stage("writing", "1")
        worker.process.kill()
        worker.process.wait()
    assert not (tmp_path / "job" / "result").exists()
    with WorkerProcess.stand_in(0.0) as worker:
        worker.send("run", "1", request)
        assert worker.ending("1").name == "done"
    ResultManifest.load(tmp_path / "job" / "result")
    strange = {name for name in left_in(tmp_path / "job") if not name.startswith(".result.part-")}
    assert strange == {"result"}


def test_the_worker_ends_with_its_input_in_the_middle_of_a_job(tmp_path: Path) -> None:
    with WorkerProcess.stand_in(0.2) as worker:
        worker.send("run", "1", job_folder(tmp_path / "1"))
        worker.send("run", "2", job_folder(tmp_path / "2"))
        worker.wait_for_stage("encoding", "1")
        assert worker.process.stdin is not None
        worker.process.stdin.close()
        assert worker.process.wait(CANCEL_S) == 0
        assert worker.wait_for("cancelled", job="2") and worker.wait_for("cancelled", job="1")
    assert left_in(tmp_path / "1") == left_in(tmp_path / "2") == set()


def test_a_job_that_hears_nothing_does_not_hold_up_the_end(tmp_path: Path) -> None:
    with WorkerProcess.stand_in(0.0, 300.0, 1.0) as worker:
        worker.send("run", "1", job_folder(tmp_path / "job", "deaf"))
        worker.wait_for_stage("attending", "1")
        time.sleep(0.5)  # now it is deaf
        worker.send("quit")
        assert worker.process.wait(CANCEL_S) == 130
    assert left_in(tmp_path / "job") == set()


def test_the_worker_ends_when_nobody_reads_its_events(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, str(HERE / "slow_pipeline_worker.py"), "0.1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert worker.stdin and worker.stdout
    with worker:
        worker.stdin.write(Command("run", "1", str(job_folder(tmp_path / "job"))).to_line().encode() + b"\n")
        worker.stdin.flush()
        assert b"hello" in worker.stdout.readline()
        worker.stdout.close()
        assert worker.wait(10) == 0  # its input is still open
    assert left_in(tmp_path / "job") == set()


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_worker_without_a_half_result(tmp_path: Path, number: signal.Signals) -> None:
    with WorkerProcess.stand_in(0.1) as worker:
        worker.send("run", "1", job_folder(tmp_path / "job"))
        worker.wait_for_stage("encoding", "1")
        worker.process.send_signal(number)
        assert worker.process.wait(CANCEL_S) == 130
        assert worker.wait_for("cancelled", job="1")
    assert left_in(tmp_path / "job") == set()


@pytest.mark.skipif(os.name != "posix", reason="Windows passes no pipes to grandchildren this way")
def test_the_worker_ends_when_its_parent_dies_though_its_input_stays_open(tmp_path: Path) -> None:
    """The test holds the pipes; a process in between starts the worker and is killed."""
    request = job_folder(tmp_path / "job")
    between = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, {str(HERE / 'slow_pipeline_worker.py')!r}, '0.2'])\n"
        "print(child.pid, file=sys.stderr, flush=True)\n"
        "time.sleep(60)\n"
    )
    with WorkerProcess("-c", between) as worker:
        pid = worker.wait_for("hello").fields["pid"]
        assert pid != worker.process.pid
        worker.send("run", "1", request)
        worker.wait_for_stage("encoding", "1")
        worker.process.kill()
        worker.process.wait()
        end = time.monotonic() + CANCEL_S + 1
        while is_running(pid) and time.monotonic() < end:
            time.sleep(0.05)
        assert not is_running(pid)
        assert worker.wait_for("cancelled", job="1")
    assert left_in(tmp_path / "job") == set()


def is_running(pid: int) -> bool:
    """Whether a process lives, zombies left out."""
    import psutil

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_names_and_texts_of_any_alphabet_pass_in_any_locale(tmp_path: Path) -> None:
    request = job_folder(tmp_path / "Größe 患者", "Lebermetastase in Größe einer Walnuß 肝転移")
    with WorkerProcess.stand_in(0.0, env=environment(LC_ALL="C", LANG="C", PYTHONIOENCODING="ascii")) as worker:
        worker.send("run", "Auftrag ü 1", request)
        done = worker.ending("Auftrag ü 1")
        assert done.name == "done", done
        assert Path(done.fields["result"]) == request.parent / "result" / "result.json"
    findings = ResultManifest.load(request.parent / "result").findings
    assert findings[0].description == "Lebermetastase in Größe einer Walnuß 肝転移"
