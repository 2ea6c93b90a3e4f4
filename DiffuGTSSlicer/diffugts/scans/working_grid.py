"""The working grid: the scan's own axes turned to the nearest LPS order, resampled to the model's spacing.

The grid keeps an oblique scan oblique: axes are permuted and flipped, never rotated, so that nothing is
interpolated but the spacing. It is cropped to the body, where a result can be. Results return to the
scan's own grid, exactly, by `ScanOnGrid.to_scan`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from diffugts.scans.intensity import IntensityCurve, intensity_curve, without_padding
from diffugts.scans.interpolation import interpolated
from diffugts.scans.scan import Geometry, Scan

BODY_INTENSITY = {"CT": 0.12, "MR": 0.05}
"""Model intensity above which a voxel is body: about -500 HU by the compact curve, 5 % of an MR's bright tissue."""

BODY_HU = -496.0
"""HU above which a voxel is body, whatever a model's curve makes of it: 0.12 by the compact one."""

BODY_MARGIN = 2
"""Voxels of the working grid kept around the body's bounding box."""


@dataclass(frozen=True)
class ScanOnGrid:
    """A scan on a model's working grid.

    `intensities` float32 (k, j, i), model intensities; `geometry` of the working grid; `curve` leads back
    to the scan's unit; `scan_geometry` is the grid that results return to.
    """

    intensities: np.ndarray
    geometry: Geometry
    curve: IntensityCurve
    scan_geometry: Geometry
    modality: str
    sequence: str | None

    @property
    def body_intensity(self) -> float:
        """Model intensity above which a voxel is body."""
        return float(self.curve.forward(np.array(BODY_HU))) if self.modality == "CT" else BODY_INTENSITY["MR"]

    def part(self, box: tuple[slice, slice, slice]) -> ScanOnGrid:
        """The grid's part within slices (k, j, i); its results return to the same scan."""
        return replace(self, intensities=self.intensities[box], geometry=self.geometry.part(box))

    def to_scan(
        self, array: np.ndarray, outside: float = 0.0, box: tuple[slice, slice, slice] | None = None
    ) -> np.ndarray:
        """`array` (k, j, i) of the working grid, linearly interpolated on the scan's own grid, or on a `box` of it.

        Voxels of the scan outside the working grid get `outside`. A whole-voxel identity is exact.
        """
        target = self.scan_geometry if box is None else self.scan_geometry.part(box)
        return interpolated(array, self.geometry, target, outside)

    def box_on_scan(self, mask: np.ndarray) -> tuple[slice, slice, slice] | None:
        """The box of the scan's own grid (slices k, j, i) around all that `mask` (k, j, i of the working grid) can touch
        when it is interpolated; None where the mask is empty or lies outside the scan.
        """
        if not mask.any():
            return None
        seen = [np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis))) for axis in (2, 1, 0)]
        ends = [(int(s[0]) - 1, int(s[-1]) + 1) for s in seen]
        corners = np.array([[i, j, k, 1.0] for i in ends[0] for j in ends[1] for k in ends[2]])
        on_scan = np.linalg.inv(self.scan_geometry.ijk_to_lps) @ self.geometry.ijk_to_lps @ corners.T
        low = np.floor(on_scan[:3].min(1)).astype(int)
        high = np.ceil(on_scan[:3].max(1)).astype(int) + 1
        slices = [slice(max(0, int(a)), min(int(b), n)) for a, b, n in zip(low, high, self.scan_geometry.size)]
        if any(s.start >= s.stop for s in slices):
            return None
        return slices[2], slices[1], slices[0]


def oriented(image: sitk.Image) -> sitk.Image:
    """The image with its axes permuted and flipped to the nearest LPS order; nothing is interpolated."""
    return sitk.DICOMOrient(image, "LPS")


def resampled(image: sitk.Image, spacing_mm: float, interpolator: int = sitk.sitkLinear) -> sitk.Image:
    """The image at isotropic `spacing_mm`, smoothed before it is thinned out.

    Axes finer than 0.7 of the target are low-passed by the Gaussian that makes a box of the old spacing
    one of the new; each new grid starts at the old first voxel centre and reaches the old last one, which
    may lie up to half a new voxel beyond the last new centre (a tie goes to one voxel more: ITK's
    interpolators take a point exactly half a voxel out as outside).
    """
    size, old = np.array(image.GetSize()), np.array(image.GetSpacing())
    if interpolator == sitk.sitkLinear:
        image = sitk.Cast(image, sitk.sitkFloat32)
        for axis in range(3):
            if old[axis] < 0.7 * spacing_mm and size[axis] >= 4:
                sigma = 0.45 * float(np.sqrt(spacing_mm**2 - old[axis] ** 2))
                image = sitk.RecursiveGaussian(image, sigma, False, sitk.RecursiveGaussianImageFilter.ZeroOrder, axis)
    if np.allclose(old, spacing_mm, rtol=1e-4):
        return image
    new_size = [max(4, int((n - 1) * s / spacing_mm + 0.5 + 1e-6) + 1) for n, s in zip(size, old, strict=True)]
    # More than half a voxel out ITK takes the nearest voxel in all axes; a repeated edge stays linear in the others.
    beyond = [(m - 1) * spacing_mm / s - (n - 1) for m, n, s in zip(new_size, size, old, strict=True)]
    if max(beyond) > 0.5:
        image = sitk.ZeroFluxNeumannPad(image, [0, 0, 0], [int(np.ceil(max(0.0, over))) for over in beyond])
    resample = sitk.ResampleImageFilter()
    resample.SetOutputSpacing((spacing_mm,) * 3)
    resample.SetSize(new_size)
    resample.SetOutputOrigin(image.GetOrigin())
    resample.SetOutputDirection(image.GetDirection())
    resample.SetInterpolator(interpolator)
    resample.SetUseNearestNeighborExtrapolator(True)
    return resample.Execute(image)


def body_box(intensities: np.ndarray, body_intensity: float) -> tuple[slice, slice, slice]:
    """Slices (k, j, i) of the body's bounding box with a small margin; the whole grid where no body is seen."""
    body = intensities > body_intensity
    slices = []
    for axis in range(3):
        seen = np.flatnonzero(body.any(axis=tuple(a for a in range(3) if a != axis)))
        if seen.size == 0:
            return tuple(slice(0, n) for n in body.shape)  # type: ignore[return-value]
        slices.append(slice(max(0, int(seen[0]) - BODY_MARGIN), min(body.shape[axis], int(seen[-1]) + 1 + BODY_MARGIN)))
    return tuple(slices)  # type: ignore[return-value]


def to_working_grid(
    scan: Scan,
    spacing_mm: float,
    ct_curve: tuple[tuple[float, ...], tuple[float, ...]],
    mr_range: str = "foreground",
) -> ScanOnGrid:
    """Bring a scan to a model's working grid. Raises ScanError for sheared axes or a constant image."""
    scan.geometry.require_orthonormal()
    curve = intensity_curve(scan, ct_curve, mr_range)
    image = resampled(oriented(scan.geometry.image(without_padding(scan, curve))), spacing_mm)
    intensities = curve.forward(sitk.GetArrayViewFromImage(image))
    whole = ScanOnGrid(
        intensities, Geometry.of(image), curve, scan.geometry, modality=scan.modality, sequence=scan.sequence
    )
    box = body_box(intensities, whole.body_intensity)
    return replace(whole.part(box), intensities=np.ascontiguousarray(intensities[box]))
