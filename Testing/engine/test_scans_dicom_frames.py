"""Enhanced multi-frame images: every frame at its own place, with its own slope; what cannot be told apart is refused."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEGLSLossless
from scipy.spatial.transform import Rotation

from dicom_writing import write_enhanced
from diffugts.errors import InstallationError, ScanError
from diffugts.scans.reading import read_scan
from test_scans_dicom import SHAPE, stored_ct


def test_frames_in_any_order_are_put_at_their_places(tmp_path: Path) -> None:
    axes = Rotation.from_euler("xyz", (25, -10, 40), degrees=True).as_matrix()
    order = [(int(k), "1") for k in np.random.default_rng(0).permutation(SHAPE[0])]
    write_enhanced(tmp_path / "scan.dcm", stored_ct(), axes=axes, frames=order)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_ct().astype(np.float32) - 1024)
    np.testing.assert_allclose(scan.geometry.spacing_mm, (1.5, 2.0, 2.5), rtol=1e-6)
    np.testing.assert_allclose(np.reshape(scan.geometry.direction, (3, 3)), axes, atol=1e-6)
    np.testing.assert_allclose(scan.geometry.origin_mm, (-20, 10, 30), atol=1e-6)


def test_every_frame_has_its_own_slope(tmp_path: Path) -> None:
    slopes = [1 + 0.25 * k for k in range(SHAPE[0])]
    write_enhanced(tmp_path / "scan.dcm", stored_ct(), slopes=slopes)
    expected = stored_ct() * np.array(slopes)[:, None, None] - 1024
    np.testing.assert_allclose(read_scan(tmp_path / "scan.dcm").voxels, expected, rtol=1e-6)


def test_compressed_frames_are_unpacked(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "scan.dcm", stored_ct(), change=lambda dataset: dataset.compress(JPEGLSLossless))
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, stored_ct().astype(np.float32) - 1024)


def test_time_points_in_one_file_are_listed_and_can_be_chosen(tmp_path: Path) -> None:
    stored = np.concatenate([stored_ct(0), stored_ct(5)])
    frames = [(k, "1") for k in range(12)] + [(k, "2") for k in range(12, 24)]

    def second_at_the_same_places(dataset: Dataset) -> None:
        groups = dataset.PerFrameFunctionalGroupsSequence
        for k in range(12):
            place = groups[k].PlanePositionSequence[0].ImagePositionPatient
            groups[k + 12].PlanePositionSequence[0].ImagePositionPatient = place

    write_enhanced(tmp_path / "scan.dcm", stored, frames=frames, change=second_at_the_same_places)
    with pytest.raises(ScanError, match=r"/1 \(time point 1\).*/2 \(time point 2\)"):
        read_scan(tmp_path)
    with pytest.raises(ScanError, match="'scan.dcm' holds 2 volumes"):
        read_scan(tmp_path / "scan.dcm")
    for part, seed in (("4/1", 0), ("4/2", 5)):
        scan = read_scan(tmp_path / "scan.dcm", series=part)
        np.testing.assert_array_equal(scan.voxels, stored_ct(seed).astype(np.float32) - 1024)


def test_missing_frames_are_refused(tmp_path: Path) -> None:
    write_enhanced(tmp_path / "scan.dcm", stored_ct(), frames=[(k, "1") for k in range(12) if k != 5])
    with pytest.raises(ScanError, match="gaps: 1 of 12"):
        read_scan(tmp_path)


def without_places(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence


def one_place_missing(dataset: Dataset) -> None:
    del dataset.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence


def cut_short(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:-400]


def nonsense_for_a_place(dataset: Dataset) -> None:
    place = dataset.PerFrameFunctionalGroupsSequence[3].PlanePositionSequence[0]
    place.add_new(0x00200032, "SH", "here\\there\\anywhere")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (without_places, "do not say where each frame lies"),
        (one_place_missing, "no position, orientation or pixel spacing"),
        (cut_short, "damaged"),
        (nonsense_for_a_place, "no DICOM image that can be read"),
    ],
)
def test_what_cannot_be_put_together_is_refused_in_a_sentence(tmp_path: Path, change, sentence: str) -> None:
    write_enhanced(tmp_path / "scan.dcm", stored_ct(), change=change)
    with pytest.raises(ScanError, match=sentence):
        read_scan(tmp_path)


def test_without_pydicom_the_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_enhanced(tmp_path / "scan.dcm", stored_ct())
    real = builtins.__import__

    def without_pydicom(name: str, *rest, **named):
        if name.split(".")[0] == "pydicom":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_pydicom)
    with pytest.raises(InstallationError, match=r"diffugts\[dicom\]"):
        read_scan(tmp_path)
