"""Further views of a scan: what is seen of it lies where the scan lies, whatever its size."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import made_datasets as made
from diffugts.preset import FILE_NAME, TWO_LOOKS, ModelPreset
from diffugts.views import HALF, MIRRORED, View, looks_in_words
from small_model import small_pipeline

TEXT = "soft tissue sarcoma"
FOUR_LOOKS = (*TWO_LOOKS, View(shift_voxels=6), View(mirrored=True, shift_voxels=14))


@given(
    st.tuples(*(st.integers(8, 40) for _ in range(3))),
    st.booleans(),
    st.integers(0, 8).map(lambda n: n * HALF),
    st.sampled_from([16, 32]),
)
def test_a_map_of_what_was_seen_comes_back_to_where_the_scan_lies(shape, mirrored, shift, multiple) -> None:
    """The stand-in for an attention takes the mean of every 2 x 2 x 2 voxels: the same from wherever it looks."""
    scan = np.random.default_rng(0).random(shape, np.float32)

    def attention(seen: np.ndarray) -> torch.Tensor:
        filled = np.pad(seen, [(0, -n % multiple) for n in seen.shape])
        return torch.nn.functional.avg_pool3d(torch.from_numpy(filled)[None, None], HALF)[0, 0]

    straight = attention(scan)
    view = View(mirrored, shift)
    seen = view.seen(scan, multiple)
    assert torch.allclose(view.brought_back(attention(seen), straight.shape), straight, atol=1e-6)


@pytest.mark.parametrize("shift", [-2, 3])
def test_a_shift_that_no_map_can_be_brought_back_by_is_refused(shift: int) -> None:
    with pytest.raises(ValueError, match="even number"):
        View(shift_voxels=shift)


def test_the_attention_is_the_mean_of_all_views_and_of_one_it_is_that_ones() -> None:
    pipeline = small_pipeline()
    scan = made.thigh()[0]
    encoded = pipeline.encode(scan, views=FOUR_LOOKS)
    assert encoded.seen_by(()).nbytes < encoded.seen_by(TWO_LOOKS).nbytes < encoded.nbytes

    def logit(views) -> np.ndarray:
        score = pipeline.attend(encoded.seen_by(views), [TEXT])[0].score
        return np.log(score / (1 - score))

    alone = logit(())
    assert np.array_equal(alone, logit(()))
    each = [2 * logit([view]) - alone for view in FOUR_LOOKS]
    assert np.allclose(logit(FOUR_LOOKS), np.mean([alone, *each], axis=0), atol=1e-3)
    assert all(np.abs(view - alone).max() > 1e-3 for view in each), "every view differs"


def test_a_preset_of_before_there_were_other_views_looks_as_it_did(tmp_path: Path) -> None:
    ModelPreset("small", "A small model").save(tmp_path)
    facts = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    for level in facts["qualities"].values():
        level["mirror"] = bool(level.pop("views"))
    (tmp_path / FILE_NAME).write_text(json.dumps(facts), encoding="utf-8")
    read = ModelPreset.load(tmp_path)
    assert [level.views for level in read.qualities.values()] == [(), (MIRRORED,), (MIRRORED,)]
    assert read.ways_of_looking == [(), (MIRRORED,)]


def test_views_are_kept_in_the_preset(tmp_path: Path) -> None:
    preset = ModelPreset("small", "A small model")
    preset.save(tmp_path)
    assert ModelPreset.load(tmp_path) == preset
    assert preset.ways_of_looking == [(), TWO_LOOKS]
    damaged = asdict(replace(preset))
    damaged["qualities"]["thorough"]["views"][0]["shift_voxels"] = 5
    (tmp_path / FILE_NAME).write_text(json.dumps(damaged), encoding="utf-8")
    with pytest.raises(Exception, match="even number"):
        ModelPreset.load(tmp_path)


def test_views_have_names_of_their_own_and_looks_are_counted() -> None:
    assert len({view.name for view in (View(), *FOUR_LOOKS)}) == 4
    assert [looks_in_words(way) for way in ((), TWO_LOOKS, FOUR_LOOKS)] == ["one look", "2 looks", "4 looks"]


def test_a_model_without_an_attention_has_nothing_to_see_in_any_view() -> None:
    """Its quality levels may have views all the same: a job takes what is kept of the scan for them."""
    pipeline = small_pipeline()
    pipeline.register_modules(attention=None)
    encoded = pipeline.encode(made.thigh()[0], views=TWO_LOOKS)
    assert encoded.seen_by(TWO_LOOKS).queries == {} and set(encoded.further) == set(TWO_LOOKS)
