"""Averaging the weights of trained attentions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from diffugts.attention import AnomalyAttention
from diffugts.errors import RequestError
from diffugts.training.averaging import average_attention


def saved(folder: Path, seed: int, **settings: int) -> AnomalyAttention:
    torch.manual_seed(seed)
    attention = AnomalyAttention(**settings)
    attention.save_pretrained(folder)
    return attention


def test_every_weight_is_the_mean_of_the_runs(tmp_path: Path) -> None:
    runs = [saved(tmp_path / str(seed), seed) for seed in (1, 2, 3)]
    average_attention([tmp_path / "1", tmp_path / "2", tmp_path / "3"], tmp_path / "mean")
    mean = AnomalyAttention.from_pretrained(tmp_path / "mean").state_dict()
    for name, tensor in mean.items():
        assert torch.allclose(tensor, torch.stack([run.state_dict()[name] for run in runs]).mean(0), atol=1e-6)


def test_one_alone_or_runs_of_other_settings_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "1", 1)
    saved(tmp_path / "wide", 2, query_size=48)
    with pytest.raises(RequestError, match="at least two"):
        average_attention([tmp_path / "1"], tmp_path / "mean")
    with pytest.raises(RequestError, match="other settings"):
        average_attention([tmp_path / "1", tmp_path / "wide"], tmp_path / "mean")
    assert not (tmp_path / "mean").exists()
