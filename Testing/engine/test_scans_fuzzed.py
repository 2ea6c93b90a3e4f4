"""Damaged headers of NIfTI, NRRD and MetaImage: a scan or a sentence, quickly, and never more memory than the files are worth."""

from __future__ import annotations

import resource
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from diffugts.errors import ScanError
from diffugts.scans.reading import read_scan
from fuzzing import DAMAGE, damaged, fuzzed

USUALLY = 60
LONGEST_S = 5.0
MOST_MEMORY_KB = 400_000

outcomes: Counter[str] = Counter()


@pytest.fixture(scope="module", autouse=True)
def summary() -> Iterator[None]:
    """Says at the end, with `pytest -s`, what became of all that was read."""
    yield
    print(f"\n{outcomes.total()} damaged files: {outcomes['scan']} were scans, {outcomes['sentence']} sentences")


def written(folder: Path, name: str, packed: bool = False) -> Path:
    """A scan of 12 voxels of 2 mm along each axis, and the header's file."""
    voxels = np.random.default_rng(0).integers(0, 200, (12, 12, 12)).astype(np.int16)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing((2.0, 2.0, 2.0))
    sitk.WriteImage(image, str(folder / name), packed)
    return folder / name


def nifti_2(folder: Path) -> Path:
    """The same as NIfTI-2, which ITK reads and does not write: the fields of nifti2.h, an sform and no qform."""
    header = np.zeros(1, np.dtype([
        ("length", "<i4"), ("magic", "S8"), ("type", "<i2"), ("bits", "<i2"), ("dim", "<i8", 8), ("intents", "<f8", 3),
        ("pixdim", "<f8", 8), ("offset", "<i8"), ("slope", "<f8", 2), ("cal", "<f8", 4), ("slices", "<i8", 2),
        ("text", "S104"), ("qform", "<i4"), ("sform", "<i4"), ("quaternion", "<f8", 6), ("rows", "<f8", (3, 4)),
        ("more", "<i4", 3), ("intent", "S16"), ("info", "S1"), ("rest", "S15"),
    ]))  # fmt: skip
    header["length"], header["magic"], header["type"], header["bits"] = 540, b"n+2\0\r\n\x1a\n", 4, 16
    header["dim"], header["pixdim"], header["offset"] = [3, 12, 12, 12, 1, 1, 1, 1], [1, 2, 2, 2, 0, 0, 0, 0], 544
    header["sform"], header["rows"] = 1, 2 * np.eye(3, 4)
    assert header.nbytes == 540
    voxels = np.random.default_rng(0).integers(0, 200, 12**3).astype("<i2")
    path = folder / "scan.nii"
    path.write_bytes(header.tobytes() + bytes(4) + voxels.tobytes())
    return path


FILES = {
    "NIfTI-1": lambda folder: written(folder, "scan.nii"),
    "NIfTI-1 packed": lambda folder: written(folder, "scan.nii.gz", packed=True),
    "NIfTI-2": nifti_2,
    "NRRD": lambda folder: written(folder, "scan.nrrd"),
    "NRRD packed": lambda folder: written(folder, "scan.nrrd", packed=True),
    "NRRD in two files": lambda folder: written(folder, "scan.nhdr"),
    "MetaImage": lambda folder: written(folder, "scan.mha"),
    "MetaImage packed": lambda folder: written(folder, "scan.mha", packed=True),
    "MetaImage in two files": lambda folder: written(folder, "scan.mhd"),
}
HEADER_BYTES = {".nii": 552, ".nii.gz": 60}
"""Where the voxels begin; the headers in words end where an empty line or ElementDataFile is."""


@pytest.fixture(params=FILES, ids=str)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = FILES[request.param](tmp_path)
    require_scan_or_sentence(path)
    assert outcomes["scan"] > 0, "undamaged it has to be read"
    return path


def header_end(path: Path, content: bytes) -> int:
    known = HEADER_BYTES.get("".join(path.suffixes))
    if known is not None:
        return min(known, len(content))
    if path.suffix in (".mha", ".mhd"):
        return content.index(b"\n", content.index(b"ElementDataFile"))
    return content.find(b"\n\n") + 2 if b"\n\n" in content else len(content)


def require_scan_or_sentence(path: Path) -> None:
    """Read the file; anything but a scan or a ScanError, a long wait or much memory is a failure."""
    began, before = time.monotonic(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        scan = read_scan(path, "MR")
    except ScanError as error:
        assert str(error).endswith((".", "?")) and len(str(error)) < 1000
        outcomes["sentence"] += 1
    else:
        outcomes["scan"] += 1
        assert np.isfinite(scan.voxels).all() and np.isfinite(scan.geometry.ijk_to_lps).all()
    assert time.monotonic() - began < LONGEST_S
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < MOST_MEMORY_KB


def test_bytes_damaged_anywhere_in_a_header(file: Path) -> None:
    content = file.read_bytes()
    end = header_end(file, content)

    @fuzzed(USUALLY)
    @given(DAMAGE)
    def read(steps: list[tuple[str, float, bytes]]) -> None:
        file.write_bytes(damaged(content, steps, 0, end))
        require_scan_or_sentence(file)

    read()


VALUES = st.sampled_from(
    ["", "0", "-1", "12", "nan", "inf", "1e308", "9" * 30, "12 12", "12 12 12", "12 12 1x", "1 0 0 0 1 0 0 0 0", "none", "(1,0,0)",
     "(0,0,0) (0,1,0) (0,0,1)", "(nan,0,0) (0,1,0) (0,0,1)", "True", "gzip", "hex", "short", "MET_SHORT", "MET_FLOAT", "LIST",
     "LOCAL", "..", "x" * 300, "a\0b", "%d.raw 1 12 1", "LIST 2"],
) | st.text(max_size=12)  # fmt: skip


@pytest.mark.parametrize("kind", [kind for kind in FILES if not kind.startswith("NIfTI")])
def test_fields_with_any_value(kind: str, tmp_path: Path) -> None:
    """What is written in words: one to three of its fields say something else, are there twice or are gone."""
    path = FILES[kind](tmp_path)
    content = path.read_bytes()
    end = header_end(path, content)
    lines = content[:end].split(b"\n")
    sign = b" =" if b"ElementDataFile" in content else b":"

    @fuzzed(USUALLY)
    @given(st.dictionaries(st.integers(0, len(lines) - 1), VALUES | st.none() | st.just(2), min_size=1, max_size=3))
    def read(changes: dict[int, str | int | None]) -> None:
        changed: list[bytes] = []
        for number, line in enumerate(lines):
            value = changes.get(number, 1)
            if isinstance(value, str):
                changed.append(line.partition(sign)[0] + sign + b" " + value.encode("utf-8", "replace"))
            else:
                changed.extend([line] * (value or 0))
        path.write_bytes(b"\n".join(changed) + content[end:])
        require_scan_or_sentence(path)

    read()
