"""Memory or disk run out: a smaller way is taken, or a sentence says so; nothing half-written is taken for whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from job_bench import ENGINE, JobBench, at_stage, job_bench, stand_in_worker
from made_volumes import made_volume

from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job, JobState, Order
from DiffuGTSSlicerLib.results import nodes_of_result
from DiffuGTSSlicerLib.worker_command import WorkerCommand

SHAPE = (64, 64, 64)


def order(folder: Path, *texts: str, shape=SHAPE) -> Order:
    (folder / "model").mkdir(exist_ok=True)
    volume = made_volume(shape=shape)
    return freeze_order(volume, texts, modality="CT", model=str(folder / "model"))


# -- memory --------------------------------------------------------------------------------------------------------------


def test_short_memory_is_answered_with_small_tiles_and_noted(scene, tmp_path: Path):
    with job_bench(scene, tmp_path / "jobs", stand_in_worker()) as b:
        job = b.run(order(tmp_path, "no memory"))
    assert job.state is JobState.DONE
    assert "Memory was short; the scan was taken in small tiles." in job.notes


def test_a_scan_that_does_not_fit_at_all_is_explained_and_the_worker_goes_on(scene, tmp_path: Path):
    with job_bench(scene, tmp_path / "jobs", stand_in_worker()) as b:
        job = b.run(order(tmp_path, "no memory at all"))
        assert job.state is JobState.FAILED
        assert job.reason.startswith(
            "The scan does not fit into this machine's memory, not even in small tiles. Give a smaller"
        )
        assert "can't allocate memory" in job.details
        assert b.run(order(tmp_path, "tumour")).state is JobState.DONE
    assert len(b.workers) == 1


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_worker_whose_memory_the_system_refuses_says_so(scene, tmp_path: Path):
    """A real limit of the address space: numpy's own MemoryError, in the engine's own worker."""
    command = limited("ulimit -v 2000000", *stand_in_worker().arguments)
    with job_bench(scene, tmp_path / "jobs", command) as b:
        job = b.run(order(tmp_path, "fill the memory"))
    assert job.state is JobState.FAILED and "does not fit into this machine's memory" in job.reason


# -- disk ----------------------------------------------------------------------------------------------------------------


def limited(limit: str, *arguments: str) -> WorkerCommand:
    """A worker that the shell starts with a limit of the system's."""
    line = ("-c", f'{limit}; exec "$0" "$@"', sys.executable, *arguments)
    return WorkerCommand(Path("/bin/sh"), ENGINE, {**os.environ, "OMP_NUM_THREADS": "1"}, arguments=line)


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_a_result_that_finds_no_room_is_a_sentence_and_leaves_nothing(scene, tmp_path: Path):
    """No file may grow beyond 64 KB, which stands for a disk that is full in the middle of writing."""
    with job_bench(scene, tmp_path / "jobs", limited("ulimit -f 128", *stand_in_worker().arguments)) as b:
        job = b.run(order(tmp_path, "tumour"))
        assert job.state is JobState.FAILED
        assert "Free some space or choose another folder; nothing half-written was left." in job.reason
        assert sorted(path.name for path in job.folder.iterdir()) == ["request.json", "scan.nrrd"]
        assert nodes_of_result(scene, job.name) == {}
        assert b.run(order(tmp_path, "tumour", shape=(16, 16, 16))).state is JobState.DONE, "what fits is done"
    assert len(b.workers) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 2 MB."""
    place = tmp_path / "small disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def run_on(scene, small_disk: Path, tmp_path: Path, monkeypatch, shape=SHAPE) -> tuple[JobBench, Job]:
    """A job on a disk of 2 MB of which the system says that there is room."""
    usage = type("Usage", (), {"free": 10**12})
    monkeypatch.setattr("DiffuGTSSlicerLib.export.shutil.disk_usage", lambda path: usage)
    with job_bench(scene, small_disk / "jobs", stand_in_worker()) as b:
        return b, b.run(order(tmp_path, "tumour", shape=shape))


def test_a_scan_that_is_larger_than_the_disk_is_refused_before_it_is_written(scene, small_disk: Path, tmp_path: Path):
    with job_bench(scene, small_disk / "jobs", stand_in_worker()) as b:
        job = b.run(order(tmp_path, "tumour"))
    assert job.state is JobState.FAILED
    assert job.reason.startswith("The volume could not be written for the worker (")
    assert "MB are needed for the volume" in job.reason and "Free some space" in job.reason
    assert not job.scan_path.exists() and b.workers == []


def test_a_disk_that_fills_while_the_scan_is_written_is_noticed(scene, host, small_disk, tmp_path, monkeypatch):
    b, job = run_on(scene, small_disk, tmp_path, monkeypatch, shape=(128, 128, 128))
    host.faults.take_vtk_errors()  # Slicer's writer reports it too
    assert job.state is JobState.FAILED
    assert (
        "could not be written for the worker (writing scan.nrrd failed; the disk may be full). Free some" in job.reason
    )
    assert b.workers == [], "the worker is not asked to read half a scan"


def test_a_disk_that_fills_while_the_result_is_written_leaves_no_half_result(scene, small_disk, tmp_path, monkeypatch):
    _, job = run_on(scene, small_disk, tmp_path, monkeypatch, shape=(88, 88, 88))
    assert job.state is JobState.FAILED
    assert "nothing half-written was left" in job.reason
    assert not job.result_folder.exists() and nodes_of_result(scene, job.name) == {}


def test_a_job_folder_that_vanishes_after_the_scan_was_read_costs_nothing(scene, tmp_path: Path):
    """A tidy user, or the system, empties the folder for temporary files."""
    with job_bench(scene, tmp_path / "jobs", stand_in_worker(0.02)) as b:
        job = b.run(order(tmp_path, "tumour"), at_stage("encoding", lambda job: shutil.rmtree(job.folder)))
    assert job.state is JobState.DONE and nodes_of_result(scene, job.name)
