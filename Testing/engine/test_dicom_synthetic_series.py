"""The pseudo-healthy volume as DICOM: it comes back as it was, and nothing can take it for an acquired series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import DataElement, config
from pydicom.dataset import Dataset

from dicom_results import SHAPE, Made, made_result, result_on, stored_values, turned
from dicom_writing import write_enhanced
from diffugts.dicom.export import SYNTHETIC_FOLDER, export_result
from diffugts.errors import ScanError
from diffugts.scans.reading import read_scan


def exported(made: Made, folder: Path) -> Path:
    return export_result(made.result, made.series, folder).folder / SYNTHETIC_FOLDER


def read_by_itk(folder: Path) -> sitk.Image:
    """The series by ITK's own series reader, not ours."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    reader.SetOutputPixelType(sitk.sitkFloat32)
    return reader.Execute()


@pytest.mark.parametrize("descending", [False, True])
def test_it_comes_back_voxel_by_voxel_at_its_place(tmp_path: Path, descending: bool) -> None:
    made = made_result(tmp_path, axes=turned(descending))
    image = read_by_itk(exported(made, tmp_path / "out"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), made.segmentation.pseudo_healthy)
    geometry = made.scan.geometry
    np.testing.assert_allclose(image.GetOrigin(), geometry.origin_mm, atol=1e-5)
    np.testing.assert_allclose(image.GetSpacing(), geometry.spacing_mm, atol=1e-5)
    np.testing.assert_allclose(image.GetDirection(), geometry.direction, atol=1e-5)


def own_slope(dataset: Dataset, k: int) -> None:
    dataset.RescaleSlope, dataset.RescaleIntercept = f"{1 + 0.25 * k:g}", 5


def test_slopes_of_each_slice_keep_unmarked_voxels_exactly(tmp_path: Path) -> None:
    made = made_result(tmp_path, modality="MR", change=own_slope)
    back = sitk.GetArrayFromImage(read_by_itk(exported(made, tmp_path / "out")))
    healthy, unchanged = made.segmentation.pseudo_healthy, made.segmentation.residual == 0
    np.testing.assert_allclose(back[unchanged], made.scan.voxels[unchanged], rtol=1e-6)
    steps = (1 + 0.25 * np.arange(SHAPE[0]))[:, None, None] * np.ones(SHAPE)
    assert (np.abs(back - healthy) <= steps / 2 + 1e-3).all()


def of_32_bits(dataset: Dataset, k: int) -> None:
    values = np.frombuffer(dataset.PixelData, "<u2").astype("<u4") * 1000
    dataset.BitsAllocated = dataset.BitsStored = 32
    dataset.HighBit, dataset.RescaleSlope, dataset.PixelData = 31, 1, values.tobytes()


def test_values_that_16_bits_cannot_hold_are_scaled_not_cut_off(tmp_path: Path) -> None:
    made = made_result(tmp_path, modality="MR", change=of_32_bits)
    back = sitk.GetArrayFromImage(read_by_itk(exported(made, tmp_path / "out")))
    healthy = made.segmentation.pseudo_healthy
    assert np.abs(back - healthy).max() <= (healthy.max() - healthy.min()) / 65535


def test_an_enhanced_image_s_slices_get_their_places(tmp_path: Path) -> None:
    order = [(int(k), "1") for k in np.random.default_rng(3).permutation(SHAPE[0])]
    write_enhanced(tmp_path / "series" / "scan.dcm", stored_values(), axes=turned(), frames=order)
    made = result_on(tmp_path, tmp_path / "series")
    image = read_by_itk(exported(made, tmp_path / "out"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), made.segmentation.pseudo_healthy)
    np.testing.assert_allclose(image.GetOrigin(), made.scan.geometry.origin_mm, atol=1e-4)


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_every_image_is_marked_as_synthetic_in_every_way(tmp_path: Path, modality: str) -> None:
    made = made_result(tmp_path, modality=modality)
    paths = sorted(exported(made, tmp_path / "out").iterdir())
    assert len(paths) == SHAPE[0]
    source = {image.SOPInstanceUID: image for image in map(pydicom.dcmread, made.series.iterdir())}
    uids = set()
    for path in paths:
        image = pydicom.dcmread(path)
        assert image.ImageType[:2] == ["DERIVED", "SECONDARY"] and "SYNTHETIC" in image.ImageType
        assert image.SyntheticData == "YES" and image.BurnedInAnnotation == "NO"
        assert image.SeriesDescription.startswith("SYNTHETIC") and image.ImageComments.startswith("SYNTHETIC")
        assert "generative model" in image.DerivationDescription and "ab" * 32 in image.DerivationDescription
        assert image.Manufacturer == "DiffuGTS"
        purposes = [item.PurposeOfReferenceCodeSequence[0].CodeMeaning for item in image.ContributingEquipmentSequence]
        assert purposes == ["Acquisition Equipment", "Synthesizing Equipment"]
        assert image.ContributingEquipmentSequence[0].Manufacturer == "A Scanner's Maker"
        origin = source[image.SourceImageSequence[0].ReferencedSOPInstanceUID]
        assert image.ImagePositionPatient == origin.ImagePositionPatient
        for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "SOPClassUID"):
            assert image[keyword].value == origin[keyword].value, keyword
        assert image.SeriesInstanceUID != origin.SeriesInstanceUID
        uids.add(image.SOPInstanceUID)
    assert len(uids) == SHAPE[0] and not uids & source.keys()


def test_nothing_that_speaks_of_an_acquisition_is_carried_over(tmp_path: Path) -> None:
    def exposed(dataset: Dataset, k: int) -> None:
        dataset.KVP, dataset.XRayTubeCurrent, dataset.AcquisitionDate = 120, 200, "20260102"
        dataset.OperatorsName, dataset.ProtocolName = "Some^Body", "Abdomen"
        dataset.private_block(0x0011, "MAKER", create=True).add_new(1, "LO", "acquired here")

    made = made_result(tmp_path, change=exposed)
    image = pydicom.dcmread(exported(made, tmp_path / "out") / "0001.dcm")
    assert image.KVP is None
    for keyword in ("XRayTubeCurrent", "AcquisitionDate", "OperatorsName", "ProtocolName"):
        assert keyword not in image, keyword
    assert not [element for element in image if element.tag.is_private]


def test_decimal_strings_that_a_source_has_too_long_are_rounded(tmp_path: Path) -> None:
    def too_long(dataset: Dataset, k: int) -> None:
        dataset["SliceThickness"] = DataElement(0x00180050, "DS", "3.0000000000000004", validation_mode=config.IGNORE)

    made = made_result(tmp_path, change=too_long)
    image = pydicom.dcmread(exported(made, tmp_path / "out") / "0001.dcm")
    assert len(str(image.SliceThickness)) <= 16 and float(image.SliceThickness) == pytest.approx(3.0)


def test_our_own_reader_refuses_it_as_a_scan_even_beside_the_series(tmp_path: Path) -> None:
    made = made_result(tmp_path)
    folder = exported(made, tmp_path / "out")
    with pytest.raises(ScanError, match="marked as synthetic"):
        read_scan(folder)
    for path in [*folder.iterdir(), *folder.parent.glob("*.dcm")]:
        path.rename(made.series / f"ours-{path.name}")
    np.testing.assert_array_equal(read_scan(made.series).voxels, made.scan.voxels)
