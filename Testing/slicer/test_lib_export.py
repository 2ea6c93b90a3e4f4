"""Volumes of the scene written for the worker: exact geometry, refusals in sentences, the user's nodes untouched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk  # noqa: E402
from made_volumes import KINDS, made_volume, matrix  # noqa: E402
from nrrd_files import read_nrrd  # noqa: E402

from diffugts.errors import RequestError, ScanError  # noqa: E402
from diffugts.protocol import Quality, Request  # noqa: E402
from DiffuGTSSlicerLib.export import export_job, region_of, require_suitable  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import Job  # noqa: E402

TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def made_job(volume, folder: Path, descriptions=("liver metastasis",), roi=None, **choices) -> Job:
    return Job("1", freeze_order(volume, descriptions, roi, **choices), folder)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["int16", "float32", "uint8"])
def test_voxels_and_geometry_come_out_exactly(scene, tmp_path: Path, kind: str, dtype: str):
    volume = made_volume(kind, dtype)
    job = made_job(volume, tmp_path)
    export_job(job, scene)
    voxels, to_lps = read_nrrd(job.scan_path)
    assert np.array_equal(voxels, slicer.util.arrayFromVolume(volume))
    assert np.abs(TO_RAS @ to_lps - matrix(kind)).max() < 1e-6


def test_the_request_beside_the_scan_is_what_was_asked_and_can_be_moved(scene, tmp_path: Path):
    texts = ('  liver "metastasis" ', "", "كتلة في الكبد", "🩻 /etc/passwd", "x" * 2000, 'liver "metastasis"')
    folder = tmp_path / "Ordner mit Ümläuten und Leerzeichen"
    folder.mkdir()
    job = made_job(made_volume(), folder, texts, quality=Quality.FAST, seed=3, threshold=0.4, modality="CT")
    export_job(job, scene)
    moved = folder.rename(tmp_path / "moved")
    request = Request.load(moved / "request.json")
    assert request.descriptions == ('liver "metastasis"', "كتلة في الكبد", "🩻 /etc/passwd", "x" * 2000)
    assert Path(request.scan) == moved / "scan.nrrd" and Path(request.output) == moved / "result"
    assert (request.quality, request.seed, request.threshold, request.modality) == (Quality.FAST, 3, 0.4, "CT")


def test_a_linear_transform_is_applied_to_a_copy_and_the_scene_stays_as_it_was(scene, tmp_path: Path):
    volume = made_volume("oblique")
    moving = vtk.vtkTransform()
    moving.Translate(10, -20, 30)
    moving.RotateZ(25)
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "registration")
    node.SetMatrixTransformToParent(moving.GetMatrix())
    volume.SetAndObserveTransformNodeID(node.GetID())
    job = made_job(volume, tmp_path)
    nodes, modified = scene.GetNumberOfNodes(), volume.GetMTime()
    export_job(job, scene)
    _, to_lps = read_nrrd(job.scan_path)
    expected = slicer.util.arrayFromVTKMatrix(moving.GetMatrix()) @ matrix("oblique")
    assert np.abs(TO_RAS @ to_lps - expected).max() < 1e-6
    assert scene.GetNumberOfNodes() == nodes and volume.GetMTime() == modified
    assert volume.GetParentTransformNode() is node
    original = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(original)
    assert np.abs(slicer.util.arrayFromVTKMatrix(original) - matrix("oblique")).max() < 1e-9


def test_a_non_linear_transform_is_refused_with_what_to_do(scene):
    volume = made_volume()
    node = scene.AddNewNodeByClass("vtkMRMLBSplineTransformNode", "warp")
    grid = scene.AddNewNodeByClass("vtkMRMLGridTransformNode", "warp")
    field = vtk.vtkImageData()
    field.SetDimensions(3, 3, 3)
    field.AllocateScalars(vtk.VTK_DOUBLE, 3)
    transform = slicer.vtkOrientedGridTransform()
    transform.SetDisplacementGridData(field)
    grid.SetAndObserveTransformFromParent(transform)
    scene.RemoveNode(node)
    volume.SetAndObserveTransformNodeID(grid.GetID())
    with pytest.raises(ScanError, match="non-linear transform 'warp'. Harden"):
        require_suitable(volume)


def test_a_shearing_transform_is_refused(scene):
    volume = made_volume("straight")
    shear = np.eye(4)
    shear[0, 2] = 0.3
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shear")
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shear))
    volume.SetAndObserveTransformNodeID(node.GetID())
    with pytest.raises(ScanError, match="not at right angles"):
        require_suitable(volume)


def test_volumes_that_cannot_be_segmented_are_refused_each_with_its_sentence(scene):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    with pytest.raises(ScanError, match="'empty' holds no image"):
        require_suitable(empty)
    flat = made_volume(name="flat", shape=(1, 20, 20))
    with pytest.raises(ScanError, match="'flat' has 20 x 20 x 1 voxels"):
        require_suitable(flat)
    colour = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode", "colour")
    slicer.util.updateVolumeFromArray(colour, np.zeros((9, 9, 9, 3), np.uint8))
    with pytest.raises(ScanError, match="3 values per voxel"):
        require_suitable(colour)
    label = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "label")
    with pytest.raises(ScanError, match="label map"):
        require_suitable(label)


@pytest.mark.parametrize("value, match", [(np.nan, "finite number"), (5.0, "has the value 5")])
def test_a_volume_without_content_is_refused(scene, tmp_path: Path, value: float, match: str):
    volume = made_volume(dtype="float32")
    slicer.util.arrayFromVolume(volume)[:] = value
    with pytest.raises(ScanError, match=match):
        export_job(made_job(volume, tmp_path), scene)
    assert not list(tmp_path.iterdir())


def test_a_few_voxels_that_are_no_numbers_are_noted(scene, tmp_path: Path):
    volume = made_volume(dtype="float32")
    slicer.util.arrayFromVolume(volume)[0, 0, :3] = (np.nan, np.inf, -np.inf)
    job = made_job(volume, tmp_path)
    export_job(job, scene)
    assert job.notes == ["3 voxels of the scan are not finite numbers and are taken for its lowest value."]


def test_a_volume_that_was_deleted_or_moved_before_its_turn_is_said(scene, tmp_path: Path):
    volume = made_volume()
    job = made_job(volume, tmp_path)
    volume.SetOrigin(0, 0, 0)
    with pytest.raises(ScanError, match="changed since Segment was clicked"):
        export_job(job, scene)
    scene.RemoveNode(volume)
    with pytest.raises(ScanError, match="'CT liver' was deleted"):
        export_job(job, scene)


def test_a_disk_that_takes_no_file_is_an_error(scene, tmp_path: Path):
    (tmp_path / "a file").touch()
    job = made_job(made_volume(), tmp_path / "a file")
    with pytest.raises(NotADirectoryError):
        export_job(job, scene)


def test_a_disk_without_space_is_an_error_before_anything_is_written(scene, tmp_path: Path, monkeypatch):
    usage = type("Usage", (), {"free": 1_000_000})
    monkeypatch.setattr("DiffuGTSSlicerLib.export.shutil.disk_usage", lambda path: usage)
    job = made_job(made_volume(), tmp_path)
    with pytest.raises(OSError, match="MB are needed"):
        export_job(job, scene)
    assert not job.scan_path.exists()


def test_a_roi_becomes_a_region_in_world_coordinates(scene):
    roi = scene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "box")
    with pytest.raises(RequestError, match="'box' has no inside"):
        region_of(roi)
    roi.SetCenter(10, 20, 30)
    roi.SetSize(4, 6, 8)
    assert region_of(roi).minimum_ras_mm == pytest.approx((8, 17, 26))
    assert region_of(roi).maximum_ras_mm == pytest.approx((12, 23, 34))
    node = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "shift")
    shift = np.eye(4)
    shift[:3, 3] = (100, 0, 0)
    node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    roi.SetAndObserveTransformNodeID(node.GetID())
    assert region_of(roi).minimum_ras_mm == pytest.approx((108, 17, 26))


def test_what_is_missing_is_named(scene):
    with pytest.raises(RequestError, match="No volume"):
        freeze_order(None, ("mass",))
    with pytest.raises(RequestError, match="No description"):
        freeze_order(made_volume(), ("", "  "))
