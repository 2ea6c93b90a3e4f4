"""Which scan is this: by what is in its files."""

from __future__ import annotations

from pathlib import Path

import pytest
import SimpleITK as sitk

from diffugts.protocol import Request
from diffugts.worker.scan_key import ScanKey, scan_key
from job_folders import write_scan


def key(path: Path, modality: str | None = None, series: str | None = None) -> ScanKey | None:
    return scan_key(Request(scan=str(path), descriptions=("tumour",), output="out", modality=modality, series=series))


@pytest.fixture
def image() -> sitk.Image:
    return sitk.GaussianSource(sitk.sitkFloat32, (12, 12, 12))


def test_the_same_file_elsewhere_is_the_same_scan(tmp_path: Path) -> None:
    for folder in "ab":
        (tmp_path / folder).mkdir()
        write_scan(tmp_path / folder / "scan.nrrd")
    assert key(tmp_path / "a" / "scan.nrrd") == key(tmp_path / "b" / "scan.nrrd") is not None


def test_other_voxels_name_or_modality_make_another_scan(tmp_path: Path) -> None:
    first = write_scan(tmp_path / "scan.nrrd")
    keys = {key(first), key(first, "MR"), key(first, "CT"), key(write_scan(tmp_path / "T2.nrrd"))}
    assert len(keys) == 4
    write_scan(first, seed=1)
    assert key(first) not in keys


@pytest.mark.parametrize("ending", [".nhdr", ".mhd"])
def test_a_detached_header_counts_its_voxels(tmp_path: Path, image: sitk.Image, ending: str) -> None:
    path = tmp_path / f"scan{ending}"
    sitk.WriteImage(image, str(path))
    before = key(path)
    sitk.WriteImage(image * 2, str(tmp_path / f"other{ending}"))
    data = {p.stem: p for p in tmp_path.iterdir() if p.suffix not in (ending,)}
    data["scan"].write_bytes(data["other"].read_bytes())
    assert before is not None and key(path) not in (before, None)


def test_a_header_that_names_no_single_file_is_not_kept(tmp_path: Path, image: sitk.Image) -> None:
    path = tmp_path / "scan.mhd"
    sitk.WriteImage(image, str(path))
    path.write_text(path.read_text().replace("ElementDataFile = scan.raw", "ElementDataFile = LIST"))
    assert key(path) is None


def test_a_series_is_all_files_of_its_folder_whichever_is_named(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"{number}.dcm").write_bytes(bytes([number]) * 100)
    whole = key(tmp_path)
    one = key(tmp_path / "1.dcm")
    assert whole is not None and one is not None and whole.sha256 == one.sha256
    (tmp_path / "2.dcm").write_bytes(b"x" * 100)
    changed = key(tmp_path)
    assert changed is not None and changed.sha256 != whole.sha256


def test_a_missing_scan_has_no_key(tmp_path: Path) -> None:
    assert key(tmp_path / "nowhere.nrrd") is None


def test_another_series_of_the_same_folder_is_another_scan(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(b"1" * 100)
    assert len({key(tmp_path), key(tmp_path, series="3"), key(tmp_path, series="4")}) == 3
