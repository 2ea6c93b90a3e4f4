"""Painted tissue back on the scan's own grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffugts.encoded import EncodedScan
from diffugts.foundation.autoencoder import CELL
from diffugts.inpainting import Inpainting, decoded_box, hole_voxels
from diffugts.pseudo_healthy import PseudoHealthy, carried_on, levelled, on_scan_grid, pseudo_healthy_scan
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
    whole = tuple(slice(0, 1) for _ in range(3))
    result = Inpainting(encoded.latents, whole, hole)  # type: ignore[arg-type]
    return PseudoHealthy(intensities, ndimage.binary_dilation(hole, iterations=4), hole, result)


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


def test_a_difference_is_carried_to_where_it_is_not_known() -> None:
    known = np.ones((40, 40, 40), bool)
    known[14:26, 14:26, 14:26] = False
    slope = np.broadcast_to(np.linspace(0, 1, 40, dtype=np.float32), known.shape)
    found = carried_on(np.where(known, slope, 9.0).astype(np.float32), known)
    assert np.abs(found - slope)[:, :, 3:-3].max() < 0.12  # what is unknown says nothing, 9 least of all
    assert abs(float(found[20, 20, 16]) - float(found[20, 20, 23])) > 0.05
    assert not carried_on(slope.copy(), np.zeros_like(known)).any()


@pytest.mark.parametrize("offset", [-0.1, 0.15])
def test_what_is_painted_takes_its_level_from_the_healthy_rest_of_the_hole(encoded: EncodedScan, offset: float) -> None:
    """Decoded tissue that is too bright or too dark all over comes out right; a rest that is not healthy says nothing."""
    scan = encoded.grid.intensities
    hole = np.zeros([-(-n // CELL) for n in scan.shape], bool)
    hole[tuple(slice(n // 2 - 3, n // 2 + 3) for n in hole.shape)] = True
    wide = hole_voxels(hole, scan.shape)
    painted = ndimage.binary_erosion(wide, iterations=5)
    voxels = tuple(slice(s.start * CELL, min(s.stop * CELL, n)) for s, n in zip(decoded_box(hole), scan.shape))
    result = Inpainting(encoded.latents, decoded_box(hole), hole)
    tissue = ndimage.gaussian_filter(scan, 3)[voxels]

    def error(healthy: np.ndarray | None) -> float:
        after = (tissue + np.float32(offset)).copy()
        made = pseudo_healthy_scan(encoded, hole, result, scan[voxels], after, painted, healthy)
        inside = ndimage.binary_erosion(painted, iterations=4)
        return float((made.intensities - ndimage.gaussian_filter(scan, 3))[inside].mean())

    assert abs(error(None)) < 0.15 * abs(offset)
    assert abs(error(np.zeros_like(wide)) - offset) < 0.01


def test_what_is_painted_is_no_brighter_than_what_lies_beside_it_and_keeps_its_texture(encoded: EncodedScan) -> None:
    """Decoded tissue that is right in the margin and far too bright within comes down to what the margin holds."""
    scan = encoded.grid.intensities
    hole = np.zeros([-(-n // CELL) for n in scan.shape], bool)
    hole[tuple(slice(n // 2 - 3, n // 2 + 3) for n in hole.shape)] = True
    painted = ndimage.binary_erosion(hole_voxels(hole, scan.shape), iterations=4)
    voxels = tuple(slice(s.start * CELL, min(s.stop * CELL, n)) for s, n in zip(decoded_box(hole), scan.shape))
    after = (scan + np.float32(0.3) * painted)[voxels].astype(np.float32)
    result = Inpainting(encoded.latents, decoded_box(hole), hole)
    made = pseudo_healthy_scan(encoded, hole, result, scan[voxels], after, painted).intensities
    core = ndimage.binary_erosion(painted, iterations=4)
    known = hole_voxels(hole, scan.shape) & ~painted
    assert made[core].mean() < np.quantile(scan[known], 0.8)
    assert made[core].std() > 0.8 * scan[core].std()


def test_the_mean_of_what_is_painted_goes_half_of_the_way_to_that_of_what_lies_beside_it() -> None:
    tissue = np.zeros((24, 24, 24), np.float32)
    painted = np.zeros(tissue.shape, bool)
    painted[6:18, 6:18, 6:18] = True
    tissue[painted] = 0.5 + 0.01 * np.random.default_rng(0).standard_normal(int(painted.sum())).astype(np.float32)
    beside = np.linspace(0.0, 0.8, 500, dtype=np.float32)  # mean 0.4, quantiles 0.16 and 0.64: nothing to be limited
    found = levelled(tissue, painted, beside)
    assert abs(float(found[painted].mean()) - 0.45) < 2e-3
    assert np.allclose(found[painted] - found[painted].mean(), tissue[painted] - tissue[painted].mean(), atol=1e-5)
    assert not found[~painted].any()
