"""What a training crop goes through: scan and masks alike, air stays air, the same seed draws the same."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from diffugts.training.augmentation import AIR, as_another_scanner_sees, turned_and_mirrored


@pytest.fixture(scope="module")
def crop() -> np.ndarray:
    """A smooth body off the middle, in air."""
    k, j, i = np.ogrid[:32, :32, :32]
    return np.clip(1.2 - (((k - 14) / 12) ** 2 + ((j - 17) / 11) ** 2 + ((i - 13) / 9) ** 2), 0, 1).astype(np.float32)


def test_masks_go_where_the_scan_goes(crop: np.ndarray) -> None:
    rng, moved = np.random.default_rng(0), 0
    for _ in range(12):
        scan, body, core = turned_and_mirrored(rng, crop, crop > 0.3, crop > 0.8)
        assert scan.shape == body.shape == core.shape and body.dtype == bool and scan.dtype == np.float32
        for mask, level in ((body, 0.3), (core, 0.8)):
            cut = scan > level
            assert 2 * (mask & cut).sum() > 0.95 * (mask.sum() + cut.sum())
        moved += not np.array_equal(scan, crop)
    assert moved > 6


def test_every_side_may_become_the_other(crop: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    ways = [axes for count in range(4) for axes in combinations(range(3), count)]
    mirrored = np.stack([np.flip(crop, axes).ravel() for axes in ways])
    seen = [ways[int((mirrored @ turned_and_mirrored(rng, crop)[0].ravel()).argmax())] for _ in range(80)]
    shares = [np.mean([axis in axes for axes in seen]) for axis in range(3)]
    assert 0.05 < min(shares[:2]) <= max(shares[:2]) < 0.3 < shares[2] < 0.7


@pytest.mark.parametrize(("modality", "ceiling", "most"), [("CT", 1.3, 0.04), ("MR", 1.3, 0.5), ("MR", 1.0, 0.5)])
def test_another_scanner_sees_the_same_body_and_the_same_air(
    crop: np.ndarray, modality: str, ceiling: float, most: float
) -> None:
    rng, air = np.random.default_rng(2), crop <= AIR
    for _ in range(20):
        seen = as_another_scanner_sees(crop, modality, rng, ceiling)
        assert seen.dtype == np.float32 and 0 <= seen.min() and seen.max() <= min(ceiling, 1.3)
        assert np.array_equal(seen[air], crop[air])
        assert 0 < np.abs(seen - crop).max() < most + 0.1
        assert np.corrcoef(seen[~air], crop[~air])[0, 1] > 0.9


def test_the_same_seed_draws_the_same(crop: np.ndarray) -> None:
    def drawn(seed: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        return [as_another_scanner_sees(*turned_and_mirrored(rng, crop), "MR", rng) for _ in range(4)]

    assert all(np.array_equal(a, b) for a, b in zip(drawn(3), drawn(3)))
    assert not all(np.array_equal(a, b) for a, b in zip(drawn(3), drawn(4)))
