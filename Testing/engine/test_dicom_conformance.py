"""What is written, held against the standard by dciodvfy and dcentvfy (dicom3tools), and read by dcmqi as Slicer does.

Skipped where these are not installed (Debian, Ubuntu: apt-get install dicom3tools; pip install dcmqi).
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from dicom_results import made_result
from diffugts.dicom.export import SEGMENTATION_FILE, export_result
from diffugts.protocol.colours import colour

needs_dicom3tools = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools are not installed")

NEWER_THAN_THE_CHECKER = "(0x0008,0x001c)"
"""SyntheticData, of the standard since 2022; releases of dicom3tools before that do not know it."""


def errors(program: str, *paths: Path) -> list[str]:
    done = subprocess.run([program, *map(str, paths)], capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@needs_dicom3tools
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_every_object_is_what_the_standard_says(tmp_path: Path, modality: str) -> None:
    made = made_result(tmp_path, modality=modality)
    folder = export_result(made.result, made.series, tmp_path / "out").folder
    for path in sorted(folder.rglob("*.dcm")):
        assert [line for line in errors("dciodvfy", path) if NEWER_THAN_THE_CHECKER not in line] == [], path.name


@needs_dicom3tools
def test_patient_study_and_series_agree_over_all_objects(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    folder = export_result(made.result, made.series, tmp_path / "out").folder
    assert errors("dcentvfy", *made.series.iterdir(), *folder.rglob("*.dcm")) == []


@pytest.mark.skipif(shutil.which("segimage2itkimage") is None, reason="dcmqi is not installed")
def test_dcmqi_reads_the_same_voxels_names_and_colours(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    folder = export_result(made.result, made.series, tmp_path / "out").folder
    (tmp_path / "read").mkdir()
    subprocess.run(
        ["segimage2itkimage", "--inputDICOM", str(folder / SEGMENTATION_FILE), "--outputDirectory",
         str(tmp_path / "read"), "--outputType", "nrrd"],
        check=True, capture_output=True,
    )  # fmt: skip
    facts = json.loads((tmp_path / "read" / "meta.json").read_text(encoding="utf-8"))
    by_label = {each[0]["SegmentLabel"]: each[0] for each in facts["segmentAttributes"]}
    for number, finding in enumerate(made.segmentation.findings):
        if not finding.mask.any():
            continue
        segment = by_label[finding.description]
        assert segment["recommendedDisplayRGBValue"] == [round(255 * part) for part in colour(number)]
        image = sitk.ReadImage(str(tmp_path / "read" / f"{segment['labelID']}.nrrd"))
        there = sitk.Resample(image, made.scan.image(), sitk.Transform(), sitk.sitkNearestNeighbor)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(there) > 0, finding.mask)
