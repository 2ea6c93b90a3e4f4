"""Trainings with one thing taken away: what is gone is really gone, and nothing else differs."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from diffugts.attention import AnomalyAttention, Queries
from diffugts.training.ablation import (
    VARIANTS,
    Ablation,
    AblationSettings,
    Variant,
    run_ablation,
    table,
    without_context,
    without_denoiser,
    without_encoder,
    without_finest,
)
from diffugts.training.cases import CaseSource
from diffugts.training.encoding import EncodedCase, Foundation
from diffugts.training.generated_volumes import generated_volume
from diffugts.training.validation import ValidationCases
from test_training_batches import COMPACT, cut
from test_training_batches import Letters as EmbeddedByLetters
from test_training_parts import packed, volumes  # noqa: F401 - fixtures


class Letters(EmbeddedByLetters):
    dim = 384


PARTS = {"autoencoder": (4, slice(0, 64)), "denoiser": (8, slice(0, 128)), "finest": (2, slice(0, 48))}
"""Stride and some channels of a level that come from each part; all of stride 8 is the denoiser's."""


@pytest.fixture(scope="module")
def foundation() -> Foundation:
    return Foundation(COMPACT / "autoencoder", COMPACT / "denoiser")


@pytest.fixture(scope="module")
def cases(foundation: Foundation) -> list[EncodedCase]:
    """Crops of 32 voxels with a generated lesion."""
    source = CaseSource([generated_volume(0)], 3)
    found = [case for case in (source.generated(source.others[0]) for _ in range(12)) if case is not None]
    small = [cut(case, 32) for case in found]
    return [foundation.encode(case) for case in small if case.target.sum() > 0][:4]


@pytest.fixture
def attention() -> AnomalyAttention:
    return AnomalyAttention.from_pretrained(COMPACT / "attention").eval()


@torch.no_grad()
def queries_with(attention: AnomalyAttention, case: EncodedCase, part: str | None = None) -> Queries:
    """The queries of a case, one part's features turned upside down."""
    levels = {stride: level.float().clone() for stride, level in case.levels.items()}
    if part is not None:
        stride, channels = PARTS[part]
        levels[stride][:, channels] = -levels[stride][:, channels]
    return attention.query(levels)


def same(one: Queries, other: Queries) -> bool:
    return all(torch.equal(one[stride], other[stride]) for stride in one)


@pytest.mark.parametrize(
    ("take_away", "gone", "left"),
    [
        (without_denoiser, ["denoiser"], ["autoencoder", "finest"]),
        (without_encoder, ["autoencoder", "finest"], ["denoiser"]),
        (without_finest, ["finest"], ["autoencoder", "denoiser"]),
    ],
)
def test_what_was_taken_away_changes_nothing_and_the_rest_does(
    take_away: Callable, gone: list[str], left: list[str], attention: AnomalyAttention, foundation: Foundation, cases
) -> None:
    take_away(attention, foundation)
    usual = queries_with(attention, cases[0])
    for part in gone:
        assert same(usual, queries_with(attention, cases[0], part)), part
    for part in left:
        assert not same(usual, queries_with(attention, cases[0], part)), part


def test_without_context_the_coarsest_levels_know_nothing(attention: AnomalyAttention, foundation: Foundation, cases):
    before = queries_with(attention, cases[0])
    without_context(attention, foundation)
    blind = queries_with(attention, cases[0])
    for stride in (16, 32):
        assert not torch.equal(before[stride], queries_with(attention, cases[1])[stride])
        assert torch.equal(blind[stride], queries_with(attention, cases[1])[stride])
    assert not torch.equal(blind[2], queries_with(attention, cases[1])[2])


@pytest.fixture(scope="module")
def ablation(foundation: Foundation, cases: list[EncodedCase]) -> Ablation:
    settings = AblationSettings(steps=2, cases=len(cases))
    return Ablation(foundation, Letters(), settings, cases, ValidationCases(cases[:1], {}, []))


def test_the_same_is_reached_again_and_another_order_reaches_something_else(ablation: Ablation) -> None:
    before = copy.deepcopy(ablation.measured.state_dict())
    shown = []
    real = Ablation.train

    def weights_after(variant: Variant) -> torch.Tensor:
        shown.clear()
        watched = ablation.watched
        try:
            ablation.watched = type("Seen", (), {"figures": lambda self, module, texts: shown.append(module) or {}})()
            real(ablation, variant)
        finally:
            ablation.watched = watched
        return torch.cat([p.flatten() for p in shown[0].parameters()])

    first, again = (weights_after(VARIANTS[0]) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, weights_after(VARIANTS[1])), "the order of the cases differs"
    assert not torch.equal(first, weights_after(replace(VARIANTS[0], silence=without_denoiser)))
    assert all(torch.equal(before[name], value) for name, value in ablation.measured.state_dict().items())


def test_figures_are_those_that_a_training_is_watched_by(ablation: Ablation) -> None:
    figures = ablation.train(VARIANTS[0])
    assert set(figures) == {"dice_0.3", "dice_0.5", "dice_0.7", "other_fires"}
    lines = table([(VARIANTS[0], figures), (VARIANTS[2], figures)]).splitlines()
    assert len(lines) == 4 and lines[2].startswith("| nothing | ") and lines[3].count("|") == lines[0].count("|")
    assert json.loads(json.dumps(figures)) == figures


@pytest.mark.slow
def test_trained_and_untrained_foundations_are_measured_on_packed_volumes(packed: Path) -> None:  # noqa: F811
    settings = AblationSettings(steps=1, cases=2, bodies=0)
    chosen = [VARIANTS[0], VARIANTS[-1]]
    said: list[str] = []
    parts = (COMPACT / "autoencoder", COMPACT / "denoiser")
    measured = list(run_ablation(packed, *parts, settings, chosen, said.append, Letters()))
    assert [variant for variant, _ in measured] == chosen and chosen[1].untrained
    assert all("dice_0.5" in figures for _, figures in measured)
    assert len(said) == 4
