"""The worker dies, cannot start, or finds its model broken: every job ends with a sentence, and the scene stays as it was."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from job_bench import ENGINE, ROOT, JobBench, at_stage, engine_worker, fake_worker, job_bench, stand_in_worker
from made_volumes import made_volume
from test_lib_worker_process import gone

from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job, JobState, Order
from DiffuGTSSlicerLib.results import nodes_of_result
from DiffuGTSSlicerLib.worker_command import WorkerCommand
from DiffuGTSSlicerLib.worker_process import WorkerError

COMPACT = ROOT / "Resources" / "Models" / "compact"


@pytest.fixture
def bench(scene, tmp_path: Path) -> Iterator[Callable[[WorkerCommand], JobBench]]:
    opened = []

    def make(command: WorkerCommand) -> JobBench:
        opened.append(job_bench(scene, tmp_path / "jobs", command))
        return opened[-1].__enter__()

    yield make
    for one in opened:
        one.__exit__(None, None, None)


@pytest.fixture
def order(scene, tmp_path: Path) -> Order:
    """An order that the engine's own worker can carry out around the stand-in pipeline."""
    (tmp_path / "model").mkdir()
    return freeze_order(made_volume(), ("one", "two"), modality="CT", model=str(tmp_path / "model"))


def kill(b: JobBench) -> Callable[[Job], None]:
    return lambda job: os.kill(b.workers[-1].pid, signal.SIGKILL)


# -- killed --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["reading", "loading", "encoding", "attending", "inpainting", "refining", "writing"])
def test_a_worker_killed_at_any_stage_fails_its_job_and_the_next_job_is_done(scene, bench, order: Order, stage: str):
    b = bench(stand_in_worker(0.02))
    nodes = scene.GetNumberOfNodes()
    job = b.run(order, at_stage(stage, kill(b)))
    assert job.state is JobState.FAILED
    assert job.reason.startswith(
        "The worker ended in the middle of the job (ended by signal SIGKILL) while it was at '"
    )
    assert "Nothing in the scene was changed; segment again" in job.reason
    assert scene.GetNumberOfNodes() == nodes and not job.result_folder.exists()
    again = b.run(order)
    assert again.state is JobState.DONE, again.reason
    assert len(b.workers) == 2


def test_a_worker_killed_while_it_starts_fails_its_job(bench, order: Order):
    b = bench(fake_worker("silent"))
    job = b.queue.add(order)
    b.until(lambda: bool(b.workers) and b.workers[0].pid is not None)
    os.kill(b.workers[0].pid, signal.SIGKILL)
    b.until(lambda: job.state.over)
    assert job.reason == (
        "The worker could not start (ended by signal SIGKILL: it said nothing). Open Setup and press Check."
    )


def test_a_worker_killed_while_its_result_is_checked_costs_nothing(scene, bench, order: Order):
    b = bench(stand_in_worker())
    job = b.run(order, lambda job: kill(b)(job) if job.state is JobState.IMPORTING else None)
    assert job.state is JobState.DONE and nodes_of_result(scene, job.name)
    assert b.run(order).state is JobState.DONE


def test_a_worker_killed_while_nothing_runs_is_replaced_for_the_next_job(bench, order: Order):
    b = bench(stand_in_worker())
    assert b.run(order).state is JobState.DONE
    kill(b)(None)
    assert gone(b.workers[0].pid)
    assert b.run(order).state is JobState.DONE and len(b.workers) == 2


def test_a_worker_killed_after_it_was_cancelled_is_a_cancelled_job(bench, order: Order):
    def cancel_and_kill(job: Job) -> None:
        b.queue.cancel(job)
        kill(b)(job)

    b = bench(stand_in_worker(0.05))
    job = b.run(order, at_stage("encoding", cancel_and_kill))
    assert (job.state, job.reason) == (JobState.CANCELLED, "Cancelled.")


def test_when_slicer_itself_is_killed_the_worker_ends_too(tmp_path: Path):
    """A process in Slicer's place starts the engine's worker and is killed without any chance to clean up."""
    started = tmp_path / "pid"
    slicer_in_short = f"""
import os, sys, time
sys.path[:0] = [{str(ENGINE)!r}, {str(Path(__file__).parent)!r}, {str(Path(__file__).parents[1])!r}]
import host
host.start()
from pathlib import Path
from DiffuGTSSlicerLib.worker_command import WorkerCommand
from DiffuGTSSlicerLib.worker_process import WorkerProcess
worker = WorkerProcess(WorkerCommand(Path(sys.executable), Path({str(ENGINE)!r}), os.environ))
worker.start()
while not any(getattr(item, "event", None) for item in worker.drain()):
    time.sleep(0.01)
Path({str(started)!r}).write_text(str(worker.pid))
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", slicer_in_short]) as process:
        while not (started.is_file() and started.read_text()):
            assert process.poll() is None
        process.kill()
    assert gone(int(started.read_text()), 10.0)


# -- cannot start --------------------------------------------------------------------------------------------------------


def test_without_an_environment_the_job_says_what_to_do(scene, bench, order: Order, monkeypatch):
    b = bench(fake_worker("well"))

    def no_environment():
        raise WorkerError("The packages are not installed yet. Open Setup and press Install.")

    monkeypatch.setattr(b.queue, "_make_worker", no_environment)
    job = b.run(order)
    assert job.state is JobState.FAILED
    assert job.reason == "The packages are not installed yet. Open Setup and press Install."


def test_a_python_that_is_gone_is_named(bench, order: Order, tmp_path: Path):
    job = bench(WorkerCommand(tmp_path / "Python 3" / "python", ENGINE, os.environ)).run(order)
    assert job.state is JobState.FAILED
    assert "could not be started with" in job.reason and "choose another Python or press Repair" in job.reason


def test_a_file_that_is_no_program_is_named(bench, order: Order, tmp_path: Path):
    (tmp_path / "python").write_text("not a program")
    job = bench(WorkerCommand(tmp_path / "python", ENGINE, os.environ)).run(order)
    assert "could not be started with" in job.reason and "Permission denied" in job.reason


@pytest.mark.skipif(os.name != "posix", reason="needs /bin/sh")
def test_a_program_that_is_not_python_is_found_out(bench, order: Order):
    job = bench(WorkerCommand(Path("/bin/sh"), ENGINE, os.environ, arguments=("-c", "echo hello; exit 3"))).run(order)
    assert job.reason == "The worker could not start (exit code 3: it said nothing). Open Setup and press Check."


def test_a_python_without_the_packages_names_what_it_lacks(bench, order: Order):
    bare = WorkerCommand(Path(sys.executable), ENGINE, os.environ, arguments=("-S", "-m", "diffugts", "worker"))
    job = bench(bare).run(order)
    assert "could not start (exit code 1: ModuleNotFoundError: No module named '" in job.reason
    assert job.reason.endswith("Open Setup and press Check.")


def test_a_python_that_is_too_old_says_so(bench, order: Order):
    program = "import sys, runpy; sys.version_info = (3, 9, 18); runpy.run_module('diffugts', run_name='__main__')"
    job = bench(WorkerCommand(Path(sys.executable), ENGINE, os.environ, arguments=("-c", program))).run(order)
    assert "exit code 1: Python 3.10 to 3.13 is needed, this is Python 3.9)" in job.reason


@pytest.mark.parametrize("folder", ["Programme mit Leerzeichen", "программы 医学 é"])
def test_python_engine_and_jobs_may_lie_in_folders_with_any_name(scene, tmp_path: Path, order: Order, folder: str):
    place = tmp_path / folder
    place.mkdir()
    (place / "python").symlink_to(sys.executable)
    shutil.copytree(
        ENGINE / "diffugts",
        place / "engine" / "diffugts",
        ignore=shutil.ignore_patterns("__pycache__", "shipped_models"),
    )
    command = stand_in_worker()
    # A symbolic link to a virtual environment's Python does not find that environment; its packages are named instead.
    packages = Path(next(p for p in sys.path if p.endswith("site-packages")))
    moved = WorkerCommand(
        place / "python", place / "engine", command.base_environment, packages, arguments=command.arguments
    )
    with job_bench(scene, place / "jobs", moved) as b:
        job = b.run(order)
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"


# -- the model -----------------------------------------------------------------------------------------------------------


def test_a_model_folder_that_is_missing_is_a_sentence(bench, tmp_path: Path):
    pytest.importorskip("torch")
    order = freeze_order(made_volume(), ("mass",), modality="CT", model="no such model")
    job = bench(engine_worker()).run(order)
    assert job.state is JobState.FAILED and "There is no model 'no such model'" in job.reason
    assert "Traceback" not in job.reason


def cut_off_weights(model: Path) -> None:
    os.truncate(next((model / "denoiser").glob("*.safetensors")), 1000)


def lose_weights(model: Path) -> None:
    next((model / "denoiser").glob("*.safetensors")).unlink()


def break_settings(model: Path) -> None:
    (model / "preset.json").write_text('{"name": ')


def test_a_damaged_model_folder_is_a_sentence_and_a_repaired_one_works(bench, tmp_path: Path):
    pytest.importorskip("torch")
    volume, b = made_volume(), bench(engine_worker())
    for damage in (cut_off_weights, lose_weights, break_settings):
        model = tmp_path / f"Modell é {damage.__name__}"
        shutil.copytree(COMPACT, model)
        damage(model)
        order = freeze_order(volume, ("liver tumour",), modality="CT", model=str(model), quality="fast")
        job = b.run(order)
        assert job.state is JobState.FAILED, damage
        assert model.name in job.reason and ("nstall" in job.reason) and "Traceback" not in job.reason
        shutil.rmtree(model)
        shutil.copytree(COMPACT, model)
        again = b.run(order)
        assert again.state is JobState.DONE, f"{damage}: {again.reason}"
    assert len(b.workers) == 1, "no damage ends the worker"
