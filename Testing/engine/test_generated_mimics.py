"""Generated look-alikes: drawn by seed, applied without side effects, each kind as it is meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from diffugts.generated.lesion_looks import LesionKind
from diffugts.generated.mimics import Filling, MimicKind, MimicPlan, apply_mimic, draw_mimic
from diffugts.scans.intensity import COMPACT_CT_CURVE, IntensityCurve

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
    assert (beyond_its_balls_mm(np.argwhere(changed != scan), plan) <= max(plan.edge_mm, 0.6 * plan.spacing_mm)).all()


def beyond_its_balls_mm(places: np.ndarray, plan: MimicPlan) -> np.ndarray:
    """How far each of the voxels `places` (n, 3) lies outside the nearest ball of a look-alike."""
    nearest = np.full(len(places), np.inf)
    for centre, radius in zip(plan.centres, plan.radii_mm, strict=True):
        distance = np.linalg.norm(places - np.array(centre), axis=1) * plan.spacing_mm - radius
        nearest = np.minimum(nearest, distance)
    return nearest


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


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_loop_has_a_wall_round_what_it_holds(modality: str) -> None:
    scan, tissue = host()
    arc = tuple((20.0, 22.0 + 9 * float(np.cos(t)), 24.0 + 9 * float(np.sin(t))) for t in np.linspace(0, 3, 30))
    filling = Filling(4.0, 0.56 if modality == "CT" else 1.4, 0.02 if modality == "CT" else 0.1, 0.0, 0)
    plan = MimicPlan(MimicKind.LOOP, modality, 2.0, arc, (10.0,) * 30, 0.0, 1.2, filling)
    changed = apply_mimic(scan, plan, tissue)
    lumen, wall = changed[20, 22, 33], changed[20, 22, 24 + 9 + 4]
    host_level = 1.0 if modality == "CT" else 0.54
    assert lumen == pytest.approx(filling.contents * host_level, abs=1e-4)
    assert wall == pytest.approx(filling.wall * host_level, abs=0.02)
    assert changed[20, 22, 24 + 9 + 6] == scan[20, 22, 24 + 9 + 6]


def test_loops_are_bent_and_of_a_bowels_width_and_hold_fluid_stool_or_gas() -> None:
    tissue = np.ones((64, 64, 64), bool)
    held = []
    for seed in range(40):
        plan = draw_mimic(np.random.default_rng(seed), tissue, "CT", kinds=(MimicKind.LOOP,))
        assert plan is not None and plan.filling is not None
        assert 6 < min(plan.radii_mm) and max(plan.radii_mm) < 17 and 2 <= plan.filling.wall_mm <= 4
        centres = np.array(plan.centres) * plan.spacing_mm
        gaps = np.linalg.norm(np.diff(centres, axis=0), axis=1)
        assert gaps.max() < 1.6, "balls of a loop lie close together"
        assert gaps.sum() > 1.15 * np.linalg.norm(centres[-1] - centres[0]), "a loop is bent"
        held.append("gas" if plan.filling.contents < 0.1 else "stool" if plan.filling.mottle else "fluid")
    assert set(held) == {"gas", "stool", "fluid"}


def test_a_loop_of_stool_is_mottled_the_same_way_every_time() -> None:
    tissue = np.ones(SHAPE, bool)
    scan = np.full(SHAPE, 0.54, np.float32)
    centres = tuple((20.0, 22.0, float(i)) for i in range(12, 36))
    plan = MimicPlan(
        MimicKind.LOOP, "CT", 2.0, centres, (14.0,) * 24, 0.0, 1.2, Filling(3.0, 0.55, 0.45, mottle=0.1, seed=4)
    )
    changed = apply_mimic(scan, plan, tissue)
    assert changed[18:23, 20:25, 14:34].std() > 0.05
    np.testing.assert_array_equal(changed, apply_mimic(scan, plan, tissue))


def test_bleeds_are_of_5_to_25_mm_and_in_ct_of_50_to_90_hu() -> None:
    tissue = np.ones((40, 40, 40), bool)
    scan = np.full(tissue.shape, 0.3, np.float32)
    hu = IntensityCurve(*COMPACT_CT_CURVE).inverse
    for seed in range(30):
        plan = draw_mimic(np.random.default_rng(seed), tissue, "CT", kinds=(MimicKind.BLEED,))
        assert plan is not None and 50 <= float(hu(np.float32(plan.contrast))) <= 90.01
        ends = [np.array(c) * 2.0 + side * r for c, r in zip(plan.centres, plan.radii_mm) for side in (-1, 1)]
        assert 5 <= 2 * max(plan.radii_mm) and np.ptp(ends, axis=0).max() <= 25
        middle = tuple(int(round(c)) for c in plan.centres[0])
        assert apply_mimic(scan, plan, tissue)[middle] == pytest.approx(plan.contrast, abs=0.06)


@pytest.mark.parametrize("sequence, bright", [("T1", 0.8), ("FLAIR", 0.75), ("T2", 0.25), (None, 0.5)])
def test_bleeds_in_mr_are_bright_or_dark_as_the_sequence_has_them(sequence: str | None, bright: float) -> None:
    _, tissue = host()
    rng = np.random.default_rng(2)
    plans = [draw_mimic(rng, tissue, "MR", kinds=(MimicKind.BLEED,), sequence=sequence) for _ in range(300)]
    assert np.mean([plan is not None and plan.contrast > 0 for plan in plans]) == pytest.approx(bright, abs=0.09)


@pytest.mark.parametrize("kind", [MimicKind.LOOP, MimicKind.BLEED])
def test_lung_holds_neither_bowel_nor_bleeds(kind: MimicKind) -> None:
    lung = np.full(SHAPE, 0.06, np.float32)
    for seed in range(5):
        plan = draw_mimic(np.random.default_rng(seed), np.ones(SHAPE, bool), "CT", kinds=(kind,))
        assert plan is not None
        np.testing.assert_array_equal(apply_mimic(lung, plan, np.ones(SHAPE, bool)), lung)


def drawn_in(modality: str, host_kind: LesionKind | None) -> set[MimicKind]:
    _, tissue = host()
    rng = np.random.default_rng(0)
    plans = [draw_mimic(rng, tissue, modality, host=host_kind) for _ in range(90)]
    return {plan.kind for plan in plans if plan is not None}


def test_every_host_gets_what_belongs_there() -> None:
    everything = set(MimicKind)
    assert drawn_in("CT", LesionKind.SOFT) == drawn_in("MR", LesionKind.SOFT) == drawn_in("CT", None) == everything
    assert drawn_in("CT", LesionKind.LUNG) == everything - {MimicKind.LOOP, MimicKind.BLEED}
    assert drawn_in("MR", LesionKind.BRAIN) == drawn_in("MR", None) == everything - {MimicKind.LOOP}


def test_nothing_is_drawn_without_tissue() -> None:
    assert draw_mimic(np.random.default_rng(0), np.zeros(SHAPE, bool), "CT") is None
