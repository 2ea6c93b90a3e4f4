"""Damaged DICOM headers: a scan or a sentence, quickly, and never more memory than the files are worth.

The variable DIFFUGTS_FUZZED says how many damaged series each test reads; docs/robustness.md has a long run.
"""

from __future__ import annotations

import resource
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEGLSLossless, RLELossless

from dicom_writing import with_value, write_enhanced, write_series
from diffugts.errors import ScanError
from diffugts.scans.reading import read_scan
from fuzzing import DAMAGE, damaged, fuzzed

USUALLY = 40
LONGEST_S = 5.0
MOST_MEMORY_KB = 400_000

outcomes: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def summary() -> Iterator[None]:
    """Says at the end, with `pytest -s`, what became of all that was read."""
    yield
    print(f"\n{outcomes.total()} damaged series: {outcomes['scan']} were scans, {outcomes['sentence']} sentences")


def stored_values() -> np.ndarray:
    stored = np.random.default_rng(0).integers(1000, 1100, (8, 16, 16)).astype(np.uint16)
    stored[:, :, :4] = 20
    return stored


def implicit(dataset: Dataset, k: int) -> None:
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def big_endian(dataset: Dataset, k: int) -> None:
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()


def packed(syntax: str) -> Callable[[Dataset, int], None]:
    return lambda dataset, k: dataset.compress(syntax)


SERIES: dict[str, Callable[[Path], None]] = {
    "explicit": lambda folder: void(write_series(folder, stored_values())),
    "implicit": lambda folder: void(write_series(folder, stored_values(), change=implicit)),
    "big endian": lambda folder: void(write_series(folder, stored_values(), change=big_endian)),
    "run lengths": lambda folder: void(write_series(folder, stored_values(), change=packed(RLELossless))),
    "JPEG-LS": lambda folder: void(write_series(folder, stored_values(), change=packed(JPEGLSLossless))),
    "enhanced": lambda folder: write_enhanced(folder / "scan.dcm", stored_values()),
}


def void(_: object) -> None:
    """For what is called for its effect."""


@pytest.fixture(params=SERIES, ids=str)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    SERIES[request.param](tmp_path / "series")
    return tmp_path / "series"


def in_header(content: bytes, steps: list[tuple[str, float, bytes]]) -> bytes:
    """The content with its header damaged."""
    header_end = content.rfind(b"\xe0\x7f\x10\x00") + 12
    if header_end < 12:
        header_end = max(132, content.rfind(b"\x7f\xe0\x00\x10") + 12)
    return damaged(content, steps, 128, header_end)


def require_scan_or_sentence(folder: Path) -> None:
    """Read the folder; anything but a scan or a ScanError, a long wait or much memory is a failure."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        scan = read_scan(folder)
    except ScanError as error:
        assert str(error).endswith(".")
        outcomes["sentence"] += 1
    else:
        outcomes["scan"] += 1
        assert np.isfinite(scan.voxels).all() and np.isfinite(scan.geometry.ijk_to_lps).all()
    assert time.monotonic() - began < LONGEST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY_KB


def test_bytes_damaged_anywhere_in_a_header(folder: Path) -> None:
    file = sorted(folder.iterdir())[-1]
    content = file.read_bytes()

    @fuzzed(USUALLY)
    @given(DAMAGE)
    def read(changes: list[tuple[str, float, bytes]]) -> None:
        file.write_bytes(in_header(content, changes))
        require_scan_or_sentence(folder)

    read()


def test_files_cut_off_anywhere(folder: Path) -> None:
    file = sorted(folder.iterdir())[-1]
    content = file.read_bytes()

    @fuzzed(USUALLY)
    @given(st.integers(0, len(content) - 1))
    def read(kept: int) -> None:
        file.write_bytes(content[:kept])
        require_scan_or_sentence(folder)

    read()


KEYWORDS = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "Columns", "BitsAllocated", "BitsStored",
    "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept",
    "SOPInstanceUID", "SeriesInstanceUID", "SOPClassUID", "Modality", "SeriesNumber", "ImageType", "SliceThickness",
)  # fmt: skip
NUMERIC = {"Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel"}
values = st.one_of(
    st.sampled_from(
        ["", "0", "-1", "1e308", "nan", "inf", "1\\2\\3\\4\\5\\6\\7", "\\\\", "0\\0\\0", "MONOCHROME1", "YES"]
    ),
    st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
)
small_numbers = st.one_of(st.sampled_from([0, 1, 2, 7, 8, 12, 16, 32, 64, 65535]), st.integers(0, 65535))


def test_elements_with_any_value(tmp_path: Path) -> None:
    write_series(tmp_path / "series", stored_values())
    file = sorted((tmp_path / "series").iterdir())[-1]
    content = file.read_bytes()

    @fuzzed(USUALLY)
    @given(st.dictionaries(st.sampled_from(KEYWORDS), st.tuples(values, small_numbers), min_size=1, max_size=3))
    def read(changes: dict[str, tuple[str, int]]) -> None:
        changed = content
        for keyword, (text, number) in changes.items():
            value = struct.pack("<H", number) if keyword in NUMERIC else text.encode("latin-1")
            changed = with_value(changed, keyword, value)
        file.write_bytes(changed)
        require_scan_or_sentence(tmp_path / "series")

    read()
