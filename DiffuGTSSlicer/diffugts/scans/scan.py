"""A scan: voxels and the geometry they lie in, as one object.

Axis orders, here and everywhere in the engine:
- arrays are (k, j, i): slice, row, column, the order of `SimpleITK.GetArrayFromImage` and of Slicer;
- geometry (size, spacing, origin, direction) is (x, y, z), in millimetres, in DICOM's LPS space.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from diffugts.errors import ScanError

ORTHONORMAL_TOLERANCE = 1e-3
"""Largest deviation of direction^T direction from identity that is rounding, not shear."""

SAME_ORIGIN_MM, SAME_AXES = 1e-2, 1e-3
"""Largest differences of two grids' origins, and of their spacings (mm) and axes, that are rounding."""


@dataclass(frozen=True)
class Geometry:
    """Where a voxel grid lies in the patient: LPS, millimetres, (x, y, z) order.

    `direction` is row-major; its columns are the unit vectors of the i, j and k axes.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, ...]

    @classmethod
    def of(cls, image: sitk.Image) -> Geometry:
        """The geometry of a three-dimensional SimpleITK image."""
        return cls(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of an array on this grid, (k, j, i)."""
        return self.size[2], self.size[1], self.size[0]

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(np.prod(self.spacing_mm)) / 1000.0

    @property
    def ijk_to_lps(self) -> np.ndarray:
        """4x4 matrix from voxel indices (i, j, k, 1) to LPS millimetres."""
        matrix = np.eye(4)
        matrix[:3, :3] = np.reshape(self.direction, (3, 3)) * np.asarray(self.spacing_mm)
        matrix[:3, 3] = self.origin_mm
        return matrix

    @property
    def ijk_to_ras(self) -> np.ndarray:
        """4x4 matrix from voxel indices (i, j, k, 1) to RAS millimetres, Slicer's space."""
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.ijk_to_lps

    def same_as(self, other: Geometry) -> bool:
        """Whether both are one grid, but for the rounding of file formats."""
        return (
            self.size == other.size
            and np.allclose(self.origin_mm, other.origin_mm, rtol=0, atol=SAME_ORIGIN_MM)
            and np.allclose(self.spacing_mm, other.spacing_mm, rtol=0, atol=SAME_AXES)
            and np.allclose(self.direction, other.direction, rtol=0, atol=SAME_AXES)
        )

    def part(self, box: tuple[slice, slice, slice]) -> Geometry:
        """The grid of the voxels in `box` (slices k, j, i of this grid)."""
        start = [box[2].start, box[1].start, box[0].start]
        first = self.ijk_to_lps @ [*start, 1.0]
        size = (box[2].stop - start[0], box[1].stop - start[1], box[0].stop - start[2])
        return replace(self, size=size, origin_mm=(float(first[0]), float(first[1]), float(first[2])))

    def require_orthonormal(self) -> None:
        """Raise ScanError where the axes are sheared, of other than unit length or degenerate."""
        axes = np.reshape(self.direction, (3, 3))
        deviation = float(np.abs(axes.T @ axes - np.eye(3)).max())
        if not np.isfinite(deviation) or deviation > ORTHONORMAL_TOLERANCE:
            raise ScanError(
                f"The scan's axes are not at right angles (they deviate by {deviation:.3g}, at most "
                f"{ORTHONORMAL_TOLERANCE:g} is rounding). Such a sheared grid, often from a tilted gantry, would put "
                "the result in the wrong place. Resample the scan onto a straight grid first."
            )

    def image(self, array: np.ndarray) -> sitk.Image:
        """`array` (k, j, i) as a SimpleITK image on this grid."""
        if array.shape != self.shape:
            raise ValueError(f"array of shape {array.shape} does not lie on a grid of shape {self.shape}")
        image = sitk.GetImageFromArray(array.astype(np.uint8) if array.dtype == bool else array)
        image.SetSpacing(self.spacing_mm)
        image.SetOrigin(self.origin_mm)
        image.SetDirection(self.direction)
        return image


@dataclass(frozen=True)
class Scan:
    """One scalar volume: `voxels` float32 (k, j, i), in HU for CT, in the scanner's own unit for MR.

    `modality` is "CT" or "MR"; `sequence` refines MR where it is known ("T1", "T1c", "T2", "FLAIR", "PD").
    `notes` are sentences for the user on how it was read (filled voxels, images left out).
    """

    voxels: np.ndarray
    geometry: Geometry
    modality: str
    sequence: str | None = None
    name: str = "scan"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.shape != self.geometry.shape:
            raise ValueError(f"voxels {self.voxels.shape} and geometry {self.geometry.shape} differ")
        if self.modality not in ("CT", "MR"):
            raise ValueError(f"modality is '{self.modality}', expected 'CT' or 'MR'")

    def image(self) -> sitk.Image:
        """The scan as a SimpleITK image."""
        return self.geometry.image(self.voxels)

    def with_voxels(self, voxels: np.ndarray) -> Scan:
        """The same place, other voxels."""
        return replace(self, voxels=voxels)
