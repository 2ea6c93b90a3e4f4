"""MetaImage headers that would end ITK's reader, and the program with it: refused in a sentence before it sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from diffugts.errors import ScanError
from diffugts.scans.reading import read_scan


@pytest.fixture
def header(tmp_path: Path) -> Path:
    """The header's file of a scan in two files."""
    voxels = np.random.default_rng(0).integers(0, 200, (12, 12, 12)).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 2.0))
    sitk.WriteImage(image, tmp_path / "scan.mhd")
    return tmp_path / "scan.mhd"


def replace(header: Path, old: str, new: str) -> None:
    text = header.read_text()
    assert old in text
    header.write_bytes(text.replace(old, new).encode("latin-1"))


@pytest.mark.parametrize("axes", ["-1", "100", "99999", "1e308", "", "3x", "0"])
def test_a_number_of_axes_that_is_none_is_refused(header: Path, axes: str) -> None:
    replace(header, "NDims = 3", f"NDims = {axes}")
    with pytest.raises(ScanError, match=f"gives '{axes}' axes, expected 3"):
        read_scan(header, "MR")


def test_a_second_number_of_axes_is_looked_at_too(header: Path) -> None:
    replace(header, "NDims = 3", "NDims = 3\rNDims = 99999")
    with pytest.raises(ScanError, match="gives '99999' axes"):
        read_scan(header, "MR")


def test_a_header_without_axes_is_refused(header: Path) -> None:
    replace(header, "NDims = 3\n", "")
    with pytest.raises(ScanError, match="does not say how many axes"):
        read_scan(header, "MR")


def test_a_header_that_is_no_text_is_refused(header: Path) -> None:
    replace(header, "NDims = 3", "NDims = 3\nNDims\0x = 99999")
    with pytest.raises(ScanError, match="it is no text"):
        read_scan(header, "MR")


@pytest.mark.parametrize("files", ["%d.raw 1 12 0", "%s%s%s%s.raw 1 12 1", "%n.raw 1 12 1", "%d%d.raw 1 12 1", "50%"])
def test_files_that_cannot_be_named_are_refused(header: Path, files: str) -> None:
    replace(header, "ElementDataFile = scan.raw", f"ElementDataFile = {files}")
    with pytest.raises(ScanError, match="names no files"):
        read_scan(header, "MR")


def test_a_file_for_each_slice_is_read(header: Path) -> None:
    whole = read_scan(header, "MR")
    voxels = (header.parent / "scan.raw").read_bytes()
    size = len(voxels) // 12
    for n in range(12):
        (header.parent / f"slice{n + 1:02}.raw").write_bytes(voxels[n * size : (n + 1) * size])
    replace(header, "ElementDataFile = scan.raw", "ElementDataFile = slice%02d.raw 1 12 1")
    assert np.array_equal(read_scan(header, "MR").voxels, whole.voxels)


@pytest.mark.parametrize("field", ["DimSize = 12 12 12x", "DimSize = 12 12 12.5"])
def test_sizes_that_are_no_numbers_are_refused(header: Path, field: str) -> None:
    replace(header, "DimSize = 12 12 12", field)
    with pytest.raises(ScanError, match="damaged"):
        read_scan(header, "MR")


def test_a_data_file_with_a_name_too_long_for_any_disk_is_missing(header: Path) -> None:
    replace(header, "ElementDataFile = scan.raw", "ElementDataFile = " + "x" * 300)
    with pytest.raises(ScanError, match="damaged|could not be read"):
        read_scan(header, "MR")


def test_fields_whose_names_are_no_text_are_passed_over(header: Path) -> None:
    replace(header, "NDims = 3", "NDims = 3\nM\xfcller = x")
    assert read_scan(header, "MR").voxels.shape == (12, 12, 12)
