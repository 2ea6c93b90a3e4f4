"""Intervals and tests, held against figures worked out by hand."""

from __future__ import annotations

import pytest

from diffugts.evaluation.statistics import bootstrap_interval, holm, paired_p_value, share_interval


def test_the_bootstrap_interval_holds_the_mean_and_narrows_with_more_cases() -> None:
    few, many = bootstrap_interval([0.4, 0.6] * 3), bootstrap_interval([0.4, 0.6] * 50)
    assert few[0] < 0.5 < few[1]
    assert many[1] - many[0] < few[1] - few[0]


def test_the_bootstrap_interval_is_the_same_every_time_and_a_point_for_one_case() -> None:
    assert bootstrap_interval([0.1, 0.5, 0.9]) == bootstrap_interval([0.1, 0.5, 0.9])
    assert bootstrap_interval([0.3]) == (0.3, 0.3)
    with pytest.raises(ValueError, match="no cases"):
        bootstrap_interval([])


def test_a_share_of_few_cases_is_unsure_and_of_none_unknown() -> None:
    low, high = share_interval(8, 10)
    assert (round(low, 2), round(high, 2)) == (0.49, 0.94), "Wilson's interval of 8 in 10"
    assert share_interval(0, 0) == (0.0, 1.0)


def test_the_paired_test_sees_a_constant_gain_and_no_gain() -> None:
    before = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    after = [0.2, 0.32, 0.44, 0.56, 0.68, 0.8]
    assert paired_p_value(before, after) == pytest.approx(2 / 2**6), "all six signs agree"
    assert paired_p_value(before, before) == 1.0
    with pytest.raises(ValueError, match="paired"):
        paired_p_value(before, after[:3])


def test_holm_corrects_step_by_step_and_keeps_the_order_given() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []
