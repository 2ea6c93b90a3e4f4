"""Connected regions of sparse masks are those of the whole mask, however it lies in its cells."""

from __future__ import annotations

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
ndimage = pytest.importorskip("scipy.ndimage", reason="scipy, which Slicer brings, is not installed")

from DiffuGTSSlicerLib.regions import Regions  # noqa: E402
from DiffuGTSSlicerLib.sparse_mask import CELL, SparseMask  # noqa: E402

SHAPE = (50, 61, 47)


def made_mask(seed: int, density: float) -> np.ndarray:
    """Blobs of all sizes: specks at a low density, one region that fills everything at a high one."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=SHAPE), 1.2)
    return noise > np.quantile(noise, 1 - density)


def whole(mask: SparseMask) -> np.ndarray:
    return mask.within((0, 0, 0), SHAPE)


@pytest.mark.parametrize("density", [0.0, 0.002, 0.03, 0.2, 0.6, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_regions_are_those_of_the_whole_mask(seed: int, density: float):
    mask = made_mask(seed, density)
    regions = Regions.of(SparseMask.of_voxels(mask.view(np.uint8), (0, 0, 0)))
    labels, count = ndimage.label(mask, np.ones((3, 3, 3)))
    assert sorted(regions.sizes) == sorted(np.bincount(labels.ravel())[1:])
    assert len(regions.sizes) == count
    for number in range(min(count, 20)):
        one = whole(regions.union(np.arange(count) == number))
        (label,) = np.unique(labels[one])
        assert np.array_equal(one, labels == label)


def test_what_touches_only_at_a_corner_of_two_cells_is_one_region():
    mask = np.zeros(SHAPE, bool)
    mask[CELL - 1, CELL - 1, CELL - 1] = mask[CELL, CELL, CELL] = True
    mask[CELL + 2, CELL + 2, CELL + 2] = True
    regions = Regions.of(SparseMask.of_voxels(mask.view(np.uint8), (0, 0, 0)))
    assert sorted(regions.sizes) == [1, 2]


def test_all_regions_together_are_the_mask_and_none_of_them_is_nothing():
    mask = SparseMask.of_voxels(made_mask(0, 0.05).view(np.uint8), (0, 0, 0))
    regions = Regions.of(mask)
    everything = np.ones(len(regions.sizes), bool)
    assert np.array_equal(whole(regions.union(everything)), whole(mask))
    assert regions.union(~everything).count == 0
