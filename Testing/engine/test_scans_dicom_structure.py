"""The look at a DICOM file's elements before it is read: it lets pass whatever GDCM can read, and stops what costs memory."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
import SimpleITK as sitk
from pydicom.dataset import Dataset

from dicom_results import stored_values
from dicom_writing import write_series
from diffugts.scans.dicom_structure import DEEPEST, elements_fit, may_be_dicom

REAL_FILES = [
    path
    for path in sorted((Path(pydicom.__file__).parent / "data").rglob("*"))
    if path.is_file() and path.suffix in ("", ".dcm")
]
"""Files of scanners and of many programs, with their faults, that pydicom brings for its own tests."""


@pytest.fixture
def quiet_itk():
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    yield
    sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def read_by_gdcm(path: Path) -> bool:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("GDCMImageIO")
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return False
    return True


@pytest.mark.skipif(len(REAL_FILES) < 100, reason="this pydicom brings no test files")
def test_no_real_file_that_gdcm_reads_is_stopped(quiet_itk) -> None:
    readable = [path for path in REAL_FILES if may_be_dicom(path) and read_by_gdcm(path)]
    assert len(readable) > 50
    assert [path.name for path in readable if not elements_fit(path)] == []
    others = [path for path in REAL_FILES if not may_be_dicom(path)]
    assert [path.name for path in others if read_by_gdcm(path)] == []


def one_file(folder: Path, change=None) -> Path:
    write_series(folder, stored_values()[:1], change=change)
    return next(folder.iterdir())


def nested(depth: int):
    def change(dataset: Dataset, k: int) -> None:
        inner = Dataset()
        for _ in range(depth):
            outer = Dataset()
            outer.ReferencedStudySequence = [inner]
            inner = outer
        dataset.update(inner)

    return change


def test_sequences_may_be_nested_but_not_without_end(tmp_path: Path) -> None:
    assert elements_fit(one_file(tmp_path / "a", nested(5)))
    assert not elements_fit(one_file(tmp_path / "b", nested(DEEPEST + 5)))


@pytest.mark.parametrize("kept", [0, 1, 7, 140, 300, 700])
def test_a_file_that_ends_in_an_element_is_stopped(tmp_path: Path, kept: int) -> None:
    path = one_file(tmp_path)
    path.write_bytes(path.read_bytes()[:kept])
    assert not elements_fit(path)


def test_a_kind_of_value_that_there_is_not_is_stopped(tmp_path: Path) -> None:
    path = one_file(tmp_path)
    assert elements_fit(path)
    path.write_bytes(path.read_bytes().replace(b"\x08\x00\x60\x00CS", b"\x08\x00\x60\x00ZZ"))
    assert not elements_fit(path)


def test_zeros_in_front_of_a_damaged_element_do_not_hide_it(tmp_path: Path) -> None:
    path = one_file(tmp_path)
    content = path.read_bytes()
    at = content.index(b"\x28\x00\x02\x00US")
    path.write_bytes(content[:at] + b"\x00" * 8 + content[at:])
    assert not elements_fit(path)
