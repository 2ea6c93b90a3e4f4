"""The scene changes under a running job: the result comes back to what was asked, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import slicer
from job_bench import JobBench, at_stage, fake_worker, job_bench
from made_findings import array_of
from made_results import made_scores
from made_volumes import SHAPE, made_volume
from test_lib_worker_process import gone

from DiffuGTSSlicerLib.finding_segment import FindingSegment
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job, JobState
from DiffuGTSSlicerLib.results import nodes_of_result


@pytest.fixture
def bench(scene, tmp_path: Path) -> Iterator[JobBench]:
    with job_bench(scene, tmp_path / "jobs", fake_worker("unhurried")) as opened:
        yield opened


def while_running(act: Callable[[Job], object]) -> Callable[[Job], None]:
    return at_stage("encoding", act)


def test_a_region_deleted_while_the_worker_runs_stays_the_one_that_was_asked(scene, bench):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(10, 20, 30)
    roi.SetSize(40, 60, 80)
    job = bench.run(freeze_order(made_volume(), ("mass",), roi), while_running(lambda job: scene.RemoveNode(roi)))
    assert job.state is JobState.DONE, job.reason
    assert job.result.record.provenance.region.minimum_ras_mm == pytest.approx((-10, -10, -10))


def test_a_region_moved_while_the_worker_runs_does_not_move_the_job(scene, bench):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    roi.SetCenter(10, 20, 30)
    roi.SetSize(40, 60, 80)
    order = freeze_order(made_volume(), ("mass",), roi)
    job = bench.run(order, while_running(lambda job: roi.SetCenter(0, 0, 500)))
    assert job.result.record.provenance.region == order.region


def test_an_earlier_segmentation_deleted_while_the_worker_runs_does_not_come_back(scene, bench):
    volume = made_volume()
    bench.command = fake_worker("well")
    first = bench.run(freeze_order(volume, ("mass",)))
    segmentation = scene.GetNodeByID(first.result.segmentation_id)
    bench.queue.restart_worker()
    bench.command = fake_worker("unhurried")
    second = bench.run(freeze_order(volume, ("cyst",)), while_running(lambda job: scene.RemoveNode(segmentation)))
    assert second.state is JobState.DONE, second.reason
    assert "segmentation" not in nodes_of_result(scene, first.name)
    finding = FindingSegment.of_result(scene, second.name, "finding_1")
    assert np.array_equal(array_of(finding, volume), made_scores(SHAPE, 0) > 0.5)


def test_the_volume_renamed_and_another_one_loaded_while_the_worker_runs_changes_nothing(scene, bench):
    volume = made_volume(name="CT liver")

    def change(job: Job) -> None:
        volume.SetName("something else")
        made_volume(name="CT liver")

    job = bench.run(freeze_order(volume, ("mass",)), while_running(change))
    assert job.state is JobState.DONE, job.reason
    segmentation = scene.GetNodeByID(job.result.segmentation_id)
    assert segmentation.GetNodeReferenceID(segmentation.GetReferenceImageGeometryReferenceRole()) == volume.GetID()


def test_voxels_painted_over_while_the_worker_runs_do_not_reach_it(scene, bench, tmp_path: Path):
    volume = made_volume()
    before = slicer.util.arrayFromVolume(volume).copy()

    def paint(job: Job) -> None:
        slicer.util.arrayFromVolume(volume)[:] = 0

    job = bench.run(freeze_order(volume, ("mass",)), while_running(paint))
    from nrrd_files import read_nrrd

    assert np.array_equal(read_nrrd(job.scan_path)[0], before) and job.state is JobState.DONE


def test_volume_and_study_gone_when_the_result_comes_leave_it_in_the_scene(scene, bench):
    volume = made_volume()
    order = replace(freeze_order(volume, ("mass",)), parent_item=987_654)  # a study that is not there any more
    job = bench.run(order, while_running(lambda job: scene.RemoveNode(volume)))
    assert job.state is JobState.DONE, job.reason
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemParent(job.result.folder_item) == hierarchy.GetSceneItemID()


def test_two_volumes_in_line_come_back_each_to_its_own(scene, bench):
    bench.command = fake_worker("well")
    volumes = [made_volume(kind, name=kind) for kind in ("oblique", "left-handed")]
    jobs = [bench.queue.add(freeze_order(volume, ("mass",))) for volume in volumes]
    bench.until(lambda: all(job.state.over for job in jobs))
    for job, volume in zip(jobs, volumes):
        finding = FindingSegment.of_result(scene, job.name, "finding_1")
        assert np.array_equal(array_of(finding, volume), made_scores(SHAPE, 0) > 0.5)


@pytest.mark.parametrize("mode", ["slow", "children", "no listening"])
def test_slicer_quit_while_the_worker_runs_leaves_no_process(scene, tmp_path: Path, mode: str):
    with job_bench(scene, tmp_path / "jobs", fake_worker(mode)) as b:
        job = b.queue.add(freeze_order(made_volume(), ("mass",)))
        b.until(
            lambda: (
                job.progress.stage in ("reading", "encoding")
                and (mode != "children" or any("child" in x for x in b.lines))
            )
        )
        children = [int(line.split()[1]) for line in b.lines if line.startswith("child")]
        b.queue.close()
        assert job.state is JobState.CANCELLED and job.reason == "Slicer or the module was closed."
        assert all(gone(pid) for pid in (b.workers[0].pid, *children))


@pytest.mark.slow
def test_a_hundred_jobs_in_a_row_use_one_worker_and_leave_nothing_waiting(scene, tmp_path: Path):
    volume = made_volume(shape=(9, 10, 11))
    with job_bench(scene, tmp_path / "jobs", fake_worker("well")) as b:
        jobs = [b.queue.add(freeze_order(volume, ("mass",))) for _ in range(100)]
        b.until(lambda: all(job.state.over for job in jobs), 180)
        assert {job.state for job in jobs} == {JobState.DONE} and len(b.workers) == 1 and not b.queue.busy
