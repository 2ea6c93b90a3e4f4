"""Generated lesions: what is drawn is what appears, where it was drawn, and nowhere else."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffugts.generated.lesion_looks import KINDS_OF_MODALITY, LesionKind, LesionLook, draw_look
from diffugts.generated.lesions import RADIUS_LIMIT_MM, LesionPlan, apply_lesion, draw_lesion
from diffugts.scans.intensity import MR_CEILING

SHAPE = (52, 60, 56)
PAIRS = [(modality, kind) for modality, kinds in KINDS_OF_MODALITY.items() for kind in kinds]
HOST_LEVEL = {LesionKind.SOFT: 0.54, LesionKind.LUNG: 0.035, LesionKind.BRAIN: 0.5, LesionKind.BONE: 0.9}
PLAIN = LesionLook(contrast=0.1, flattening=1.0, edge_mm=1.5, lobulation=0.0, roughness=0.0)


def host_of(kind: LesionKind, seed: int, noise: float = 0.004) -> tuple[np.ndarray, np.ndarray]:
    """A block of noisy tissue in darker surroundings, and its mask."""
    tissue = np.zeros(SHAPE, bool)
    tissue[5:-5, 6:-6, 4:-4] = True
    grain = noise * np.random.default_rng(seed).standard_normal(SHAPE)
    return (np.where(tissue, HOST_LEVEL[kind], 0.01) + np.abs(grain)).astype(np.float32), tissue


def drawn(seed: int, modality: str, kind: LesionKind) -> tuple[np.ndarray, np.ndarray, LesionPlan]:
    scan, tissue = host_of(kind, seed)
    plan = draw_lesion(np.random.default_rng(seed), tissue, modality, kind)
    assert plan is not None, "the block has room for a lesion"
    return scan, tissue, plan


def plain_plan(modality: str, kind: LesionKind, look: LesionLook, radius_mm: float = 16.0) -> LesionPlan:
    """A ball in the middle with the given look."""
    middle = (SHAPE[0] // 2, SHAPE[1] // 2, SHAPE[2] // 2)
    return LesionPlan(kind, modality, 2.0, middle, (radius_mm,) * 3, (0.0, 0.0, 0.0, 1.0), look, seed=3)


def distance_mm(plan: LesionPlan) -> np.ndarray:
    axes = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    return np.sqrt(sum((a - c) ** 2 for a, c in zip(axes, plan.centre, strict=True))) * plan.spacing_mm


any_case = st.tuples(st.integers(0, 2**32 - 1), st.sampled_from(PAIRS))


@settings(max_examples=60, deadline=None)
@given(any_case)
def test_a_lesion_changes_nothing_beyond_its_reach_and_stays_in_range(case) -> None:
    seed, (modality, kind) = case
    scan, tissue, plan = drawn(seed, modality, kind)
    before, tissue_before = scan.copy(), tissue.copy()
    changed, mask = apply_lesion(scan, plan, tissue)
    np.testing.assert_array_equal(scan, before, err_msg="the scan given was written to")
    np.testing.assert_array_equal(tissue, tissue_before)
    assert changed.dtype == np.float32 and changed.shape == mask.shape == SHAPE and mask.dtype == bool
    beyond = distance_mm(plan) > plan.reach_mm + 1e-3
    np.testing.assert_array_equal(changed[beyond], scan[beyond])
    assert not mask[beyond].any()
    assert np.isfinite(changed).all() and changed.min() >= 0
    assert changed.max() <= (1.0 if modality == "CT" else MR_CEILING)


@settings(max_examples=60, deadline=None)
@given(any_case)
def test_the_mask_is_one_piece_of_changed_voxels_within_the_tissue_but_for_a_voxel(case) -> None:
    seed, (modality, kind) = case
    scan, tissue, plan = drawn(seed, modality, kind)
    changed, mask = apply_lesion(scan, plan, tissue)
    assert mask.any()
    assert (changed[mask] != scan[mask]).mean() > 0.97, "the mask covers what the lesion did not touch"
    assert not (mask & ~ndimage.binary_dilation(tissue, np.ones((3, 3, 3)), iterations=2)).any()
    assert (mask & ~tissue).sum() <= 0.1 * mask.sum() + 10
    counts = np.bincount(ndimage.label(mask, np.ones((3, 3, 3)))[0].ravel())[1:]
    assert counts.max() > 0.9 * counts.sum()


@settings(max_examples=40, deadline=None)
@given(any_case)
def test_the_same_seed_draws_and_applies_the_same_lesion(case) -> None:
    seed, (modality, kind) = case
    scan, tissue, plan = drawn(seed, modality, kind)
    again = draw_lesion(np.random.default_rng(seed), tissue, modality, kind)
    assert again == plan
    applied = apply_lesion(scan, plan, tissue)
    for one, other in zip(applied, apply_lesion(scan, again, tissue), strict=True):
        np.testing.assert_array_equal(one, other)
    other_noise = apply_lesion(scan, replace(plan, seed=plan.seed + 1), tissue)[0]
    assert (other_noise != applied[0]).any()


@settings(max_examples=60, deadline=None)
@given(any_case, st.floats(4, 12), st.floats(1.2, 4))
def test_centres_lie_inside_the_tissue_and_sizes_within_bounds(case, smallest: float, factor: float) -> None:
    seed, (modality, kind) = case
    _, tissue = host_of(kind, 0)
    plan = draw_lesion(np.random.default_rng(seed), tissue, modality, kind, 2.0, (smallest, smallest * factor))
    assert plan is not None
    eroded = ndimage.binary_erosion(tissue, border_value=1)
    assert eroded[plan.centre]
    low, high = min(smallest, RADIUS_LIMIT_MM[kind]), min(smallest * factor, RADIUS_LIMIT_MM[kind])
    assert low - 1e-6 <= plan.radius_mm <= high + 1e-6
    assert np.linalg.norm(plan.rotation) == pytest.approx(1.0)


def test_sizes_are_spread_over_the_whole_range_on_a_logarithmic_scale() -> None:
    tissue = np.ones((40, 40, 40), bool)
    rng = np.random.default_rng(0)
    plans = [draw_lesion(rng, tissue, "CT", LesionKind.SOFT, 2.0, (4.0, 36.0)) for _ in range(200)]
    radii = np.array([plan.radius_mm for plan in plans if plan is not None])
    assert len(radii) == 200
    assert 0.35 < (radii < 12.0).mean() < 0.65, "12 mm is the geometric middle of 4 and 36 mm"


def test_lesions_get_smaller_where_the_tissue_is_thin() -> None:
    tissue = np.zeros((40, 40, 40), bool)
    tissue[18:25] = True
    rng = np.random.default_rng(1)
    plans = [draw_lesion(rng, tissue, "CT", LesionKind.SOFT) for _ in range(50)]
    assert max(plan.radius_mm for plan in plans if plan is not None) <= 2.5 * 4 * 2.0


@pytest.mark.parametrize("modality, kind", PAIRS)
def test_no_lesion_is_drawn_where_there_is_no_room(modality: str, kind: LesionKind) -> None:
    rng = np.random.default_rng(0)
    assert draw_lesion(rng, np.zeros((20, 20, 20), bool), modality, kind) is None
    specks = np.zeros((20, 20, 20), bool)
    specks[::4, ::4, ::4] = True
    assert draw_lesion(rng, specks, modality, kind) is None


@pytest.mark.parametrize("modality, kind", [("MR", LesionKind.LUNG), ("MR", LesionKind.BONE), ("CT", LesionKind.BRAIN)])
def test_a_kind_that_a_modality_does_not_show_is_refused(modality: str, kind: LesionKind) -> None:
    with pytest.raises(ValueError, match=f"no {kind.value} lesions are generated in {modality}"):
        draw_lesion(np.random.default_rng(0), np.ones((20, 20, 20), bool), modality, kind)


@pytest.mark.parametrize("contrast", [-0.12, -0.04, 0.04, 0.12])
def test_in_ct_the_contrast_is_added_to_the_host(contrast: float) -> None:
    scan, tissue = host_of(LesionKind.SOFT, 0)
    plan = plain_plan("CT", LesionKind.SOFT, replace(PLAIN, contrast=contrast))
    changed, mask = apply_lesion(scan, plan, tissue)
    inside = ndimage.binary_erosion(mask, iterations=2)
    assert np.median(changed[inside]) - np.median(scan[inside]) == pytest.approx(contrast, abs=0.003)
    volume_ml, ball_ml = mask.sum() * 0.008, 4 / 3 * np.pi * 1.6**3
    assert volume_ml == pytest.approx(ball_ml, rel=0.05)


@pytest.mark.parametrize("contrast", [-0.5, -0.2, 0.3])
def test_in_mr_the_contrast_is_a_share_of_the_host(contrast: float) -> None:
    scan, tissue = host_of(LesionKind.BRAIN, 0)
    changed, mask = apply_lesion(scan, plain_plan("MR", LesionKind.SOFT, replace(PLAIN, contrast=contrast)), tissue)
    inside = ndimage.binary_erosion(mask, iterations=2)
    assert np.median(changed[inside]) / np.median(scan[inside]) - 1 == pytest.approx(contrast, abs=0.05)


def test_a_bright_mr_lesion_in_fat_becomes_dark_instead_of_saturating() -> None:
    scan, tissue = host_of(LesionKind.BRAIN, 0)
    fat = scan * np.float32(0.98 / 0.5)
    changed, mask = apply_lesion(fat, plain_plan("MR", LesionKind.SOFT, replace(PLAIN, contrast=1.0)), tissue)
    assert np.median(changed[mask]) == pytest.approx(0.49, abs=0.03)


def test_a_mass_in_fat_has_the_density_of_soft_tissue() -> None:
    scan, tissue = host_of(LesionKind.SOFT, 0)
    fat = np.where(tissue, np.float32(0.3), scan)
    changed, mask = apply_lesion(fat, plain_plan("CT", LesionKind.SOFT, replace(PLAIN, contrast=-0.04)), tissue)
    assert np.median(changed[mask]) == pytest.approx(0.535 - 0.04, abs=0.01)


def test_flattening_decides_how_much_of_the_host_shines_through() -> None:
    scan, tissue = host_of(LesionKind.SOFT, 0)
    scan[:, ::8] = np.where(tissue[:, ::8], 0.3, scan[:, ::8])
    spread = []
    for flattening in (0.0, 1.0):
        look = replace(PLAIN, flattening=flattening)
        changed, mask = apply_lesion(scan, plain_plan("CT", LesionKind.SOFT, look), tissue)
        inside = ndimage.binary_erosion(mask, iterations=2)
        spread.append(changed[inside].std() / scan[inside].std())
    assert spread[0] == pytest.approx(1.0, abs=0.02)
    assert spread[1] < 0.2


def test_a_flattened_lesion_keeps_the_grain_of_its_host() -> None:
    quiet, tissue = host_of(LesionKind.SOFT, 0, noise=0.002)
    loud, _ = host_of(LesionKind.SOFT, 0, noise=0.03)
    plan = plain_plan("CT", LesionKind.SOFT, PLAIN)
    grain = []
    for scan in (quiet, loud):
        changed, mask = apply_lesion(scan, plan, tissue)
        inside = ndimage.binary_erosion(mask, iterations=2)
        grain.append((changed - ndimage.uniform_filter(changed, 3))[inside].std())
    assert 5 < grain[1] / grain[0] < 30


def test_core_rim_and_halo_lie_where_the_look_says() -> None:
    scan, tissue = host_of(LesionKind.SOFT, 0)
    look = replace(PLAIN, core_radius=0.5, core_contrast=-0.1, rim_mm=3.0, rim_contrast=0.08)
    plan = plain_plan("CT", LesionKind.SOFT, replace(look, halo_mm=6.0, halo_contrast=-0.03))
    changed, mask = apply_lesion(scan, plan, tissue)
    away = distance_mm(plan)
    difference = changed - scan
    assert np.median(difference[away < 6]) == pytest.approx(0.0, abs=0.01), "contrast 0.1, core -0.1"
    assert np.median(difference[(away > 9.5) & (away < 11)]) == pytest.approx(0.1, abs=0.02)
    assert np.median(difference[(away > 14) & (away < 15)]) > 0.13
    assert np.median(difference[(away > 17.5) & (away < 19.5)]) == pytest.approx(-0.03, abs=0.01)
    assert not mask[away > 18].any(), "a halo outside the brain is no part of the lesion"


def test_the_mask_of_a_brain_tumour_holds_its_oedema() -> None:
    scan, tissue = host_of(LesionKind.BRAIN, 0)
    look = replace(PLAIN, contrast=0.8, halo_mm=8.0, halo_contrast=0.4)
    _, whole = apply_lesion(scan, plain_plan("MR", LesionKind.BRAIN, look, 10.0), tissue)
    _, bare = apply_lesion(scan, plain_plan("MR", LesionKind.BRAIN, replace(look, halo_mm=0.0), 10.0), tissue)
    assert whole.sum() > 2 * bare.sum()


def test_a_mass_pushes_what_lies_around_it_outwards() -> None:
    scan, tissue = host_of(LesionKind.SOFT, 0)
    middle = SHAPE[2] // 2
    scan[:, :, middle + 10] = np.where(tissue[:, :, middle + 10], 0.3, scan[:, :, middle + 10])  # a plane of fat
    plan = plain_plan("CT", LesionKind.SOFT, replace(PLAIN, mass_effect_mm=4.0))
    changed, _ = apply_lesion(scan, plan, tissue)
    row = changed[plan.centre[0], plan.centre[1]]
    assert int(row[middle + 9 : middle + 15].argmin()) + middle + 9 in (middle + 11, middle + 12)


def test_spicules_and_calcifications_appear() -> None:
    scan, tissue = host_of(LesionKind.LUNG, 0)
    look = replace(PLAIN, contrast=0.5)
    _, smooth = apply_lesion(scan, plain_plan("CT", LesionKind.LUNG, look), tissue)
    spiky = plain_plan("CT", LesionKind.LUNG, replace(look, spikes=12, spike_length=0.7))
    changed, mask = apply_lesion(scan, spiky, tissue)
    assert mask[distance_mm(spiky) > 21].any() and not smooth[distance_mm(spiky) > 18].any()
    chalky, _ = apply_lesion(scan, plain_plan("CT", LesionKind.LUNG, replace(look, calcified_share=0.05)), tissue)
    assert (chalky[smooth] > 0.75).mean() == pytest.approx(0.03, abs=0.025) and (changed > 0.75).mean() < 1e-4


@pytest.mark.parametrize("sequence, sign", [("FLAIR", 1), ("T2", 1), ("T1", -1)])
def test_brain_lesions_follow_the_sequence(sequence: str, sign: int) -> None:
    rng = np.random.default_rng(0)
    looks = [draw_look(rng, LesionKind.BRAIN, "MR", 12.0, sequence) for _ in range(40)]
    assert all(np.sign(look.contrast) == sign for look in looks)
    assert all(np.sign(look.halo_contrast) == sign for look in looks)


@pytest.mark.parametrize("modality, kind", PAIRS)
def test_looks_range_widely_and_stay_visible(modality: str, kind: LesionKind) -> None:
    rng = np.random.default_rng(0)
    looks = [draw_look(rng, kind, modality, float(rng.uniform(4, 30))) for _ in range(300)]
    contrasts = np.array([look.contrast for look in looks])
    assert np.ptp(contrasts) > 0.15
    faint = [look for look in looks if abs(look.contrast) < 0.05 and kind is LesionKind.SOFT]
    assert all(look.flattening >= 0.5 and abs(look.contrast) >= 0.019 for look in faint)
    necrotic = np.mean([look.core_radius > 0 for look in looks])
    assert (0.15 < necrotic < 0.75) or kind is LesionKind.BONE
    for look in looks:
        assert all(np.isfinite(getattr(look, field.name)) for field in fields(look))
        assert 0 <= look.flattening <= 1 and look.edge_mm > 0 and 0 <= look.core_radius < 1 and look.halo_mm >= 0


def test_lesions_that_touch_the_edge_of_the_array_are_cut_off_cleanly() -> None:
    tissue = np.ones((24, 24, 24), bool)
    scan = np.full(tissue.shape, 0.54, np.float32)
    for seed in range(20):
        plan = draw_lesion(np.random.default_rng(seed), tissue, "CT", LesionKind.SOFT, 2.0, (20.0, 35.0))
        assert plan is not None
        changed, mask = apply_lesion(scan, plan, tissue)
        assert mask.any() and np.isfinite(changed).all()
