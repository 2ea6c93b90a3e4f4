"""How training volumes are looked at before a model is assembled, and what each quality level gets from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffugts.calibration import Calibration
from diffugts.generated.phantom import Phantom, draw_phantom
from diffugts.preset import TWO_LOOKS, ModelPreset
from diffugts.training import looks
from diffugts.training.assembly import MARKED_WHERE_NOTHING_ML, best_threshold, calibrated, held_out_scan
from diffugts.training.generated_volumes import generated_volume
from diffugts.training.looks import Look, encoded_volume, looks_at
from diffugts.views import View
from small_model import small_pipeline

TEXT = "soft tissue sarcoma"


@pytest.fixture(scope="module")
def volume():
    body = generated_volume(0)
    box = tuple(slice(n // 2 - 24, n // 2 + 24) for n in body.intensities.shape)
    marked = np.zeros((48, 48, 48), bool)
    marked[16:28, 20:32, 20:30] = True
    cut = {part: getattr(body, part)[box] for part in ("intensities", "lesion_mimic", "healthy", "organs")}
    return replace(body, name="STS_003_CT", tumour=marked, **cut)


def test_one_encoding_gives_all_looks_as_the_quality_levels_would_see_them(volume) -> None:
    pipeline = small_pipeline()
    both = looks_at(pipeline, volume, TEXT)
    assert [len(way) for way in both] == [0, 1]
    for way, look in both.items():
        encoded = encoded_volume(pipeline, volume, way)
        attention = pipeline.attend(encoded, [TEXT])[0]
        assert tuple(encoded.further) == way
        assert np.array_equal(look.score, pipeline.on_working_grid(encoded, attention.score))
        assert look.anomaly_score == attention.anomaly_score and look.whole.highest == look.score.max()
        assert (look.name, look.patient) == ("STS_003_CT", "STS_003") and look.truth is volume.tumour
    once, often = (look.score for look in both.values())
    assert not np.array_equal(once, often)


def test_generated_bodies_are_looked_at_with_their_lesion_and_without_it_as_volumes_are(monkeypatch) -> None:
    """Their highest score is that of the interpolated map, which is what a user's verdict follows."""
    pipeline = small_pipeline()
    scan = draw_phantom(0, "thigh", "CT", size=(32, 32, 32)).scan
    monkeypatch.setattr(looks, "demo_case", lambda seed, body: (scan, None, TEXT))
    monkeypatch.setattr(
        pipeline, "on_working_grid", lambda encoded, score: score * np.float32(0.9)
    )  # as if it smoothed
    other = scan.with_voxels(scan.voxels[::-1].copy())
    monkeypatch.setattr(looks, "draw_phantom", lambda *asked: Phantom(other, None, {}))
    found = looks.looks_at_generated_bodies(pipeline, [7])
    for bodies, shown in zip(found, (scan, other), strict=True):
        for way, named in bodies.items():
            encoded = pipeline.encode(shown, views=way)
            attention = pipeline.attend(encoded, [TEXT])[0]
            expected = float(pipeline.on_working_grid(encoded, attention.score).max())
            assert len(named) == 4 and named["generated head 7"].highest == expected
            assert named["generated head 7"].anomaly == attention.anomaly_score
    assert found[0][TWO_LOOKS] != found[0][()] and found[0][TWO_LOOKS] != found[1][TWO_LOOKS]


def test_residuals_are_fitted_on_what_standard_sees_scaled_and_cut_as_it_does(volume) -> None:
    pipeline = small_pipeline()
    twice = looks_at(pipeline, volume, TEXT)[TWO_LOOKS].score
    cut = float(np.percentile(twice, 99))
    scaled = Calibration(0.5, 0.5, scale=0.6, bias=-2.0)
    threshold = float(scaled.scaled(np.array([cut]))[0])
    other = Calibration(0.99, 0.5)
    pipeline.preset = calibrated(pipeline.preset, {(): other, TWO_LOOKS: replace(scaled, threshold=threshold)})
    seen = held_out_scan(pipeline, volume)
    assert np.array_equal(seen.score, scaled.scaled(twice))
    assert seen.healthy.hole[twice > cut * 1.0001].all() and not seen.healthy.hole.all()


def test_each_quality_level_gets_the_calibration_of_its_way_of_looking() -> None:
    once, twice, often = (Calibration(0.34 - 0.02 * n, 0.9 - 0.1 * n, scale=0.5 + 0.1 * n) for n in range(3))
    plain = ModelPreset("small", "A small model")
    more = (*TWO_LOOKS, View(shift_voxels=6))
    levels = {**plain.qualities, "thorough": replace(plain.qualities["thorough"], views=more)}
    assert (plain := replace(plain, qualities=levels)).ways_of_looking == [(), TWO_LOOKS, more]
    preset = calibrated(plain, {(): once, TWO_LOOKS: twice, more: often})
    assert preset.calibration("fast") == once
    assert (preset.calibration("standard"), preset.calibration("thorough")) == (twice, often)
    assert (preset.threshold, preset.least_anomaly_score) == (0.32, 0.8), (
        "what no quality level is asked for is standard's"
    )


def test_the_threshold_is_the_best_of_those_that_mark_little_where_nothing_is() -> None:
    truth = np.zeros((20, 20, 20), bool)
    truth[:10] = True
    ill = [Look("ill", "ill", np.where(truth, np.float32(0.33), np.float32(0.1)), truth, 0.9)]
    silent = [Look("free", "free", np.full((20, 20, 20), 0.3, np.float32), np.zeros_like(truth), 0.1)]
    threshold, by_threshold, marked_ml = best_threshold(ill, [])
    assert 0.1 < threshold < 0.33 and by_threshold["0.20"] == by_threshold["0.30"] == 1 and by_threshold["0.35"] == 0
    assert marked_ml["0.20"] == 0
    voxels = MARKED_WHERE_NOTHING_ML / 0.008
    assert truth.size > voxels, "the silent scan marks more than is allowed below 0.3"
    assert best_threshold(ill, silent)[0] == pytest.approx(0.3)
