"""Batches of cases: padding changes nothing that is learnt, and a batch is the cases it is made of."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch

from diffugts.attention import AnomalyAttention
from diffugts.descriptions.training_texts import TumourText
from diffugts.training.attention import batch_loss, case_loss
from diffugts.training.batches import CaseBatch, ReadyBatches, batches_of, collated, encoded
from diffugts.training.case import Case
from diffugts.training.cases import CaseSource
from diffugts.training.encoding import Foundation
from diffugts.training.generated_volumes import generated_volume
from diffugts.training.replay import Replay
from diffugts.training.text_pool import TextPool

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"


class Letters:
    """Embeds a text by its letters: what is asked needs no language model here."""

    def embed(self, texts: list[str]) -> torch.Tensor:
        vectors = [torch.from_numpy(np.random.default_rng(list(text.encode())).standard_normal(384)) for text in texts]
        return torch.stack(vectors).float()


@pytest.fixture(scope="module")
def source() -> CaseSource:
    return CaseSource([generated_volume(0), generated_volume(1)], 3)


@pytest.fixture(scope="module")
def foundation() -> Foundation:
    return Foundation(COMPACT / "autoencoder", COMPACT / "denoiser")


@pytest.fixture(scope="module")
def attention() -> AnomalyAttention:
    return AnomalyAttention.from_pretrained(COMPACT / "attention").eval()


def cut(case: Case, size: int) -> Case:
    box = (slice(0, size),) * 3
    parts = {name: getattr(case, name)[box] for name in ("intensities", "target", "weight")}
    return replace(case, **parts)


def test_batches_hold_all_cases_of_a_draw_and_none_twice(source: CaseSource) -> None:
    draw = batches_of(source.with_seed(9), 2)
    batches = [draw() for _ in range(4)]
    alone = source.with_seed(9)
    drawn = sorted(float(alone.draw().intensities.sum()) for _ in range(8))
    assert np.allclose(
        sorted(float(scan.astype(np.float32).sum()) for b in batches for scan in b.intensities), drawn, rtol=1e-2
    )
    assert all(len(batch.cases) == 2 and batch.cases[0].intensities.size == 0 for batch in batches)


def test_what_was_filled_up_carries_no_weight_and_holds_air(source: CaseSource) -> None:
    case = source.draw()
    batch = collated([cut(case, 32), cut(case, 48)])
    assert batch.intensities.shape == (2, 48, 48, 48) and batch.target.shape == (2, 24, 24, 24)
    assert not batch.intensities[0, 32:].any() and not batch.weight[0, :, 16:].any()
    assert np.array_equal(batch.weight[0, :16, :16, :16], batch.weight[1, :16, :16, :16])


def test_the_loss_of_a_batch_is_that_of_its_cases(
    source: CaseSource, foundation: Foundation, attention: AnomalyAttention
) -> None:
    generated = (source.generated(source.others[n % 2]) for n in count())
    found = next(case for case in generated if case is not None)
    cases = [cut(source.nothing(source.others[0]), 48), cut(found, 48)]
    assert cases[0].tumour is None and cases[1].tumour is not None
    with torch.no_grad():
        together = batch_loss(attention, encoded(collated(cases), foundation), TextPool(Letters(), 1))
        texts = TextPool(Letters(), 1)
        alone = torch.stack([case_loss(attention, foundation.encode(case), texts) for case in cases])
    assert torch.allclose(together, alone, rtol=0.03), (together, alone)
    assert abs(float(together[0] - together[1])) > 0.05, "the two must differ for the comparison to mean something"


def test_a_crop_that_may_hold_an_unmarked_tumour_teaches_no_absence(
    source: CaseSource, foundation: Foundation, attention: AnomalyAttention
) -> None:
    case = cut(source.nothing(source.others[0]), 32)
    unsure = encoded(collated([replace(case, sure_share=0.5)]), foundation)
    sure = encoded(collated([replace(case, sure_share=1.0)]), foundation)
    assert case.tumour is None
    gradients = []
    for batch in (unsure, sure):
        attention.zero_grad()
        batch_loss(attention, batch, TextPool(Letters(), 1)).sum().backward()
        gradients.append(float(attention.presence_bias.grad))
    assert gradients[0] != gradients[1]


def test_the_pool_of_texts_depends_on_the_question_and_the_seed_alone() -> None:
    tumour, other = TumourText("glioma", "brain", None, modality="MR"), TumourText("", None, None, modality="CT")
    first, second = TextPool(Letters(), 1), TextPool(Letters(), 1)
    first.describing(tumour, "T1")
    second.describing(other, None)
    second.describing(tumour, "T1")
    key = (tumour, "T1")
    assert torch.equal(first._pools[key], second._pools[key])
    third = TextPool(Letters(), 2)
    third.describing(tumour, "T1")
    assert not torch.equal(first._pools[key], third._pools[key])


class Held:
    """Something of so many bytes."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes


def test_what_is_gone_over_again_is_bounded_in_number_and_in_bytes() -> None:
    replay: Replay[Held] = Replay(most=3, most_bytes=100)
    items = [Held(20) for _ in range(5)]
    for item in items:
        replay.add(item)
    rng = np.random.default_rng(0)
    assert len(replay) == 3 and {replay.one(rng) for _ in range(50)} == set(items[2:])
    replay.add(Held(70))
    assert len(replay) == 2, "20 and 70 bytes fit, another 20 do not"
    replay.add(Held(500))
    assert len(replay) == 1, "the last one always does"


def batch_number(number: int) -> CaseBatch:
    empty = np.zeros((0,), np.float16)
    return CaseBatch(np.full((1,), number, np.float16), empty, empty, ())


def test_what_is_not_ready_is_not_waited_for_and_a_fault_comes_through() -> None:
    def three() -> object:
        for number in range(3):
            yield batch_number(number)
        raise RuntimeError("the disk is full")

    ready = ReadyBatches(three())
    came = [ready.take(wait=True) for _ in range(3)]
    assert [float(batch.intensities[0]) for batch in came if batch is not None] == [0, 1, 2]
    with pytest.raises(RuntimeError, match="the disk is full"):
        ready.take(wait=True)
    assert ready.take(wait=False) is None
    ready.close()


def test_closing_ends_the_thread_that_takes() -> None:
    ready = ReadyBatches(batch_number(n) for n in count())
    ready.take(wait=True)
    ready.close()
    assert not ready._thread.is_alive()
