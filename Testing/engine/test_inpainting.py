"""Inpainting on small exact cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

import made_datasets as made
from diffugts.foundation.autoencoder import CELL
from diffugts.foundation.decoding import decode_box
from diffugts.inpainting import (
    PAINTED_MARGIN_VOXELS,
    blended,
    decoded_box,
    decoded_parts,
    hole_cells,
    inpaint,
    painted_voxels,
    pasted,
)
from small_model import small_pipeline

SHAPE = (28, 24, 32)


@pytest.fixture(scope="module")
def pipeline():
    return small_pipeline()


@pytest.fixture
def latents() -> torch.Tensor:
    return torch.randn(1, 4, *SHAPE, generator=torch.Generator().manual_seed(3))


def a_hole() -> np.ndarray:
    hole = np.zeros(SHAPE, bool)
    hole[10:14, 9:12, 20:25] = True
    return hole


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_known_latents_stay_bit_equal_outside_the_hole(pipeline, latents, steps) -> None:
    hole = a_hole()
    result = inpaint(pipeline.denoiser, pipeline.scheduler, latents, hole, 1, steps, 0.5, [0, 1])
    for number in range(2):
        whole = pasted(latents, result, number)
        assert torch.equal(whole[0][:, ~hole], latents[0][:, ~hole])
        assert not torch.equal(whole[0][:, hole], latents[0][:, hole])


def test_no_hole_gives_the_latents_back(pipeline, latents) -> None:
    result = inpaint(pipeline.denoiser, pipeline.scheduler, latents, np.zeros(SHAPE, bool), 1, 3, 0.5, [0])
    assert torch.equal(pasted(latents, result, 0), latents)


def test_the_same_seed_gives_the_same_tissue_and_another_seed_another(pipeline, latents) -> None:
    def fill(seeds):
        return inpaint(pipeline.denoiser, pipeline.scheduler, latents, a_hole(), 1, 2, 0.5, seeds).latents

    assert torch.equal(fill([5]), fill([5]))
    assert not torch.equal(fill([5]), fill([6]))


def test_seeds_drawn_together_equal_seeds_drawn_alone(pipeline, latents) -> None:
    together = inpaint(pipeline.denoiser, pipeline.scheduler, latents, a_hole(), 1, 2, 0.5, [5, 6]).latents
    alone = inpaint(pipeline.denoiser, pipeline.scheduler, latents, a_hole(), 1, 2, 0.5, [6]).latents
    assert torch.allclose(together[1], alone[0], atol=0.05)


def test_what_was_in_the_hole_has_no_influence(pipeline, latents) -> None:
    """The tumour itself must not leak into the tissue that replaces it."""
    hole = a_hole()
    other = latents.clone()
    other[0][:, torch.from_numpy(hole)] += 3.0
    fills = [inpaint(pipeline.denoiser, pipeline.scheduler, z, hole, 1, 3, 0.5, [0]).latents for z in (latents, other)]
    assert torch.equal(fills[0], fills[1])


def test_the_hole_covers_every_cell_the_mask_touches_and_stays_inside_the_body() -> None:
    mask = np.zeros((40, 40, 40), bool)
    mask[17, 17, 17] = True
    body = np.ones_like(mask)
    assert hole_cells(mask, (10, 10, 10), 0, body).sum() == 1
    assert hole_cells(mask, (10, 10, 10), 0, body)[4, 4, 4]
    assert hole_cells(mask, (10, 10, 10), 1, body).sum() > 7
    body[:, :, 20:] = False
    assert not hole_cells(mask, (10, 10, 10), 2, body)[:, :, 5:].any()


@pytest.mark.parametrize("dilation", [0, 1, 2])
def test_only_cells_around_the_mask_are_looked_at_and_the_hole_is_that_of_the_whole_scan(dilation: int) -> None:
    generator = np.random.default_rng(3)
    shape, cells = (38, 45, 51), (10, 12, 13)
    mask = np.zeros(shape, bool)
    mask[21:38, 2:9, 30:51] = generator.random((17, 7, 21)) < 0.02
    inside = ndimage.gaussian_filter(generator.random(shape), 3) > 0.5

    def of_whole_cells(array: np.ndarray) -> np.ndarray:
        filled = np.pad(array, [(0, 4 * n - a) for n, a in zip(cells, shape)]).astype(float)
        return filled.reshape(10, 4, 12, 4, 13, 4)

    expected = of_whole_cells(mask).max((1, 3, 5)) > 0
    if dilation:
        expected = ndimage.binary_dilation(expected, ndimage.generate_binary_structure(3, 2), dilation)
    expected &= of_whole_cells(inside).mean((1, 3, 5)) > 0.5
    assert expected.any() and np.array_equal(hole_cells(mask, cells, dilation, inside), expected)
    assert not hole_cells(np.zeros(shape, bool), cells, dilation, inside).any()


def test_a_box_decodes_as_the_whole_scan_does(pipeline, latents) -> None:
    box = (slice(8, 18), slice(6, 16), slice(12, 28))
    part = decode_box(pipeline.autoencoder, latents, box)
    whole = decode_box(pipeline.autoencoder, latents, tuple(slice(0, n) for n in SHAPE))
    inside = whole[32:72, 24:64, 48:112]
    assert part.shape == inside.shape
    assert np.abs(part - inside).max() < 0.02 * np.abs(inside).max()


def test_what_is_painted_is_the_mask_with_a_margin_within_the_hole() -> None:
    mask = np.zeros((39, 40, 41), bool)
    mask[14:22, 18, 12:30] = True
    mask[38, 39, 37] = True
    hole = hole_cells(mask, (10, 10, 11), 1, np.ones_like(mask))
    wide = hole.repeat(CELL, 0).repeat(CELL, 1).repeat(CELL, 2)[:39, :40, :41]
    painted = painted_voxels(mask, hole)
    assert np.array_equal(painted, ndimage.binary_dilation(mask, iterations=PAINTED_MARGIN_VOXELS) & wide)
    assert painted[mask & wide].all() and wide.sum() > 2 * painted.sum() > 2 * mask.sum()
    assert not painted_voxels(mask, np.zeros_like(hole)).any()
    assert not painted_voxels(np.zeros_like(mask), hole).any()


def test_blending_changes_nothing_away_from_what_is_painted() -> None:
    scan = np.random.default_rng(0).random((40, 40, 40)).astype(np.float32)
    painted = np.zeros((40, 40, 40), bool)
    painted[16:24, 16:24, 16:24] = True
    box = (slice(2, 8),) * 3
    result = blended(scan, np.full((24, 24, 24), 0.5, np.float32), box, painted)
    assert np.array_equal(result[:8], scan[:8])
    assert np.abs(result[20, 20, 20] - 0.5) < 1e-3


def test_far_apart_pieces_are_decoded_by_themselves_and_close_ones_together() -> None:
    hole = np.zeros((40, 40, 40), bool)
    hole[4:7, 4:7, 4:7] = hole[9:11, 4:7, 4:7] = True
    hole[30:34, 30:34, 30:34] = True
    first, last = sorted(decoded_parts(hole, 3), key=lambda box: box[0].start)
    assert first == (slice(2, 13), slice(2, 9), slice(2, 9))
    assert last == (slice(28, 36), slice(28, 36), slice(28, 36))
    assert decoded_parts(hole, 100) == [decoded_box(hole)]  # halos that large cost more than what lies between


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 6), st.integers(0, 6))
def test_the_parts_hold_all_that_the_whole_box_was_decoded_for(seed: int, count: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    hole = np.zeros((24, 20, 28), bool)
    for _ in range(count):
        k, j, i = (int(rng.integers(0, n - 4)) for n in hole.shape)
        hole[k : k + 4, j : j + 3, i : i + 2] = True
    parts, within = decoded_parts(hole, reach), decoded_box(hole)
    covered = np.zeros_like(hole)
    for part in parts:
        assert all(w.start <= p.start and p.stop <= w.stop for p, w in zip(part, within, strict=True))
        covered[part] = True
    needed = ndimage.binary_dilation(hole, np.ones((5, 5, 5)))
    assert not (needed & ~covered).any()


def test_nothing_changes_where_far_apart_findings_are_decoded_by_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline = small_pipeline()
    encoded = pipeline.encode(made.thigh()[0])
    hole = np.zeros(encoded.latents.shape[2:], bool)
    hole[:2, :2, :2] = hole[-2:, -2:, -2:] = True
    asked: list[int] = []
    usual = decoded_parts

    def watched(*given: Any) -> list:
        asked.append(len(usual(*given)))
        return usual(*given)

    monkeypatch.setattr("diffugts.pipeline.decoded_parts", lambda hole, reach: watched(hole, 0))
    apart = pipeline.inpaint(encoded, hole, 1)
    monkeypatch.setattr("diffugts.pipeline.decoded_parts", lambda hole, reach: [decoded_box(hole)])
    together = pipeline.inpaint(encoded, hole, 1)
    assert asked == [2]
    assert np.abs(apart.intensities - together.intensities).max() < 5e-3
    assert np.abs(apart.pixel_residual - together.pixel_residual)[apart.hole].max() < 5e-3


def test_without_a_comparison_the_scan_itself_is_not_decoded_and_residuals_say_so() -> None:
    pipeline = small_pipeline()
    encoded = pipeline.encode(made.thigh()[0])
    hole = np.zeros(encoded.latents.shape[2:], bool)
    hole[1:3, 1:3, 1:3] = True
    bare, compared = (pipeline.inpaint(encoded, hole, 1, compare=compare) for compare in (False, True))
    assert np.array_equal(bare.intensities, compared.intensities) and compared.signed.any()
    with pytest.raises(ValueError, match="compare=True"):
        _ = bare.pixel_residual
