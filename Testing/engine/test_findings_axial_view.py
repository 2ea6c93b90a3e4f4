"""The axial view: any grid's voxels as a radiologist looks at them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from diffugts.findings.axial_view import AxialView
from diffugts.findings.lesions import axial_axis
from diffugts.scans.scan import Geometry
from made_segmentations import AXIAL, SAGITTAL
from scan_strategies import geometries, voxel_places

CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)
HEAD_FIRST_TO_FEET = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


@pytest.mark.parametrize("direction", [AXIAL, SAGITTAL, CORONAL, HEAD_FIRST_TO_FEET])
def test_slices_go_from_feet_to_head_rows_from_front_to_back_columns_from_right_to_left(
    direction: tuple[float, ...],
) -> None:
    geometry = Geometry((4, 5, 6), (1.0, 2.0, 3.0), (10.0, 20.0, 30.0), direction)
    view = AxialView.of(geometry)
    places = voxel_places(geometry)
    left, back, head = (view.turned(places[..., axis]) for axis in range(3))
    for array, axis, spacing in (
        (head, 0, view.spacing_mm[0]),
        (back, 1, view.spacing_mm[1]),
        (left, 2, view.spacing_mm[2]),
    ):
        np.testing.assert_allclose(np.diff(array, axis=axis), spacing)
        assert all(np.allclose(np.diff(array, axis=other), 0) for other in range(3) if other != axis)


@settings(max_examples=60, deadline=None)
@given(geometries(least=3, most=5))
def test_an_oblique_grid_keeps_its_voxels_and_no_axis_runs_the_wrong_way(geometry: Geometry) -> None:
    view = AxialView.of(geometry)
    numbers = np.arange(np.prod(geometry.shape)).reshape(geometry.shape)
    turned = view.turned(numbers)
    assert sorted(turned.ravel()) == list(range(numbers.size)) and np.shares_memory(turned, numbers)
    assert sorted(view.spacing_mm) == sorted(geometry.spacing_mm)
    left, back, head = (view.turned(voxel_places(geometry)[..., axis]) for axis in range(3))
    assert np.diff(head, axis=0).mean() + np.diff(back, axis=1).mean() + np.diff(left, axis=2).mean() > 0


def test_the_slices_are_those_in_which_lesions_are_measured() -> None:
    for direction in (AXIAL, SAGITTAL, CORONAL, HEAD_FIRST_TO_FEET):
        geometry = Geometry((4, 5, 6), (1.0, 2.0, 3.0), (0.0, 0.0, 0.0), direction)
        assert AxialView.of(geometry).order[0] == axial_axis(geometry)
