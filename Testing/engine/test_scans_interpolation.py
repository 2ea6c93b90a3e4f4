"""Interpolation between grids: what SimpleITK gives, but for rounding, wherever the grids lie to each other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from diffugts.scans import interpolation
from diffugts.scans.interpolation import interpolated
from diffugts.scans.scan import Geometry
from diffugts.scans.working_grid import oriented
from scan_strategies import geometries


def by_simpleitk(array: np.ndarray, source: Geometry, target: Geometry, outside: float) -> np.ndarray:
    reference = sitk.Image(target.size, sitk.sitkUInt8)
    reference.SetSpacing(target.spacing_mm)
    reference.SetOrigin(target.origin_mm)
    reference.SetDirection(target.direction)
    return sitk.GetArrayFromImage(
        sitk.Resample(source.image(array), reference, sitk.Transform(), sitk.sitkLinear, outside)
    )


def at_a_border(source: Geometry, target: Geometry) -> np.ndarray:
    """Voxels of the target, bool (k, j, i), so near to where the source ends that rounding decides."""
    k, j, i = np.meshgrid(*[np.arange(n) for n in target.shape], indexing="ij")
    to_source = np.linalg.inv(source.ijk_to_lps) @ target.ijk_to_lps
    places = np.stack([i, j, k, np.ones_like(i)], axis=-1) @ to_source.T
    size = np.array(source.size)
    ends = np.abs(places[..., :3] + 0.5), np.abs(places[..., :3] - (size - 0.5))
    return (np.minimum(*ends) < 1e-3).any(axis=-1)


@settings(max_examples=80, deadline=None)
@given(
    geometries(),
    st.tuples(*(st.floats(0.3, 3.0) for _ in range(3))),
    st.tuples(*(st.floats(-4.0, 4.0) for _ in range(3))),
    st.sampled_from([0.0, -1000.0]),
)
def test_parallel_grids_give_what_simpleitk_gives(scan: Geometry, stretch, shift, outside: float) -> None:
    """The source has the scan's axes turned to the nearest LPS order, other spacings and another origin."""
    turned = Geometry.of(oriented(scan.image(np.zeros(scan.shape, np.float32))))
    spacing = tuple(s * f for s, f in zip(turned.spacing_mm, stretch))
    origin = tuple(o + s for o, s in zip(turned.origin_mm, shift))
    source = replace(turned, spacing_mm=spacing, origin_mm=origin)
    array = np.random.default_rng(0).normal(0, 100, source.shape).astype(np.float32)
    found, expected = interpolated(array, source, scan, outside), by_simpleitk(array, source, scan, outside)
    assert found.dtype == np.float32 and found.shape == scan.shape and found.flags.c_contiguous
    away = ~at_a_border(source, scan)
    assert np.abs(found - expected)[away].max(initial=0) < 5e-3


@settings(max_examples=30, deadline=None)
@given(geometries())
def test_a_whole_voxel_identity_is_exact(scan: Geometry) -> None:
    turned_image = oriented(scan.image(np.random.default_rng(1).random(scan.shape).astype(np.float32)))
    turned, array = Geometry.of(turned_image), sitk.GetArrayFromImage(turned_image)
    back = interpolated(array, turned, scan)
    assert np.array_equal(back, by_simpleitk(array, turned, scan, 0.0))
    assert np.array_equal(np.sort(back.ravel()), np.sort(array.ravel()))


def test_grids_that_are_turned_against_each_other_are_left_to_simpleitk(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = np.array([[np.cos(0.1), -np.sin(0.1), 0], [np.sin(0.1), np.cos(0.1), 0], [0, 0, 1]])
    source = Geometry((20, 22, 18), (1.0, 1.2, 2.0), (0.0, 0.0, 0.0), tuple(turn.ravel()))
    target = Geometry((16, 15, 14), (1.5, 1.5, 1.5), (2.0, 2.0, 2.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    array = np.random.default_rng(2).random(source.shape).astype(np.float32)
    assert np.array_equal(interpolated(array, source, target, 7.0), by_simpleitk(array, source, target, 7.0))
    called: list[Geometry] = []
    monkeypatch.setattr(interpolation, "_resampled", lambda *given: called.append(given[2]))
    interpolated(array, source, target)
    interpolated(array, source, replace(source, spacing_mm=(0.5, 0.6, 1.0)))
    assert called == [target]


def test_an_array_that_does_not_lie_on_its_grid_is_refused() -> None:
    grid = Geometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    with pytest.raises(ValueError, match="does not lie on"):
        interpolated(np.zeros((4, 5, 6), np.float32), grid, grid)
