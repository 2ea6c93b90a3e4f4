"""The time that a cohort will still take, on a clock that the test turns."""

from __future__ import annotations

import pytest

from diffugts.cohort.remaining_time import RemainingTime


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_nothing_is_said_before_anything_is_known() -> None:
    remaining = RemainingTime(10, 1, Clock())
    remaining.began("a")
    remaining.said("a", None)
    assert remaining.seconds() is None


def test_before_the_first_case_is_over_the_workers_word_stands_for_all() -> None:
    clock = Clock()
    remaining = RemainingTime(10, 2, clock)
    remaining.began("a")
    clock.now = 10.0
    remaining.said("a", 30.0)  # 40 s in all
    assert remaining.seconds() == pytest.approx((9 * 40 + 30) / 2)
    clock.now = 20.0  # nothing new was said for 10 s
    assert remaining.seconds() == pytest.approx((9 * 40 + 20) / 2)


def test_cases_that_wait_take_as_long_as_those_that_are_over_and_what_was_done_before_takes_no_time() -> None:
    clock = Clock()
    remaining = RemainingTime(5, 1, clock)
    remaining.ended("done before")
    remaining.began("a")
    clock.now = 60.0
    remaining.ended("a")
    assert remaining.seconds() == pytest.approx(3 * 60)
    remaining.began("b")
    clock.now = 80.0
    assert remaining.seconds() == pytest.approx(2 * 60 + 40)


def test_more_workers_than_cases_that_are_left_do_not_help() -> None:
    clock = Clock()
    remaining = RemainingTime(2, 8, clock)
    remaining.began("a")
    remaining.began("b")
    clock.now = 50.0
    remaining.ended("a")
    remaining.said("b", 25.0)
    assert remaining.seconds() == pytest.approx(25)
    remaining.ended("b")
    assert remaining.seconds() == 0.0
