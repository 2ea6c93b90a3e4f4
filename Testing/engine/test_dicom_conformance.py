"""Everything that is written, held against the standard by dciodvfy and dcentvfy (David Clunie's dicom3tools).

Skipped where these are not installed (Debian, Ubuntu: apt-get install dicom3tools).
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from dicom_results import made_result
from diffugts.dicom.export import export_result

pytestmark = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy is not installed")

NEWER_THAN_THE_CHECKER = "(0x0008,0x001c)"
"""SyntheticData, of the standard since 2022; releases of dicom3tools before that do not know it."""


def errors(program: str, *paths: Path) -> list[str]:
    done = subprocess.run([program, *map(str, paths)], capture_output=True, text=True)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_every_object_is_what_the_standard_says(tmp_path: Path, modality: str) -> None:
    made = made_result(tmp_path, modality=modality)
    folder = export_result(made.result, made.series, tmp_path / "out").folder
    for path in sorted(folder.rglob("*.dcm")):
        assert [line for line in errors("dciodvfy", path) if NEWER_THAN_THE_CHECKER not in line] == [], path.name


def test_patient_study_and_series_agree_over_all_objects(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    folder = export_result(made.result, made.series, tmp_path / "out").folder
    assert errors("dcentvfy", *made.series.iterdir(), *folder.rglob("*.dcm")) == []
