"""Where lesions may grow: in the right tissue of generated bodies, whose labels are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffugts.generated.lesion_looks import LesionKind
from diffugts.generated.phantom import Phantom, draw_phantom
from diffugts.generated.tissue import depth_voxels, interior, tissue_mask
from diffugts.scans.intensity import COMPACT_CT_CURVE, intensity_curve


def intensities(phantom: Phantom) -> np.ndarray:
    return intensity_curve(phantom.scan, COMPACT_CT_CURVE).forward(phantom.scan.voxels)


@pytest.fixture(scope="module")
def thorax() -> Phantom:
    return draw_phantom(0, "thorax", "CT", 3.0)


def test_soft_tissue_is_muscle_and_organs_without_bone_air_or_thick_fat() -> None:
    thigh = draw_phantom(1, "thigh", "CT", 2.0)
    tissue = tissue_mask(intensities(thigh), "CT", LesionKind.SOFT)
    inside = ndimage.binary_erosion(thigh.mask("muscle"), iterations=2)
    assert tissue[inside].mean() > 0.97
    assert tissue[thigh.mask("femur")].mean() < 0.05
    assert tissue[thigh.mask("subcutaneous fat")].mean() < 0.1
    assert tissue[thigh.labels == 0].mean() < 0.001
    assert tissue[thigh.mask("intermuscular fat")].mean() > 0.3, "the planes between muscles belong to it"


def test_lung_is_aerated_lung_and_not_the_air_around_the_body(thorax: Phantom) -> None:
    lung = tissue_mask(intensities(thorax), "CT", LesionKind.LUNG)
    inside = ndimage.binary_erosion(thorax.mask("lungs"), iterations=2)
    assert lung[inside].mean() > 0.9
    assert lung[~thorax.mask("lungs", "lung vessels", "airways", "airway wall")].mean() < 0.01
    assert lung[thorax.labels == 0].sum() == 0


def test_lung_is_found_in_a_crop_too(thorax: Phantom) -> None:
    crop = (slice(10, 40), slice(20, 60), slice(15, 55))
    lung = tissue_mask(intensities(thorax)[crop], "CT", LesionKind.LUNG)
    inside = ndimage.binary_erosion(thorax.mask("lungs")[crop], iterations=2)
    assert lung[inside].mean() > 0.6
    assert lung[~ndimage.binary_dilation(thorax.mask("lungs")[crop], iterations=2)].mean() < 0.02


@pytest.mark.parametrize("sequence", ["T1", "FLAIR"])
def test_brain_lies_inside_the_skull_or_is_all_of_a_skull_stripped_head(sequence: str) -> None:
    head = draw_phantom(2, "head", "MR", 2.0, sequence=sequence)
    whole = intensities(head)
    outside = head.mask("scalp", "skull") | (head.labels == 0)
    brain = head.mask("white matter", "grey matter", "deep grey matter")
    found = tissue_mask(whole, "MR", LesionKind.BRAIN)
    assert found[outside].mean() < 0.03 and found[brain].mean() > 0.7
    stripped = tissue_mask(np.where(outside, 0, whole), "MR", LesionKind.BRAIN)
    assert stripped[brain].mean() > found[brain].mean() and stripped[outside].mean() < 0.02


def test_soft_tissue_in_mr_leaves_air_out() -> None:
    thigh = draw_phantom(1, "thigh", "MR", 3.0)
    tissue = tissue_mask(intensities(thigh), "MR", LesionKind.SOFT)
    assert tissue[thigh.mask("muscle")].mean() > 0.9 and tissue[thigh.labels == 0].mean() < 0.02


def test_what_intensities_cannot_tell_is_refused(thorax: Phantom) -> None:
    with pytest.raises(ValueError, match="take its mask from labels"):
        tissue_mask(intensities(thorax), "CT", LesionKind.BONE)
    with pytest.raises(ValueError, match="no lung lesions are generated in MR"):
        tissue_mask(intensities(thorax), "MR", LesionKind.LUNG)


def test_depth_is_the_distance_to_the_outside_and_the_array_s_edge_is_none() -> None:
    mask = np.zeros((31, 40, 37), bool)
    mask[:, 8:, :] = True
    depth = depth_voxels(mask)
    expected = np.broadcast_to(np.arange(40)[None, :, None] - 7.0, mask.shape)
    assert np.abs(depth - expected)[mask].max() <= 2 and (depth[~mask] == 0).all()
    assert depth_voxels(np.ones((9, 9, 9), bool)).min() >= 9
    mask[15, 20, 18] = False
    assert depth_voxels(mask)[15, 21, 18] <= 2, "a hole of one voxel counts"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_interior_is_the_mask_eroded_by_a_voxel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = rng.random(tuple(rng.integers(1, 9, 3))) < 0.8
    np.testing.assert_array_equal(interior(mask), ndimage.binary_erosion(mask, border_value=1))
