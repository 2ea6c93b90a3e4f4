"""Files: what each format gives, and the sentence for whatever cannot be a scan."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from diffugts.errors import ScanError
from diffugts.scans.reading import MAXIMUM_VOXELS, read_scan
from diffugts.scans.scan import Geometry

FORMATS = ["scan_CT.nrrd", "scan_CT.nhdr", "scan_CT.nii", "scan_CT.nii.gz", "scan_CT.mha", "scan_CT.mhd"]
SHAPE = (12, 14, 18)


def ct_voxels(seed: int = 0, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """HU of air and soft tissue, int16 (k, j, i)."""
    voxels = np.random.default_rng(seed).integers(-30, 80, shape)
    voxels[:, :, :4] = -1000
    return voxels.astype(np.int16)


def image_of(voxels: np.ndarray, spacing: tuple[float, ...] = (1.5, 2.0, 2.5)) -> sitk.Image:
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetOrigin((-10.0, 20.0, 30.5))
    return image


def oblique(image: sitk.Image, flip: bool = False) -> sitk.Image:
    axes = Rotation.from_euler("xyz", (20, -35, 10), degrees=True).as_matrix() @ np.diag(
        [-1.0 if flip else 1.0, 1.0, 1.0]
    )
    image.SetDirection(tuple(axes.ravel()))
    return image


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("compressed", [False, True])
def test_every_format_gives_the_same_voxels_at_the_same_place(tmp_path: Path, name: str, compressed: bool) -> None:
    image = oblique(image_of(ct_voxels()))
    sitk.WriteImage(image, tmp_path / name, compressed)
    scan = read_scan(tmp_path / name)
    np.testing.assert_array_equal(scan.voxels, ct_voxels())
    assert scan.voxels.dtype == np.float32
    expected = Geometry.of(image)
    np.testing.assert_allclose(scan.geometry.ijk_to_lps, expected.ijk_to_lps, atol=1e-4)
    assert (scan.modality, scan.sequence, scan.name, scan.notes) == ("CT", None, "scan_CT", ())


@pytest.mark.parametrize("name", ["flipped_CT.nrrd", "flipped_CT.nii.gz", "flipped_CT.mha"])
def test_left_handed_axes_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    image = oblique(image_of(ct_voxels()), flip=True)
    sitk.WriteImage(image, tmp_path / name)
    scan = read_scan(tmp_path / name)
    assert np.linalg.det(np.reshape(scan.geometry.direction, (3, 3))) == pytest.approx(-1, abs=1e-5)
    np.testing.assert_allclose(scan.geometry.ijk_to_lps, Geometry.of(image).ijk_to_lps, atol=1e-4)


def test_a_path_with_blanks_and_other_alphabets_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "Fälle 患者 á"
    folder.mkdir()
    sitk.WriteImage(image_of(ct_voxels()), folder / "Übersicht CT.nii.gz")
    assert read_scan(folder / "Übersicht CT.nii.gz").name == "Übersicht CT"
    assert read_scan(str(folder / "Übersicht CT.nii.gz")).modality == "CT"


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_every_number_type_becomes_float32(tmp_path: Path, dtype: type) -> None:
    voxels = np.random.default_rng(0).integers(0, 200, SHAPE).astype(dtype)
    sitk.WriteImage(image_of(voxels), tmp_path / "knee_T2.nrrd")
    scan = read_scan(tmp_path / "knee_T2.nrrd")
    np.testing.assert_array_equal(scan.voxels, voxels.astype(np.float32))
    assert (scan.modality, scan.sequence) == ("MR", "T2")


@pytest.mark.parametrize("name", ["a.seg.nrrd", "a.png", "a.zip", "a.hdr", "a"])
def test_other_kinds_of_file_are_refused_with_what_is_expected(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"something else entirely" * 20)
    with pytest.raises(ScanError, match="is a segmentation|Expected NRRD"):
        read_scan(tmp_path / name)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="'nowhere.nrrd' does not exist"):
        read_scan(tmp_path / "nowhere.nrrd")


@pytest.mark.parametrize("name", ["x.nrrd", "x.nii", "x.nii.gz", "x.mha"])
@pytest.mark.parametrize("content", [b"", b"hello, this is text\n" * 40])
def test_a_file_that_is_not_what_its_ending_says_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ScanError, match="is empty|could not be read|damaged"):
        read_scan(tmp_path / name)


def test_nothing_is_written_to_standard_error_by_the_libraries(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    sitk.WriteImage(image_of(ct_voxels()), tmp_path / "scan_CT.nii")
    with_nifti_header(tmp_path / "scan_CT.nii", qform=1, sform=1, rows=[[1.5, 0.7, 0, 0], [0, 2, 0, 0], [0, 0, 2.5, 0]])
    with pytest.raises(ScanError):
        read_scan(tmp_path / "scan_CT.nii")
    sitk.WriteImage(image_of(ct_voxels()), tmp_path / "scan_CT.mha", True)
    whole = (tmp_path / "scan_CT.mha").read_bytes()
    (tmp_path / "scan_CT.mha").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ScanError):
        read_scan(tmp_path / "scan_CT.mha")
    assert capfd.readouterr().err == ""


def with_nifti_header(
    path: Path, qform: int, sform: int, rows: list[list[float]] | None = None, **fields: tuple
) -> None:
    """Change a NIfTI-1 file's codes, sform and single fields given as name=(format, offset, values...)."""
    data = bytearray(path.read_bytes())
    struct.pack_into("<hh", data, 252, qform, sform)
    if rows is not None:
        struct.pack_into("<12f", data, 280, *np.ravel(rows))
    for form, offset, *values in fields.values():
        struct.pack_into(form, data, offset, *values)
    path.write_bytes(data)


STRAIGHT = [[1.5, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2.5, 0]]
SHEARED = [[1.5, 0.4, 0, 0], [0, 2, 0, 0], [0, 0, 2.5, 0]]


@pytest.mark.parametrize(
    ("qform", "sform", "rows", "sentence"),
    [
        (0, 1, SHEARED, "not at right angles"),
        (1, 1, SHEARED, "not at right angles"),
        (1, 2, SHEARED, "not at right angles"),
        (0, 1, [[0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2.5, 0]], "not at right angles|not valid"),
        (0, 1, [[3, 0, 0, 0], [0, 4, 0, 0], [0, 0, 5, 0]], "contradicts itself.*1.5 x 2 x 2.5.*3 x 4 x 5"),
    ],
)
def test_a_nifti_header_that_places_the_scan_wrongly_is_refused(
    tmp_path: Path, qform: int, sform: int, rows: list[list[float]], sentence: str
) -> None:
    path = tmp_path / "scan_CT.nii"
    sitk.WriteImage(image_of(ct_voxels()), path)
    with_nifti_header(path, qform, sform, rows)
    with pytest.raises(ScanError, match=sentence):
        read_scan(path)


def test_a_nifti_without_place_is_read_and_says_so(tmp_path: Path) -> None:
    path = tmp_path / "scan_CT.nii"
    sitk.WriteImage(image_of(ct_voxels()), path)
    with_nifti_header(path, 0, 0)
    assert any("Sides may be swapped" in note for note in read_scan(path).notes)
    with_nifti_header(path, 0, 1, STRAIGHT)
    assert read_scan(path).notes == ()


@pytest.mark.parametrize("spacing", [0.0, float("nan")])
def test_a_nifti_without_spacing_is_refused(tmp_path: Path, spacing: float) -> None:
    path = tmp_path / "scan_CT.nii"
    sitk.WriteImage(image_of(ct_voxels()), path)
    with_nifti_header(path, 1, 0, pixdim=("<f", 80, spacing))
    with pytest.raises(ScanError, match="spacing of 0 or none"):
        read_scan(path)


def write_metaimage(
    path: Path, voxels: np.ndarray, spacing: str = "1.5 2 2.5", axes: str = "1 0 0 0 1 0 0 0 1"
) -> None:
    size = " ".join(str(n) for n in reversed(voxels.shape))
    path.write_bytes(
        f"ObjectType = Image\nNDims = {voxels.ndim}\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"CompressedData = False\nTransformMatrix = {axes}\nOffset = 0 0 0\nElementSpacing = {spacing}\n"
        f"DimSize = {size}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n".encode()
        + voxels.tobytes()
    )


@pytest.mark.parametrize(
    ("spacing", "axes", "sentence"),
    [
        ("1.5 0 2.5", "1 0 0 0 1 0 0 0 1", "spacing"),
        ("1.5 nan 2.5", "1 0 0 0 1 0 0 0 1", "spacing"),
        ("1.5 2 2.5", "1 0 0 0.3 1 0 0 0 1", "not at right angles"),
        ("1.5 2 2.5", "2 0 0 0 2 0 0 0 2", "not at right angles"),
        ("1.5 2 2.5", "0 0 0 0 0 0 0 0 0", "not at right angles or not valid"),
        ("0.001 0.001 0.001", "1 0 0 0 1 0 0 0 1", "at least 10 mm"),
    ],
)
def test_a_grid_that_is_none_is_refused(tmp_path: Path, spacing: str, axes: str, sentence: str) -> None:
    write_metaimage(tmp_path / "scan_CT.mha", ct_voxels(), spacing, axes)
    with pytest.raises(ScanError, match=sentence):
        read_scan(tmp_path / "scan_CT.mha")


def test_a_negative_spacing_flips_the_axis_and_moves_no_voxel(tmp_path: Path) -> None:
    write_metaimage(tmp_path / "scan_CT.mha", ct_voxels(), "1.5 -2 2.5")
    scan = read_scan(tmp_path / "scan_CT.mha")
    assert scan.geometry.spacing_mm == (1.5, 2.0, 2.5)
    np.testing.assert_allclose((scan.geometry.ijk_to_lps @ [0, 3, 0, 1])[:3], [0, -6, 0])
    np.testing.assert_array_equal(scan.voxels, ct_voxels())


def test_a_sheared_nrrd_is_refused(tmp_path: Path) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: left-posterior-superior\nsizes: 18 14 12\nendian: little\n"
        "space directions: (1,0,0) (0.5,2,0) (0,0,3)\nencoding: raw\n\n"
    )
    (tmp_path / "scan_CT.nrrd").write_bytes(header.encode() + ct_voxels().tobytes())
    with pytest.raises(ScanError, match="not at right angles"):
        read_scan(tmp_path / "scan_CT.nrrd")


def test_an_nrrd_without_place_is_read_and_says_so(tmp_path: Path) -> None:
    header = "NRRD0004\ntype: short\ndimension: 3\nsizes: 18 14 12\nspacings: 2 2 2\nendian: little\nencoding: raw\n\n"
    (tmp_path / "scan_CT.nrrd").write_bytes(header.encode() + ct_voxels().tobytes())
    assert any("Sides may be swapped" in note for note in read_scan(tmp_path / "scan_CT.nrrd").notes)


def refused(tmp_path: Path, image: sitk.Image, sentence: str, name: str = "scan_CT.nrrd") -> None:
    sitk.WriteImage(image, tmp_path / name)
    with pytest.raises(ScanError, match=sentence):
        read_scan(tmp_path / name)


def test_what_is_not_one_scalar_volume_is_refused(tmp_path: Path) -> None:
    volume = image_of(ct_voxels())
    refused(tmp_path, sitk.JoinSeries([volume] * 3), "holds 3 volumes", "series_CT.nii.gz")
    refused(tmp_path, sitk.JoinSeries([volume] * 3), "holds 3 (volumes|values per voxel)")
    refused(tmp_path, sitk.Compose([volume] * 3), "holds 3 values per voxel")
    refused(tmp_path, sitk.Compose([sitk.Cast(volume, sitk.sitkUInt8)] * 3), "holds 3 values", "rgb_CT.nii.gz")
    floats = sitk.Cast(volume, sitk.sitkFloat32)
    refused(tmp_path, sitk.RealAndImaginaryToComplex(floats, floats), "complex numbers", "complex.nii.gz")
    refused(tmp_path, image_of(ct_voxels())[:, :, 3], "flat image with 2 axes|voxels; at least 8")


def test_a_fourth_axis_of_length_one_is_dropped(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.JoinSeries([image_of(ct_voxels())]), tmp_path / "scan_CT.nii.gz")
    np.testing.assert_array_equal(read_scan(tmp_path / "scan_CT.nii.gz").voxels, ct_voxels())


@pytest.mark.parametrize("shape", [(1, 40, 40), (40, 7, 40), (40, 40, 2)])
def test_too_few_voxels_are_refused(tmp_path: Path, shape: tuple[int, ...]) -> None:
    refused(tmp_path, image_of(ct_voxels(shape=shape)), "at least 8 along every axis")


def test_a_header_that_promises_a_monstrous_size_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "scan_CT.nii"
    sitk.WriteImage(image_of(ct_voxels()), path)
    with_nifti_header(path, 1, 1, dim=("<4h", 40, 3, 30000, 30000, 20000))
    with pytest.raises(ScanError, match=f"at most {MAXIMUM_VOXELS:,} in all"):
        read_scan(path)


@pytest.mark.parametrize("value", [0, -1000, 55])
def test_an_image_of_one_value_is_refused(tmp_path: Path, value: int) -> None:
    refused(tmp_path, image_of(np.full(SHAPE, value, np.int16)), f"empty: every voxel is {value}")


def test_voxels_that_are_no_numbers_are_filled_with_the_lowest_and_counted(tmp_path: Path) -> None:
    voxels = ct_voxels().astype(np.float32)
    voxels[0, 0, 5], voxels[1, 1, 6], voxels[2, 2, 7] = np.nan, np.inf, -np.inf
    sitk.WriteImage(image_of(voxels), tmp_path / "scan_CT.nrrd")
    scan = read_scan(tmp_path / "scan_CT.nrrd")
    assert scan.voxels[0, 0, 5] == scan.voxels[1, 1, 6] == scan.voxels[2, 2, 7] == -1000
    rest = np.isfinite(voxels)
    np.testing.assert_array_equal(scan.voxels[rest], voxels[rest])
    assert scan.notes == ("3 voxels (0.099 %) were not finite numbers and were set to -1000, the lowest.",)


def test_an_image_without_any_number_is_refused(tmp_path: Path) -> None:
    refused(tmp_path, image_of(np.full(SHAPE, np.nan, np.float32)), "No voxel of the scan is a finite number")


def test_a_ct_stored_with_its_unsigned_offset_is_refused(tmp_path: Path) -> None:
    shifted = (ct_voxels().clip(-1024) + 1024).astype(np.uint16)
    refused(tmp_path, image_of(shifted), "not in Hounsfield units.*1024")


def test_a_windowed_ct_is_read_with_a_warning_note(tmp_path: Path) -> None:
    windowed = ct_voxels().clip(0, 255).astype(np.uint8)
    sitk.WriteImage(image_of(windowed), tmp_path / "scan_CT.nrrd")
    assert any("No voxel of this CT is below 0" in note for note in read_scan(tmp_path / "scan_CT.nrrd").notes)


def test_the_modality_comes_from_metadata_then_name_then_voxels(tmp_path: Path) -> None:
    image = image_of(ct_voxels())
    sitk.WriteImage(image, tmp_path / "patient.nrrd")
    assert read_scan(tmp_path / "patient.nrrd").modality == "CT", "from air and soft tissue"
    image.SetMetaData("0008|0060", "MR")
    sitk.WriteImage(image, tmp_path / "tagged.nrrd")
    assert read_scan(tmp_path / "tagged.nrrd").modality == "MR", "DICOM's tag in the file comes first"
    mr = image_of(np.random.default_rng(0).integers(0, 900, SHAPE).astype(np.int16))
    sitk.WriteImage(mr, tmp_path / "patient_2.nrrd")
    with pytest.raises(ScanError, match="--modality"):
        read_scan(tmp_path / "patient_2.nrrd")
    scan = read_scan(tmp_path / "patient_2.nrrd", modality="mr", sequence="t1ce")
    assert (scan.modality, scan.sequence) == ("MR", "T1c")


def test_a_name_that_contradicts_the_voxels_is_asked_about(tmp_path: Path) -> None:
    refused(tmp_path, image_of(ct_voxels()), "name says MR, but its voxels look like", "head_FLAIR.nrrd")
