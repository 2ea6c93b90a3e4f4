"""The host's MRML side is the real one: geometry, files and scenes keep what is put into them."""

import numpy as np
import pytest
import slicer
import vtk


def oblique_matrix(spacing=(0.6, 0.7, 3.0), mirrored=False):
    """An oblique IJK-to-RAS matrix, spacing in mm."""
    a, b = 0.12, -0.2
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    matrix = np.eye(4)
    matrix[:3, :3] = about_z @ about_x @ np.diag([-spacing[0], -spacing[1], -spacing[2] if mirrored else spacing[2]])
    matrix[:3, 3] = [40.0, 45.0, -40.0]
    return matrix


def ijk_to_ras(volume):
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz", ".mha"])
@pytest.mark.parametrize("mirrored", [False, True], ids=["right-handed", "left-handed"])
def test_an_oblique_volume_comes_back_from_its_file_with_its_geometry(scene, tmp_path, suffix, mirrored):
    array = np.arange(4 * 5 * 6, dtype=np.int16).reshape(4, 5, 6)
    matrix = oblique_matrix(mirrored=mirrored)
    volume = slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="Oblique")
    path = tmp_path / f"oblique{suffix}"
    assert slicer.util.saveNode(volume, str(path))
    back = slicer.util.loadVolume(str(path))
    if mirrored:  # Slicer's reader turns left-handed volumes by reversing the slices: the same voxels, elsewhere in k
        array = array[::-1]
        matrix = matrix @ np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, array.shape[0] - 1], [0, 0, 0, 1]])
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(back), array)
    # NIfTI stores the matrix in single precision.
    np.testing.assert_allclose(ijk_to_ras(back), matrix, atol=1e-5 if "nii" in suffix else 1e-9)


def test_exporting_hardens_the_parent_transform_on_a_copy(scene, tmp_path):
    volume = slicer.util.addVolumeFromArray(np.ones((2, 3, 4), np.int16), name="Moved")
    shift = np.eye(4)
    shift[:3, 3] = [10, 20, 30]
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(shift))
    volume.SetAndObserveTransformNodeID(transform.GetID())
    nodes_before = scene.GetNumberOfNodes()
    slicer.util.exportNode(volume, str(tmp_path / "moved.nrrd"), world=True)
    assert scene.GetNumberOfNodes() == nodes_before
    np.testing.assert_array_equal(ijk_to_ras(volume)[:3, 3], [0, 0, 0])
    back = slicer.util.loadVolume(str(tmp_path / "moved.nrrd"))
    np.testing.assert_allclose(ijk_to_ras(back)[:3, 3], [10, 20, 30])


def test_a_scene_saved_as_mrb_comes_back_whole(scene, tmp_path):
    array = np.zeros((4, 5, 6), np.float32)
    array[1:3, 1:4, 2:5] = 0.75
    volume = slicer.util.addVolumeFromArray(array, ijkToRAS=oblique_matrix(), name="Scan")
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Findings")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segmentation.GetSegmentation().AddEmptySegment("lesion", "Лезия 1", (1.0, 0.25, 0.0))
    mask = (array > 0.5).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "lesion", volume)
    segmentation.SetAttribute("Example.seed", "7")
    hierarchy = scene.GetSubjectHierarchyNode()
    folder = hierarchy.CreateFolderItem(hierarchy.GetSceneItemID(), "Job 1")
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(segmentation), folder)
    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    scene.Clear(0)
    slicer.util.loadScene(path)
    back = slicer.util.getNode("Findings")
    volume_back = slicer.util.getNode("Scan")
    np.testing.assert_array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(back, "lesion", volume_back), mask)
    np.testing.assert_allclose(ijk_to_ras(volume_back), oblique_matrix(), atol=1e-6)
    assert back.GetSegmentation().GetSegment("lesion").GetName() == "Лезия 1"
    assert back.GetSegmentation().GetSegment("lesion").GetColor() == (1.0, 0.25, 0.0)
    assert back.GetAttribute("Example.seed") == "7"
    hierarchy = scene.GetSubjectHierarchyNode()
    assert hierarchy.GetItemName(hierarchy.GetItemParent(hierarchy.GetItemByDataNode(back))) == "Job 1"


def test_a_vtk_error_does_not_go_unnoticed(host, scene):
    reader = vtk.vtkXMLImageDataReader()
    reader.SetFileName("/no/such/file.vti")
    reader.Update()
    errors = host.faults.take_vtk_errors()
    assert any("/no/such/file.vti" in each for each in errors)


def test_loading_a_file_that_is_missing_raises(host, scene, tmp_path):
    with pytest.raises(RuntimeError, match="Failed to load node"):
        slicer.util.loadVolume(str(tmp_path / "missing.nrrd"))
    assert host.faults.take_vtk_errors()
