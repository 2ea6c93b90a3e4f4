"""DICOM series: order, geometry and rescaling come out right, and whatever is not one volume is refused."""

from __future__ import annotations

import io
import resource
import tempfile
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)
from scipy.spatial.transform import Rotation

from dicom_writing import write_series
from diffugts.errors import ScanError
from diffugts.scans.reading import read_scan

SHAPE = (12, 16, 20)


def stored_ct(seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """Unsigned stored values of a CT with air, soft tissue and one marker, (k, j, i)."""
    stored = np.random.default_rng(seed).integers(1000, 1100, shape)
    stored[:, :, :5] = np.random.default_rng(seed + 1).integers(0, 50, (shape[0], shape[1], 5))
    stored[3, 7, 11] = 2500
    return stored.astype(np.uint16)


def test_an_axial_series_with_shuffled_names_is_read_in_order_and_in_hounsfield_units(tmp_path: Path) -> None:
    stored = stored_ct()
    write_series(tmp_path / "series", stored)
    scan = read_scan(tmp_path / "series")
    assert scan.modality == "CT" and scan.sequence is None
    np.testing.assert_array_equal(scan.voxels, stored.astype(np.float32) - 1024)
    np.testing.assert_allclose(scan.geometry.spacing_mm, (1.5, 2.0, 2.5))
    np.testing.assert_allclose(scan.geometry.origin_mm, (-20, 10, 30))
    np.testing.assert_allclose(scan.geometry.direction, np.eye(3).ravel(), atol=1e-9)
    assert scan.notes == ()


@pytest.mark.parametrize("turn", [(30, 20, -40), (90, 0, 0), (0, 90, 0), (170, 5, 100)])
@pytest.mark.parametrize("descending", [False, True])
def test_an_oblique_series_keeps_every_voxel_at_its_place(
    tmp_path: Path, turn: tuple[int, ...], descending: bool
) -> None:
    axes = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    axes[:, 2] *= -1 if descending else 1
    spacing, origin = (0.8, 1.2, 3.0), (5.0, -60.0, 12.0)
    write_series(tmp_path / "s", stored_ct(), axes=axes, spacing_mm=spacing, origin_mm=origin)
    scan = read_scan(tmp_path / "s")
    marker_mm = np.array(origin) + axes @ (np.array([11, 7, 3]) * spacing)
    k, j, i = np.argwhere(scan.voxels == 2500 - 1024)[0]
    np.testing.assert_allclose((scan.geometry.ijk_to_lps @ [i, j, k, 1])[:3], marker_mm, atol=1e-4)


def test_a_series_agrees_with_itk_s_own_reader_where_that_is_right(tmp_path: Path) -> None:
    axes = Rotation.from_euler("xyz", (10, 0, 25), degrees=True).as_matrix()
    uid = write_series(tmp_path / "s", stored_ct(), axes=axes)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "s"), uid))
    expected, scan = reader.Execute(), read_scan(tmp_path / "s")
    np.testing.assert_array_equal(scan.voxels, sitk.GetArrayFromImage(expected))
    np.testing.assert_allclose(scan.geometry.origin_mm, expected.GetOrigin(), atol=1e-5)
    np.testing.assert_allclose(scan.geometry.spacing_mm, expected.GetSpacing(), atol=1e-5)
    np.testing.assert_allclose(scan.geometry.direction, expected.GetDirection(), atol=1e-5)


def test_one_slice_s_path_stands_for_its_series(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct(0), seed=1)
    write_series(tmp_path, stored_ct(5), seed=2)
    file = sorted(tmp_path.glob("*.dcm"))[0]
    own = sitk.ReadImage(str(file)).GetMetaData("0020|000e").strip()
    scan = read_scan(file)
    np.testing.assert_array_equal(scan.voxels, read_scan(tmp_path, series=own).voxels)


def test_several_series_are_listed_and_can_be_chosen(tmp_path: Path) -> None:
    first = write_series(tmp_path, stored_ct(0), seed=1, description="Nobody's liver")
    second = write_series(tmp_path, stored_ct(5), seed=2)
    with pytest.raises(ScanError, match="2 DICOM series") as met:
        read_scan(tmp_path)
    assert first in str(met.value) and second in str(met.value)
    assert "Nobody" not in str(met.value), "a description may name the patient"
    np.testing.assert_array_equal(read_scan(tmp_path, series=second).voxels, stored_ct(5).astype(np.float32) - 1024)
    with pytest.raises(ScanError, match="holds no DICOM series 1.2.9"):
        read_scan(tmp_path, series="1.2.9")


def test_a_short_series_beside_the_volume_is_passed_over_and_said(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct(0), seed=1)
    write_series(tmp_path, stored_ct(5)[:2], seed=2)
    (tmp_path / "readme.txt").write_text("not DICOM")
    scan = read_scan(tmp_path)
    assert scan.voxels.shape == SHAPE
    assert any("1 other DICOM series" in note for note in scan.notes)
    assert any("1 files" in note for note in scan.notes)


def test_missing_slices_are_refused_and_counted(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct(), spacing_mm=(1.5, 2, 2.5))
    by_depth = sorted(tmp_path.glob("*.dcm"), key=depth_of)
    by_depth[5].unlink()
    by_depth[6].unlink()
    with pytest.raises(ScanError, match=r"gaps: 2 of 12 images are missing, the first after image 5 "):
        read_scan(tmp_path)


def depth_of(path: Path) -> float:
    """The slice's position along the patient, in mm."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return float(reader.GetMetaData("0020|0032").split("\\")[2])


def test_uneven_slices_are_refused(tmp_path: Path) -> None:
    def thin_out(dataset: Dataset, k: int) -> None:
        dataset.ImagePositionPatient = [0, 0, 2.5 * k if k < 6 else 15 + 3.9 * (k - 6)]

    write_series(tmp_path, stored_ct(), change=thin_out)
    with pytest.raises(ScanError, match="unevenly spaced, 2.5 to 3.9 mm"):
        read_scan(tmp_path)


def test_rounded_positions_are_not_taken_for_gaps(tmp_path: Path) -> None:
    def rounded(dataset: Dataset, k: int) -> None:
        dataset.ImagePositionPatient = [0, 0, round(0.625 * k, 1)]

    write_series(tmp_path, stored_ct(shape=(24, 16, 20)), change=rounded)
    scan = read_scan(tmp_path)
    assert scan.geometry.spacing_mm[2] == pytest.approx(0.625, abs=0.005)


def test_a_tilted_gantry_is_refused(tmp_path: Path) -> None:
    axes = np.eye(3)
    axes[:, 2] = [0, np.sin(np.radians(12)), np.cos(np.radians(12))]
    write_series(tmp_path, stored_ct(), axes=axes)
    with pytest.raises(ScanError, match="not at right angles.*tilted gantry"):
        read_scan(tmp_path)


def test_time_points_in_one_series_are_refused(tmp_path: Path) -> None:
    uid = write_series(tmp_path, stored_ct(0), seed=1)
    write_series(tmp_path / "more", stored_ct(1), series_uid=uid, seed=2)
    for file in (tmp_path / "more").iterdir():
        file.rename(tmp_path / f"late_{file.name}")
    with pytest.raises(ScanError, match=r"2 different images at one place \(24 images at 12 places\)"):
        read_scan(tmp_path)


def test_a_file_that_lies_there_twice_is_read_once(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct())
    file = sorted(tmp_path.glob("*.dcm"))[4]
    (tmp_path / "copy (1).dcm").write_bytes(file.read_bytes())
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_ct().astype(np.float32) - 1024)
    assert any("twice" in note for note in scan.notes)


SAGITTAL = np.array([[0.0, 0, 1], [1, 0, 0], [0, 1, 0]])


def test_a_scout_in_the_series_is_left_out_and_said(tmp_path: Path) -> None:
    uid = write_series(tmp_path, stored_ct())
    write_series(tmp_path / "scout", stored_ct()[:1], axes=SAGITTAL, series_uid=uid)
    next((tmp_path / "scout").iterdir()).rename(tmp_path / "scout.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_ct().astype(np.float32) - 1024)
    assert any("1 images of another size or orientation" in note for note in scan.notes)


def test_slices_of_two_orientations_are_refused(tmp_path: Path) -> None:
    uid = write_series(tmp_path, stored_ct(), seed=1)
    write_series(tmp_path / "b", stored_ct(), axes=SAGITTAL, series_uid=uid)
    for file in (tmp_path / "b").iterdir():
        file.rename(tmp_path / f"b_{file.name}")
    with pytest.raises(ScanError, match=r"2 groups of 12, 12 images"):
        read_scan(tmp_path)


def test_slopes_that_differ_from_slice_to_slice_are_applied(tmp_path: Path) -> None:
    def own_slope(dataset: Dataset, k: int) -> None:
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{1 + 0.25 * k:g}", 0

    stored = np.random.default_rng(0).integers(0, 800, SHAPE).astype(np.uint16)
    write_series(tmp_path, stored, modality="MR", description="AX T2 TSE", change=own_slope)
    scan = read_scan(tmp_path)
    expected = stored * (1 + 0.25 * np.arange(SHAPE[0], dtype=np.float32))[:, None, None]
    np.testing.assert_allclose(scan.voxels, expected, rtol=1e-6)
    assert (scan.modality, scan.sequence) == ("MR", "T2")


def test_a_contrast_agent_makes_t1_a_t1c(tmp_path: Path) -> None:
    def enhanced(dataset: Dataset, k: int) -> None:
        dataset.ContrastBolusAgent = "yes"

    write_series(tmp_path, stored_ct(), modality="MR", description="SAG T1 VIBE", intercept=0, change=enhanced)
    assert read_scan(tmp_path).sequence == "T1c"


def test_a_description_in_another_alphabet_does_no_harm(tmp_path: Path) -> None:
    def latin(dataset: Dataset, k: int) -> None:
        dataset.SpecificCharacterSet, dataset.SeriesDescription = "ISO_IR 100", "Schädel T2 für Übersicht"

    write_series(tmp_path, stored_ct(), modality="MR", intercept=0, change=latin)
    assert read_scan(tmp_path).sequence == "T2"


def implicit(dataset: Dataset, k: int) -> None:
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


def big_endian(dataset: Dataset, k: int) -> None:
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    dataset.PixelData = np.frombuffer(dataset.PixelData, "<u2").astype(">u2").tobytes()


def deflated(dataset: Dataset, k: int) -> None:
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


def run_lengths(dataset: Dataset, k: int) -> None:
    dataset.compress(RLELossless)


def jpeg_ls(dataset: Dataset, k: int) -> None:
    dataset.compress(JPEGLSLossless)


def jpeg_2000(dataset: Dataset, k: int) -> None:
    image, packed = Image.fromarray(np.frombuffer(dataset.PixelData, "<u2").reshape(64, 64)), io.BytesIO()
    image.save(packed, "JPEG2000", irreversible=False, no_jp2=True)
    dataset.PixelData = encapsulate([packed.getvalue()])
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless


def jpeg_lossless(dataset: Dataset, k: int) -> None:
    """By GDCM itself, the only one at hand that writes it."""
    image = sitk.GetImageFromArray(np.frombuffer(dataset.PixelData, "<u2").reshape(1, 64, 64))
    writer = sitk.ImageFileWriter()
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/packed.dcm"
        writer.SetFileName(path)
        writer.SetImageIO("GDCMImageIO")
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG")
        writer.Execute(image)
        packed = dcmread(path)
    assert packed.file_meta.TransferSyntaxUID == JPEGLosslessSV1
    dataset.PixelData, dataset.file_meta.TransferSyntaxUID = packed.PixelData, JPEGLosslessSV1


def with_private_parts(dataset: Dataset, k: int) -> None:
    block, inner = dataset.private_block(0x0011, "SOME MAKER", create=True), Dataset()
    inner.add_new(0x00110001, "UN", b"\xfe\xff\x00\xe0 not an item of a sequence")
    block.add_new(0x01, "SQ", [inner, Dataset()])
    block.add_new(0x02, "UN", bytes(range(256)))


@pytest.mark.parametrize(
    "encoded",
    [implicit, big_endian, deflated, run_lengths, jpeg_ls, jpeg_2000, jpeg_lossless, with_private_parts],
    ids=lambda change: change.__name__,
)
def test_every_way_of_encoding_gives_the_same_voxels(tmp_path: Path, encoded) -> None:
    stored = stored_ct(shape=(12, 64, 64))
    write_series(tmp_path, stored, change=encoded)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, stored.astype(np.float32) - 1024)


def test_phases_in_one_series_are_listed_and_can_be_chosen(tmp_path: Path) -> None:
    def phase(number: int):
        def change(dataset: Dataset, k: int) -> None:
            dataset.AcquisitionNumber = number

        return change

    uid = write_series(tmp_path, stored_ct(0), seed=1, change=phase(2))
    write_series(tmp_path / "b", stored_ct(5), seed=2, series_uid=uid, change=phase(10))
    for file in (tmp_path / "b").iterdir():
        file.rename(tmp_path / f"late_{file.name}")
    with pytest.raises(ScanError, match="2 DICOM series or volumes") as met:
        read_scan(tmp_path)
    assert f"{uid}/1 (acquisition 2)" in str(met.value) and f"{uid}/2 (acquisition 10)" in str(met.value)
    for wanted, seed in ((f"{uid}/1", 0), ("4/2", 5)):
        scan = read_scan(tmp_path, series=wanted)
        np.testing.assert_array_equal(scan.voxels, stored_ct(seed).astype(np.float32) - 1024)
    late = next(tmp_path.glob("late_*"))
    np.testing.assert_array_equal(read_scan(late).voxels, stored_ct(5).astype(np.float32) - 1024)
    with pytest.raises(ScanError, match="'4' names 2 DICOM volumes"):
        read_scan(tmp_path, series="4")
    with pytest.raises(ScanError, match="holds no DICOM series 4/3"):
        read_scan(tmp_path, series="4/3")


def test_a_series_is_chosen_by_the_number_that_the_scanner_gave_it(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct(0), seed=1, number=3)
    write_series(tmp_path, stored_ct(5), seed=2, number=12)
    with pytest.raises(ScanError, match="series 3, 12 images CT .*series 12, 12 images CT"):
        read_scan(tmp_path)
    np.testing.assert_array_equal(read_scan(tmp_path, series="12").voxels, stored_ct(5).astype(np.float32) - 1024)


def test_a_series_cannot_be_chosen_from_a_file_that_is_no_dicom(tmp_path: Path) -> None:
    sitk.WriteImage(sitk.GaussianSource(sitk.sitkFloat32, (12, 12, 12)), tmp_path / "scan_CT.nrrd")
    with pytest.raises(ScanError, match="is no DICOM series, so series 4 cannot be chosen"):
        read_scan(tmp_path / "scan_CT.nrrd", series="4")


def test_a_series_marked_as_synthetic_is_never_taken_for_a_scan(tmp_path: Path) -> None:
    def synthetic(dataset: Dataset, k: int) -> None:
        dataset.SyntheticData = "YES"

    write_series(tmp_path, stored_ct(0), seed=1)
    made = write_series(tmp_path, stored_ct(5), seed=2, number=9, change=synthetic)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, stored_ct(0).astype(np.float32) - 1024)
    with pytest.raises(ScanError, match="marked as synthetic"):
        read_scan(tmp_path, series=made)


def test_an_object_without_an_image_is_passed_over_and_said(tmp_path: Path) -> None:
    def report(dataset: Dataset, k: int) -> None:
        dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.11"
        for keyword in ("PixelData", "Rows", "Columns"):
            delattr(dataset, keyword)

    write_series(tmp_path, stored_ct(0), seed=1)
    write_series(tmp_path, stored_ct(5)[:1], seed=2, change=report)
    assert any("1 files" in note for note in read_scan(tmp_path).notes)


def test_a_length_that_leads_beyond_the_file_is_refused_before_any_memory_is_taken(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct())
    file = sorted(tmp_path.glob("*.dcm"))[6]
    content = file.read_bytes()
    at = content.index(b"\x08\x00\x60\x00CS") + 4
    file.write_bytes(content[:at] + b"OB\x00\x00" + (0xF0000000).to_bytes(4, "little") + content[at + 4 :])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ScanError, match=f"'{file.name}' is damaged"):
        read_scan(tmp_path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@pytest.mark.parametrize("padding", [b"\x00" * 8, b"\x00" * 512])
def test_a_file_that_is_filled_up_with_zeros_is_read(tmp_path: Path, padding: bytes) -> None:
    write_series(tmp_path, stored_ct())
    for file in tmp_path.glob("*.dcm"):
        file.write_bytes(file.read_bytes() + padding)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, stored_ct().astype(np.float32) - 1024)


def remove(*keywords: str):
    def change(dataset: Dataset, k: int) -> None:
        for keyword in keywords:
            delattr(dataset, keyword)

    return change


def coloured(dataset: Dataset, k: int) -> None:
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, "RGB", 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelData = bytes(dataset.Rows * dataset.Columns * 3)


def with_frames(dataset: Dataset, k: int) -> None:
    dataset.NumberOfFrames, dataset.PixelData = 2, dataset.PixelData * 2


def inverted(dataset: Dataset, k: int) -> None:
    dataset.PhotometricInterpretation = "MONOCHROME1"


def as_pet(dataset: Dataset, k: int) -> None:
    dataset.Modality = "PT"


def cut_short(dataset: Dataset, k: int) -> None:
    if k == 4:
        dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 2]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (remove("ImagePositionPatient"), "no position, orientation or pixel spacing"),
        (remove("PixelSpacing"), "no position, orientation or pixel spacing"),
        (coloured, "colour images"),
        (with_frames, "multi-frame"),
        (inverted, "inverted grey values"),
        (as_pet, "modality is PT"),
        (cut_short, "damaged"),
    ],
)
def test_a_series_that_is_no_volume_is_refused_in_a_sentence(tmp_path: Path, change, sentence: str) -> None:
    write_series(tmp_path, stored_ct(), change=change)
    with pytest.raises(ScanError, match=sentence):
        read_scan(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kept", [0.5, 0.98])
def test_a_series_with_a_file_cut_off_is_refused_by_name(tmp_path: Path, packed: bool, kept: float) -> None:
    def pack(dataset: Dataset, k: int) -> None:
        if packed:
            dataset.compress(RLELossless)

    write_series(tmp_path, stored_ct(shape=(12, 64, 64)), change=pack)
    assert read_scan(tmp_path).voxels.shape == (12, 64, 64)
    file = sorted(tmp_path.glob("*.dcm"))[6]
    file.write_bytes(file.read_bytes()[: int(kept * file.stat().st_size)])
    with pytest.raises(ScanError, match=f"{file.name}.*(damaged|cut off)"):
        read_scan(tmp_path)


def test_too_few_slices_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct()[:1])
    with pytest.raises(ScanError, match="holds 1 parallel images, at least 8"):
        read_scan(tmp_path)


def test_the_asked_modality_cannot_overrule_dicom(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct())
    with pytest.raises(ScanError, match="is CT by its own metadata, but MR was asked for"):
        read_scan(tmp_path, modality="MR")


def test_a_folder_without_dicom_says_so(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(ScanError, match="holds no DICOM image.*1 folders inside"):
        read_scan(tmp_path)


def test_a_file_without_ending_is_recognised_as_dicom(tmp_path: Path) -> None:
    write_series(tmp_path, stored_ct())
    for number, file in enumerate(sorted(tmp_path.iterdir())):
        file.rename(tmp_path / f"IM{number:04d}")
    assert read_scan(tmp_path / "IM0003").voxels.shape == SHAPE


def test_a_folder_name_in_another_alphabet_is_read(tmp_path: Path) -> None:
    folder = tmp_path / f"Größe 肝臓 {generate_uid()[-3:]}"
    write_series(folder, stored_ct())
    assert read_scan(folder).name == folder.name
