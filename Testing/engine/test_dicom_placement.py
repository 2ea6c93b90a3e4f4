"""A result is put onto a series voxel by voxel: each keeps its place in the patient, whatever the order of its axes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffugts.dicom.placement import placement
from diffugts.errors import ResultError
from diffugts.scans.scan import Geometry
from scan_strategies import geometries, voxel_places


def reordered(geometry: Geometry, order: list[int], flips: list[bool]) -> Geometry:
    """The same voxels with their axes (i, j, k) in another order, some of them backwards."""
    matrix = geometry.ijk_to_lps
    axes, origin = matrix[:3, :3].copy(), matrix[:3, 3].copy()
    for axis, backwards in enumerate(flips):
        if backwards:
            origin += axes[:, axis] * (geometry.size[axis] - 1)
            axes[:, axis] *= -1
    axes, size = axes[:, order], [geometry.size[axis] for axis in order]
    spacing = np.linalg.norm(axes, axis=0)
    return Geometry(
        (size[0], size[1], size[2]),
        (float(spacing[0]), float(spacing[1]), float(spacing[2])),
        (float(origin[0]), float(origin[1]), float(origin[2])),
        tuple(float(value) for value in (axes / spacing).ravel()),
    )


@settings(deadline=None, max_examples=60)
@given(geometries(), st.permutations(range(3)), st.lists(st.booleans(), min_size=3, max_size=3))
def test_every_voxel_keeps_its_place_in_the_patient(series: Geometry, order: list[int], flips: list[bool]) -> None:
    result = reordered(series, order, flips)
    placed = placement(result, series)
    places = np.stack([placed.onto_series(voxel_places(result)[..., axis]) for axis in range(3)], axis=-1)
    np.testing.assert_allclose(places, voxel_places(series), atol=1e-3)


@settings(deadline=None, max_examples=40)
@given(geometries(), st.integers(0, 2), st.sampled_from(["size", "spacing", "origin"]))
def test_any_other_grid_is_refused(series: Geometry, axis: int, what: str) -> None:
    size, spacing, origin = list(series.size), list(series.spacing_mm), list(series.origin_mm)
    if what == "size":
        size[axis] += 1
    elif what == "spacing":
        spacing[axis] *= 1.02
    else:
        origin[axis] += 0.3 * max(series.spacing_mm)
    with pytest.raises(ResultError, match="does not lie on this series' grid"):
        placement(Geometry(tuple(size), tuple(spacing), tuple(origin), series.direction), series)


def test_coordinates_rounded_in_a_header_are_the_same_grid() -> None:
    series = Geometry(
        (300, 200, 150), (0.7031250, 0.7031250, 1.25), (-180.1484, 21.7, -900.3), tuple(np.eye(3).ravel())
    )
    rounded = Geometry(series.size, (0.703125, 0.703125, 1.25003), (-180.148, 21.7, -900.3), series.direction)
    assert placement(rounded, series).flipped == ()
