"""What is kept between jobs, and what gives way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffugts.errors import ModelError
from diffugts.protocol import Stage
from diffugts.scans.scan import Geometry, Scan
from diffugts.views import MIRRORED
from diffugts.worker.scan_key import ScanKey
from diffugts.worker.shelf import ModelKey, ModelShelf
from stand_in_pipeline import SmoothedScan, StandInLoader

GEOMETRY = Geometry((10, 10, 10), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))


def features(seed: int = 0) -> SmoothedScan:
    """8000 bytes: two volumes of 10 x 10 x 10 float32."""
    voxels = np.random.default_rng(seed).random((10, 10, 10), np.float32)
    return SmoothedScan(Scan(voxels, GEOMETRY, "CT"), voxels.copy())


def scan(name: str) -> ScanKey:
    return ScanKey(name, "scan.nrrd", None, None)


def quiet(stage: Stage, done: int, total: int) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_text("1")
    return tmp_path / "model"


def test_a_model_is_loaded_once(folder: Path) -> None:
    loader = StandInLoader()
    shelf = ModelShelf(loader)
    key = ModelKey.of(folder, "cpu")
    assert shelf.model(key, quiet).pipeline is shelf.model(ModelKey.of(folder, "cpu"), quiet).pipeline
    assert len(loader.pipelines) == 1


def test_a_changed_model_folder_or_another_device_is_another_model(folder: Path) -> None:
    loader = StandInLoader()
    shelf = ModelShelf(loader)
    shelf.model(ModelKey.of(folder, "cpu"), quiet)
    shelf.model(ModelKey.of(folder, "cuda"), quiet)
    (folder / "weights").write_text("retrained")
    shelf.model(ModelKey.of(folder, "cuda"), quiet)
    assert len(loader.pipelines) == 3


def test_a_model_that_fails_to_load_leaves_an_empty_place(folder: Path) -> None:
    def fail(*_arguments: object) -> None:
        raise ModelError("damaged")

    shelf = ModelShelf(fail)  # type: ignore[arg-type]
    with pytest.raises(ModelError):
        shelf.model(ModelKey.of(folder, "cpu"), quiet)
    assert shelf.is_empty


def test_features_are_found_by_scan_and_model_together(folder: Path) -> None:
    shelf, key, kept = ModelShelf(StandInLoader()), ModelKey.of(folder, "cpu"), features()
    shelf.keep(scan("a"), key, kept)
    assert shelf.features(scan("a"), key) is kept
    assert shelf.features(scan("b"), key) is None
    assert shelf.features(scan("a"), ModelKey.of(folder, "cuda")) is None
    assert shelf.features(None, key) is None


def test_the_scan_unused_for_longest_gives_way(folder: Path) -> None:
    shelf, key = ModelShelf(StandInLoader(), most_feature_bytes=20_000), ModelKey.of(folder, "cpu")
    for name in "ab":
        shelf.keep(scan(name), key, features())
    assert shelf.features(scan("a"), key) is not None
    shelf.keep(scan("c"), key, features())
    assert [shelf.features(scan(name), key) is not None for name in "abc"] == [True, False, True]
    assert shelf.feature_bytes == 16_000


def test_a_scan_larger_than_the_bound_is_not_kept_and_displaces_nothing(folder: Path) -> None:
    shelf, key = ModelShelf(StandInLoader(), most_feature_bytes=10_000), ModelKey.of(folder, "cpu")
    shelf.keep(scan("a"), key, features())
    large = features()
    shelf.keep(scan("b"), key, SmoothedScan(large.scan, large.smooth, {MIRRORED: large.smooth}))
    assert shelf.features(scan("b"), key) is None
    assert shelf.features(scan("a"), key) is not None


def test_keeping_a_scan_again_replaces_it(folder: Path) -> None:
    shelf, key = ModelShelf(StandInLoader()), ModelKey.of(folder, "cpu")
    shelf.keep(scan("a"), key, features(0))
    better = features(1)
    shelf.keep(scan("a"), key, better)
    assert shelf.features(scan("a"), key) is better
    assert shelf.feature_bytes == better.nbytes


def test_release_lets_go_of_everything_and_says_what(folder: Path) -> None:
    shelf, key = ModelShelf(StandInLoader()), ModelKey.of(folder, "cpu")
    shelf.model(key, quiet)
    shelf.keep(scan("a"), key, features())
    assert "the model and the features of 1 scans" in shelf.release()
    assert shelf.is_empty and shelf.features(scan("a"), key) is None
    assert "no model and the features of 0 scans" in shelf.release()
