"""A folder of scans: what is found in it, what is passed over and why, in real files and real DICOM series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread

from dicom_writing import write_series
from diffugts.errors import RequestError
from diffugts.scans.found_scans import FoundScans, find_scans
from diffugts.scans.reading import read_scan
from job_folders import write_scan


def stored(slices: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(900, 1100, (slices, 16, 20)).astype(np.uint16)


def reasons(found: FoundScans) -> dict[str, str]:
    return {each.name: each.reason for each in found.passed_over}


def test_image_files_are_found_in_all_folders_and_named_by_their_paths(tmp_path: Path) -> None:
    for place in ("a.nrrd", "more/b.nii.gz", "more/deeper/c.mha"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        write_scan(tmp_path / place)
    (tmp_path / "notes.txt").write_text("no scan")
    found = find_scans(tmp_path)
    assert [scan.name for scan in found.scans] == ["a", "more/b", "more/deeper/c"]
    assert not found.passed_over and found.other_files == 1


def test_every_series_of_a_study_that_is_a_volume_is_found_and_can_be_read_by_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    venous = write_series(folder, stored(), number=2)
    arterial = write_series(folder, stored(seed=1), number=3, seed=1)
    write_series(folder, stored(3), number=1, seed=2)
    write_series(tmp_path / "made", stored(), change=lambda d, k: setattr(d, "SyntheticData", "YES"))
    write_series(tmp_path / "pet", stored(), modality="PT")
    found = find_scans(tmp_path)
    assert [(scan.name, scan.series) for scan in found.scans] == [("study/2", venous), ("study/3", arterial)]
    assert all(scan.modality == "CT" for scan in found.scans)
    for scan, seed in zip(found.scans, (0, 1)):
        assert np.array_equal(read_scan(scan.place, series=scan.series).voxels, stored(seed=seed) - 1024.0)
    said = reasons(found)
    assert set(said) == {"study/1", "made/4", "pet/4"}
    assert "3 parallel images" in said["study/1"]
    assert "synthetic" in said["made/4"] and "modality is PT" in said["pet/4"]


def test_phases_that_share_a_series_are_found_one_by_one(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    uid = write_series(folder, stored(), change=lambda d, k: setattr(d, "AcquisitionNumber", 1))
    for path in list(folder.iterdir()):
        path.rename(path.with_name(f"first-{path.name}"))
    write_series(folder, stored(seed=1), series_uid=uid, change=lambda d, k: setattr(d, "AcquisitionNumber", 2))
    found = find_scans(tmp_path)
    assert [scan.series for scan in found.scans] == [f"{uid}/1", f"{uid}/2"]
    assert np.array_equal(read_scan(folder, series=found.scans[1].series).voxels, stored(seed=1) - 1024.0)


def test_a_series_parted_over_two_folders_is_not_taken_for_two_scans(tmp_path: Path) -> None:
    write_series(tmp_path / "a", stored(24))
    (tmp_path / "b").mkdir()
    by_place = sorted((tmp_path / "a").iterdir(), key=lambda path: dcmread(path).ImagePositionPatient[2])
    for path in by_place[12:]:
        path.rename(tmp_path / "b" / path.name)
    found = find_scans(tmp_path)
    assert not found.scans
    assert all("several folders" in reason for reason in reasons(found).values()) and len(found.passed_over) == 2


def test_a_copy_of_a_series_is_taken_once(tmp_path: Path) -> None:
    write_series(tmp_path / "a", stored())
    (tmp_path / "b").mkdir()
    for path in (tmp_path / "a").iterdir():
        (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    found = find_scans(tmp_path)
    assert [scan.name for scan in found.scans] == ["a/4"]
    assert "lies in 'a'" in reasons(found)["b/4"]


def test_what_is_no_scan_is_named_with_its_sentence(tmp_path: Path) -> None:
    write_scan(tmp_path / "s.nrrd")
    write_scan(tmp_path / "s_mask.nii.gz")
    (tmp_path / "labelsTr").mkdir()
    write_scan(tmp_path / "labelsTr" / "s.nii.gz")
    (tmp_path / "empty.nrrd").write_bytes(b"")
    sitk.WriteImage(sitk.Image(16, 16, sitk.sitkFloat32), str(tmp_path / "flat.nrrd"))
    sitk.WriteImage(sitk.Image([16, 16, 16], sitk.sitkVectorFloat32, 3), str(tmp_path / "vectors.nrrd"))
    write_series(tmp_path / "cut", stored())
    broken = next((tmp_path / "cut").iterdir())
    broken.write_bytes(broken.read_bytes()[:-200])
    found = find_scans(tmp_path)
    assert [scan.name for scan in found.scans] == ["s"]
    said = reasons(found)
    assert set(said) == {"s_mask.nii.gz", "labelsTr/s.nii.gz", "empty.nrrd", "flat.nrrd", "vectors.nrrd", "cut"}
    assert "damaged" in said["cut"] and "segmentation" in said["labelsTr/s.nii.gz"]


def test_results_hidden_folders_links_and_what_is_left_out_are_not_looked_through(tmp_path: Path) -> None:
    write_scan(tmp_path / "s.nrrd")
    for name in (".hidden", "out", "result", "linked to"):
        (tmp_path / name).mkdir()
        write_scan(tmp_path / name / "t.nrrd")
    (tmp_path / "result" / "result.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "linked to")
    found = find_scans(tmp_path, [tmp_path / "out"])
    assert [scan.name for scan in found.scans] == ["s", "linked to/t"]
    assert set(reasons(found)) == {"result", "link"}


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no folder"):
        find_scans(tmp_path / "nowhere")
