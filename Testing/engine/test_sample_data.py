"""The tutorial's scan that the extension carries is the one that its script makes."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import SimpleITK as sitk

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample_data", ROOT / "Resources" / "make_sample_data.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_shipped_scan_is_what_the_script_makes(script: ModuleType) -> None:
    made, lesion, _ = script.sample()
    shipped = sitk.ReadImage(str(script.RESOURCES / "SampleData" / f"{script.NAME}.nrrd"))
    assert shipped.GetSize() == made.GetSize() and shipped.GetSpacing() == made.GetSpacing()
    assert shipped.GetOrigin() == made.GetOrigin() and shipped.GetDirection() == made.GetDirection()
    difference = np.abs(sitk.GetArrayFromImage(shipped).astype(int) - sitk.GetArrayFromImage(made))
    assert difference.max() <= 1, "HU; another processor may round a voxel otherwise. Run: make sample-data"
    assert 50 < lesion.sum() * 0.008 < 250, "ml of lesion"
