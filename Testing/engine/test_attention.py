"""The attention on small exact cases."""

from __future__ import annotations

import pytest
import torch

from diffugts.attention import Adapter, AnomalyAttention


@pytest.fixture
def attention() -> AnomalyAttention:
    torch.manual_seed(0)
    return AnomalyAttention(channels=(6, 8, 4), widths=(8, 8, 8, 8, 8), query_size=8, text_size=12).eval()


def levels(*size: int) -> dict[int, torch.Tensor]:
    """Features of a volume of this many voxels, 32 cubed unless told."""
    generator = torch.Generator().manual_seed(1)
    return {
        stride: torch.randn(1, channels, *(n // stride for n in size or (32, 32, 32)), generator=generator)
        for stride, channels in ((2, 6), (4, 8), (8, 4))
    }


def test_an_adapter_of_ratio_zero_leaves_the_features() -> None:
    features = torch.randn(1, 5, 4, 4, 4)
    assert torch.equal(Adapter(5, 0.0)(features), features)


def test_an_adapter_is_the_weighted_sum_of_its_linear_layers_and_the_features() -> None:
    adapter, features = Adapter(5, 0.25), torch.randn(1, 5, 4, 4, 4)
    assert torch.allclose(adapter(features), 0.25 * adapter.linear(features) + 0.75 * features)


def test_the_score_is_the_softmax_over_both_texts(attention: AnomalyAttention) -> None:
    queries = attention.query(levels())
    normal, abnormal = torch.randn(1, 12), torch.randn(1, 12)
    logits = attention.attend(queries, normal, abnormal).logits
    with torch.no_grad():
        per_text = []
        for text in (normal, abnormal):
            total = torch.zeros_like(logits)
            for query, key in zip(queries.values(), attention.to_keys, strict=True):
                level = torch.einsum("cxyz,nc->nxyz", query[0], key(text))[:, None] / 8**0.5
                total += torch.nn.functional.interpolate(level, size=logits.shape[2:], mode="trilinear")
            per_text.append(total)
        per_text[1] = per_text[1] + attention.bias
        softmax = torch.softmax(torch.stack(per_text), dim=0)[1]
    assert torch.allclose(torch.sigmoid(logits), softmax, atol=1e-5)


def test_exchanging_the_texts_turns_the_map_around(attention: AnomalyAttention) -> None:
    with torch.no_grad():
        attention.bias.zero_()
        queries = attention.query(levels())
        one, other = torch.randn(1, 12), torch.randn(1, 12)
        there = attention.attend(queries, one, other).logits
        back = attention.attend(queries, other, one).logits
    assert torch.allclose(there, -back, atol=1e-5)
    assert there.abs().max() > 0.01


def test_equal_texts_say_nothing_but_the_bias(attention: AnomalyAttention) -> None:
    text = torch.randn(1, 12)
    logits = attention.attend(attention.query(levels()), text, text).logits
    assert torch.allclose(logits, attention.bias.expand_as(logits))


def test_several_descriptions_at_once_equal_one_by_one(attention: AnomalyAttention) -> None:
    queries = attention.query(levels())
    normal, abnormal = torch.randn(3, 12), torch.randn(3, 12)
    together = attention.attend(queries, normal, abnormal)
    for n in range(3):
        alone = attention.attend(queries, normal[n : n + 1], abnormal[n : n + 1])
        assert torch.allclose(together.logits[n], alone.logits[0], atol=1e-5)
        assert torch.allclose(together.presence[n], alone.presence[0], atol=1e-5)


def test_the_queries_hold_no_statistics_across_voxels(attention: AnomalyAttention) -> None:
    """Far from a change nothing changes: what a voxel is does not depend on how much of the body was scanned."""
    before = levels(32, 32, 256)
    after = {stride: level.clone() for stride, level in before.items()}
    for stride in after:
        after[stride][..., : 16 // stride] += 5.0
    difference = (attention.query(after)[2] - attention.query(before)[2]).abs()
    assert difference[..., :8].max() > 1e-3
    assert difference[..., -8:].max() == 0


def test_features_of_a_large_scan_are_narrowed_in_slabs_and_give_the_same_queries(
    attention: AnomalyAttention, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = levels()
    whole = attention.query(features)
    asked: list[int] = []
    standardise = attention.standardise

    def watched(part: dict[int, torch.Tensor]) -> dict[int, torch.Tensor]:
        asked.extend(level.numel() for level in part.values())
        return standardise(part)

    monkeypatch.setattr(attention, "standardise", watched)
    monkeypatch.setattr("diffugts.attention.SLAB_ELEMENTS", features[2].numel() // 3)
    slabs = attention.query(features)
    assert max(asked) <= features[2].numel() // 3 and len(asked) > 3
    for stride, query in whole.items():
        torch.testing.assert_close(slabs[stride], query, rtol=0, atol=1e-6)
