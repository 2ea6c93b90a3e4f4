"""DICOM segmentations: every voxel back where it was, by other readers than ours, and names and codes that are true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom import config as pydicom_config
from pydicom.dataset import Dataset

from dicom_results import DESCRIPTIONS, SHAPE, Made, made_result, result_on, stored_values, turned
from dicom_writing import write_enhanced
from diffugts.dicom.export import SEGMENTATION_FILE, export_result
from diffugts.protocol import ResultManifest

SAGITTAL = np.array([[0.0, 0, -1], [1, 0, 0], [0, -1, 0]])

GRIDS = {
    "axial": {"axes": np.eye(3)},
    "oblique": {"axes": turned()},
    "slices in reverse": {"axes": turned(descending=True)},
    "sagittal, thin slices": {"axes": SAGITTAL, "spacing_mm": (2.5, 0.7, 1.1)},
}


@pytest.fixture(params=GRIDS, ids=str)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    return made_result(tmp_path, **GRIDS[request.param])


def export(made: Made, folder: Path) -> Path:
    return export_result(made.result, made.series, folder).folder


def masks_at_their_places(path: Path, made: Made, value: Callable[[np.ndarray], np.ndarray]) -> dict[int, np.ndarray]:
    """Frames of a segmentation by pydicom alone, put on the scan's grid by the positions that the frames state."""
    dataset = pydicom.dcmread(path)
    frames = dataset.pixel_array.reshape(-1, dataset.Rows, dataset.Columns)
    to_voxels = np.linalg.inv(made.scan.geometry.ijk_to_lps)
    spacing = dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing
    directions = dataset.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0].ImageOrientationPatient
    along_row, along_column = np.array(directions[:3], float), np.array(directions[3:], float)
    volumes = {
        segment.SegmentNumber: np.zeros(made.scan.geometry.shape, value(frames).dtype)
        for segment in dataset.SegmentSequence
    }
    for frame, group in zip(value(frames), dataset.PerFrameFunctionalGroupsSequence, strict=True):
        shared = dataset.SharedFunctionalGroupsSequence[0]
        of_segment = group if "SegmentIdentificationSequence" in group else shared
        number = of_segment.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        origin = np.array(group.PlanePositionSequence[0].ImagePositionPatient, float)
        far = origin + along_row * float(spacing[1]) * (dataset.Columns - 1)
        far = far + along_column * float(spacing[0]) * (dataset.Rows - 1)
        first, last = (to_voxels @ [*place, 1.0] for place in (origin, far))
        k = round(first[2])
        np.testing.assert_allclose(first[:3], (0, 0, k), atol=1e-3)
        np.testing.assert_allclose(last[:3], (dataset.Columns - 1, dataset.Rows - 1, k), atol=1e-3)
        volumes[number][k] = frame
    return volumes


def test_masks_come_back_onto_the_same_voxels_by_the_places_that_frames_state(made: Made, tmp_path: Path) -> None:
    volumes = masks_at_their_places(export(made, tmp_path / "out") / SEGMENTATION_FILE, made, lambda f: f.astype(bool))
    for number, finding in enumerate(made.segmentation.findings, start=1):
        np.testing.assert_array_equal(volumes[number], finding.mask)


def test_highdicom_reads_the_masks_back_by_the_images_that_they_were_made_from(made: Made, tmp_path: Path) -> None:
    read = hd.seg.segread(export(made, tmp_path / "out") / SEGMENTATION_FILE)
    images = sorted(map(pydicom.dcmread, made.series.glob("*.dcm")), key=lambda each: place_along(each, made))
    back = read.get_pixels_by_source_instance(
        [image.SOPInstanceUID for image in images], ignore_spatial_locations=True, assert_missing_frames_are_empty=True
    )
    for number, finding in enumerate(made.segmentation.findings):
        np.testing.assert_array_equal(back[..., number].astype(bool), finding.mask)


def test_itk_reads_the_masks_back_frame_by_frame(made: Made, tmp_path: Path) -> None:
    """ITK's GDCM gives the frames, and of their places only the first one's: the others are pydicom's to say."""
    path = export(made, tmp_path / "out") / SEGMENTATION_FILE
    image = sitk.ReadImage(str(path))
    frames = sitk.GetArrayFromImage(image)
    assert set(np.unique(frames)) == {0, 255} and frames.shape[1:] == made.scan.geometry.shape[1:]
    volumes = masks_at_their_places(path, made, lambda _: frames > 0)
    for number, finding in enumerate(made.segmentation.findings, start=1):
        np.testing.assert_array_equal(volumes[number], finding.mask)
    first = pydicom.dcmread(path).PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0]
    np.testing.assert_allclose(image.GetOrigin(), [float(x) for x in first.ImagePositionPatient], atol=1e-6)
    in_plane = np.array(image.GetDirection()).reshape(3, 3)[:, :2]
    np.testing.assert_allclose(in_plane, np.reshape(made.scan.geometry.direction, (3, 3))[:, :2], atol=1e-5)


def place_along(image: Dataset, made: Made) -> float:
    return float((np.linalg.inv(made.scan.geometry.ijk_to_lps) @ [*map(float, image.ImagePositionPatient), 1.0])[2])


def test_score_maps_come_back_to_the_nearest_of_255_steps(made: Made, tmp_path: Path) -> None:
    folder = export(made, tmp_path / "out")
    for number, finding in enumerate(made.segmentation.findings):
        path = next(folder.glob(f"{number + 1:02d}-*-score.dcm"))
        dataset = pydicom.dcmread(path)
        assert (dataset.SegmentationType, dataset.MaximumFractionalValue) == ("FRACTIONAL", 255)
        volume = masks_at_their_places(path, made, lambda f: f.astype(float) / 255)[1]
        np.testing.assert_allclose(volume, finding.score_map, atol=0.5 / 255 + 1e-6)
        text = dataset.SegmentSequence[0].SegmentDescription
        assert "not calibrated probabilities" in text and finding.description in text


def test_the_frames_of_an_enhanced_image_are_marked_in_its_own_order(tmp_path: Path) -> None:
    order = [(int(k), "1") for k in np.random.default_rng(3).permutation(SHAPE[0])]
    write_enhanced(tmp_path / "series" / "scan.dcm", stored_values(), axes=turned(), frames=order)
    made = result_on(tmp_path, tmp_path / "series")
    volumes = masks_at_their_places(export(made, tmp_path / "out") / SEGMENTATION_FILE, made, lambda f: f.astype(bool))
    for number, finding in enumerate(made.segmentation.findings, start=1):
        np.testing.assert_array_equal(volumes[number], finding.mask)


@pytest.fixture
def written(tmp_path: Path) -> tuple[Made, Dataset]:
    """A result on an oblique series, and its segmentation as pydicom reads it."""
    made = made_result(tmp_path)
    return made, pydicom.dcmread(export(made, tmp_path / "out") / SEGMENTATION_FILE)


def test_segments_are_named_and_coded_by_the_words_that_were_asked(written: tuple[Made, Dataset]) -> None:
    segments = written[1].SegmentSequence
    assert [segment.SegmentLabel for segment in segments] == list(DESCRIPTIONS)
    codes = [
        (
            segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue,
            segment.SegmentedPropertyTypeCodeSequence[0].CodeValue,
            segment.AnatomicRegionSequence[0].CodeValue,
        )
        for segment in segments
    ]
    assert codes == [
        ("49755003", "14799000", "10200004"),
        ("49755003", "367643001", "64033007"),
        ("49755003", "108369006", "39607008"),
    ]
    assert segments[1].AnatomicRegionSequence[0].AnatomicRegionModifierSequence[0].CodeMeaning == "Left"


def test_what_was_not_found_is_an_empty_segment_that_says_so(written: tuple[Made, Dataset]) -> None:
    dataset = written[1]
    assert "not found" in dataset.SegmentSequence[2].SegmentDescription
    assert "the segment is empty" in dataset.SegmentSequence[2].SegmentDescription
    assert "Verdict: found" in dataset.SegmentSequence[0].SegmentDescription
    marked = {
        group.SegmentIdentificationSequence[0].ReferencedSegmentNumber
        for group in dataset.PerFrameFunctionalGroupsSequence
    }
    assert marked == {1, 2}


def test_nothing_found_at_all_is_still_a_segmentation(tmp_path: Path) -> None:
    made = made_result(tmp_path, descriptions=("lung cancer", "glioma"), boxes=(None, None), inpainted=False)
    written = export_result(made.result, made.series, tmp_path / "out")
    assert not pydicom.dcmread(written.folder / SEGMENTATION_FILE).pixel_array.any()
    assert any("could not be checked" in note for note in written.notes)


def test_the_algorithm_is_identified_with_version_and_model_checksum(written: tuple[Made, Dataset]) -> None:
    made, dataset = written
    provenance = ResultManifest.load(made.result).provenance
    algorithm = dataset.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("DiffuGTS", provenance.program_version)
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeMeaning == "Artificial Intelligence"
    assert provenance.weights_sha256 in algorithm.AlgorithmParameters and "Threshold" in algorithm.AlgorithmParameters
    assert dataset.SegmentSequence[0].SegmentAlgorithmType == "AUTOMATIC"
    assert "Research use only" in dataset.ContentDescription and "Research use only" in dataset.SeriesDescription


def test_it_lands_in_the_scanned_study_and_refers_to_its_images(written: tuple[Made, Dataset]) -> None:
    made, dataset = written
    images = [pydicom.dcmread(path) for path in made.series.glob("*.dcm")]
    for keyword in ("StudyInstanceUID", "PatientID", "PatientName", "FrameOfReferenceUID", "AccessionNumber"):
        assert dataset[keyword].value == images[0][keyword].value, keyword
    assert dataset.SeriesInstanceUID != images[0].SeriesInstanceUID
    referred = dataset.ReferencedSeriesSequence[0]
    assert referred.SeriesInstanceUID == images[0].SeriesInstanceUID
    assert {item.ReferencedSOPInstanceUID for item in referred.ReferencedInstanceSequence} == {
        image.SOPInstanceUID for image in images
    }


def test_every_value_is_valid_by_pydicom_s_own_rules(made: Made, tmp_path: Path) -> None:
    folder = export(made, tmp_path / "out")
    before = pydicom_config.settings.reading_validation_mode
    pydicom_config.settings.reading_validation_mode = pydicom_config.RAISE
    try:
        for path in folder.rglob("*.dcm"):
            dataset = pydicom.dcmread(path)
            dataset.walk(lambda _, element: element.value)
            pydicom.dataset.validate_file_meta(dataset.file_meta)
    finally:
        pydicom_config.settings.reading_validation_mode = before


@pytest.mark.parametrize("charset", ["", "ISO_IR 100", "ISO_IR 192"])
def test_a_description_in_any_alphabet_and_a_patient_s_name_survive(tmp_path: Path, charset: str) -> None:
    name = "Müller^Jörg" if charset else "Mueller^Joerg"

    def named(dataset: Dataset, k: int) -> None:
        dataset.SpecificCharacterSet, dataset.PatientName = charset or None, name

    made = made_result(tmp_path, change=named, descriptions=("肝転移, größer als 3 cm", "x" * 90 + "\\\n\x07ü", "b"))
    folder = export(made, tmp_path / "out")
    for path in folder.rglob("*.dcm"):
        assert str(pydicom.dcmread(path).PatientName) == name
    segments = pydicom.dcmread(folder / SEGMENTATION_FILE).SegmentSequence
    assert segments[0].SegmentLabel == "肝転移, größer als 3 cm"
    assert segments[1].SegmentLabel == "x" * 61 + "..."
    assert "ü" in segments[1].SegmentDescription
