"""The way to the working grid and back: places are kept, on any grid that a scanner or a program can make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from diffugts.errors import ScanError
from diffugts.scans.intensity import COMPACT_CT_CURVE
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import to_working_grid
from scan_strategies import geometries, voxel_places

STRAIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
TWO_MM = 2.0


def waves(places_mm: np.ndarray) -> np.ndarray:
    """A smooth function of the patient's space, within the soft-tissue window: HU about -100 to 180."""
    x, y, z = np.moveaxis(places_mm, -1, 0)
    return 40 + 70 * np.sin(x / 17 + 0.3) * np.cos(y / 19) + 70 * np.sin(z / 23 - y / 29)


def grid_of(voxels: np.ndarray, geometry: Geometry, modality: str = "CT"):
    return to_working_grid(Scan(voxels.astype(np.float32), geometry, modality), TWO_MM, COMPACT_CT_CURVE)


@settings(max_examples=60, deadline=None)
@given(geometries())
def test_a_smooth_scan_comes_back_from_the_grid_nearly_as_it_was(geometry: Geometry) -> None:
    hu = waves(voxel_places(geometry))
    grid = grid_of(hu, geometry)
    back = grid.curve.inverse(grid.to_scan(grid.intensities))
    assert back.shape == hu.shape and grid.scan_geometry == geometry
    inner = tuple(slice(2, -2) for _ in range(3))
    error = np.abs(back - hu)
    assert error[inner].max() < 8, "of a swing of 280 HU"
    assert error.max() < 25, "the edges are a voxel's width off at most"


@settings(max_examples=40, deadline=None)
@given(geometries())
def test_the_grid_shows_the_patient_s_space_in_lps_order(geometry: Geometry) -> None:
    grid = grid_of(waves(voxel_places(geometry)), geometry)
    seen = grid.curve.inverse(grid.intensities)
    expected = waves(voxel_places(grid.geometry))
    inner = tuple(slice(1, -1) for _ in range(3))
    assert np.abs(seen - expected)[inner].max() < 25
    np.testing.assert_allclose(grid.geometry.spacing_mm, TWO_MM, rtol=1e-4)
    axes = np.reshape(grid.geometry.direction, (3, 3))
    assert np.linalg.det(axes) == pytest.approx(1, abs=1e-6)
    given_axes = np.reshape(geometry.direction, (3, 3))
    overlap = np.abs(axes.T @ given_axes)
    np.testing.assert_allclose(np.sort(overlap, axis=None)[-3:], 1, atol=1e-6, err_msg="axes were turned, not permuted")
    assert np.trace(axes) > 1 - 1e-6, "no other order of the same axes would be nearer to LPS by much"


@settings(max_examples=40, deadline=None)
@given(geometries(), st.integers(0, 10**6))
def test_a_marked_place_stays_where_it_is(geometry: Geometry, draw: int) -> None:
    places = voxel_places(geometry)
    random = np.random.default_rng(draw)
    k, j, i = (int(random.integers(2, n - 2)) for n in geometry.shape)
    marked = places[k, j, i]
    blob = 200 * np.exp(-((places - marked) ** 2).sum(-1) / (2 * 4.0**2))
    grid = grid_of(blob, geometry)
    brightest = np.unravel_index(int(grid.intensities.argmax()), grid.intensities.shape)
    assert np.abs(voxel_places(grid.geometry)[brightest] - marked).max() <= 2.5, "within a voxel of the grid"
    back = grid.to_scan(grid.intensities)
    returned = places[np.unravel_index(int(back.argmax()), back.shape)]
    assert np.abs(returned - marked).max() <= max(2.5, 1.01 * max(geometry.spacing_mm))


@settings(max_examples=25, deadline=None)
@given(geometries())
def test_a_result_written_to_disk_lies_exactly_on_the_scan(
    tmp_path_factory: pytest.TempPathFactory, geometry: Geometry
) -> None:
    grid = grid_of(waves(voxel_places(geometry)), geometry)
    path: Path = tmp_path_factory.mktemp("result") / "result.nrrd"
    sitk.WriteImage(geometry.image(grid.to_scan(grid.intensities)), path)
    written = Geometry.of(sitk.ReadImage(path))
    assert written.size == geometry.size
    for name in ("spacing_mm", "origin_mm", "direction"):
        np.testing.assert_allclose(getattr(written, name), getattr(geometry, name), atol=1e-6)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, 1, -1)])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 0, 2)])
def test_at_the_working_spacing_nothing_is_interpolated(flips: tuple[int, ...], order: tuple[int, ...]) -> None:
    axes = (np.eye(3)[:, list(order)] * flips).ravel()
    geometry = Geometry((15, 17, 20), (TWO_MM,) * 3, (5.0, -7.5, 11.0), tuple(float(v) for v in axes))
    hu = np.random.default_rng(0).uniform(-150, 230, geometry.shape)
    grid = grid_of(hu, geometry)
    np.testing.assert_allclose(grid.to_scan(grid.intensities), grid.curve.forward(hu), atol=1e-6)
    if flips == (1, 1, 1) and order == (0, 1, 2):
        np.testing.assert_array_equal(grid.intensities, grid.curve.forward(hu.astype(np.float32)))
        assert grid.geometry == geometry


@pytest.mark.parametrize("spacing", [1.0, 0.5, 2 / 3, 0.8, 3.0, 5.0])
@pytest.mark.parametrize("size", [8, 13, 14, 18, 21, 26])
def test_every_voxel_of_the_scan_is_reached_whatever_its_size(size: int, spacing: float) -> None:
    geometry = Geometry((size, size + 1, size + 2), (spacing,) * 3, (0.1, 0.2, 0.3), STRAIGHT)
    grid = grid_of(np.full(geometry.shape, 50.0), geometry)
    np.testing.assert_array_equal(grid.to_scan(np.ones(grid.geometry.shape)), 1.0)


def test_a_fine_pattern_is_smoothed_before_it_is_thinned_out() -> None:
    geometry = Geometry((40, 40, 40), (0.5,) * 3, (0.0, 0.0, 0.0), STRAIGHT)
    stripes = np.where(np.arange(40) % 2 == 0, 200.0, -100.0)[None, None, :] * np.ones((40, 40, 1))
    grid = grid_of(stripes, geometry)
    inner = grid.curve.inverse(grid.intensities)[:, :, 1:-1]
    assert np.abs(inner - 50).max() < 5, "every fourth voxel alone would give 200 or -100"


def body_in_air(padding: float = -1000.0) -> tuple[np.ndarray, Geometry]:
    hu = np.full((40, 44, 48), -1000.0)
    hu[:, :3] = padding
    hu[:, -3:] = padding
    hu[10:30, 8:36, 12:34] = 40
    return hu, Geometry((48, 44, 40), (TWO_MM,) * 3, (-50.0, 20.0, 5.0), STRAIGHT)


def test_the_grid_is_cropped_to_the_body_and_the_rest_comes_back_as_outside() -> None:
    hu, geometry = body_in_air()
    grid = grid_of(hu, geometry)
    assert grid.geometry.shape == (24, 32, 26), "the body and two voxels around it"
    scores = grid.to_scan(np.full(grid.geometry.shape, 0.75), outside=-1.0)
    assert (scores[10:30, 8:36, 12:34] == 0.75).all()
    assert (scores[:8] == -1).all() and (scores[:, :, 36:] == -1).all()
    back = grid.curve.inverse(grid.to_scan(grid.intensities))
    np.testing.assert_allclose(back[10:30, 8:36, 12:34], 40, atol=1e-3)


def test_padding_outside_the_field_of_view_does_not_spread_into_the_body() -> None:
    plain, geometry = body_in_air(-1024.0)
    padded, _ = body_in_air(-32768.0)
    fine = Geometry(geometry.size, (0.8, 0.8, 0.8), geometry.origin_mm, STRAIGHT)
    np.testing.assert_array_equal(grid_of(padded, fine).intensities, grid_of(plain, fine).intensities)


def test_a_scan_of_air_alone_keeps_its_whole_grid() -> None:
    hu = np.full((12, 12, 12), -1000.0)
    hu[6, 6, 6] = -990
    grid = grid_of(hu, Geometry((12, 12, 12), (TWO_MM,) * 3, (0.0, 0.0, 0.0), STRAIGHT))
    assert grid.geometry.shape == (12, 12, 12)


def test_an_mr_with_negative_values_goes_to_the_grid_and_back() -> None:
    geometry = Geometry((20, 22, 24), (TWO_MM,) * 3, (0.0, 0.0, 0.0), STRAIGHT)
    scored = np.full(geometry.shape, -0.5)
    scored[4:20, 4:18, 4:16] = np.random.default_rng(0).normal(0.3, 1, (16, 14, 12)).clip(-2, 2.5)
    grid = grid_of(scored, geometry, "MR")
    assert grid.intensities.min() == 0 and grid.modality == "MR"
    back = grid.curve.inverse(grid.to_scan(grid.intensities))[4:20, 4:18, 4:16]
    middle = np.abs(scored[4:20, 4:18, 4:16]) < 1.5
    np.testing.assert_allclose(back[middle], scored[4:20, 4:18, 4:16][middle], atol=1e-4)


def test_a_sheared_scan_never_reaches_the_grid() -> None:
    sheared = (1.0, 0.2, 0.0, 0.0, 0.98, 0.0, 0.0, 0.0, 1.0)
    with pytest.raises(ScanError, match="not at right angles"):
        grid_of(np.zeros((9, 9, 9)), Geometry((9, 9, 9), (TWO_MM,) * 3, (0.0, 0.0, 0.0), sheared))


def test_a_box_of_the_scans_grid_gets_what_the_whole_grid_does() -> None:
    rng = np.random.default_rng(3)
    turn = np.array([[0.0, -0.8, 0.6], [1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
    geometry = Geometry((30, 26, 22), (1.3, 2.1, 3.0), (5.0, -7.0, 11.0), tuple(turn.ravel()))
    scan = Scan(rng.normal(40, 20, geometry.shape).astype(np.float32), geometry, "CT")
    grid = to_working_grid(scan, 2.0, COMPACT_CT_CURVE)
    mask = np.zeros(grid.geometry.shape, bool)
    mask[6:11, 9:14, 8:12] = True
    whole = grid.to_scan(mask.astype(np.float32))
    box = grid.box_on_scan(mask)
    assert box is not None
    assert np.allclose(grid.to_scan(mask.astype(np.float32), box=box), whole[box], atol=1e-5)
    outside = whole.copy()
    outside[box] = 0
    assert not outside.any()
    assert grid.box_on_scan(np.zeros_like(mask)) is None
