"""Lesions: what is cut out of a score map, how it is measured, and what the verdict says of it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import pdist

from diffugts.findings.finding import Lesion, Verdict
from diffugts.findings.lesions import (
    LeftOut,
    VerdictRule,
    axial_axis,
    cut,
    finding_mask,
    left_out_in_words,
    longest_axial_diameter_mm,
    measure_lesions,
    verdict,
)
from diffugts.scans.scan import Geometry, Scan
from made_segmentations import AXIAL, SAGITTAL, STRAIGHT, textured_scan
from scan_strategies import geometries

MILLIMETRES = Geometry((6, 6, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), AXIAL)
"""A grid on which a voxel is 0.001 ml."""

NEIGHBOURS = [step for step in itertools.product((-1, 0, 1), repeat=3) if any(step)]


def regions_one_voxel_at_a_time(mask: np.ndarray) -> list[set[tuple[int, ...]]]:
    """Regions of voxels that share a face, an edge or a corner, by walking from neighbour to neighbour."""
    left = {tuple(int(n) for n in place) for place in np.argwhere(mask)}
    regions = []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            place = edge.pop()
            region.add(place)
            for step in NEIGHBOURS:
                neighbour = tuple(a + b for a, b in zip(place, step))
                if neighbour in left:
                    left.remove(neighbour)
                    edge.append(neighbour)
        regions.append(region)
    return regions


def scan_on(geometry: Geometry) -> Scan:
    return Scan(np.zeros(geometry.shape, np.float32), geometry, "CT")


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float32, (5, 6, 4), elements=st.sampled_from([0.0, 0.3, 0.5, 0.7])),
    st.sampled_from([0.2, 0.5, 0.6]),
    st.sampled_from([0.0, 0.001, 0.003, 0.010]),
)
def test_a_cut_is_what_a_walk_from_voxel_to_voxel_finds(scores: np.ndarray, threshold: float, smallest: float) -> None:
    geometry = Geometry((4, 6, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), AXIAL)
    expected = np.zeros(scores.shape, bool)
    for region in regions_one_voxel_at_a_time(scores > threshold):
        if len(region) >= round(smallest * 1000):
            for place in region:
                expected[place] = True
    np.testing.assert_array_equal(cut(scores, threshold, smallest, geometry), expected)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(bool, (5, 6, 4)))
def test_lesions_are_the_regions_that_share_at_least_a_corner(mask: np.ndarray) -> None:
    geometry = Geometry((4, 6, 5), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), AXIAL)
    lesions = measure_lesions(mask, mask.astype(np.float32), scan_on(geometry))
    sizes = sorted(len(region) for region in regions_one_voxel_at_a_time(mask))
    assert sorted(round(lesion.volume_ml * 1000) for lesion in lesions) == sizes
    assert [lesion.label for lesion in lesions] == list(range(1, len(lesions) + 1))


def test_a_cut_takes_scores_above_the_threshold_not_at_it() -> None:
    scores = np.zeros((6, 6, 6), np.float32)
    scores[1, 1, 1:3] = 0.5, 0.6
    assert np.argwhere(cut(scores, 0.5, 0.0, MILLIMETRES)).tolist() == [[1, 1, 2]]
    assert not cut(np.full((6, 6, 6), np.nan, np.float32), 0.5, 0.0, MILLIMETRES).any()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 200), st.tuples(*[st.floats(0.3, 3.0)] * 3))
def test_a_lesion_of_exactly_the_smallest_volume_is_kept_and_a_voxel_less_is_dropped(
    voxels: int, spacing: tuple[float, float, float]
) -> None:
    geometry = Geometry((200, 1, 1), spacing, (0.0, 0.0, 0.0), AXIAL)
    scores = np.zeros((1, 1, 200), np.float32)
    scores[0, 0, :voxels] = 1
    volume_ml = voxels * spacing[0] * spacing[1] * spacing[2] / 1000
    assert cut(scores, 0.5, volume_ml, geometry).sum() == voxels
    assert cut(scores, 0.5, volume_ml * (1 + 0.5 / voxels), geometry).sum() == 0


def test_a_cut_leaves_the_score_map_as_it_was() -> None:
    scores = np.zeros((6, 6, 6), np.float32)
    scores[0, 0, 0] = 1
    before = scores.copy()
    assert not cut(scores, 0.5, 0.1, MILLIMETRES).any()
    np.testing.assert_array_equal(scores, before)


@settings(max_examples=40, deadline=None)
@given(geometries(least=6, most=9), st.data())
def test_volume_and_centroid_are_those_of_the_box_on_any_grid(geometry: Geometry, data: st.DataObject) -> None:
    low = [data.draw(st.integers(0, n - 2)) for n in geometry.shape]
    high = [data.draw(st.integers(a + 1, n)) for a, n in zip(low, geometry.shape)]
    mask = np.zeros(geometry.shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high))] = True
    (lesion,) = measure_lesions(mask, mask.astype(np.float32), scan_on(geometry))
    voxels = math.prod(b - a for a, b in zip(low, high))
    assert lesion.volume_ml == pytest.approx(voxels * math.prod(geometry.spacing_mm) / 1000)
    middle_ijk = [(a + b - 1) / 2 for a, b in zip(low, high)][::-1]
    x, y, z = geometry.image(mask).TransformContinuousIndexToPhysicalPoint(middle_ijk)
    np.testing.assert_allclose(lesion.centroid_ras_mm, (-x, -y, z), atol=1e-6)


def test_a_lesion_is_measured_by_hand_on_an_anisotropic_grid() -> None:
    scan = textured_scan(STRAIGHT)
    mask = np.zeros(STRAIGHT.shape, bool)
    mask[2:5, 4:8, 6:9] = True
    scores = np.zeros(STRAIGHT.shape, np.float32)
    scores[mask] = 0.6
    scores[3, 5, 7] = 0.96
    (lesion,) = measure_lesions(mask, scores, scan)
    assert lesion.volume_ml == pytest.approx(36 * 12.0 / 1000)
    # Voxel (i 7, j 5.5, k 3): LPS (-40 + 10.5, 25.5 + 11, 300.25 + 12).
    assert lesion.centroid_ras_mm == pytest.approx((29.5, -36.5, 312.25))
    # Four rows of 2 mm and three columns of 1.5 mm, from centre to centre, and one voxel (1.75 mm in the mean).
    assert lesion.longest_axial_diameter_mm == pytest.approx(math.hypot(6.0, 3.0) + 1.75)
    assert lesion.mean_intensity == pytest.approx(scan.voxels[mask].mean(dtype=float), rel=1e-5)
    assert lesion.mean_score == pytest.approx(0.61, abs=1e-5) and lesion.highest_score == pytest.approx(0.96)


def test_a_disc_has_its_diameter() -> None:
    geometry = Geometry((21, 21, 3), (0.8, 0.8, 5.0), (0.0, 0.0, 0.0), AXIAL)
    j, i = np.ogrid[-10:11, -10:11]
    region = np.zeros(geometry.shape, bool)
    region[1] = j**2 + i**2 <= 8**2
    assert longest_axial_diameter_mm(region, geometry) == pytest.approx(17 * 0.8)


def test_a_single_voxel_is_one_voxel_wide() -> None:
    region = np.ones((1, 1, 1), bool)
    geometry = Geometry((1, 1, 1), (1.0, 2.0, 5.0), (0.0, 0.0, 0.0), AXIAL)
    assert longest_axial_diameter_mm(region, geometry) == pytest.approx(1.5)


def test_a_line_of_voxels_is_as_long_as_it_is() -> None:
    geometry = Geometry((9, 9, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), AXIAL)
    assert longest_axial_diameter_mm(np.eye(9, dtype=bool)[None], geometry) == pytest.approx(8 * math.sqrt(2) + 1)


@settings(max_examples=40, deadline=None)
@given(hnp.arrays(bool, (3, 7, 6), elements=st.booleans()), st.tuples(*[st.floats(0.4, 4.0)] * 3))
def test_the_diameter_is_the_largest_distance_of_any_two_voxels_in_a_slice(
    region: np.ndarray, spacing: tuple[float, float, float]
) -> None:
    geometry = Geometry((6, 7, 3), spacing, (0.0, 0.0, 0.0), AXIAL)
    longest = max(
        (pdist(np.argwhere(section) * spacing[1::-1]).max() for section in region if section.sum() > 1), default=0.0
    )
    expected = longest + (spacing[0] + spacing[1]) / 2
    assert longest_axial_diameter_mm(region, geometry) == pytest.approx(expected)


def test_the_axial_plane_is_the_patients_whatever_the_acquisition() -> None:
    coronal = (1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, -1.0, 0.0)
    across = (0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0)
    tilted = (1.0, 0.0, 0.0, 0.0, 0.9, 0.436, 0.0, -0.436, 0.9)
    spacing, size = (1.0, 2.0, 3.0), (4, 5, 6)
    planes = [axial_axis(Geometry(size, spacing, (0, 0, 0), d)) for d in (AXIAL, SAGITTAL, coronal, across, tilted)]
    assert planes == [0, 1, 1, 2, 0]


def test_a_rod_along_the_body_is_thin_in_a_sagittal_scan_too() -> None:
    geometry = Geometry((4, 9, 3), (0.5, 0.5, 3.0), (0.0, 0.0, 0.0), SAGITTAL)
    along_the_body = np.zeros(geometry.shape, bool)
    along_the_body[1, :, 2] = True
    assert longest_axial_diameter_mm(along_the_body, geometry) == pytest.approx((0.5 + 3.0) / 2)
    across_the_body = np.zeros(geometry.shape, bool)
    across_the_body[:, 4, 2] = True
    assert longest_axial_diameter_mm(across_the_body, geometry) == pytest.approx(6.0 + 1.75)


def test_lesions_come_highest_score_first_then_largest() -> None:
    mask, scores = np.zeros((12, 16, 20), bool), np.zeros((12, 16, 20), np.float32)
    for place, score in (((1, 1, slice(0, 2)), 0.6), ((4, 4, slice(0, 1)), 0.9), ((8, 8, slice(0, 4)), 0.6)):
        mask[place], scores[place] = True, score
    lesions = measure_lesions(mask, scores, textured_scan(STRAIGHT))
    assert [(lesion.label, round(lesion.highest_score, 2)) for lesion in lesions] == [(1, 0.9), (2, 0.6), (3, 0.6)]
    assert lesions[1].volume_ml == pytest.approx(2 * lesions[2].volume_ml)


def test_an_empty_mask_has_no_lesions() -> None:
    nothing = np.zeros(STRAIGHT.shape, bool)
    assert measure_lesions(nothing, nothing.astype(np.float32), textured_scan(STRAIGHT)) == []


def lesion(highest_score: float) -> Lesion:
    return Lesion(1, 2.5, 12.0, (0.0, 0.0, 0.0), 40.0, highest_score, highest_score)


def scores_up_to(highest: float) -> np.ndarray:
    scores = np.zeros((2, 2, 2), np.float32)
    scores[0, 0, 0] = highest
    return scores


RULE = VerdictRule(threshold=0.5, uncertain_margin=0.15)


@pytest.mark.parametrize(
    "highest, lesions, anomaly_score, expected, sentence",
    [
        (
            0.31,
            [],
            0.9,
            Verdict.NOT_FOUND,
            "Nothing above 0.50 for 'renal cell carcinoma'; highest score 0.31.",
        ),
        (
            0.42,
            [],
            0.9,
            Verdict.UNCERTAIN,
            "Nothing above 0.50 for 'renal cell carcinoma', but close to it: highest score 0.42. Look at the map.",
        ),
        (
            0.93,
            [],
            0.9,
            Verdict.UNCERTAIN,
            "Only specks smaller than the smallest lesion lie above 0.50 for 'renal cell carcinoma'; highest score 0.93.",
        ),
        (
            0.93,
            [lesion(0.93)],
            0.21,
            Verdict.UNCERTAIN,
            "Uncertain: regions lie above 0.50, but the scan as a whole speaks against 'renal cell carcinoma' (anomaly score 0.21).",
        ),
        (
            0.57,
            [lesion(0.57)],
            0.9,
            Verdict.UNCERTAIN,
            "Uncertain: the highest score, 0.57, is only just above 0.50.",
        ),
        (0.93, [lesion(0.57), lesion(0.93)], 0.9, Verdict.FOUND, None),
    ],
)
def test_the_verdict_says_why(
    highest: float, lesions: list[Lesion], anomaly_score: float, expected: Verdict, sentence: str | None
) -> None:
    decision, notes = verdict("renal cell carcinoma", scores_up_to(highest), lesions, anomaly_score, RULE)
    assert decision is expected and notes == ([sentence] if sentence else [])


MEASURED = VerdictRule(threshold=0.5, uncertain_range=(0.2, 0.8))


@pytest.mark.parametrize(
    "highest, lesions, expected, sentence",
    [
        (0.19, [], Verdict.NOT_FOUND, "Nothing above 0.50 for 'cyst'; highest score 0.19."),
        (
            0.21,
            [],
            Verdict.UNCERTAIN,
            "Nothing above 0.50 for 'cyst', but scans with a tumour may score as low: highest score 0.21. Look at the map.",
        ),
        (
            0.79,
            [lesion(0.79)],
            Verdict.UNCERTAIN,
            "Uncertain: the highest score, 0.79, is below 0.80; scans without a tumour reach as much.",
        ),
        (0.81, [lesion(0.81)], Verdict.FOUND, None),
    ],
)
def test_uncertain_scores_are_those_that_were_measured(
    highest: float, lesions: list[Lesion], expected: Verdict, sentence: str | None
) -> None:
    assert verdict("cyst", scores_up_to(highest), lesions, 0.9, MEASURED) == (expected, [sentence] if sentence else [])


def test_a_user_s_own_threshold_cuts_and_does_not_make_a_score_more_believable() -> None:
    low = VerdictRule(threshold=0.1, uncertain_range=(0.2, 0.8))
    assert verdict("cyst", scores_up_to(0.6), [lesion(0.6)], 0.9, low)[0] is Verdict.UNCERTAIN
    high = VerdictRule(threshold=0.9, uncertain_range=(0.2, 0.8))
    assert verdict("cyst", scores_up_to(0.6), [], 0.9, high)[0] is Verdict.UNCERTAIN


def test_a_speck_that_was_dropped_makes_no_lesion_certain() -> None:
    decision, notes = verdict("cyst", scores_up_to(0.97), [lesion(0.55)], 0.9, RULE)
    assert decision is Verdict.UNCERTAIN and "0.55" in notes[0]


def test_with_a_threshold_near_one_something_can_still_be_found() -> None:
    rule = VerdictRule(threshold=0.95, uncertain_margin=0.15)
    assert verdict("cyst", scores_up_to(1.0), [lesion(1.0)], 0.9, rule) == (Verdict.FOUND, [])


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.sampled_from([None, (0.2, 0.8)]))
def test_a_higher_score_never_makes_a_finding_less_certain(
    threshold: float, lower: float, higher: float, measured
) -> None:
    rule, order = (
        VerdictRule(threshold, uncertain_range=measured),
        (Verdict.NOT_FOUND, Verdict.UNCERTAIN, Verdict.FOUND),
    )
    lower, higher = sorted((lower, higher))
    ranks = [
        order.index(verdict("cyst", scores_up_to(s), [lesion(s)] if s > threshold else [], 0.9, rule)[0])
        for s in (lower, higher)
    ]
    assert ranks[0] <= ranks[1]


# -- what would be uncertain alone -------------------------------------------------------------------------------------

CUBE = Geometry((40, 8, 8), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), AXIAL)
CAREFUL = VerdictRule(0.3, uncertain_range=(0.2, 0.5), certain_alone=True)


def four_regions(*peaks: float) -> np.ndarray:
    """Regions of 27 voxels at 0.4, each with one voxel at its peak."""
    scores = np.full((8, 8, 40), 0.1, np.float32)
    for number, peak in enumerate(peaks):
        scores[2:5, 2:5, 10 * number + 2 : 10 * number + 5] = min(peak, 0.4)
        scores[3, 3, 10 * number + 3] = peak
    return scores


def test_beside_a_certain_region_those_that_are_not_are_left_out_and_a_lower_threshold_brings_them_back() -> None:
    scores = four_regions(0.9, 0.45, 0.5, 0.42)
    before = scores.copy()
    mask, shown, left_out = finding_mask(scores, CAREFUL, 0.0, CUBE)
    assert left_out == LeftOut(2, pytest.approx(0.45))
    assert mask[3, 3, 3] and mask[3, 3, 23]
    assert not mask[:, :, 10:20].any() and not mask[:, :, 30:].any()
    assert np.array_equal(cut(shown, 0.3, 0.0, CUBE), mask), "the same mask is cut from the map that is shown"
    assert np.array_equal(cut(shown, 0.29, 0.0, CUBE), before > 0.3)
    assert np.array_equal(scores, before) and np.array_equal(shown[mask], scores[mask])
    assert "2 more regions lie above 0.30" in left_out_in_words(left_out, 0.3)
    assert "0.45" in left_out_in_words(left_out, 0.3)


@pytest.mark.parametrize("peaks", [(0.45, 0.4), (0.45,), (0.9,), (0.9, 0.5)], ids=str)
def test_where_none_or_all_are_certain_all_stay(peaks: tuple[float, ...]) -> None:
    scores = four_regions(*peaks)
    mask, shown, left_out = finding_mask(scores, CAREFUL, 0.0, CUBE)
    assert left_out is None and shown is scores and np.array_equal(mask, scores > 0.3)


def test_a_certain_speck_leaves_nothing_out() -> None:
    scores = four_regions(0.45, 0.4)
    scores[6, 6, 20] = 0.9
    mask, _shown, left_out = finding_mask(scores, CAREFUL, 2 * CUBE.voxel_ml, CUBE)
    assert left_out is None and mask.sum() == 54


def test_one_region_left_out_is_said_in_the_singular() -> None:
    assert left_out_in_words(LeftOut(1, 0.444), 0.31) == (
        "One more region lies above 0.31, but alone it would be uncertain (highest score 0.44): it is left out. "
        "A lower threshold shows it."
    )
