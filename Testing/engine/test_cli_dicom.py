"""`diffugts dicom`, and DICOM from `diffugts segment` in one go: what is written, printed and returned."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from command_line import call
from dicom_results import made_result
from dicom_writing import write_series
from diffugts.protocol import ResultManifest
from job_folders import write_scan
from small_model_folder import PREPARED, save_small_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


def write_mr_series(folder: Path, number: int = 4) -> None:
    """The tests' usual scan as a DICOM series."""
    voxels = sitk.GetArrayFromImage(sitk.ReadImage(str(write_scan(folder.parent / "usual.nrrd", 32))))
    stored = np.rint((voxels - voxels.min()) / np.ptp(voxels) * 1000).astype(np.uint16)
    write_series(folder, stored, modality="MR", intercept=0, spacing_mm=(2, 2, 2), number=number, seed=number)


@pytest.fixture
def segment(model: Path, tmp_path: Path) -> list[str]:
    """The arguments of a call that segments a DICOM series and writes DICOM."""
    write_mr_series(tmp_path / "series")
    return ["segment", str(tmp_path / "series"), "--prompt", PREPARED[0], "--output", str(tmp_path / "out"), "--model",
            str(model), "--sequence", "T1", "--device", "cpu", "--threshold", "0.1", "--smallest-lesion-ml", "0",
            "--no-picture", "--dicom", str(tmp_path / "dicom")]  # fmt: skip


def test_a_series_is_segmented_and_written_as_dicom_in_one_go(segment: list[str], tmp_path: Path) -> None:
    result = call(*segment)
    assert result.code == 0, result.err
    manifest = ResultManifest.load(tmp_path / "out")
    dataset = pydicom.dcmread(tmp_path / "dicom" / "segmentation.dcm")
    assert dataset.SegmentSequence[0].SegmentLabel == PREPARED[0]
    assert manifest.findings[0].volume_ml == pytest.approx(int(dataset.pixel_array.sum()) * 0.008, rel=1e-6)
    assert len(list((tmp_path / "dicom" / "pseudo-healthy").iterdir())) == 32
    assert "DICOM: 34 files in" in result.out and result.out.count("Research use only. Not a medical device.") == 1


def test_json_lines_stay_json_lines(segment: list[str], tmp_path: Path) -> None:
    result = call(*segment, "--json")
    assert result.code == 0, result.err
    assert all(line.startswith("{") for line in result.out.splitlines())
    assert (tmp_path / "dicom" / "segmentation.dcm").is_file()


def test_what_stands_in_the_way_of_dicom_is_said_before_the_scan_is_segmented(
    segment: list[str], tmp_path: Path
) -> None:
    scan = write_scan(tmp_path / "scan T1.nrrd", 32)
    result = call("segment", str(scan), *segment[2:])
    assert result.code == 3 and "is no DICOM series" in result.err
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "letter.txt").write_text("mine")
    result = call(*segment)
    assert result.code == 7 and "is not empty" in result.err
    result = call(*segment[:-1], str(tmp_path / "out" / "dicom"))
    assert result.code == 7 and "beside each other" in result.err
    assert not (tmp_path / "out").exists()


def test_one_of_several_series_is_segmented_by_its_number(segment: list[str], tmp_path: Path) -> None:
    write_mr_series(tmp_path / "more", number=7)
    for path in (tmp_path / "more").iterdir():
        path.rename(tmp_path / "series" / f"more-{path.name}")
    result = call(*segment)
    assert result.code == 3 and "series 4" in result.err and "series 7" in result.err and "--series" in result.err
    assert call(*segment, "--series", "7").code == 0
    refers = pydicom.dcmread(tmp_path / "dicom" / "segmentation.dcm").ReferencedSeriesSequence[0].SeriesInstanceUID
    meant = pydicom.dcmread(next((tmp_path / "series").glob("more-*"))).SeriesInstanceUID
    assert refers == meant


def test_a_finished_result_is_written_later(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    arguments = ["dicom", str(made.result), str(made.series), "--output", str(tmp_path / "dicom")]
    result = call(*arguments, "--no-score-maps", "--no-pseudo-healthy")
    assert result.code == 0, result.err
    assert "DICOM: 1 file in" in result.out and result.out.endswith("Research use only. Not a medical device.\n")
    assert [path.name for path in (tmp_path / "dicom").iterdir()] == ["segmentation.dcm"]
    again = call(*arguments)
    assert again.code == 7 and "is not empty" in again.err and "Traceback" not in again.err


def test_a_folder_that_is_no_result_is_a_sentence(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    result = call("dicom", str(made.series), str(made.series), "--output", str(tmp_path / "dicom"))
    assert result.code == 7 and "holds no finished result" in result.err
