"""A volume's voxels in the order of a grid that it lies on."""

from __future__ import annotations

import itertools

import numpy as np
import slicer
import vtk

from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

SAME_GRID = 1e-4
"""Millimetres per matrix entry: what is lost when a scene is saved and loaded."""


def voxels_on_grid(volume: slicer.vtkMRMLScalarVolumeNode, geometry: VolumeGeometry) -> np.ndarray | None:
    """The voxels (k, j, i) of a volume as a view in a grid's order, None where it lies on another grid.

    A scene loaded from a file may hold the same volume with an axis reversed (Slicer reads left-handed volumes as
    right-handed ones); it is turned back. The volume may have been moved together with its results, or have been under
    a transform when it was segmented: its own position and the one in the world are both tried.
    """
    if volume.GetImageData() is None:
        return None
    voxels = slicer.util.arrayFromVolume(volume)
    if voxels.shape != geometry.shape:
        return None
    for matrix in _matrices(volume):
        for reversed_axes in itertools.product((False, True), repeat=3):
            turn = np.eye(4)
            for axis in np.flatnonzero(reversed_axes):
                turn[axis, axis], turn[axis, 3] = -1.0, geometry.dimensions[axis] - 1
            if np.abs(matrix @ turn - geometry.ijk_to_ras).max() < SAME_GRID:
                return np.flip(voxels, tuple(int(2 - axis) for axis in np.flatnonzero(reversed_axes)))
    return None


def _matrices(volume: slicer.vtkMRMLScalarVolumeNode) -> list[np.ndarray]:
    own = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(own)
    matrices = [slicer.util.arrayFromVTKMatrix(own)]
    parent = volume.GetParentTransformNode()
    if parent is not None and parent.IsTransformToWorldLinear():
        to_world = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformToWorld(to_world)
        matrices.append(slicer.util.arrayFromVTKMatrix(to_world) @ matrices[0])
    return matrices
