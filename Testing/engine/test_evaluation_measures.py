"""Measures on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from diffugts.evaluation.measures import centred_ellipsoid, hole_effect, psnr, smooth_fill


def block(low: int, high: int, size: int = 20) -> np.ndarray:
    mask = np.zeros((size,) * 3, bool)
    mask[low:high, low:high, low:high] = True
    return mask


def test_the_ellipsoid_keeps_five_centimetres_from_the_border() -> None:
    mask = centred_ellipsoid((80, 80, 80), (2.0, 2.0, 2.0))
    places = np.argwhere(mask)
    assert places.min() * 2.0 >= 49
    assert mask[40, 40, 40]


def test_the_effect_of_a_hole_is_measured_inside_the_body() -> None:
    scan = np.full((30, 30, 30), 50.0)
    scan[:, :, 20:] = -1000
    tumour = np.zeros_like(scan, bool)
    tumour[10:14, 10:14, 10:14] = True
    scan[tumour] = 120
    healthy = np.where(tumour, 55.0, scan)
    hole = np.zeros_like(tumour)
    hole[8:16, 8:16, 8:18] = True
    body = scan > -500
    effect = hole_effect(scan, healthy, tumour, hole, body)
    assert (effect.before_mean, effect.after_mean, effect.ring_mean) == (120, 55, 50)
    assert effect.nearer


def test_psnr_of_a_known_error() -> None:
    truth = np.zeros((4, 4, 4))
    assert psnr(truth + 0.1, truth, truth == 0) == pytest.approx(20)


def test_a_smooth_fill_of_flat_tissue_is_exact_and_leaves_the_rest() -> None:
    scan = np.full((30, 30, 30), 0.5, np.float32)
    hole, body = block(10, 18, 30), np.ones((30,) * 3, bool)
    spoilt = np.where(hole, np.float32(0.9), scan)
    filled = smooth_fill(spoilt, hole, body)
    assert np.allclose(filled, 0.5, atol=1e-3)
    assert np.array_equal(filled[~hole], spoilt[~hole])
