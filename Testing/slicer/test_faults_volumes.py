"""Volumes of every kind through the engine's own reading and writing: exact geometry, or a refusal in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from job_bench import JobBench, job_bench, stand_in_worker
from made_findings import array_of
from made_volumes import KINDS, made_volume, matrix
from vtk.util.numpy_support import numpy_to_vtk

from diffugts.errors import ScanError
from DiffuGTSSlicerLib.export import require_suitable
from DiffuGTSSlicerLib.finding_segment import FindingSegment
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job, JobState

SHAPE = (16, 40, 44)
BALL = (slice(5, 10), slice(12, 26), slice(14, 30))
"""Where the volumes of these tests are bright; the stand-in pipeline finds what is brighter than the rest."""

NUMBER_TYPES = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64")


@pytest.fixture(scope="module")
def bench(host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[JobBench]:
    """One worker for all volumes."""
    with job_bench(host.scene, tmp_path_factory.mktemp("jobs"), stand_in_worker(0.0)) as opened:
        yield opened


def bright_ball(dtype: str = "int16", kind: str = "oblique"):
    """A volume whose bright part is found exactly where it is."""
    volume = made_volume(kind, dtype, shape=SHAPE)
    voxels = slicer.util.arrayFromVolume(volume)
    voxels[:] = np.random.default_rng(1).normal(20, 2, SHAPE).astype(dtype)
    voxels[BALL] = 100
    return volume


def segmented(bench: JobBench, volume) -> Job:
    model = bench.folder / "model"
    model.mkdir(exist_ok=True)
    return bench.run(freeze_order(volume, ("bright ball",), modality="CT", model=str(model), smallest_lesion_ml=0.0))


def require_found_in_place(scene, job: Job, volume) -> None:
    """The segment lies where the voxels are bright, on the volume's own grid."""
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"
    mask = array_of(FindingSegment.of_result(scene, job.name, "finding_1"), volume)
    inside = np.zeros(SHAPE, bool)
    inside[BALL] = True
    core = tuple(slice(s.start + 1, s.stop - 2) for s in BALL)
    assert mask[core].all()
    grown = np.zeros(SHAPE, bool)
    grown[tuple(slice(s.start - 2, s.stop + 2) for s in BALL)] = True
    assert not mask[~grown].any()


@pytest.mark.parametrize("dtype", NUMBER_TYPES)
def test_voxels_of_every_number_type_are_segmented_in_place(scene, bench, dtype: str):
    volume = bright_ball(dtype)
    require_found_in_place(scene, segmented(bench, volume), volume)


@pytest.mark.parametrize("number_type", [vtk.VTK_LONG_LONG, vtk.VTK_UNSIGNED_LONG_LONG, vtk.VTK_UNSIGNED_LONG])
def test_types_that_slicers_writer_does_not_know_are_segmented_in_place(scene, bench, number_type: int):
    volume = bright_ball()
    values = slicer.util.arrayFromVolume(volume).astype(np.int64 if number_type == vtk.VTK_LONG_LONG else np.uint64)
    volume.GetImageData().GetPointData().SetScalars(numpy_to_vtk(values.ravel(), 1, number_type))
    require_found_in_place(scene, segmented(bench, volume), volume)


@pytest.mark.parametrize("kind", KINDS)
def test_oblique_left_handed_and_anisotropic_volumes_are_segmented_in_place(scene, bench, kind: str):
    volume = bright_ball(kind=kind)
    require_found_in_place(scene, segmented(bench, volume), volume)


def linear(scene, rows: np.ndarray):
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "registration")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(rows))
    return node


def test_a_volume_under_nested_transforms_one_of_which_mirrors_is_segmented_where_it_is_seen(scene, bench):
    volume = bright_ball()
    turn, mirror = np.eye(4), np.diag([-1.0, 1.0, 1.0, 1.0])
    turn[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turn[:3, 3] = (50, -60, 70)
    outer, inner = linear(scene, turn), linear(scene, mirror)
    inner.SetAndObserveTransformNodeID(outer.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    job = segmented(bench, volume)
    assert job.state is JobState.DONE, job.reason
    found = vtk.vtkMatrix4x4()
    scene.GetNodeByID(job.result.score_map_ids[0]).GetIJKToRASMatrix(found)
    assert np.abs(slicer.util.arrayFromVTKMatrix(found) - turn @ mirror @ matrix("oblique")).max() < 1e-6
    mask = FindingSegment.of_result(scene, job.name, "finding_1").mask().within((0, 0, 0), SHAPE)
    assert mask[7, 19, 22] and not mask[0, 0, 0]


def test_a_linear_transform_under_a_warp_is_refused_like_the_warp(scene):
    volume = made_volume()
    inner = linear(scene, np.eye(4))
    warp = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    field = vtk.vtkImageData()
    field.SetDimensions(3, 3, 3)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    grid = slicer.vtkOrientedGridTransform()
    grid.SetDisplacementGridData(field)
    warp.SetAndObserveTransformFromParent(grid)
    inner.SetAndObserveTransformNodeID(warp.GetID())
    volume.SetAndObserveTransformNodeID(inner.GetID())
    with pytest.raises(ScanError, match="is under the non-linear transform .* Harden the transform"):
        require_suitable(volume)


def test_a_volume_that_is_moved_while_the_worker_runs_keeps_the_result_where_it_was(scene, tmp_path: Path):
    """The result belongs to the voxels that were sent: it comes back to the place they were sent from."""
    volume = bright_ball()
    (tmp_path / "model").mkdir()

    def move(job: Job) -> None:
        if job.progress.stage == "encoding" and volume.GetParentTransformNode() is None:
            shift = np.eye(4)
            shift[:3, 3] = (100, 0, 0)
            volume.SetAndObserveTransformNodeID(linear(scene, shift).GetID())

    with job_bench(scene, tmp_path / "jobs", stand_in_worker(0.02)) as b:
        order = freeze_order(volume, ("bright ball",), modality="CT", model=str(tmp_path / "model"))
        job = b.run(order, move)
    assert job.state is JobState.DONE, job.reason
    found = vtk.vtkMatrix4x4()
    scene.GetNodeByID(job.result.score_map_ids[0]).GetIJKToRASMatrix(found)
    assert np.abs(slicer.util.arrayFromVTKMatrix(found) - matrix("oblique")).max() < 1e-6


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_filled_and_counted(scene, bench, bad: float):
    volume = bright_ball("float32")
    slicer.util.arrayFromVolume(volume)[0, 0, :5] = bad
    job = segmented(bench, volume)
    require_found_in_place(scene, job, volume)
    assert any("5 voxels of the scan are not finite numbers" in note for note in job.notes)


def test_enormous_values_do_not_end_in_a_traceback(scene, bench):
    volume = bright_ball("float64")
    slicer.util.arrayFromVolume(volume)[0, 0, 0] = 1e300
    job = segmented(bench, volume)
    assert job.state.over and "did not foresee" not in job.reason and "Traceback" not in job.reason


@pytest.mark.parametrize("rows", [np.diag([0.0, 1, 1, 1]), np.diag([np.nan, 1, 1, 1]), np.diag([np.inf, 1, 1, 1])])
def test_a_spacing_that_is_no_length_is_refused(scene, host, rows: np.ndarray):
    volume = made_volume()
    volume.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(rows))
    host.faults.take_vtk_errors()
    with pytest.raises(ScanError, match="'CT liver' has a voxel spacing that is no length"):
        require_suitable(volume)


def test_a_volume_whose_image_was_never_filled_is_refused(scene):
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    image = vtk.vtkImageData()
    image.SetDimensions(20, 20, 20)
    volume.SetAndObserveImageData(image)
    with pytest.raises(ScanError, match="'empty' holds no image"):
        require_suitable(volume)


def test_a_time_series_proxy_of_several_components_is_refused(scene):
    series = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "perfusion")
    image = vtk.vtkImageData()
    image.SetDimensions(20, 20, 20)
    image.AllocateScalars(vtk.VTK_SHORT, 4)
    series.SetAndObserveImageData(image)
    with pytest.raises(ScanError, match="'perfusion' holds 4 values per voxel"):
        require_suitable(series)
