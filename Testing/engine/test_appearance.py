"""Appearance beside the attention: windows that are computed when they are asked for, and how their logits enter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffugts import appearance
from diffugts.appearance import WINDOW, AppearanceNetwork, Windows, appearance_logits, window_starts
from diffugts.appearance_fusion import AppearanceFusion
from diffugts.errors import Cancelled
from diffugts.models import load_pipeline
from diffugts.preset import ModelPreset
from made_datasets import thigh
from small_model_folder import save_small_model

SIZE = (70, 130, 66)


def network(seed: int = 0) -> AppearanceNetwork:
    torch.manual_seed(seed)
    return AppearanceNetwork((4, 8, 8)).eval()


def scan(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(SIZE, np.float32)


def everywhere(value: bool = True) -> torch.Tensor:
    return torch.full([-(-n // 16) * 8 for n in SIZE], value)


@given(st.integers(WINDOW, 700).map(lambda n: n + n % 2))
def test_windows_cover_an_axis_and_overlap_by_a_quarter(size: int) -> None:
    starts = window_starts(size)
    assert starts[0] == 0 and starts[-1] + WINDOW == size
    assert all(start % 2 == 0 for start in starts)
    assert all(0 < b - a <= WINDOW * 3 // 4 + 1 for a, b in zip(starts, starts[1:]))


def test_only_windows_that_are_asked_for_are_computed_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[tuple[int, int, int]] = []
    real = appearance._window

    def counted(
        network: AppearanceNetwork, scan: np.ndarray, modality: str, start: tuple[int, int, int]
    ) -> torch.Tensor:
        computed.append(start)
        return real(network, scan, modality, start)

    monkeypatch.setattr(appearance, "_window", counted)
    known: Windows = {}
    nothing = appearance_logits(network(), scan(), "CT", everywhere(False), known)
    assert not computed and not nothing.any()
    where = everywhere(False)
    where[2, 2, 2] = True
    appearance_logits(network(), scan(), "CT", where, known)
    assert computed == [(0, 0, 0)]
    appearance_logits(network(), scan(), "CT", everywhere(), known)
    assert len(computed) == len(set(computed)) == len(known)


def test_what_is_asked_for_does_not_depend_on_what_was_asked_before() -> None:
    where = everywhere(False)
    where[20:30, 40:50, 10:20] = True
    known: Windows = {}
    alone = appearance_logits(network(), scan(), "MR", where, {})
    whole = appearance_logits(network(), scan(), "MR", everywhere(), known)
    again = appearance_logits(network(), scan(), "MR", where, known)
    assert torch.equal(alone[where], whole[where]) and torch.equal(alone[where], again[where])


def test_a_small_scan_is_one_window_filled_up_seen_twice_and_pooled() -> None:
    small = scan()[:20, :30, :40]
    found = appearance_logits(network(), small, "MR", torch.ones(16, 16, 24, dtype=torch.bool), {})
    filled = torch.zeros(1, 2, WINDOW, WINDOW, WINDOW)
    filled[0, 0, :20, :30, :40], filled[0, 1] = torch.from_numpy(small), 1.0
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        seen = (network()(filled) + network()(filled.flip(-1)).flip(-1)).float() / 2
    expected = torch.nn.functional.avg_pool3d(seen, 2)[0, 0, :16, :16, :24]
    assert torch.allclose(found, expected, atol=5e-3, rtol=1e-2) and float(expected.std()) > 1e-2


def test_it_can_be_cancelled_between_two_windows() -> None:
    known: Windows = {}

    def check() -> None:
        if known:
            raise Cancelled("by the user")

    with pytest.raises(Cancelled):
        appearance_logits(network(), scan(), "CT", everywhere(), known, check)
    assert len(known) == 1


@given(st.floats(-12, 12), st.floats(-40, 40), st.floats(0.1, 2))
def test_appearance_enters_within_bounds_and_speaks_only_for_words_that_are_half_convinced(
    a: float, d: float, weight: float
) -> None:
    fusion = AppearanceFusion(weight, least=-2.5, most=3.0)
    recognised = torch.full((100,), 9.0, dtype=torch.float64)
    attention, seen = torch.full((101,), a, dtype=torch.float64), torch.cat([torch.tensor([d]), recognised])
    added = float(fusion.fused(attention, seen, 0.1)[0]) - a
    against, most = weight * (min(max(d, -2.5), 3.0) + fusion.raised), weight * (3.0 + fusion.raised)
    if a <= fusion.silent:
        assert added == 0
    elif against < 0:
        assert added == pytest.approx(against, abs=1e-6)
    else:
        assert -1e-9 <= added <= against + 1e-6
        assert added < 0.12 * most or a > -1.0, "words that are not convinced are not talked into it"
        assert added > 0.88 * against - 1e-6 or a < 1.0


def test_where_appearance_recognises_nothing_it_abstains() -> None:
    fusion = AppearanceFusion(1.0, recognised_ml=5.0)
    attention, seen = torch.full((1000,), 9.0), torch.full((1000,), -3.0)
    attention[500:] = -9.0
    seen[500:] = 3.0  # where the words are silent, what looks like a tumour is none of theirs
    assert torch.equal(fusion.fused(attention, seen, 0.1), attention)
    seen[:50] = 0.1
    assert torch.equal(fusion.fused(attention, seen, 0.1), attention), "5 ml are not more than 5 ml"
    seen[:51] = 0.1
    fused = fusion.fused(attention, seen, 0.1)
    assert fused[60] == 7.5 and fused[0] == pytest.approx(10.6) and torch.equal(fused[500:], attention[500:])


def test_a_preset_keeps_its_fusion_and_one_of_before_has_none(tmp_path: Path) -> None:
    ModelPreset("a", "A", appearance=AppearanceFusion(0.5, 1.0)).save(tmp_path)
    assert ModelPreset.load(tmp_path).appearance == AppearanceFusion(0.5, 1.0)
    text = (tmp_path / "preset.json").read_text(encoding="utf-8")
    before = text[: text.index('  "appearance"')] + text[text.index('  "refinement"') :]
    (tmp_path / "preset.json").write_text(before, encoding="utf-8")
    assert ModelPreset.load(tmp_path).appearance.weight == 0


def test_a_model_with_appearance_is_loaded_as_it_was_saved_and_answers_otherwise_than_without(tmp_path: Path) -> None:
    from dataclasses import replace

    folder = save_small_model(tmp_path / "small")
    plain = load_pipeline(folder)
    plain.register_modules(appearance=network().requires_grad_(False))
    plain.preset = replace(plain.preset, appearance=AppearanceFusion(1.0, silent=-9.0, recognised_ml=-1.0))
    plain.save_pretrained(tmp_path / "with")
    model = load_pipeline(tmp_path / "with")
    assert model.appearance is not None and model.preset.appearance.weight == 1.0
    for name, tensor in network().state_dict().items():
        assert torch.equal(model.appearance.state_dict()[name], tensor), name
    encoded = model.encode(thigh(0)[0])
    assert not encoded.appearance
    first = model.attend(encoded, ["soft tissue sarcoma"])[0]
    held = encoded.nbytes
    assert encoded.appearance and held > encoded.grid.intensities.nbytes
    again = model.attend(encoded, ["soft tissue sarcoma"])[0]
    without = load_pipeline(folder)
    other = without.attend(without.encode(thigh(0)[0]), ["soft tissue sarcoma"])[0]
    assert np.array_equal(first.score, again.score)
    assert not np.allclose(first.score, other.score, atol=1e-4)
    assert first.anomaly_score == other.anomaly_score
