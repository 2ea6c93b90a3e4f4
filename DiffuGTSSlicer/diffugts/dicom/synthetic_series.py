"""The pseudo-healthy volume as a DICOM series of the same study, marked in every header as synthetic.

Headers are made anew from what a derived image needs, never copied whole: what is left of a scanner's header would say that
the image was acquired. Marks: ImageType DERIVED\\SECONDARY, SyntheticData YES, this program as manufacturer and as
synthesizing equipment, series description, image comments and derivation in words; nothing is burnt into the pixels.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator
from dataclasses import dataclass

import highdicom as hd
import numpy as np
from pydicom import DataElement, Dataset, FileMetaDataset
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian
from pydicom.valuerep import DSfloat

from diffugts.dicom.identity import PROGRAM, RESEARCH_USE, Maker, new_uid, use_unicode_where_needed
from diffugts.dicom.source import SourceSeries

SERIES_NUMBER = 9103
SERIES_DESCRIPTION = f"SYNTHETIC pseudo-healthy, {PROGRAM}, research use only"
COMMENT = (
    f"SYNTHETIC IMAGE computed by {PROGRAM}. Not acquired from the patient: where something was marked, a generative model "
    f"painted what healthy tissue might look like. {RESEARCH_USE}"
)

SOP_CLASSES = {"CT": "1.2.840.10008.5.1.4.1.1.2", "MR": "1.2.840.10008.5.1.4.1.1.4"}

PATIENT_AND_STUDY = (
    "TimezoneOffsetFromUTC",
    "PatientName", "PatientID", "IssuerOfPatientID", "OtherPatientIDsSequence", "PatientBirthDate", "PatientSex",
    "PatientAge", "PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod",
    "DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified",
    "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "IssuerOfAccessionNumberSequence", "ReferringPhysicianName",
)  # fmt: skip
"""Copied, so that the series lands in the same study."""

PLACE = ("FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition", "BodyPartExamined", "Laterality")
SLICE_PLACE = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SliceLocation")
SHOWN = ("RescaleType", "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "LossyImageCompression",
         "LossyImageCompressionRatio", "LossyImageCompressionMethod")  # fmt: skip
MR_SEQUENCE = ("ScanningSequence", "SequenceVariant", "ScanOptions", "MRAcquisitionType", "EchoTime", "EchoTrainLength",
               "RepetitionTime", "InversionTime", "MagneticFieldStrength")  # fmt: skip
"""What the MR image class demands: the sequence whose contrast the tissue imitates."""

EQUIPMENT = ("Manufacturer", "ManufacturerModelName", "DeviceSerialNumber", "StationName", "SoftwareVersions")


def synthetic_series(source: SourceSeries, volume: np.ndarray, maker: Maker) -> Iterator[Dataset]:
    """A single-frame image for every slice of `volume`, float32 (k, j, i) of the source, in the scan's unit.

    Voxels that the model left alone come out as they were stored in the source.
    """
    series_uid, began = new_uid(), datetime.datetime.now()
    storage = _Storage.of(source, volume)
    for k in range(volume.shape[0]):
        dataset = _header(source, k, maker, began)
        dataset.SeriesInstanceUID, dataset.InstanceNumber = series_uid, k + 1
        storage.store(dataset, volume[k], _rescale(source, k))
        yield dataset


@dataclass(frozen=True)
class _Storage:
    """How values become 16-bit pixels: by each slice's own rescaling, or by `common` (slope, intercept) where that fails."""

    signed: bool
    common: tuple[float, float] | None

    @classmethod
    def of(cls, source: SourceSeries, volume: np.ndarray) -> _Storage:
        """The scanner's own rescaling, so that unchanged voxels stay exactly; a common one where 16 bits cannot hold that."""
        signed = bool(source.headers[0].get("PixelRepresentation", 0))
        rescales = [_rescale(source, k) for k in range(volume.shape[0])]
        if not signed and any((volume[k] < intercept).any() for k, (_, intercept) in enumerate(rescales)):
            signed = True  # what was painted may lie below what the scanner's numbers reach
        limits = np.iinfo(np.int16 if signed else np.uint16)
        stored = [
            ((volume[k].min() - intercept) / slope, (volume[k].max() - intercept) / slope)
            for k, (slope, intercept) in enumerate(rescales)
        ]
        if min(low for low, _ in stored) >= limits.min and max(high for _, high in stored) <= limits.max:
            return cls(signed, None)
        low, high = float(volume.min()), float(volume.max())
        return cls(False, ((high - low) / 65535 or 1.0, low))

    def store(self, dataset: Dataset, values: np.ndarray, rescale: tuple[float, float]) -> None:
        """Put one slice's values and their rescaling into an image."""
        slope, intercept = self.common or rescale
        kind, limits = (np.dtype("<i2"), np.iinfo(np.int16)) if self.signed else (np.dtype("<u2"), np.iinfo(np.uint16))
        stored = np.clip(np.rint((values.astype(np.float64) - intercept) / slope), limits.min, limits.max).astype(kind)
        dataset.Rows, dataset.Columns = stored.shape
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 16
        dataset.HighBit, dataset.PixelRepresentation = 15, int(self.signed)
        if dataset.Modality == "CT" or (slope, intercept) != (1.0, 0.0):  # MR images rarely have a rescaling
            dataset.RescaleSlope, dataset.RescaleIntercept = _decimal(slope), _decimal(intercept)
        dataset.PixelData = stored.tobytes()
        dataset["PixelData"].VR = "OW"


def _header(source: SourceSeries, k: int, maker: Maker, now: datetime.datetime) -> Dataset:
    """All of an image but its pixels and its place in the series."""
    header, modality = source.header(k), source.headers[0].Modality
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.PatientPosition = dataset.Laterality = ""  # where the source does not say
    _copy(header, dataset, (*PATIENT_AND_STUDY, *PLACE, *SHOWN))
    dataset.SOPClassUID, dataset.SOPInstanceUID = SOP_CLASSES[modality], new_uid()
    dataset.Modality, dataset.SeriesNumber, dataset.SeriesDescription = modality, SERIES_NUMBER, SERIES_DESCRIPTION
    dataset.ImageType = ["DERIVED", "SECONDARY", "AXIAL" if modality == "CT" else "OTHER", "SYNTHETIC"]
    dataset.SyntheticData, dataset.BurnedInAnnotation, dataset.ImageComments = "YES", "NO", COMMENT
    date, time = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    dataset.InstanceCreationDate = dataset.SeriesDate = dataset.ContentDate = date
    dataset.InstanceCreationTime = dataset.SeriesTime = dataset.ContentTime = time
    dataset.AcquisitionNumber = None
    if modality == "CT":
        dataset.KVP = None  # nothing was exposed
        dataset.setdefault("RescaleType", "HU")
    else:
        _copy_sequence(header, dataset)
    dataset.Manufacturer, dataset.ManufacturerModelName = PROGRAM, maker.model_name
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = maker.serial_number, maker.version
    dataset.ContributingEquipmentSequence = [_scanner(header), maker.synthesizing_equipment()]
    dataset.DerivationDescription = (
        f"Pseudo-healthy volume of {PROGRAM} {maker.version}, model {maker.model}, weights SHA-256 {maker.serial_number}, "
        f"seed {maker.parameters['Seed']}: the marked region was painted anew by a generative model."
    )
    dataset.SourceImageSequence = [_reference(source, k)]
    _set_place(dataset, source, k)
    use_unicode_where_needed(dataset)
    return dataset


def _set_place(dataset: Dataset, source: SourceSeries, k: int) -> None:
    """The slice's place: as it is written in the source, or from the grid where that is a multi-frame image."""
    if not source.enhanced:
        _copy(source.header(k), dataset, SLICE_PLACE)
        return
    one = source.slices[k]
    dataset.ImagePositionPatient = [_decimal(value) for value in one.position_mm]
    dataset.ImageOrientationPatient = [_decimal(value) for value in one.orientation]
    dataset.PixelSpacing = [_decimal(value) for value in one.pixel_spacing_mm]
    dataset.SliceThickness = _decimal(source.geometry.spacing_mm[2])


def _rescale(source: SourceSeries, k: int) -> tuple[float, float]:
    """Slope and intercept of a slice in the source."""
    header: Dataset = source.header(k)
    if source.enhanced:
        from diffugts.scans.dicom_frames import frame_rescale

        frame = source.slices[k].frame
        assert frame is not None
        return frame_rescale(header, frame)
    return float(header.get("RescaleSlope") or 1.0), float(header.get("RescaleIntercept") or 0.0)


def _reference(source: SourceSeries, k: int) -> Dataset:
    header, item = source.header(k), Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
    frame = source.slices[k].frame
    if frame is not None:
        item.ReferencedFrameNumber = frame + 1
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [
        hd.sr.CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)
    ]
    return item


def _scanner(header: Dataset) -> Dataset:
    """The scanner, as the equipment that acquired what this image was derived from."""
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [hd.sr.CodedConcept.from_code(codes.cid7005.AcquisitionEquipment)]
    item.Manufacturer = ""
    _copy(header, item, EQUIPMENT)
    item.ContributionDescription = "Acquired the source images."
    return item


def _copy_sequence(header: Dataset, dataset: Dataset) -> None:
    dataset.ScanningSequence, dataset.SequenceVariant = "RM", "NONE"  # RM: research mode, where the source says nothing
    dataset.ScanOptions = dataset.MRAcquisitionType = ""
    dataset.EchoTime = dataset.EchoTrainLength = dataset.RepetitionTime = None
    _copy(header, dataset, MR_SEQUENCE)


def _copy(header: Dataset, dataset: Dataset, keywords: tuple[str, ...]) -> None:
    for keyword in keywords:
        if keyword in header:
            dataset[keyword] = copy.deepcopy(header[keyword])
            if dataset[keyword].VR == "DS":
                _shorten(dataset[keyword])


def _shorten(element: DataElement) -> None:
    """Decimal strings longer than the 16 characters that the standard allows, as some exports have them, are rounded."""
    values = element.value if element.VM > 1 else [element.value]
    if any(len(str(value)) > 16 for value in values if value is not None):
        shortened = [_decimal(float(value)) for value in values]
        element.value = shortened if len(shortened) > 1 else shortened[0]


def _decimal(value: float) -> DSfloat:
    return DSfloat(value, auto_format=True)
