"""From the scene to the worker process and back: real MRML, the real runner, a worker that writes known results."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from made_findings import array_of  # noqa: E402
from made_results import made_scores  # noqa: E402
from made_volumes import KINDS, SHAPE, made_volume, matrix  # noqa: E402
from test_lib_worker_process import gone  # noqa: E402

from DiffuGTSSlicerLib.export import export_job  # noqa: E402
from DiffuGTSSlicerLib.finding_segment import FindingSegment  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import JobState  # noqa: E402
from DiffuGTSSlicerLib.job_queue import JobQueue  # noqa: E402
from DiffuGTSSlicerLib.recut import recut  # noqa: E402
from DiffuGTSSlicerLib.results import import_result, nodes_of_result  # noqa: E402
from DiffuGTSSlicerLib.worker_command import WorkerCommand  # noqa: E402
from DiffuGTSSlicerLib.worker_process import WorkerProcess  # noqa: E402

HERE = Path(__file__).parent


@pytest.fixture
def queue_of(scene, tmp_path: Path) -> Iterator:
    made, workers, checks = [], [], ThreadPoolExecutor(1)

    def make(mode: str = "well") -> JobQueue:
        def worker() -> WorkerProcess:
            arguments = (str(HERE / "fake_worker.py"), mode)
            engine = HERE.parents[1] / "DiffuGTSSlicer"
            workers.append(WorkerProcess(WorkerCommand(Path(sys.executable), engine, os.environ, arguments=arguments)))
            return workers[-1]

        folder = tmp_path / "Aufträge mit Leerzeichen"
        made.append(
            JobQueue(worker, partial(export_job, scene=scene), partial(import_result, scene=scene), folder, checks)
        )
        return made[-1]

    yield make
    for queue in made:
        queue.close()
    checks.shutdown()
    assert all(gone(worker.pid) for worker in workers)


def until(queue: JobQueue, enough, patience_s: float = 30.0) -> None:
    ends = time.monotonic() + patience_s
    while not enough():
        assert time.monotonic() < ends
        queue.tick()
        time.sleep(0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_becomes_segments_on_the_volumes_own_grid(scene, queue_of, kind: str):
    volume, queue = made_volume(kind), queue_of()
    job = queue.add(freeze_order(volume, ("liver tumour", 'كتلة "في" الكبد 🩻', "x" * 2000)))
    until(queue, lambda: job.state.over)
    assert job.state is JobState.DONE, job.reason
    segmentation = scene.GetNodeByID(job.result.segmentation_id)
    for number in range(3):
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, f"finding_{number + 1}", volume) > 0
        assert np.array_equal(mask, made_scores(SHAPE, number) > 0.5)
    finding = FindingSegment.of_result(scene, job.name, "finding_1")
    recut(finding, 0.65, 0.0)
    assert np.array_equal(array_of(finding, volume), made_scores(SHAPE, 0) > 0.65)


def test_a_volume_under_a_transform_gets_its_result_where_it_is_seen(scene, queue_of):
    volume, queue = made_volume("oblique"), queue_of()
    moving = np.eye(4)
    moving[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    moving[:3, 3] = (50, -60, 70)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "registration")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(moving))
    volume.SetAndObserveTransformNodeID(node.GetID())
    job = queue.add(freeze_order(volume, ("liver tumour",)))
    until(queue, lambda: job.state.over)
    assert job.state is JobState.DONE, job.reason
    import vtk

    found = vtk.vtkMatrix4x4()
    scene.GetNodeByID(job.result.score_map_ids[0]).GetIJKToRASMatrix(found)
    assert np.abs(slicer.util.arrayFromVTKMatrix(found) - moving @ matrix("oblique")).max() < 1e-6
    finding = FindingSegment.of_result(scene, job.name, "finding_1")
    assert np.array_equal(finding.mask().within((0, 0, 0), SHAPE), made_scores(SHAPE, 0) > 0.5)


def test_the_volume_deleted_while_the_worker_runs_costs_nothing(scene, queue_of):
    volume, queue = made_volume(), queue_of("unhurried")
    job = queue.add(freeze_order(volume, ("liver tumour",)))
    until(queue, lambda: job.progress.stage == "encoding")
    scene.RemoveNode(volume)
    until(queue, lambda: job.state.over)
    assert job.state is JobState.DONE, job.reason
    assert any("was deleted while the job ran" in note for note in job.notes)


def test_the_scene_closed_while_the_worker_runs_stays_empty(scene, queue_of):
    queue = queue_of("slow")
    job = queue.add(freeze_order(made_volume(), ("liver tumour",)))
    until(queue, lambda: job.progress.stage == "encoding")
    queue.scene_closed()
    scene.Clear(0)
    until(queue, lambda: job.state.over)
    assert job.state is JobState.CANCELLED
    assert nodes_of_result(scene, job.name) == {}


def test_a_map_on_another_grid_than_the_manifest_says_is_refused_whole(scene, queue_of):
    queue = queue_of("wrong map geometry")
    job = queue.add(freeze_order(made_volume(), ("liver tumour",)))
    until(queue, lambda: job.state.over)
    assert job.state is JobState.FAILED and "'01-score.nrrd' does not lie on the scan's own grid" in job.reason
    assert nodes_of_result(scene, job.name) == {}
