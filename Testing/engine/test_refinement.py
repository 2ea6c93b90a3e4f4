"""Refinement on small exact cases."""

from __future__ import annotations

import numpy as np
import pytest

from diffugts.refinement import (
    RefinementWeights,
    contrast_to_shell,
    pixel_residual,
    refined_score,
    without_indifferent_regions,
)


@pytest.fixture
def scan() -> np.ndarray:
    return np.random.default_rng(0).normal(0.5, 0.02, (24, 24, 24)).astype(np.float32)


def test_identical_volumes_have_no_residual(scan) -> None:
    assert not pixel_residual(scan, scan).any()


def test_weights_that_pass_the_attention_through_change_no_score(scan) -> None:
    score = np.clip(scan, 0.01, 0.99)
    hole = np.ones_like(score, bool)
    refined = refined_score(score, scan, scan, hole, RefinementWeights())
    assert np.allclose(refined, score, atol=1e-6)
    assert not RefinementWeights().changes_mask


def test_only_the_hole_is_refined(scan) -> None:
    score, hole = np.full_like(scan, 0.4), np.zeros_like(scan, bool)
    hole[8:16] = True
    refined = refined_score(score, np.full_like(scan, 0.2), np.zeros_like(scan), hole, RefinementWeights(pixel=1.0))
    assert np.array_equal(refined[~hole], score[~hole])
    assert (refined[hole] > 0.4).all()


def test_a_larger_residual_never_lowers_the_score_when_its_weight_is_positive() -> None:
    residual = np.linspace(0, 1, 50, dtype=np.float32).reshape(50, 1, 1)
    same = np.full_like(residual, 0.5)
    refined = refined_score(same, residual, np.zeros_like(residual), same > 0, RefinementWeights(pixel=0.7))
    assert (np.diff(refined.ravel()) > 0).all()


def test_a_region_that_differs_stays_and_one_that_does_not_goes(scan) -> None:
    mask = np.zeros_like(scan, bool)
    mask[4:9, 4:9, 4:9] = True
    mask[14:19, 14:19, 14:19] = True
    residual = scan - 0.5
    residual[4:9, 4:9, 4:9] += 0.2
    kept = without_indifferent_regions(mask, residual, 3.0)
    assert kept[6, 6, 6] and not kept[16, 16, 16]
    assert contrast_to_shell(mask & (np.arange(24) < 12), residual) > 3
    assert np.array_equal(without_indifferent_regions(mask, residual, 0.0), mask)
