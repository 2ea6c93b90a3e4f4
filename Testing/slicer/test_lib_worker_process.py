"""The real runner with a worker that misbehaves on demand."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from diffugts.protocol import Command, Request
from DiffuGTSSlicerLib.process_tree import exit_in_words
from DiffuGTSSlicerLib.worker_command import WorkerCommand
from DiffuGTSSlicerLib.worker_process import (
    MOST_CHUNKS_WAITING,
    READ_BYTES,
    Ended,
    Logged,
    Said,
    Unreadable,
    WorkerError,
    WorkerProcess,
)

HERE = Path(__file__).parent
ENGINE = HERE.parents[1] / "DiffuGTSSlicer"


def made_worker(mode: str, **options: object) -> WorkerProcess:
    command = WorkerCommand(Path(sys.executable), ENGINE, os.environ, arguments=(str(HERE / "fake_worker.py"), mode))
    return WorkerProcess(command, **options)  # type: ignore[arg-type]


def heard_until(worker: WorkerProcess, enough, patience_s: float = 15.0) -> list:
    news: list = []
    ends = time.monotonic() + patience_s
    while not any(enough(item) for item in news):
        assert time.monotonic() < ends, f"waited in vain; heard {news[-5:]}, log: {worker.log}"
        news += worker.drain()
        time.sleep(0.01)
    return news


def says(name: str):
    return lambda item: isinstance(item, Said) and item.event.name == name


def ended(item: object) -> bool:
    return isinstance(item, Ended)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def gone(pid: int, patience_s: float = 5.0) -> bool:
    ends = time.monotonic() + patience_s
    while is_alive(pid) and time.monotonic() < ends:
        time.sleep(0.02)
    return not is_alive(pid)


@pytest.fixture
def request_file(tmp_path: Path) -> Path:
    path = tmp_path / "request.json"
    Request(scan="scan.nrrd", descriptions=("mass",), output="result").save(path)
    return path


def test_a_worker_greets_and_ends_when_it_is_asked_to():
    worker = made_worker("well")
    worker.start()
    heard_until(worker, says("hello"))
    worker.stop()
    assert heard_until(worker, ended)[-1] == Ended(0, True)
    assert not worker.running


def test_what_the_worker_prints_is_kept_as_its_log():
    worker = made_worker("well")
    worker.start()
    heard_until(worker, lambda item: item == Logged("fake worker ready"))
    assert "fake worker ready" in worker.log
    worker.close()


def test_lines_that_are_no_events_are_reported_and_the_worker_goes_on(request_file: Path):
    worker = made_worker("garbage")
    worker.start()
    heard_until(worker, says("hello"))
    worker.send(Command("run", job="1", request=str(request_file)))
    news: list = []
    ends = time.monotonic() + 15
    while sum(isinstance(item, Unreadable) for item in news) < 5 and time.monotonic() < ends:
        news += worker.drain()
        time.sleep(0.01)
    bad = [item for item in news if isinstance(item, Unreadable)]
    assert len(bad) == 5
    assert "not JSON" in bad[0].reason and "expected one of" in bad[1].reason and "longer than" in bad[4].reason
    assert worker.running
    worker.close()


def test_characters_split_between_reads_come_out_whole(request_file: Path):
    worker = made_worker("split")
    worker.start()
    heard_until(worker, says("hello"))
    worker.send(Command("run", job="1", request=str(request_file)))
    news = heard_until(worker, says("log"))
    assert next(n.event.fields["message"] for n in news if says("log")(n)) == "Leberläsion 肝臓 🩻"
    worker.close()


@pytest.mark.parametrize("mode, code", [("traceback 0", 0), ("traceback 1", 1), ("killed", -9)])
def test_an_end_that_nobody_asked_for_is_told_with_its_code_after_all_it_said(mode: str, code: int, request_file: Path):
    worker = made_worker(mode)
    worker.start()
    worker.send(Command("run", job="1", request=str(request_file)))
    news = heard_until(worker, ended)
    assert news[-1] == Ended(code, False)
    assert any(says("progress")(item) for item in news)
    if code >= 0:
        assert "RuntimeError: boom" in worker.log


def test_a_truncated_last_line_is_reported(request_file: Path):
    worker = made_worker("truncated")
    worker.start()
    worker.send(Command("run", job="1", request=str(request_file)))
    news = heard_until(worker, ended)
    assert any(isinstance(item, Unreadable) and item.line.startswith('{"event": "done"') for item in news)


def test_the_children_of_a_worker_end_with_it(request_file: Path):
    worker = made_worker("children")
    worker.start()
    worker.send(Command("run", job="1", request=str(request_file)))
    news = heard_until(worker, says("log"))
    child = int(next(n.event.fields["message"] for n in news if says("log")(n)).split()[1])
    assert is_alive(child) and is_alive(worker.pid)
    worker.kill()
    heard_until(worker, ended)
    assert gone(child) and gone(worker.pid)


def test_a_worker_that_does_not_listen_is_ended_after_the_grace_time(request_file: Path):
    worker = made_worker("no listening", stop_grace_s=0.3)
    worker.start()
    heard_until(worker, says("hello"))
    began = time.monotonic()
    worker.stop()
    assert time.monotonic() - began < 0.1, "stop must not wait"
    assert heard_until(worker, ended)[-1] == Ended(-9, True)
    assert time.monotonic() - began >= 0.3


def test_closing_leaves_no_process_behind(request_file: Path):
    worker = made_worker("no listening")
    worker.start()
    heard_until(worker, says("hello"))
    worker.close(patience_s=0.2)
    assert gone(worker.pid) and not worker.running and worker.drain() == []


def test_a_flood_of_output_neither_fills_the_memory_nor_holds_up_the_main_thread():
    command = WorkerCommand(
        Path(sys.executable),
        ENGINE,
        os.environ,
        arguments=("-c", "import os\nwhile True: os.write(2, b'flood\\n' * 10000)"),
    )
    worker = WorkerProcess(command)
    worker.start()
    time.sleep(0.5)
    most = 0
    for _ in range(20):
        most = max(most, len(worker.drain()))
    worker.close(0.2)
    assert worker._chunks.qsize() <= MOST_CHUNKS_WAITING
    assert len(worker.log.splitlines()) <= 2000
    assert 0 < most < MOST_CHUNKS_WAITING * READ_BYTES // len("flood\n") // 4, (
        "one call leaves most of a flood for the next ones"
    )


def test_a_python_that_is_not_there_is_a_sentence_not_a_traceback(tmp_path: Path):
    worker = WorkerProcess(WorkerCommand(tmp_path / "no python here", ENGINE, os.environ))
    with pytest.raises(WorkerError, match="could not be started with '.*no python here'.*press Check"):
        worker.start()
    assert not worker.running


def test_the_environment_of_an_external_python_has_nothing_of_slicers_own(tmp_path: Path):
    base = {"PATH": "/bin", "PYTHONHOME": "/slicer", "PYTHONPATH": "/slicer/lib"}
    environment = WorkerCommand(Path("python"), ENGINE, base, tmp_path).environment()
    assert "PYTHONHOME" not in environment
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), str(ENGINE)]
    assert environment["PYTHONUTF8"] == environment["PYTHONUNBUFFERED"] == environment["PYTHONNOUSERSITE"] == "1"
    assert base["PYTHONHOME"] == "/slicer"


def test_slicers_own_python_keeps_what_it_needs(tmp_path: Path):
    base = {"PYTHONHOME": "/slicer", "PYTHONPATH": "/slicer/lib"}
    environment = WorkerCommand(Path("PythonSlicer"), ENGINE, base, tmp_path, keep_python_variables=True).environment()
    assert environment["PYTHONHOME"] == "/slicer"
    assert environment["PYTHONPATH"].split(os.pathsep) == [str(tmp_path), str(ENGINE), "/slicer/lib"]


def test_exit_codes_are_put_into_words():
    assert exit_in_words(1) == "exit code 1"
    assert exit_in_words(-9) == "ended by signal SIGKILL"
