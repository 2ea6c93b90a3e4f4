"""Features kept in a folder: the same results with and without, in this process and the next; bounded, private, replaceable."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from diffugts.errors import RequestError
from diffugts.findings.finding import Segmentation
from diffugts.preset import ModelPreset
from diffugts.protocol import Quality, Request, ResultManifest, Stage
from diffugts.worker.job import segment_scan
from diffugts.worker.kept_features import KeptFeatures
from diffugts.worker.shelf import ModelShelf
from job_folders import job_folder
from small_model_folder import PREPARED, save_small_model
from worker_process import WorkerProcess

THRESHOLD = 0.1
"""Below what the random weights answer everywhere: every stage has something to do."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


@pytest.fixture
def kept(tmp_path: Path) -> KeptFeatures:
    return KeptFeatures(tmp_path / "kept")


def request(folder: Path, model: Path, seed: int = 0, quality: str = "standard") -> Request:
    path = job_folder(folder, PREPARED[0], size=40, seed=seed, model=str(model), threshold=THRESHOLD)
    return replace(Request.load(path), quality=Quality(quality))


def segmented(asked: Request, kept: KeptFeatures | None, shelf: ModelShelf | None = None) -> tuple[Segmentation, bool]:
    """A request's answer, as in a process that did nothing before, and whether the scan was encoded for it."""
    stages: list[Stage] = []
    shelf = shelf or ModelShelf(kept=kept)
    answer = segment_scan(asked, shelf, lambda stage, done, total: stages.append(stage))
    return answer, Stage.ENCODING in stages


def require_the_same(first: Segmentation, second: Segmentation) -> None:
    """Bit for bit."""
    for a, b in zip(first.findings, second.findings, strict=True):
        assert np.array_equal(a.score_map, b.score_map) and np.array_equal(a.mask, b.mask)
        assert (a.verdict, a.anomaly_score, a.lesions) == (b.verdict, b.anomaly_score, b.lesions)
    for name in ("pseudo_healthy", "residual", "hole"):
        assert np.array_equal(getattr(first, name), getattr(second, name)), name


@pytest.mark.parametrize("quality", ["fast", "standard"])
def test_a_scan_met_again_is_not_encoded_again_and_gives_the_same_bit_for_bit(
    model: Path, kept: KeptFeatures, tmp_path: Path, quality: str
) -> None:
    asked = request(tmp_path / "job", model, quality=quality)
    plain, encoded = segmented(asked, None)
    assert encoded and plain.findings[0].mask.any()
    writing, encoded = segmented(asked, kept)
    assert encoded and len(list(kept.folder.iterdir())) == 1
    reading, encoded = segmented(asked, kept)
    assert not encoded and not reading.notes
    require_the_same(plain, writing)
    require_the_same(plain, reading)


def test_features_without_the_mirrored_look_do_not_stand_in_for_those_with_it(
    model: Path, kept: KeptFeatures, tmp_path: Path
) -> None:
    fast, standard = (request(tmp_path / "job", model, quality=quality) for quality in ("fast", "standard"))
    assert segmented(fast, kept)[1]
    answer, encoded = segmented(standard, kept)
    assert encoded
    require_the_same(segmented(standard, None)[0], answer)
    answer, encoded = segmented(fast, kept)
    assert not encoded, "with both looks kept, one can be left out"
    require_the_same(segmented(fast, None)[0], answer)


def test_another_process_finds_them_and_writes_the_same_files(model: Path, tmp_path: Path) -> None:
    asked = job_folder(tmp_path / "job", PREPARED[0], size=40, model=str(model), threshold=THRESHOLD)
    first = run_in_a_process(asked, tmp_path / "kept")
    second = run_in_a_process(asked, tmp_path / "kept")
    assert "encode_s" in first[0] and "encode_s" not in second[0]
    assert first[1].keys() == second[1].keys() and len(first[1]) >= 4
    assert all(np.array_equal(first[1][name], second[1][name]) for name in first[1])


def run_in_a_process(asked: Path, folder: Path) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Seconds by stage, and every volume by its name."""
    options = ["--no-picture", "--keep-features", str(folder)]
    command = [sys.executable, "-m", "diffugts", "run", str(asked), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    output = asked.parent / "result"
    volumes = {p.name: sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in sorted(output.glob("*.nrrd"))}
    return json.loads((output / "result.json").read_text(encoding="utf-8"))["provenance"]["timings_s"], volumes


def test_another_scan_other_weights_and_another_preset_have_features_of_their_own(
    model: Path, kept: KeptFeatures, tmp_path: Path
) -> None:
    segmented(request(tmp_path / "job", model, quality="fast"), kept)
    assert segmented(request(tmp_path / "other-scan", model, seed=1, quality="fast"), kept)[1]
    coarser = shutil.copytree(model, tmp_path / "coarser")
    replace(ModelPreset.load(model), spacing_mm=2.5).save(coarser)
    assert segmented(request(tmp_path / "job", coarser, quality="fast"), kept)[1]
    retrained = shutil.copytree(model, tmp_path / "retrained")
    weights = next((retrained / "attention").glob("*.safetensors"))
    content = bytearray(weights.read_bytes())
    content[-2] ^= 1
    weights.write_bytes(content)
    assert segmented(request(tmp_path / "job", retrained, quality="fast"), kept)[1]
    assert len(list(kept.folder.iterdir())) == 4


@pytest.mark.parametrize("harm", ["cut off", "one bit", "no features at all"])
def test_a_damaged_file_is_told_and_the_scan_encoded_again(
    model: Path, kept: KeptFeatures, tmp_path: Path, harm: str
) -> None:
    asked = request(tmp_path / "job", model, quality="fast")
    whole, _ = segmented(asked, kept)
    (file,) = kept.folder.iterdir()
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes({"cut off": content[:-1000], "one bit": content, "no features at all": b"features"}[harm])
    answer, encoded = segmented(asked, kept)
    assert encoded and any("were damaged" in note and "encoded again" in note for note in answer.notes)
    require_the_same(whole, answer)
    again, encoded = segmented(asked, kept)
    assert not encoded and not again.notes, "a whole file has taken its place"


def test_what_was_unused_for_longest_gives_way_to_what_is_new(model: Path, kept: KeptFeatures, tmp_path: Path) -> None:
    jobs = [request(tmp_path / str(n), model, seed=n, quality="fast") for n in range(3)]
    shelf = ModelShelf(most_feature_bytes=0, kept=kept)
    files = []
    for n, asked in enumerate(jobs[:2]):
        segmented(asked, kept, shelf)
        (new,) = set(kept.folder.iterdir()) - set(files)
        files.append(new)
        os.utime(new, (1_000_000 + n, 1_000_000 + n))
    assert not segmented(jobs[0], kept, shelf)[1], "used: now the second is the one unused for longest"
    bounded = KeptFeatures(kept.folder, int(2.5 * files[0].stat().st_size))
    segmented(jobs[2], bounded)
    assert files[0].exists() and not files[1].exists()
    assert bounded.nbytes <= bounded.most_bytes
    too_small = KeptFeatures(kept.folder, 1000)
    before = set(kept.folder.iterdir())
    assert segmented(request(tmp_path / "3", model, seed=3, quality="fast"), too_small)[1]
    assert set(kept.folder.iterdir()) == before, "what does not fit is not written, and nothing is removed for it"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other rights")
def test_nobody_else_may_read_them(model: Path, kept: KeptFeatures, tmp_path: Path) -> None:
    segmented(request(tmp_path / "job", model, quality="fast"), kept)
    (file,) = kept.folder.iterdir()
    assert stat.S_IMODE(kept.folder.stat().st_mode) == 0o700 and stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"scan.nrrd" not in file.read_bytes()
    opened = tmp_path / "open"
    opened.mkdir(mode=0o755)
    opened.chmod(0o755)
    with pytest.raises(RequestError, match="can be read by others.*chmod 700"):
        KeptFeatures(opened)


def test_a_worker_keeps_them_where_it_is_told_to(model: Path, tmp_path: Path) -> None:
    asked = job_folder(tmp_path / "job", PREPARED[0], size=40, model=str(model), threshold=THRESHOLD, quality="fast")
    for number, expected in (("first", True), ("second", False)):
        with WorkerProcess("-m", "diffugts", "worker", "--keep-features", str(tmp_path / "kept")) as worker:
            worker.send("run", number, asked)
            assert worker.wait_for("done", "failed", job=number, patience_s=120).name == "done"
        manifest = ResultManifest.load(tmp_path / "job" / "result")
        assert ("encode_s" in manifest.provenance.timings_s) is expected


def test_where_they_cannot_be_written_the_result_says_so_and_is_whole(
    model: Path, kept: KeptFeatures, tmp_path: Path
) -> None:
    shutil.rmtree(kept.folder)
    answer, encoded = segmented(request(tmp_path / "job", model, quality="fast"), kept)
    assert encoded and any("could not be kept" in note for note in answer.notes)
    assert answer.findings[0].mask.any()


def test_what_a_killed_process_left_unfinished_is_removed_after_a_while(
    model: Path, kept: KeptFeatures, tmp_path: Path
) -> None:
    old, new = kept.folder / "a.unfinished", kept.folder / "b.unfinished"
    for path in (old, new):
        path.touch()
    os.utime(old, (time.time() - 7200,) * 2)
    segmented(request(tmp_path / "job", model, quality="fast"), kept)
    assert not old.exists() and new.exists()
