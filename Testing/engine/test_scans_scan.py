"""The scan object: axis orders, the two patient spaces, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings

from diffugts.errors import ScanError
from diffugts.scans.scan import Geometry, Scan
from scan_strategies import geometries


@settings(max_examples=40, deadline=None)
@given(geometries())
def test_indices_lead_to_the_same_place_as_in_simpleitk(geometry: Geometry) -> None:
    image = sitk.Image(geometry.size, sitk.sitkUInt8)
    image.SetSpacing(geometry.spacing_mm)
    image.SetOrigin(geometry.origin_mm)
    image.SetDirection(geometry.direction)
    i, j, k = (n - 1 for n in geometry.size)
    lps = image.TransformIndexToPhysicalPoint((i, j, k))
    np.testing.assert_allclose((geometry.ijk_to_lps @ [i, j, k, 1])[:3], lps, atol=1e-6)
    np.testing.assert_allclose((geometry.ijk_to_ras @ [i, j, k, 1])[:3], (-lps[0], -lps[1], lps[2]), atol=1e-6)
    assert Geometry.of(image) == geometry
    geometry.require_orthonormal()


def test_an_array_becomes_an_image_with_slices_first() -> None:
    geometry = Geometry((5, 4, 3), (1.0, 2.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    array = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    image = geometry.image(array)
    assert image.GetSize() == (5, 4, 3) and image[4, 2, 1] == array[1, 2, 4]
    assert geometry.shape == (3, 4, 5) and geometry.voxel_ml == pytest.approx(0.008)
    assert geometry.image(array > 3).GetPixelID() == sitk.sitkUInt8
    with pytest.raises(ValueError, match="does not lie on a grid"):
        geometry.image(array[1:])


@pytest.mark.parametrize(
    "direction",
    [(1, 0.01, 0, 0, 1, 0, 0, 0, 1), (2, 0, 0, 0, 1, 0, 0, 0, 1), (0,) * 9, (float("nan"),) + (0,) * 8],
)
def test_axes_that_are_not_orthonormal_are_refused(direction: tuple[float, ...]) -> None:
    with pytest.raises(ScanError, match="not at right angles"):
        Geometry((8, 8, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), direction).require_orthonormal()


def test_a_scan_knows_its_kind_and_keeps_its_place() -> None:
    geometry = Geometry((5, 4, 3), (1.0, 2.0, 4.0), (0.0, 0.0, 0.0), (1, 0, 0, 0, 1, 0, 0, 0, 1))
    scan = Scan(np.zeros((3, 4, 5), np.float32), geometry, "MR", "T2", notes=("read with care",))
    changed = scan.with_voxels(np.ones((3, 4, 5), np.float32))
    assert changed.geometry == geometry and changed.sequence == "T2" and changed.voxels.mean() == 1
    with pytest.raises(ValueError, match="expected 'CT' or 'MR'"):
        Scan(np.zeros((3, 4, 5), np.float32), geometry, "PT")
    with pytest.raises(ValueError, match="differ"):
        Scan(np.zeros((5, 4, 3), np.float32), geometry, "CT")
