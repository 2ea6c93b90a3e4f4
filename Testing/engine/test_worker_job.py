"""One request carried out in this process, around the stand-in pipeline."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from diffugts.allocation import is_memory_shortage
from diffugts.errors import (
    Cancelled,
    DiffuGTSError,
    MemoryShortageError,
    ModelError,
    RequestError,
    ResultError,
    ScanError,
)
from diffugts.protocol import Region, Request, ResultManifest, Stage
from diffugts.worker.job import run_request, segment_scan
from diffugts.worker.shelf import ModelShelf
from job_folders import job_folder
from stand_in_pipeline import StandInLoader, StandInPipeline


class Shelf(ModelShelf):
    """A shelf around the stand-in; `pipeline` is the one loaded last."""

    def __init__(self) -> None:
        self.loader = StandInLoader()
        super().__init__(self.loader, find=Path)

    @property
    def pipeline(self):
        return self.loader.pipelines[-1]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def quiet(stage: Stage, done: int, total: int) -> None:
    """Progress that nobody watches."""


def request(folder: Path, *descriptions: str, **fields) -> Request:
    return Request.load(job_folder(folder, *descriptions, **fields))


def test_a_request_becomes_a_whole_result_on_the_scans_grid(shelf: Shelf, tmp_path: Path) -> None:
    manifest = run_request(request(tmp_path / "job"), shelf, quiet)
    assert manifest == ResultManifest.load(tmp_path / "job" / "result")
    scan = sitk.ReadImage(str(tmp_path / "job" / "scan.nrrd"))
    score = sitk.ReadImage(str(manifest.file("score map", 0)))
    assert (score.GetSize(), score.GetOrigin(), score.GetSpacing()) == (
        scan.GetSize(),
        scan.GetOrigin(),
        scan.GetSpacing(),
    )
    assert manifest.findings[0].verdict == "found" and len(manifest.findings[0].lesions) == 1


def test_kept_features_give_what_fresh_ones_do(shelf: Shelf, tmp_path: Path) -> None:
    run_request(request(tmp_path / "first", "other words"), shelf, quiet)
    kept = segment_scan(request(tmp_path / "kept", "words"), shelf, quiet)
    assert shelf.pipeline.encoded == 1 and "encode_s" not in kept.timings_s
    fresh = segment_scan(request(tmp_path / "fresh", "words"), Shelf(), quiet)
    assert "encode_s" in fresh.timings_s
    assert np.array_equal(kept.findings[0].score_map, fresh.findings[0].score_map)
    assert np.array_equal(kept.pseudo_healthy, fresh.pseudo_healthy)


def test_a_job_does_not_depend_on_the_quality_that_ran_before(shelf: Shelf, tmp_path: Path) -> None:
    """`thorough` keeps further views: a later job without them must not use them, nor lose them."""
    alone = segment_scan(request(tmp_path / "1", quality="fast"), Shelf(), quiet)
    thorough = segment_scan(request(tmp_path / "2", quality="thorough"), shelf, quiet)
    after = segment_scan(request(tmp_path / "3", quality="fast"), shelf, quiet)
    again = segment_scan(request(tmp_path / "4", quality="thorough"), shelf, quiet)
    assert shelf.pipeline.encoded == 1
    assert np.array_equal(after.findings[0].score_map, alone.findings[0].score_map)
    assert np.array_equal(again.findings[0].score_map, thorough.findings[0].score_map)
    assert not np.array_equal(thorough.findings[0].score_map, alone.findings[0].score_map)


def test_thorough_after_fast_looks_again(shelf: Shelf, tmp_path: Path) -> None:
    segment_scan(request(tmp_path / "1", quality="fast"), shelf, quiet)
    thorough = segment_scan(request(tmp_path / "2", quality="thorough"), shelf, quiet)
    assert shelf.pipeline.encoded == 2
    expected = segment_scan(request(tmp_path / "3", quality="thorough"), Shelf(), quiet)
    assert np.array_equal(thorough.findings[0].score_map, expected.findings[0].score_map)


def test_a_kept_scan_whose_file_is_gone_is_missed(shelf: Shelf, tmp_path: Path) -> None:
    asked = request(tmp_path / "job")
    run_request(asked, shelf, quiet)
    Path(asked.scan).unlink()
    with pytest.raises(ScanError, match="does not exist"):
        run_request(asked, shelf, quiet)


@pytest.mark.parametrize("stage", [Stage.READING, Stage.LOADING, Stage.ENCODING, Stage.ATTENDING, Stage.WRITING])
def test_an_exception_in_any_stage_leaves_an_earlier_result_as_it_was(
    shelf: Shelf, tmp_path: Path, stage: Stage
) -> None:
    asked = request(tmp_path / "job", seed=3)
    before = run_request(asked, shelf, quiet)

    def stop(at: Stage, done: int, total: int) -> None:
        if at is stage and done > 0:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        run_request(asked, Shelf(), stop)
    assert ResultManifest.load(tmp_path / "job" / "result") == before
    assert {path.name for path in (tmp_path / "job").iterdir()} == {"scan.nrrd", "request.json", "result"}


def test_a_result_never_replaces_a_folder_with_the_scan_in_it(shelf: Shelf, tmp_path: Path) -> None:
    asked = request(tmp_path / "job")
    inside = replace(asked, output=str(tmp_path / "job"))
    with pytest.raises(RequestError, match="inside the output folder"):
        run_request(inside, shelf, quiet)
    assert Path(asked.scan).is_file()


def with_mask(path: Path, **fields) -> Request:
    """A job whose scan's lower half is marked; the mask lies beside the scan and is named by a relative path."""
    asked = job_folder(path, mask="rough.nrrd", **fields)
    scan = sitk.ReadImage(str(path / "scan.nrrd"))
    sitk.WriteImage(sitk.Cast(scan * 0, sitk.sitkUInt8) + 1, str(path / "whole.nrrd"))
    marked = sitk.ReadImage(str(path / "whole.nrrd"))
    marked[:, :, 12:] = 0
    sitk.WriteImage(marked, str(path / "rough.nrrd"))
    return Request.load(asked)


def marked_by(asked: Request, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> object:
    """What a job gives the pipeline as the place to look at."""
    given: list[object] = []
    computed = StandInPipeline.__call__

    def watched(self, *arguments, region=None, **more):
        given.append(region)
        return computed(self, *arguments, **more)

    monkeypatch.setattr(StandInPipeline, "__call__", watched)
    run_request(asked, shelf, quiet)
    return given[0]


def test_the_mask_beside_the_scan_is_where_is_looked(shelf: Shelf, tmp_path: Path, monkeypatch) -> None:
    mask = marked_by(with_mask(tmp_path / "job"), shelf, monkeypatch)
    assert isinstance(mask, np.ndarray) and mask[:12].all() and not mask[12:].any()


def test_of_a_mask_and_a_box_only_what_both_hold_counts(shelf: Shelf, tmp_path: Path, monkeypatch) -> None:
    """The scan's first voxel lies at RAS (10, -5, 7) and its voxels are of 2 mm: the box begins at the slice at 19 mm."""
    box = Region((-100.0, -100.0, 18.0), (100.0, 100.0, 100.0))
    mask = marked_by(with_mask(tmp_path / "job", region=box), shelf, monkeypatch)
    assert isinstance(mask, np.ndarray) and mask[6:12].all() and not mask[:6].any() and not mask[12:].any()


@pytest.mark.parametrize("kept", [False, True])
def test_a_mask_that_does_not_fit_is_told_before_the_model_computes(shelf: Shelf, tmp_path: Path, kept: bool) -> None:
    """Also where the scan is kept from an earlier job, and is not read again."""
    if kept:
        run_request(request(tmp_path / "earlier"), shelf, quiet)
    asked = with_mask(tmp_path / "job")
    sitk.WriteImage(sitk.ReadImage(asked.mask)[1:], str(asked.mask))
    with pytest.raises(RequestError, match="'rough.nrrd' does not lie on the scan's own grid. It has 23 x 24 x 24"):
        run_request(asked, shelf, quiet)
    assert len(shelf.loader.pipelines) == kept and not Path(asked.output).exists()


def test_a_mask_without_a_voxel_inside_the_box_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    asked = with_mask(tmp_path / "job", region=Region((-100.0, -100.0, 40.0), (100.0, 100.0, 100.0)))
    with pytest.raises(RequestError, match="mask and the region have no voxel in common"):
        run_request(asked, shelf, quiet)


def test_a_result_never_replaces_a_folder_with_the_mask_in_it(shelf: Shelf, tmp_path: Path) -> None:
    first = run_request(request(tmp_path / "job", image_format="nifti"), shelf, quiet)
    earlier = first.file("label", 0)
    again = replace(request(tmp_path / "job"), mask=str(earlier))
    with pytest.raises(RequestError, match="The mask lies inside the output folder"):
        run_request(again, shelf, quiet)
    assert ResultManifest.load(first.folder) == first


def test_an_output_folder_with_other_files_is_refused_before_any_work(shelf: Shelf, tmp_path: Path) -> None:
    asked = request(tmp_path / "job")
    (tmp_path / "job" / "result").mkdir()
    (tmp_path / "job" / "result" / "thesis.txt").write_text("years of work")
    with pytest.raises(ResultError):
        run_request(asked, shelf, quiet)
    assert not shelf.loader.pipelines
    assert (tmp_path / "job" / "result" / "thesis.txt").read_text() == "years of work"


def test_a_model_that_is_not_there_is_named_before_the_scan_is_read(tmp_path: Path) -> None:
    asked = request(tmp_path / "job", model="no such model")
    shutil.rmtree(tmp_path / "model")
    stages: list[Stage] = []
    with pytest.raises(ModelError, match="no such model"):
        run_request(asked, ModelShelf(), lambda stage, done, total: stages.append(stage))
    assert set(stages) == {Stage.READING}


def test_small_tiles_are_for_one_job_only(shelf: Shelf, tmp_path: Path) -> None:
    segmentation = segment_scan(request(tmp_path / "1", "no memory"), shelf, quiet)
    assert "small tiles" in segmentation.notes[-1] and shelf.pipeline.low_memory
    assert not segment_scan(request(tmp_path / "2"), shelf, quiet).notes
    assert not shelf.pipeline.low_memory


def test_memory_that_runs_out_twice_is_a_sentence_and_nothing_is_kept(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(MemoryShortageError, match="smaller part of the scan"):
        segment_scan(request(tmp_path / "1", "no memory at all"), shelf, quiet)
    assert shelf.is_empty and len(shelf.loader.pipelines) == 2


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("shapes do not match"), False),
        (DiffuGTSError("out of memory is what this sentence is about"), False),
        (OSError("Cannot allocate memory"), False),
    ],
)
def test_shortage_of_memory_is_told_from_other_errors(error: Exception, short: bool) -> None:
    assert is_memory_shortage(error) is short
