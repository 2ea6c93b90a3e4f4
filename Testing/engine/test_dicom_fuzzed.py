"""DICOM written for series whose headers hold anything: objects that can be read again, or a sentence."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import pydicom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dicom_results import made_result
from dicom_writing import with_value
from diffugts.dicom.export import SEGMENTATION_FILE, export_result
from diffugts.errors import DiffuGTSError

EXAMPLES = int(os.environ.get("DIFFUGTS_FUZZED", "15"))

KEYWORDS = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber",
    "ReferringPhysicianName", "Manufacturer", "ManufacturerModelName", "SeriesDescription", "SliceThickness", "ImageType",
    "FrameOfReferenceUID", "StudyInstanceUID", "PatientPosition", "SeriesNumber", "InstanceNumber",
)  # fmt: skip
values = st.one_of(
    st.sampled_from(
        ["", " ", "0", "-1", "nan", "inf", "1e999", "20261399", "^^^", "a=b=c", "\\", "a\\b", "\x1b$B", "x" * 200]
    ),
    st.text(st.characters(min_codepoint=0, max_codepoint=255), max_size=30),
)


def test_headers_with_any_values(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    whole = {path: path.read_bytes() for path in made.series.iterdir()}
    written_whole = []
    expected = [int(finding.mask.sum()) for finding in made.segmentation.findings]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), derandomize=EXAMPLES <= 15)
    @given(st.dictionaries(st.sampled_from(KEYWORDS), values, min_size=1, max_size=4))
    def write(changes: dict[str, str]) -> None:
        for path, content in whole.items():
            for keyword, text in changes.items():
                content = with_value(content, keyword, text.encode("latin-1"))
            path.write_bytes(content)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        try:
            written = export_result(made.result, made.series, tmp_path / "out", score_maps=False)
        except DiffuGTSError as error:
            assert str(error).endswith(".") and not (tmp_path / "out").exists()
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the values that were put in
            dataset = pydicom.dcmread(written.folder / SEGMENTATION_FILE)
            assert int(np.count_nonzero(dataset.pixel_array)) == sum(expected)
            for name in written.files:
                str(pydicom.dcmread(written.folder / name))
        written_whole.append(written)

    write()
    assert len(written_whole) > EXAMPLES // 3, "most of these headers are odd, not unusable"
