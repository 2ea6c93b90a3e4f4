"""Draws beside the training: the same with the same seed, different in every process, and a fault is not swallowed."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import numpy as np
import pytest

from diffugts.training.draws import draws


def numbers(seed: int) -> Callable[[], np.ndarray]:
    rng = np.random.default_rng(seed)
    return lambda: rng.integers(1 << 30, size=3)


def failing(seed: int) -> Callable[[], np.ndarray]:
    def draw() -> np.ndarray:
        raise ValueError(f"nothing to draw for seed {seed}")

    return draw


def drawn(processes: int, seed: int, count: int = 6) -> list[list[int]]:
    return [array.tolist() for array in islice(draws(numbers, seed, processes), count)]


@pytest.mark.parametrize("processes", [0, 2])
def test_the_same_seed_gives_the_same_draws(processes: int) -> None:
    assert drawn(processes, 5) == drawn(processes, 5) != drawn(processes, 6)


def test_every_process_draws_something_else_and_all_take_turns() -> None:
    both = drawn(2, 5)
    assert len({tuple(values) for values in both}) == len(both)
    assert both[0::2] != both[1::2]


def test_what_is_drawn_stays_an_array() -> None:
    assert isinstance(next(draws(numbers, 5, 1)), np.ndarray)


@pytest.mark.parametrize("processes", [0, 1])
def test_a_fault_is_raised_where_the_draw_is_asked_for(processes: int) -> None:
    with pytest.raises(ValueError, match="nothing to draw for seed"):
        next(draws(failing, 5, processes))
