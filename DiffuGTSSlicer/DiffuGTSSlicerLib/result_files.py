"""A result's files as images and masks, read and checked before anything enters the scene.

Touches no node, so it runs beside the main thread: unpacking a large result takes seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import vtk
from slicer.i18n import tr as _
from vtk.util.numpy_support import vtk_to_numpy

from diffugts.errors import ResultError
from diffugts.protocol import ResultManifest
from DiffuGTSSlicerLib.box_mask import BoxMask
from DiffuGTSSlicerLib.nrrd_file import NrrdHeader, read_header, read_voxels
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

SAMPLES = 1_000_000
"""Voxels that a window is estimated from."""


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
            _(
                "The result has no {role}, which is needed to show it. It may have been made for another program "
                "(image_format 'nifti'); segment again here."
            ).format(role=role)
        )
    return path


def _read_volume(path: Path, geometry: VolumeGeometry) -> vtk.vtkImageData:
    header = _header_on_grid(path, geometry)
    if header.number_type != np.float32 or header.layers != 1:
        text = _("'{file}' of the result does not hold one number per voxel. Segment again.")
        raise ResultError(text.format(file=path.name))
    scalars = vtk.vtkFloatArray()
    scalars.SetName("ImageScalars")
    scalars.SetNumberOfValues(int(np.prod(geometry.dimensions)))
    read_voxels(path, header, vtk_to_numpy(scalars))
    image = vtk.vtkImageData()
    image.SetDimensions(geometry.dimensions)
    image.GetPointData().SetScalars(scalars)
    return image


def _read_masks(manifest: ResultManifest, geometry: VolumeGeometry) -> list[BoxMask]:
    path = _required(manifest, "segmentation")
    header = _header_on_grid(path, geometry)
    if header.number_type != np.uint8 or header.layers > max(1, len(manifest.findings)):
        text = _("'{file}' of the result does not hold labels of segments. Segment again.")
        raise ResultError(text.format(file=path.name))
    labels = np.empty((*geometry.shape, header.layers), np.uint8)
    read_voxels(path, header, labels)
    places = _places_of_segments(header)
    masks = []
    for finding in manifest.findings:
        layer, value = places.get(finding.segment_id, (-1, 0))
        if not 0 <= layer < header.layers or value < 1:
            text = _("'{file}' has no segment for '{description}'. Segment again.")
            raise ResultError(text.format(file=path.name, description=finding.description[:80]))
        masks.append(BoxMask.of(labels[..., layer] == value))
    return masks


def _places_of_segments(header: NrrdHeader) -> dict[str, tuple[int, int]]:
    """Layer and label value of every segment by its ID (vtkMRMLSegmentationStorageNode's header fields)."""
    places = {}
    for key, identifier in header.facts.items():
        if key.startswith("Segment") and key.endswith("_ID"):
            prefix = key.removesuffix("ID")
            layer, value = (header.facts.get(prefix + name, "") for name in ("Layer", "LabelValue"))
            places[identifier] = (int(layer), int(value)) if layer.isdecimal() and value.isdecimal() else (-1, 0)
    return places


def _header_on_grid(path: Path, geometry: VolumeGeometry) -> NrrdHeader:
    header = read_header(path)
    difference = geometry.difference_from(header.geometry)
    if difference:
        raise ResultError(
            _(
                "'{file}' does not lie on the scan's own grid: {difference}. Nothing was imported, because it would "
                "appear in the wrong place. Please report it with the details."
            ).format(file=path.name, difference=difference)
        )
    return header


def greatest_distance_from_zero(image: vtk.vtkImageData, share: float = 99.9) -> float:
    """The value that `share` percent of an image's voxels, zeros left out, do not exceed in size: a window for a residual."""
    values = vtk_to_numpy(image.GetPointData().GetScalars())
    sample = np.abs(values[:: max(1, values.size // SAMPLES)])
    sample = sample[sample > 0]  # where nothing was inpainted, which is nearly everywhere, the residual is 0
    return max(float(np.percentile(sample, share)), 1e-3) if sample.size else 1e-3
