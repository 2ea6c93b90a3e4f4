"""Damaged and truncated files are noticed, whole ones are not suspected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from diffugts.errors import ScanError
from diffugts.scans.integrity import require_whole
from diffugts.scans.reading import read_scan

CASES = [
    ("a_CT.nii", "a_CT.nii", False),
    ("a_CT.nii.gz", "a_CT.nii.gz", True),
    ("a_CT.nrrd", "a_CT.nrrd", True),
    ("a_CT.nrrd", "a_CT.nrrd", False),
    ("a_CT.nhdr", "a_CT.raw.gz", True),
    ("a_CT.nhdr", "a_CT.raw", False),
    ("a_CT.mha", "a_CT.mha", True),
    ("a_CT.mha", "a_CT.mha", False),
    ("a_CT.mhd", "a_CT.zraw", True),
    ("a_CT.mhd", "a_CT.raw", False),
]


def write(folder: Path, name: str, compressed: bool, dtype: type = np.int16) -> Path:
    voxels = np.random.default_rng(0).integers(-1000, 100, (16, 18, 20)).astype(dtype)
    sitk.WriteImage(sitk.GetImageFromArray(voxels), folder / name, compressed)
    return folder / name


@pytest.mark.parametrize(("name", "data", "compressed"), CASES)
@pytest.mark.parametrize("kept", [0.4, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, name: str, data: str, compressed: bool, kept: float) -> None:
    path = write(tmp_path, name, compressed)
    assert read_scan(path).voxels.shape == (16, 18, 20)
    whole = (tmp_path / data).read_bytes()
    (tmp_path / data).write_bytes(whole[: min(int(kept * len(whole)), len(whole) - 1)])
    with pytest.raises(ScanError, match=r"damaged|could not be read"):
        read_scan(path)


@pytest.mark.parametrize(("name", "data", "compressed"), [case for case in CASES if case[2]])
def test_a_flipped_bit_in_compressed_voxels_is_noticed(tmp_path: Path, name: str, data: str, compressed: bool) -> None:
    path = write(tmp_path, name, compressed)
    content = bytearray((tmp_path / data).read_bytes())
    content[len(content) * 2 // 3] ^= 0x10
    (tmp_path / data).write_bytes(content)
    with pytest.raises(ScanError, match=r"damaged|could not be read"):
        read_scan(path)


@pytest.mark.parametrize(("name", "data", "compressed"), [case for case in CASES if case[0] != case[1]])
def test_a_missing_data_file_is_noticed(tmp_path: Path, name: str, data: str, compressed: bool) -> None:
    path = write(tmp_path, name, compressed)
    (tmp_path / data).unlink()
    with pytest.raises(ScanError, match=r"damaged|could not be read"):
        read_scan(path)


@pytest.mark.parametrize(
    "dtype", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.float32, np.float64]
)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.mha", "a.mhd"])
@pytest.mark.parametrize("compressed", [False, True])
def test_whole_files_of_every_number_type_pass(tmp_path: Path, name: str, dtype: type, compressed: bool) -> None:
    require_whole(write(tmp_path, name, compressed, dtype))


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_nifti_2_file_is_counted_by_its_own_header(tmp_path: Path, order: str) -> None:
    header = np.zeros(544, np.uint8)
    header[0:4] = np.frombuffer(np.array(540, order + "i4").tobytes(), np.uint8)
    header[4:12] = np.frombuffer(b"n+2\0\r\n\032\n", np.uint8)
    header[12:14] = np.frombuffer(np.array(4, order + "i2").tobytes(), np.uint8)
    header[14:16] = np.frombuffer(np.array(16, order + "i2").tobytes(), np.uint8)
    header[16:80] = np.frombuffer(np.array([3, 8, 9, 10, 1, 1, 1, 1], order + "i8").tobytes(), np.uint8)
    header[168:176] = np.frombuffer(np.array(544, order + "i8").tobytes(), np.uint8)
    whole = header.tobytes() + bytes(8 * 9 * 10 * 2)
    (tmp_path / "a.nii").write_bytes(whole)
    require_whole(tmp_path / "a.nii")
    (tmp_path / "a.nii").write_bytes(whole[:-1])
    with pytest.raises(ScanError, match="promises 1984 bytes, it holds 1983"):
        require_whole(tmp_path / "a.nii")
