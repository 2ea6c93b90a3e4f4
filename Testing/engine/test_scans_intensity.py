"""Intensity curves: what tissue looks like to a network, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.errors import ScanError
from diffugts.scans.intensity import COMPACT_CT_CURVE, MAISI_CT_CURVE, IntensityCurve, intensity_curve, without_padding
from diffugts.scans.scan import Geometry, Scan

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def scan_of(voxels: np.ndarray, modality: str) -> Scan:
    size = (voxels.shape[2], voxels.shape[1], voxels.shape[0])
    return Scan(voxels.astype(np.float32), Geometry(size, (2.0, 2.0, 2.0), (0.0, 0.0, 0.0), STRAIGHT), modality)


def magnitudes(seed: int = 0) -> np.ndarray:
    """An MR of a bright box in a dark background, (k, j, i)."""
    voxels = np.zeros((32, 32, 32))
    voxels[4:28, 4:28, 4:28] = np.random.default_rng(seed).normal(500, 100, (24, 24, 24)).clip(10)
    return voxels


@pytest.mark.parametrize("knots", [COMPACT_CT_CURVE, MAISI_CT_CURVE])
@given(units=st.lists(st.floats(-1000, 1000), min_size=1, max_size=20))
def test_hounsfield_units_come_back_from_the_curve(knots: tuple, units: list[float]) -> None:
    curve = IntensityCurve(*knots)
    np.testing.assert_allclose(curve.inverse(curve.forward(np.array(units))), units, atol=2e-3)


def test_the_compact_curve_spreads_soft_tissue_and_clips_beyond_its_ends() -> None:
    curve = IntensityCurve(*COMPACT_CT_CURVE)
    liver, tumour = curve.forward(np.array([100.0, 50.0]))
    assert liver - tumour > 0.08
    np.testing.assert_array_equal(curve.forward(np.array([-3024.0, 20000.0])), [0, 1])


def test_an_mr_is_scaled_by_its_own_foreground() -> None:
    voxels = magnitudes()
    for gain in (1, 37.5):
        scan = scan_of(gain * voxels, "MR")
        curve = intensity_curve(scan, COMPACT_CT_CURVE)
        intensities = curve.forward(scan.voxels)
        assert intensities[0, 0, 0] == 0 and intensities.max() <= 1.3
        assert np.percentile(intensities[intensities > 0], 99.5) == pytest.approx(1, abs=0.1)
        np.testing.assert_allclose(curve.inverse(intensities), scan.voxels, rtol=1e-4, atol=1e-2)


def test_one_overbright_voxel_does_not_darken_the_mr() -> None:
    voxels = magnitudes()
    plain = intensity_curve(scan_of(voxels, "MR"), COMPACT_CT_CURVE).forward(voxels)
    voxels[10, 10, 10] = 1e6
    bright = intensity_curve(scan_of(voxels, "MR"), COMPACT_CT_CURVE).forward(voxels)
    assert np.abs(bright - plain)[voxels < 1e6].max() < 0.05


def test_a_z_scored_mr_has_a_dark_background_and_keeps_its_contrast() -> None:
    voxels = magnitudes()
    inside = voxels > 0
    scored = np.where(inside, (voxels - 500) / 100, 0.0)
    scan = scan_of(scored, "MR")
    curve = intensity_curve(scan, COMPACT_CT_CURVE)
    intensities = curve.forward(without_padding(scan, curve))
    assert intensities[~inside].max() == 0, "the value 0 lies amid the tissue's z-scores"
    assert np.corrcoef(intensities[inside], voxels[inside])[0, 1] > 0.99


def test_only_what_no_tissue_can_be_is_taken_as_padding() -> None:
    hu = np.random.default_rng(0).normal(40, 300, (10, 10, 10)).clip(-1024)
    scan = scan_of(hu, "CT")
    curve = intensity_curve(scan, COMPACT_CT_CURVE)
    assert without_padding(scan, curve) is scan.voxels
    hu[:, :, 0] = -3024
    padded = without_padding(scan_of(hu, "CT"), curve)
    assert padded[:, :, 0].max() == -1024
    np.testing.assert_array_equal(padded[:, :, 1:], scan.voxels[:, :, 1:])


@pytest.mark.parametrize("value", [0, 7, -3])
def test_an_mr_of_one_value_is_refused(value: int) -> None:
    with pytest.raises(ScanError, match="every voxel has the same value|almost no contrast"):
        intensity_curve(scan_of(np.full((20, 20, 20), value), "MR"), COMPACT_CT_CURVE)
