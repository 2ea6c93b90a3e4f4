"""A rough mask: where to look, drawn by hand or made by another program, voxel for voxel on the scan's own grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import RequestError, ScanError
from diffugts.scans.reading import read_label_map
from diffugts.scans.scan import Geometry


def read_rough_mask(path: str | Path, scan: Geometry) -> np.ndarray:
    """The marked voxels, bool (k, j, i): those whose label is not 0. `scan` is the grid they have to lie on.

    Read is any format that a scan may have, and a segmentation of Slicer's with one layer. Raises RequestError where the
    file cannot be read, lies on another grid, holds labels that are no numbers, or marks nothing.
    """
    place = Path(path)
    if "\0" in str(place) or not place.exists():
        raise RequestError(f"The mask '{place.name}' does not exist. Check its path.")
    try:
        image = read_label_map(place)
    except ScanError as error:
        raise RequestError(f"The mask '{place.name}' is read as a scan is, and was refused: {error}") from error
    _require_grid(place.name, Geometry.of(image), scan)
    labels = sitk.GetArrayViewFromImage(image)
    if not np.isfinite(labels).all():
        raise RequestError(
            f"The mask '{place.name}' holds values that are no finite numbers, expected labels: 0 outside, any other number "
            "inside. Save it as a label map."
        )
    mask = labels != 0
    if not mask.any():
        raise RequestError(
            f"The mask '{place.name}' marks nothing: every voxel is 0. Mark where to look with any other number."
        )
    return mask


def _require_grid(name: str, met: Geometry, expected: Geometry) -> None:
    if met.same_as(expected):
        return
    axes = not np.allclose(met.direction, expected.direction, rtol=0, atol=1e-6)
    raise RequestError(
        f"The mask '{name}' does not lie on the scan's own grid. It has {_in_words(met, axes)}; expected are "
        f"{_in_words(expected, axes)}. Draw it on the scan, or resample it onto the scan by nearest neighbour."
    )


def _in_words(geometry: Geometry, axes: bool) -> str:
    size = " x ".join(str(n) for n in geometry.size)
    spacing = " x ".join(f"{length:.7g}" for length in geometry.spacing_mm)
    origin = ", ".join(f"{place:.7g}" for place in geometry.origin_mm)
    direction = f", axes ({', '.join(f'{share:.6g}' for share in geometry.direction)})" if axes else ""
    return f"{size} voxels, spacing {spacing} mm, origin ({origin}) mm in LPS{direction}"
