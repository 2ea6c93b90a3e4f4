"""DICOM segmentations of a result: what is marked (binary) and the score maps (fractional), on the source's own slices."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import highdicom as hd
import numpy as np
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian

from diffugts.dicom.identity import PROGRAM, RESEARCH_USE, Maker, new_uid, plain, use_unicode_where_needed
from diffugts.dicom.source import SourceSeries
from diffugts.errors import ResultError
from diffugts.protocol import FindingRecord
from diffugts.protocol.coded_concepts import CodedConcept
from diffugts.protocol.coded_names import coded_name

LONGEST_LABEL = 64
LONGEST_DESCRIPTION = 1024
LONGEST_CONTENT = 64
HIGHEST_STORED_SCORE = 255
SEGMENTATION_NUMBER, SCORES_NUMBER = 9101, 9102
"""Numbers of the series, far behind those of a scanner."""


def binary_segmentation(
    source: SourceSeries, findings: Sequence[FindingRecord], masks: Callable[[int], np.ndarray], maker: Maker
) -> hd.seg.Segmentation:
    """One segmentation with a segment per finding, in their order; `masks(n)` is bool (k, j, i) of the source.

    A finding without a voxel keeps its segment, whose description says that nothing was found.
    """
    arrays = np.empty((*source.geometry.shape, len(findings)), np.uint8)
    for number in range(len(findings)):
        arrays[..., number] = _in_file_order(source, masks(number))
    segments = [
        _described(number + 1, finding, maker, _binary_text(finding), finding.threshold)
        for number, finding in enumerate(findings)
    ]
    return _segmentation(
        source,
        arrays,
        segments,
        hd.seg.SegmentationTypeValues.BINARY,
        maker,
        series_uid=new_uid(),
        series_number=SEGMENTATION_NUMBER,
        instance_number=1,
        description=f"{PROGRAM} segmentation, {RESEARCH_USE}",
    )


def score_segmentations(
    source: SourceSeries, findings: Sequence[FindingRecord], maps: Callable[[int], np.ndarray], maker: Maker
) -> Iterator[hd.seg.Segmentation]:
    """For every finding its score map as a fractional segmentation, all in one series; `maps(n)` is 0 to 1 (k, j, i).

    Scores are stored in 255 steps. They are no probabilities, though DICOM's word for this kind of map is that.
    """
    series_uid = new_uid()
    for number, finding in enumerate(findings):
        scores = np.clip(_in_file_order(source, maps(number)), 0.0, 1.0).astype(np.float32)
        yield _segmentation(
            source,
            scores[..., np.newaxis],
            [_described(1, finding, maker, _score_text(finding), None)],
            hd.seg.SegmentationTypeValues.FRACTIONAL,
            maker,
            series_uid=series_uid,
            series_number=SCORES_NUMBER,
            instance_number=number + 1,
            description=f"{PROGRAM} score maps, {RESEARCH_USE}",
        )


def _segmentation(
    source: SourceSeries,
    arrays: np.ndarray,
    segments: Sequence[hd.seg.SegmentDescription],
    kind: hd.seg.SegmentationTypeValues,
    maker: Maker,
    *,
    series_uid: str,
    series_number: int,
    instance_number: int,
    description: str,
) -> hd.seg.Segmentation:
    with _of_this_series():
        dataset = hd.seg.Segmentation(
            source_images=list(source.headers),
            pixel_array=arrays,
            segmentation_type=kind,
            segment_descriptions=segments,
            series_instance_uid=series_uid,
            series_number=series_number,
            sop_instance_uid=new_uid(),
            instance_number=instance_number,
            manufacturer=PROGRAM,
            manufacturer_model_name=maker.model_name,
            software_versions=maker.version,
            device_serial_number=maker.serial_number,
            fractional_type=hd.seg.SegmentationFractionalTypeValues.PROBABILITY,
            max_fractional_value=HIGHEST_STORED_SCORE,
            content_label=PROGRAM.upper(),
            content_description=plain(RESEARCH_USE, LONGEST_CONTENT),
            transfer_syntax_uid=ExplicitVRLittleEndian,
            omit_empty_frames=bool(arrays.any()),
            specific_character_set=None,
            series_description=plain(description, LONGEST_LABEL),
        )
    use_unicode_where_needed(dataset)
    return dataset


def _described(
    number: int, finding: FindingRecord, maker: Maker, text: str, threshold: float | None
) -> hd.seg.SegmentDescription:
    """A segment's name, codes, colour and algorithm; `text` says in words what it holds."""
    name = coded_name(finding.description)
    described = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=plain(finding.description, LONGEST_LABEL),
        segmented_property_category=_code(name.category),
        segmented_property_type=_code(name.kind),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=maker.algorithm(threshold),
        tracking_uid=new_uid(),
        tracking_id=plain(f"{PROGRAM} {finding.segment_id}", LONGEST_LABEL),
        anatomic_regions=[_code(name.region)] if name.region is not None else None,
        display_color=hd.color.CIELabColor.from_rgb(*(255 * part for part in finding.colour)),
    )
    if name.side is not None:
        modifier = hd.sr.CodedConcept.from_code(_code(name.side))
        described.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [modifier]
    described.SegmentDescription = plain(text, LONGEST_DESCRIPTION)
    return described


def _code(concept: CodedConcept) -> Code:
    return Code(concept.code, "SCT", concept.meaning)


def _binary_text(finding: FindingRecord) -> str:
    score = f"highest score {finding.highest_score:.2f}, threshold {finding.threshold:.2f}"
    if finding.volume_ml > 0:
        count = len(finding.lesions)
        held = f"{count} {'lesion' if count == 1 else 'lesions'}, {finding.volume_ml:.3g} ml"
    else:
        held = "the segment is empty"
    return f"Asked for: {finding.description}. Verdict: {finding.verdict} ({score}); {held}. {RESEARCH_USE}"


def _score_text(finding: FindingRecord) -> str:
    return (
        f"Score map of: {finding.description}. Scores from 0 to 1, not calibrated probabilities. Verdict: {finding.verdict}, "
        f"cut at {finding.threshold:.2f}. {RESEARCH_USE}"
    )


def _in_file_order(source: SourceSeries, array: np.ndarray) -> np.ndarray:
    """An array of the series' slices in the order that its images are referred to: for a multi-frame image its frames'."""
    if not source.enhanced:
        return array
    frames = source.slices[0].frames
    if len(source.slices) != frames:
        raise ResultError(
            f"The multi-frame image holds {frames} frames and the volume {len(source.slices)} of them. DICOM is written for "
            "multi-frame images of one volume only."
        )
    ordered = np.empty_like(array)
    for k, one in enumerate(source.slices):
        ordered[one.frame] = array[k]
    return ordered


@contextmanager
def _of_this_series() -> Iterator[None]:
    """What highdicom finds wrong with the source's headers, as a sentence."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd values that the scanner's own headers hold
            yield
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ResultError(
            f"No DICOM segmentation can be made for this series: its headers lack something or contradict themselves "
            f"({error}). Export the original series from the archive."
        ) from error
