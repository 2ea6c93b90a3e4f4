"""`diffugts demo` with a small untrained model: the way, not the accuracy."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from command_line import call
from diffugts.cli.demo import overlap, time_taken
from diffugts.protocol import ResultManifest
from diffugts.scans.reading import read_scan
from job_folders import write_scan
from small_model_folder import PREPARED, save_small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


def test_the_demo_makes_its_scan_segments_it_and_compares_with_the_truth(model: Path, tmp_path: Path) -> None:
    result = call(
        "demo", "--output", tmp_path, "--model", model, "--quality", "fast", "--prompt", PREPARED[0], "--device", "cpu"
    )
    assert result.code == 0, result.err
    assert read_scan(tmp_path / "generated-scan.nrrd").modality == "CT"
    manifest = ResultManifest.load(tmp_path / "result")
    assert manifest.file("picture", 0) is not None and str(manifest.file("picture", 0)) in result.out.replace("\n", "")
    shown = re.search(r"\(Dice\): (\d\.\d\d)", result.out)
    segmentation = manifest.file("segmentation")
    assert shown and segmentation
    assert float(shown.group(1)) == pytest.approx(overlap(segmentation, tmp_path / "generated-lesion.nrrd"), abs=0.005)


def test_the_demo_says_how_long_it_took(model: Path, tmp_path: Path) -> None:
    began = time.perf_counter()
    result = call("demo", "--output", tmp_path, "--model", model, "--quality", "fast", "--prompt", PREPARED[0])
    waited = time.perf_counter() - began
    shown = re.search(r"Took (\d+\.\d) s in all, of it loading the model (\d+\.\d) s, encoding (\d+\.\d) s", result.out)
    assert shown, result.out
    total, *stages = map(float, shown.groups())
    assert sum(stages) - 0.1 * len(stages) <= total <= waited + 0.1
    assert time_taken(3.04, {"inpaint_s": 1.26, "measure_s": 0.5}) == "Took 3.0 s in all, of it painting 1.3 s."
    assert time_taken(3.04, {}) == "Took 3.0 s in all."


def test_the_demo_takes_the_users_own_scan_and_needs_words_for_it(model: Path, tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "knee T1.nrrd", 32)
    own = [
        "demo",
        "--scan",
        scan,
        "--output",
        tmp_path / "out",
        "--model",
        model,
        "--quality",
        "fast",
        "--device",
        "cpu",
    ]
    refused = call(*own)
    assert refused.code == 2 and "--prompt" in refused.err
    done = call(*own, "--prompt", PREPARED[0])
    assert done.code == 0 and "Took " in done.out
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"result"}


def test_overlap_is_dice_over_all_layers(tmp_path: Path) -> None:
    truth = np.zeros((10, 10, 10), np.uint8)
    truth[:4] = 1
    layers = np.zeros((10, 10, 10, 2), np.uint8)
    layers[2:4, ..., 0], layers[3:6, ..., 1] = 1, 2
    sitk.WriteImage(sitk.GetImageFromArray(truth), str(tmp_path / "truth.nrrd"))
    sitk.WriteImage(sitk.GetImageFromArray(layers, isVector=True), str(tmp_path / "found.seg.nrrd"))
    assert overlap(tmp_path / "found.seg.nrrd", tmp_path / "truth.nrrd") == pytest.approx(2 * 2 / (4 + 4))
