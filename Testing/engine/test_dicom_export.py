"""Exporting a result: only onto the series that it was made from, whole or not at all."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from dicom_results import Made, made_result, result_on, stored_values, turned
from dicom_writing import write_series
from diffugts.dicom import export as exporting
from diffugts.dicom.export import SEGMENTATION_FILE, export_result
from diffugts.dicom.packages import require_packages
from diffugts.errors import InstallationError, ResultError, ScanError
from diffugts.protocol import ResultManifest


@pytest.mark.parametrize("image_format", ["nrrd", "nifti"])
def test_everything_is_written_in_either_format_of_the_result(tmp_path: Path, image_format: str) -> None:
    made = made_result(tmp_path, image_format=image_format)
    written = export_result(made.result, made.series, tmp_path / "out")
    assert written.notes == ()
    assert {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.dcm")} == {
        *(str(Path(name)) for name in written.files)
    }
    assert len(written.files) == 1 + 3 + 12
    assert pydicom.dcmread(tmp_path / "out" / SEGMENTATION_FILE).pixel_array.sum() == sum(
        int(finding.mask.sum()) for finding in made.segmentation.findings
    )


def test_only_what_is_asked_for_is_written(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    written = export_result(made.result, made.series, tmp_path / "out", score_maps=False, pseudo_healthy=False)
    assert written.files == (SEGMENTATION_FILE,)


def test_a_result_without_a_pseudo_healthy_volume_says_that_none_was_written(tmp_path: Path) -> None:
    made = made_result(tmp_path, inpainted=False)
    written = export_result(made.result, made.series, tmp_path / "out")
    assert len(written.files) == 4 and any("no pseudo-healthy" in note for note in written.notes)


def converted(made: Made, folder: Path, suffix: str) -> Made:
    """The same scan segmented after it was converted to another file, its axes flipped and turned."""
    image = sitk.DICOMOrient(made.scan.image(), "RSA")
    (folder / "other").mkdir()
    sitk.WriteImage(image, folder / "other" / f"scan_CT{suffix}")
    return result_on(folder / "other", folder / "other" / f"scan_CT{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".nii.gz"])
def test_a_result_on_a_converted_scan_goes_back_onto_the_series_own_slices(tmp_path: Path, suffix: str) -> None:
    made = made_result(tmp_path)
    other = converted(made, tmp_path, suffix)
    assert other.scan.geometry.shape != made.scan.geometry.shape
    written = export_result(other.result, made.series, tmp_path / "out")
    dataset = pydicom.dcmread(written.folder / SEGMENTATION_FILE)
    assert (dataset.Rows, dataset.Columns) == made.scan.geometry.shape[1:]
    mask = other.scan.geometry.image(other.segmentation.findings[0].mask)
    there = sitk.Resample(mask, made.scan.image(), sitk.Transform(), sitk.sitkNearestNeighbor)
    expected = sitk.GetArrayFromImage(there).astype(bool)
    got = np.zeros_like(expected)
    to_voxels = np.linalg.inv(made.scan.geometry.ijk_to_lps)
    for frame, group in zip(dataset.pixel_array, dataset.PerFrameFunctionalGroupsSequence):
        if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1:
            place = [*map(float, group.PlanePositionSequence[0].ImagePositionPatient), 1.0]
            got[round((to_voxels @ place)[2])] = frame
    np.testing.assert_array_equal(got, expected)
    assert expected.any()


@pytest.mark.parametrize(
    "other",
    [
        {"spacing_mm": (0.8, 1.2, 3.1)},
        {"origin_mm": (-20.0, 10.0, 33.0)},
        {"axes": np.eye(3)},
    ],
    ids=["spacing", "origin", "axes"],
)
def test_a_series_on_another_grid_is_refused(tmp_path: Path, other: dict) -> None:
    made = made_result(tmp_path)
    place = {"axes": turned(), "spacing_mm": (0.8, 1.2, 3.0), **other}
    write_series(tmp_path / "b", stored_values(), **place)
    with pytest.raises(ResultError, match="does not lie on this series' grid"):
        export_result(made.result, tmp_path / "b", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inpainted", [True, False])
def test_another_phase_on_the_same_grid_is_refused(tmp_path: Path, inpainted: bool) -> None:
    made = made_result(tmp_path, inpainted=inpainted)
    later = stored_values() + np.random.default_rng(1).integers(0, 300, stored_values().shape).astype(np.uint16)
    write_series(tmp_path / "b", later, axes=turned(), spacing_mm=(0.8, 1.2, 3.0))
    with pytest.raises(ResultError, match="made from another scan that lies on the same grid"):
        export_result(made.result, tmp_path / "b", tmp_path / "out")


def test_a_scan_that_is_no_dicom_is_refused_in_a_sentence(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    sitk.WriteImage(made.scan.image(), tmp_path / "scan.nrrd")
    with pytest.raises(ScanError, match="'scan.nrrd' is no DICOM series. DICOM can only be written for"):
        export_result(made.result, tmp_path / "scan.nrrd", tmp_path / "out")


@pytest.mark.parametrize("keyword", ["FrameOfReferenceUID", "StudyInstanceUID", "SOPInstanceUID"])
def test_a_series_whose_headers_name_too_little_is_refused(tmp_path: Path, keyword: str) -> None:
    made = made_result(tmp_path)
    for path in made.series.iterdir():
        dataset = pydicom.dcmread(path)
        delattr(dataset, keyword)
        dataset.save_as(path, enforce_file_format=False)
    with pytest.raises(ScanError, match=f"has no valid {keyword}"):
        export_result(made.result, made.series, tmp_path / "out")


def test_a_series_without_much_about_the_patient_is_enough(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    for path in made.series.iterdir():
        dataset = pydicom.dcmread(path)
        for keyword in ("PatientName", "PatientID", "PatientSex", "PatientBirthDate", "StudyDate", "StudyID",
                        "AccessionNumber", "Manufacturer", "SeriesNumber", "ReferringPhysicianName"):  # fmt: skip
            delattr(dataset, keyword)
        dataset.save_as(path)
    assert len(export_result(made.result, made.series, tmp_path / "out").files) == 16


def test_a_changed_result_is_not_exported(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    with (made.result / "segmentation.seg.nrrd").open("ab") as file:
        file.write(b" ")
    with pytest.raises(ResultError, match="not as it was written"):
        export_result(made.result, made.series, tmp_path / "out")


def test_a_folder_with_anything_in_it_is_not_touched(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").write_text("mine")
    with pytest.raises(ResultError, match="is not empty"):
        export_result(made.result, made.series, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["letter.txt"]


def test_after_an_error_in_the_middle_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = made_result(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(exporting, "synthetic_series", full)
    with pytest.raises(ResultError, match="No space left on device.*nothing half-written"):
        export_result(made.result, made.series, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"series", "result"}


def test_the_result_folder_itself_stays_whole(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    export_result(made.result, made.series, tmp_path / "out")
    ResultManifest.load(made.result)


def test_without_highdicom_the_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_highdicom(name: str, *rest, **named):
        if name == "highdicom":
            raise ImportError("not there", name=name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_highdicom)
    with pytest.raises(InstallationError, match=r"'highdicom'.*pip install 'diffugts\[dicom\]'"):
        require_packages()
