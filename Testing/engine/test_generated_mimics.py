"""Generated look-alikes: drawn by seed, applied without side effects, each kind as it is meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffugts.generated.mimics import MimicKind, MimicPlan, apply_mimic, draw_mimic

SHAPE = (40, 44, 48)
cases = st.tuples(st.integers(0, 2**32 - 1), st.sampled_from(["CT", "MR"]), st.sampled_from(list(MimicKind)))


def host() -> tuple[np.ndarray, np.ndarray]:
    tissue = np.zeros(SHAPE, bool)
    tissue[4:-4, 4:-4, 4:-4] = True
    return np.where(tissue, 0.54, 0.01).astype(np.float32), tissue


@settings(max_examples=80, deadline=None)
@given(cases)
def test_a_look_alike_is_the_same_for_the_same_seed_and_leaves_what_is_given_alone(case) -> None:
    seed, modality, kind = case
    scan, tissue = host()
    plan = draw_mimic(np.random.default_rng(seed), tissue, modality, kinds=(kind,))
    assert plan is not None and plan == draw_mimic(np.random.default_rng(seed), tissue, modality, kinds=(kind,))
    changed = apply_mimic(scan, plan, tissue)
    np.testing.assert_array_equal(scan, host()[0])
    np.testing.assert_array_equal(changed, apply_mimic(scan, plan, tissue))
    assert changed.dtype == np.float32 and np.isfinite(changed).all() and changed.min() >= 0
    if kind is not MimicKind.SHADOW:
        np.testing.assert_array_equal(changed[~tissue], scan[~tissue])
    assert len(plan.centres) == len(plan.radii_mm)


def size_mm(changed: np.ndarray, scan: np.ndarray, spacing_mm: float = 2.0) -> list[float]:
    """Longest side of each changed piece's box."""
    labels, _ = ndimage.label(np.abs(changed - scan) > 0.01)
    return [max(s.stop - s.start for s in box) * spacing_mm for box in ndimage.find_objects(labels)]


def test_tubes_are_long_and_thin() -> None:
    tissue = np.ones((64, 64, 64), bool)
    for seed in range(15):
        plan = draw_mimic(np.random.default_rng(seed), tissue, "CT", kinds=(MimicKind.TUBE,))
        assert plan is not None and max(plan.radii_mm) <= 4.5
        gaps = np.linalg.norm(np.diff(np.array(plan.centres), axis=0), axis=1) * plan.spacing_mm
        assert gaps.max() < 3.5, "balls of a tube lie close together"
        assert gaps.sum() > 25


def test_spots_are_smaller_than_the_smallest_lesion() -> None:
    _, tissue = host()
    for seed in range(15):
        plan = draw_mimic(np.random.default_rng(seed), tissue, "MR", kinds=(MimicKind.SPOTS,))
        assert plan is not None and max(plan.radii_mm) < 4.0


def test_calcifications_are_as_dense_as_bone_in_ct_and_dark_in_mr() -> None:
    scan, tissue = host()
    for modality, bright in (("CT", True), ("MR", False)):
        plan = MimicPlan(
            MimicKind.CALCIFICATION, modality, 2.0, ((20.0, 20.0, 20.0),), (4.0,), 0.9 if bright else -0.7, 1.5
        )
        changed = apply_mimic(scan, plan, tissue)
        assert changed[20, 20, 20] == pytest.approx(0.9 if bright else 0.54 * 0.3, abs=1e-5)
        assert max(size_mm(changed, scan)) <= 12


def test_a_shadow_is_wide_and_faint_and_leaves_air_alone() -> None:
    scan, tissue = host()
    for seed in range(10):
        plan = draw_mimic(np.random.default_rng(seed), tissue, "CT", kinds=(MimicKind.SHADOW,))
        assert plan is not None
        changed = apply_mimic(scan, plan, tissue)
        assert np.abs(changed - scan).max() <= 0.031
        assert (changed != scan).sum() > 5000
        np.testing.assert_array_equal(changed[~tissue], scan[~tissue])


def test_nothing_is_drawn_without_tissue_and_all_kinds_are_drawn_with_it() -> None:
    assert draw_mimic(np.random.default_rng(0), np.zeros(SHAPE, bool), "CT") is None
    _, tissue = host()
    rng = np.random.default_rng(0)
    plans = [draw_mimic(rng, tissue, "MR") for _ in range(60)]
    assert {plan.kind for plan in plans if plan is not None} == set(MimicKind)
