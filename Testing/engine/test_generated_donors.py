"""Real tumours as donors: a lesion that takes after one has its shape and texture, and the look drawn for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from diffugts.evaluation.overlap import dice
from diffugts.generated.donors import Donor, donor_of
from diffugts.generated.fields import smooth_noise
from diffugts.generated.lesion_looks import LesionKind, LesionLook
from diffugts.generated.lesions import LesionPlan, apply_lesion, draw_lesion

SHAPE = (56, 60, 64)
MIDDLE = (28, 30, 32)
LOOK = LesionLook(contrast=-0.1, flattening=1.0, edge_mm=1.0, lobulation=0.1, roughness=0.05)


def marked_scan(modality: str = "CT", scale: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """A tumour of two joined balls with a texture of its own in quiet tissue, and a speck beside it; and the marks."""
    k, j, i = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    tumour = (k - 28) ** 2 + (j - 26) ** 2 + (i - 28) ** 2 < 10**2
    tumour |= (k - 28) ** 2 + (j - 36) ** 2 + (i - 38) ** 2 < 7**2
    texture = smooth_noise(np.random.default_rng(1), SHAPE, 4.0)
    scan = np.where(tumour, 0.5 + 0.03 * texture, 0.2).astype(np.float32) * np.float32(scale)
    marks = tumour.copy()
    marks[2:4, 2:4, 2:4] = True
    return scan, marks


def plan_of(donor: Donor, modality: str, kind: LesionKind = LesionKind.SOFT, look: LesionLook = LOOK) -> LesionPlan:
    """The donor as it is, its centre of gravity in the middle of the host."""
    radii = (donor.radius_voxels * 2.0,) * 3
    return LesionPlan(kind, modality, 2.0, MIDDLE, radii, (0.0, 0.0, 0.0, 1.0), look, seed=3, donor=donor)


def moved(array: np.ndarray, donor: Donor, marks: np.ndarray) -> np.ndarray:
    """A marked scan's array moved so that the tumour's centre lies where `plan_of` puts it."""
    largest = ndimage.label(marks)[0]
    largest = largest == np.bincount(largest.ravel())[1:].argmax() + 1
    shift = np.array(MIDDLE) - ndimage.center_of_mass(largest)
    return ndimage.shift(array.astype(np.float32), shift, order=1, mode="nearest")


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_a_lesion_takes_the_shape_and_the_texture_of_its_donor(modality: str) -> None:
    scan, marks = marked_scan(modality)
    donor = donor_of(scan, marks, modality)
    assert donor is not None
    host = np.full(SHAPE, 0.55, np.float32)
    changed, mask = apply_lesion(host, plan_of(donor, modality), np.ones(SHAPE, bool))
    there = moved(marks & (scan > 0.3), donor, marks) > 0.5
    assert dice(mask, there) > 0.9
    inner = ndimage.binary_erosion(mask & there, iterations=2)
    assert np.corrcoef(changed[inner], moved(scan, donor, marks)[inner])[0, 1] > 0.9
    level = 0.55 - 0.1 if modality == "CT" else 0.55 * 0.9  # the contrast is the look's, not the donor's
    assert abs(float(np.median(changed[inner])) - level) < 0.02


def test_the_texture_of_a_dim_mr_is_taken_as_a_share_of_its_brightness() -> None:
    bright, dim = (donor_of(*marked_scan("MR", scale), "MR") for scale in (1.0, 0.4))
    assert bright is not None and dim is not None
    assert abs(bright.spread - dim.spread) < 0.01


def test_nothing_changes_beyond_the_reach_of_a_long_donor() -> None:
    scan, marks = np.full(SHAPE, 0.3, np.float32), np.zeros(SHAPE, bool)
    marks[25:31, 27:33, 4:60] = True
    donor = donor_of(scan, marks, "CT")
    assert donor is not None and donor.reach > 2
    host = np.full(SHAPE, 0.55, np.float32)
    plan = plan_of(donor, "CT")
    changed, mask = apply_lesion(host, plan, np.ones(SHAPE, bool))
    k, j, i = np.ogrid[tuple(slice(0, n) for n in SHAPE)]
    distance = 2.0 * np.sqrt((k - MIDDLE[0]) ** 2 + (j - MIDDLE[1]) ** 2 + (i - MIDDLE[2]) ** 2)
    assert np.array_equal(changed[distance > plan.reach_mm], host[distance > plan.reach_mm])
    assert mask.any(axis=(0, 1)).sum() > 45  # all of it is there, though it is far longer than its radius says


def test_the_largest_piece_is_the_donor_and_a_speck_is_none() -> None:
    scan, marks = marked_scan()
    whole, without_speck = donor_of(scan, marks, "CT"), donor_of(scan, marks & (scan > 0.3), "CT")
    assert whole is not None and without_speck is not None
    assert whole.radius_voxels == without_speck.radius_voxels
    speck = np.zeros(SHAPE, bool)
    speck[2:4, 2:4, 2:4] = True
    assert donor_of(scan, speck, "CT") is None
    assert donor_of(scan, np.zeros(SHAPE, bool), "CT") is None


def test_a_tumour_that_the_scan_cuts_off_ends_there() -> None:
    scan, marks = np.full(SHAPE, 0.3, np.float32), np.zeros(SHAPE, bool)
    marks[:20, 20:40, 20:40] = True
    donor = donor_of(scan, marks, "CT")
    assert donor is not None
    assert (donor.depth[0] < 0).all()


def test_what_is_drawn_with_a_donor_keeps_its_radius_and_turns() -> None:
    scan, marks = marked_scan()
    donor = donor_of(scan, marks, "CT")
    tissue = np.zeros(SHAPE, bool)
    tissue[4:-4, 4:-4, 4:-4] = True
    host = np.where(tissue, 0.55, 0.01).astype(np.float32)
    rng = np.random.default_rng(4)
    plans = [draw_lesion(rng, tissue, "CT", LesionKind.SOFT, radius_mm=(14.0, 20.0), donor=donor) for _ in range(6)]
    assert len({plan.rotation for plan in plans if plan}) == 6
    for plan in plans:
        assert plan is not None and plan.donor is donor
        open_host = replace(plan, centre=MIDDLE)
        mask = apply_lesion(host, open_host, tissue)[1]
        volume = 4 / 3 * np.pi * (plan.radius_mm / 2.0) ** 3
        assert 0.75 < mask.sum() / volume < 1.25
