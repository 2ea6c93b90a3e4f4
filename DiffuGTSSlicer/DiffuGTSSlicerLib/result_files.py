"""A result's files as nodes and arrays, read outside the user's scene and checked before anything enters it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import slicer
import vtk

from diffugts.errors import ResultError
from diffugts.protocol import ResultManifest
from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.segment_masks import mask_of_labelmap
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry


@dataclass
class ReadResult:
    """All of a result, on the scan's grid: masks and score maps per finding; None where the result has no such volume.

    The images hold scalars in (i, j, k) as VTK keeps them, ready for a volume node.
    """

    masks: list[BoxMask]
    score_maps: list[vtk.vtkImageData]
    pseudo_healthy: vtk.vtkImageData | None
    residual: vtk.vtkImageData | None


def read_result(manifest: ResultManifest, geometry: VolumeGeometry) -> ReadResult:
    """Read every file of a result. Raises ResultError where one is unreadable or lies on another grid than `geometry`."""
    numbers = range(len(manifest.findings))
    maps = [_read_volume(_required(manifest, "score map", number), geometry) for number in numbers]
    optional = {
        role: _read_volume(path, geometry) if (path := manifest.file(role)) else None
        for role in ("pseudo-healthy", "residual")
    }
    return ReadResult(_read_masks(manifest, geometry), maps, optional["pseudo-healthy"], optional["residual"])


def _required(manifest: ResultManifest, role: str, number: int | None = None) -> Path:
    path = manifest.file(role, number)
    if path is None:
        raise ResultError(
            f"The result has no {role}, which is needed to show it. It may have been made for another program "
            "(image_format 'nifti'); segment again here."
        )
    return path


def _read_volume(path: Path, geometry: VolumeGeometry) -> vtk.vtkImageData:
    outside = slicer.vtkMRMLScene()
    node = outside.AddNewNodeByClass("vtkMRMLScalarVolumeNode", path.stem)
    # Not vtkMRMLVolumeArchetypeStorageNode: it turns left-handed grids into right-handed ones by reversing the slices.
    storage = outside.AddNewNodeByClass("vtkMRMLNRRDStorageNode")
    storage.SetFileName(str(path))
    if not storage.ReadData(node) or node.GetImageData() is None:
        raise ResultError(f"'{path.name}' of the result cannot be read. Segment again.")
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    image = node.GetImageData()
    found = VolumeGeometry.of(image.GetDimensions(), slicer.util.arrayFromVTKMatrix(matrix))
    difference = geometry.difference_from(found)
    if difference:
        raise ResultError(
            f"'{path.name}' does not lie on the scan's own grid: {difference}. Nothing was imported, because it would "
            "appear in the wrong place. Please report it with the details."
        )
    copy = vtk.vtkImageData()
    copy.ShallowCopy(image)
    return copy


def _read_masks(manifest: ResultManifest, geometry: VolumeGeometry) -> list[BoxMask]:
    path = _required(manifest, "segmentation")
    outside = slicer.vtkMRMLScene()
    node = outside.AddNewNodeByClass("vtkMRMLSegmentationNode", path.stem)
    storage = outside.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    if not storage.ReadData(node):
        raise ResultError(f"'{path.name}' of the result cannot be read. Segment again.")
    masks = []
    for finding in manifest.findings:
        if node.GetSegmentation().GetSegment(finding.segment_id) is None:
            raise ResultError(f"'{path.name}' has no segment for '{finding.description:.80}'. Segment again.")
        labelmap = slicer.vtkOrientedImageData()
        node.GetBinaryLabelmapRepresentation(finding.segment_id, labelmap)
        masks.append(mask_of_labelmap(labelmap, geometry, path.name))
    return masks


def greatest_distance_from_zero(image: vtk.vtkImageData, share: float = 99.9) -> float:
    """The value that `share` percent of an image's voxels do not exceed in size: a window for a signed volume."""
    from vtk.util.numpy_support import vtk_to_numpy

    values = np.abs(vtk_to_numpy(image.GetPointData().GetScalars()))
    step = max(1, values.size // 1_000_000)
    return max(float(np.percentile(values[::step], share)), 1e-3)
