"""Encoded training cases: the same with the same seed, made beside the training, and never waited for in vain."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import torch

from diffugts.attention import AnomalyAttention
from diffugts.training.cases import CaseSource
from diffugts.training.encoding import EncodedCase, Foundation, FreshCases
from diffugts.training.generated_volumes import generated_volume
from diffugts.training.volumes import Volume

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"


def make(seed: int, volume: Volume | None = None) -> tuple[CaseSource, Foundation]:
    """Cases of a generated body, drawn anew where none is given, as in a process of its own."""
    return CaseSource([volume or generated_volume(0)], seed), Foundation(COMPACT / "autoencoder", COMPACT / "denoiser")


@pytest.fixture(scope="module")
def body() -> Volume:
    return generated_volume(0)


def first_case(body: Volume, seed: int) -> EncodedCase:
    return FreshCases(partial(make, volume=body), seed).take()[0]


def same(first: EncodedCase, second: EncodedCase) -> bool:
    return torch.equal(first.target, second.target) and all(
        torch.equal(level, second.levels[stride]) for stride, level in first.levels.items()
    )


def test_without_processes_the_same_seed_gives_the_same_cases(body: Volume) -> None:
    first, again, other = (first_case(body, seed) for seed in (5, 5, 6))
    assert same(first, again) and not same(first, other)


def test_a_case_holds_what_the_attention_reads_and_no_scan(body: Volume) -> None:
    case = first_case(body, 5)
    queries = AnomalyAttention.from_pretrained(COMPACT / "attention").query(case.levels)
    assert queries[2].shape[2:] == case.target.shape[2:] == case.weight.shape[2:]
    assert case.case.intensities.size == 0


@pytest.fixture(scope="module")
def beside() -> Iterator[FreshCases]:
    """Cases made by a process of its own, which takes long to start."""
    fresh = FreshCases(make, 5, processes=1)
    yield fresh
    fresh.close()


def test_processes_make_cases_that_training_takes_without_waiting(beside: FreshCases) -> None:
    first = beside.take()
    assert first and torch.isfinite(first[0].levels[2].float()).all()
    more = [case for _ in range(50) for case in beside.take()]
    assert len(more) < 50, "what is not ready is not waited for"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs a signal that kills")
def test_when_the_processes_have_died_the_training_says_so_instead_of_going_round_old_cases(beside: FreshCases) -> None:
    """The last test of this file: there is no process after it."""
    beside.take()
    process = beside._processes[0]
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    with pytest.raises(RuntimeError, match="exit codes .-9."):
        for _ in range(100):
            beside.take()
