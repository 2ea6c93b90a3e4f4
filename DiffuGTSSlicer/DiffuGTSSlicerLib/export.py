"""A volume of the scene, written for the worker with exact geometry, and the request beside it.

What is written lies in world coordinates: a linear parent transform is applied to a copy's matrix, the voxels are never
resampled. The user's nodes are not touched.
"""

from __future__ import annotations

import errno
import logging
import shutil

import numpy as np
import slicer
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from diffugts.errors import RequestError, ScanError
from diffugts.protocol import Region, Request
from DiffuGTSSlicerLib.job import Job
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

MINIMUM_VOXELS = 8
"""Along every axis; the engine refuses less."""

SHEAR_TOLERANCE = 1e-3

WIDENED = {
    vtk.VTK_SIGNED_CHAR: np.int16,
    vtk.VTK_LONG_LONG: np.float64,
    vtk.VTK_UNSIGNED_LONG_LONG: np.float64,
    vtk.VTK_ID_TYPE: np.float64,
}
"""Types of voxels that Slicer's NRRD writer does not know, and the one that holds their values."""

SPARE_BYTES = 50_000_000
"""What has to be left on the disk beside the exported volume."""


def world_geometry(volume: slicer.vtkMRMLScalarVolumeNode) -> VolumeGeometry:
    """The grid of a volume in world coordinates, its linear parent transforms applied.

    Raises ScanError where the volume is empty, under a non-linear transform, or would be sheared by it.
    """
    name = volume.GetName()
    image = volume.GetImageData()
    if image is None or min(image.GetDimensions()) < 1 or image.GetPointData().GetScalars() is None:
        raise ScanError(_("'{name}' holds no image. Load the volume again or choose another one.").format(name=name))
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    parent = volume.GetParentTransformNode()
    if parent is not None:
        if not parent.IsTransformToWorldLinear():
            raise ScanError(
                _(
                    "'{name}' is under the non-linear transform '{transform}'. Harden the transform in the module Transforms, "
                    "on a copy of the volume if the original is to stay, and choose the hardened volume."
                ).format(name=name, transform=parent.GetName())
            )
        to_world = vtk.vtkMatrix4x4()
        parent.GetMatrixTransformToWorld(to_world)
        vtk.vtkMatrix4x4.Multiply4x4(to_world, matrix, matrix)
    geometry = VolumeGeometry.of(image.GetDimensions(), slicer.util.arrayFromVTKMatrix(matrix))
    _require_right_angles(geometry, name)
    return geometry


def require_suitable(volume: slicer.vtkMRMLScalarVolumeNode) -> VolumeGeometry:
    """The volume's grid, if the volume is one that can be segmented; takes no time, so the panel may ask at any change.

    Raises ScanError with a sentence otherwise: vectors, label maps, time series, flat or empty volumes.
    """
    name = volume.GetName()
    if volume.IsA("vtkMRMLLabelMapVolumeNode"):
        raise ScanError(
            _("'{name}' is a label map, not a scan. Choose the volume that it was drawn on.").format(name=name)
        )
    geometry = world_geometry(volume)
    components = volume.GetImageData().GetNumberOfScalarComponents()
    if components != 1:
        raise ScanError(
            _(
                "'{name}' holds {count} values per voxel (colour, vectors or time), expected one. "
                "Extract one component with the module Vector to Scalar Volume."
            ).format(name=name, count=components)
        )
    if min(geometry.dimensions) < MINIMUM_VOXELS:
        shown = " x ".join(str(n) for n in geometry.dimensions)
        raise ScanError(
            _(
                "'{name}' has {size} voxels; at least {least} along every axis are needed. "
                "A single slice or a thin slab cannot be segmented in 3-D."
            ).format(name=name, size=shown, least=MINIMUM_VOXELS)
        )
    return geometry


def region_of(roi: slicer.vtkMRMLMarkupsROINode) -> Region:
    """The axis-aligned box around a ROI, in world RAS mm. Raises RequestError where the ROI was not placed yet."""
    bounds = [0.0] * 6
    roi.GetRASBounds(bounds)  # transforms of the ROI are in it
    if roi.GetNumberOfControlPoints() == 0 or not np.isfinite(bounds).all() or min(np.diff(bounds)[::2]) <= 0:
        raise RequestError(
            _("The region '{name}' has no inside. Place it on the scan, or choose the whole volume.").format(
                name=roi.GetName()
            )
        )
    r0, r1, a0, a1, s0, s1 = bounds
    return Region((r0, a0, s0), (r1, a1, s1))


def export_job(job: Job, scene: slicer.vtkMRMLScene) -> None:
    """Write a job's volume and request into its folder.

    Raises ScanError where the volume is gone, was moved or cannot be segmented; OSError where it cannot be written.
    """
    volume = scene.GetNodeByID(job.order.volume_id)
    if volume is None:
        raise ScanError(
            _("The volume '{name}' was deleted before its turn came. Load it again.").format(name=job.order.volume_name)
        )
    difference = job.order.geometry.difference_from(require_suitable(volume))
    if difference:
        raise ScanError(
            _("The volume '{name}' was changed since Segment was clicked ({difference}). Segment it again.").format(
                name=volume.GetName(), difference=difference
            )
        )
    _require_finite_content(volume, job)
    _write_scan(volume, job)
    request_of(job).save(job.request_path)


def request_of(job: Job) -> Request:
    """The request file's content; paths are relative to the job's folder, so that it can be moved and run elsewhere."""
    return Request(
        scan=job.scan_path.name,
        descriptions=job.order.descriptions,
        output=job.result_folder.name,
        image_format="nrrd",
        **job.order.chosen(),
    )


def _require_right_angles(geometry: VolumeGeometry, name: str) -> None:
    spacing = geometry.spacing_mm
    if not np.isfinite(geometry.rows).all() or spacing.min() <= 0:
        raise ScanError(
            _("'{name}' has a voxel spacing that is no length. Correct it in the module Volumes.").format(name=name)
        )
    axes = geometry.ijk_to_ras[:3, :3] / spacing
    deviation = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if deviation > SHEAR_TOLERANCE:
        raise ScanError(
            _(
                "The axes of '{name}' are not at right angles (they deviate by {deviation:.3g}), "
                "from a tilted gantry or a shearing transform. "
                "Resample it onto a straight grid first (module Resample Scalar Volume)."
            ).format(name=name, deviation=deviation)
        )


def _require_finite_content(volume: slicer.vtkMRMLScalarVolumeNode, job: Job) -> None:
    voxels = slicer.util.arrayFromVolume(volume)
    lowest, highest = voxels.min(), voxels.max()  # NaN where there is one
    if voxels.dtype.kind == "f" and not (np.isfinite(lowest) and np.isfinite(highest)):
        finite = np.isfinite(voxels)
        if not finite.any():
            raise ScanError(
                _("No voxel of '{name}' is a finite number. Choose a volume with an image in it.").format(
                    name=volume.GetName()
                )
            )
        # The engine fills them, and says so in the result: one rule for Slicer, scripts and batches.
        filled = voxels.size - int(np.count_nonzero(finite))
        note = _("{count} voxels of the scan are not finite numbers and are taken for its lowest value.")
        job.notes.append(note.format(count=filled))
        lowest, highest = voxels[finite].min(), voxels[finite].max()
    if lowest == highest:
        raise ScanError(
            _("Every voxel of '{name}' has the value {value}. Choose a volume with an image in it.").format(
                name=volume.GetName(), value=lowest
            )
        )


def _write_scan(volume: slicer.vtkMRMLScalarVolumeNode, job: Job) -> None:
    """Write the voxels as they are, uncompressed, through Slicer's own NRRD writer, from a node outside the scene."""
    image = _writable(volume.GetImageData())
    expected = image.GetNumberOfPoints() * image.GetScalarSize()
    job.scan_path.touch()  # says why where it cannot, which Slicer's writer does not
    job.scan_path.unlink()
    if shutil.disk_usage(job.folder).free < expected + SPARE_BYTES:
        needed = _("{size:.0f} MB are needed for the volume, and space for the result").format(size=expected / 1e6)
        raise OSError(errno.ENOSPC, needed)
    outside = slicer.vtkMRMLScene()
    copy = outside.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "scan")
    copy.SetAndObserveImageData(image)  # shared, not copied
    copy.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(job.order.geometry.ijk_to_ras))
    storage = outside.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(job.scan_path))
    storage.UseCompressionOff()
    written = storage.WriteData(copy)
    copy.SetAndObserveImageData(None)
    if not written or not job.scan_path.is_file() or job.scan_path.stat().st_size < expected:
        logging.error("DiffuGTS: writing %s failed", job.scan_path.name)
        raise OSError(_("writing {file} failed; the disk may be full").format(file=job.scan_path.name))


def _writable(image: vtk.vtkImageData) -> vtk.vtkImageData:
    """The image itself, or a copy with wider voxels where the writer does not know their type."""
    if image.GetScalarType() not in WIDENED:
        return image
    values = vtk_to_numpy(image.GetPointData().GetScalars()).astype(WIDENED[image.GetScalarType()])
    wide = vtk.vtkImageData()
    wide.SetDimensions(image.GetDimensions())
    wide.GetPointData().SetScalars(numpy_to_vtk(values, deep=1))
    return wide
