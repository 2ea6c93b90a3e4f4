"""The bound of the anomaly score, from scores whose kind is known."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.training.calibration import HIGHEST_BOUND, LOWEST_BOUND, least_anomaly_score

scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


def test_where_the_two_kinds_part_the_bound_lies_between_them() -> None:
    assert least_anomaly_score([0.9] * 10, [0.4] * 10) == pytest.approx(0.65)


def test_where_they_overlap_found_stays_believable() -> None:
    absent = [n / 20 for n in range(20)]
    bound = least_anomaly_score([0.2, 0.5, 0.9, 0.95], absent)
    assert sum(score >= bound for score in absent) <= 2


@given(scores, scores)
def test_one_scan_in_ten_without_a_tumour_reaches_it_at_most_unless_no_bound_may_be_that_high(present, absent) -> None:
    bound = least_anomaly_score(present, absent)
    assert LOWEST_BOUND <= bound <= HIGHEST_BOUND
    above = sum(score > bound + 0.005 for score in absent)
    assert above <= 0.1 * (len(absent) - 1) + 1 or bound == HIGHEST_BOUND


def test_a_bound_needs_both_kinds() -> None:
    with pytest.raises(ValueError, match="needs scans"):
        least_anomaly_score([], [0.5])
