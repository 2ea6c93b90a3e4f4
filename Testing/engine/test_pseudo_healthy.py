"""Painted tissue back on the scan's own grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffugts.encoded import EncodedScan
from diffugts.inpainting import Inpainting
from diffugts.pseudo_healthy import PseudoHealthy, on_scan_grid
from diffugts.scans.intensity import COMPACT_CT_CURVE
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import to_working_grid

OBLIQUE = (0.96, -0.28, 0.0, 0.28, 0.96, 0.0, 0.0, 0.0, -1.0)


@pytest.fixture
def encoded() -> EncodedScan:
    voxels = np.random.default_rng(0).normal(40, 30, (44, 60, 52)).astype(np.float32)
    scan = Scan(voxels, Geometry((52, 60, 44), (0.9, 1.1, 2.5), (-20.0, 13.0, 7.0), OBLIQUE), "CT")
    return EncodedScan(scan, to_working_grid(scan, 2.0, COMPACT_CT_CURVE), 1, torch.zeros(1, 4, 1, 1, 1), {})


def painted(encoded: EncodedScan, hole: np.ndarray) -> PseudoHealthy:
    """Other tissue in a hole, bool (k, j, i) of the working grid, and a little beyond it."""
    intensities = np.where(
        ndimage.binary_dilation(hole), encoded.grid.intensities * 0.5, encoded.grid.intensities
    ).astype(np.float32)
    nothing = np.zeros_like(intensities)
    whole = tuple(slice(0, 1) for _ in range(3))
    result = Inpainting(encoded.latents, whole, hole)  # type: ignore[arg-type]
    return PseudoHealthy(intensities, nothing, nothing, ndimage.binary_dilation(hole, iterations=4), hole, result)


@pytest.mark.parametrize("at", ["in the middle", "at the scan's border"])
def test_only_the_surroundings_of_a_hole_are_interpolated_and_nothing_is_missed(encoded: EncodedScan, at: str) -> None:
    grid = encoded.grid
    hole = np.zeros(grid.intensities.shape, bool)
    hole[tuple(slice(n // 2 - 4, n // 2 + 5) if at == "in the middle" else slice(0, 7) for n in hole.shape)] = True
    healthy = painted(encoded, hole)

    volume, residual, hole_on_scan = on_scan_grid(encoded, healthy)

    # The same over the whole working grid.
    soft = np.clip(2 * ndimage.uniform_filter(hole.astype(np.float32), 3), 0, 1)
    share, replaced = grid.to_scan(soft), grid.to_scan(grid.curve.inverse(healthy.intensities))
    expected = np.where(share > 0, (1 - share) * encoded.scan.voxels + share * replaced, encoded.scan.voxels)
    np.testing.assert_allclose(volume, expected, atol=2e-3)
    np.testing.assert_allclose(residual, encoded.scan.voxels - expected, atol=2e-3)
    assert np.array_equal(hole_on_scan, grid.to_scan(hole.astype(np.float32)) > 0.5)
    assert hole_on_scan.any() and np.abs(residual).max() > 10


def test_without_a_hole_the_scan_comes_back_as_it_is(encoded: EncodedScan) -> None:
    volume, residual, hole = on_scan_grid(encoded, painted(encoded, np.zeros(encoded.grid.intensities.shape, bool)))
    assert np.array_equal(volume, encoded.scan.voxels)
    assert not residual.any() and not hole.any()
