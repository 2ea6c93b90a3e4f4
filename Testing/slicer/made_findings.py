"""A finding in a real scene with known lesions, for tests of correcting."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import slicer
from made_results import write_result
from made_volumes import SHAPE, made_volume, matrix

from DiffuGTSSlicerLib.finding_segment import FindingSegment
from DiffuGTSSlicerLib.freeze import freeze_order
from DiffuGTSSlicerLib.job import Job
from DiffuGTSSlicerLib.results import import_result

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
BIG, PEAK, SMALL = (slice(4, 8), slice(5, 10), slice(6, 12)), (5, 6, 8), (slice(12, 16), slice(15, 20), slice(18, 24))
"""Where `made_scores` puts finding 0's lesions: 0.7 with one voxel of 0.9, and 0.6."""


def made_finding(scene, folder: Path, kind: str = "oblique", texts=("liver tumour", "cyst", "nothing")):
    """The volume and the first finding of a result of it."""
    volume = made_volume(kind)
    job = Job("1", freeze_order(volume, texts), folder / "1")
    manifest = write_result(job.result_folder, SHAPE, TO_LPS @ matrix(kind), job.order.descriptions)
    import_result(job, manifest, scene)
    return volume, FindingSegment.of_result(scene, "1", "finding_1")


def array_of(finding: FindingSegment, volume, segment_id: str | None = None) -> np.ndarray:
    """A segment as Slicer itself gives it: bool (k, j, i) on the volume's grid."""
    segment_id = segment_id or finding.segment_id
    return slicer.util.arrayFromSegmentBinaryLabelmap(finding.segmentation, segment_id, volume) > 0


def draw(finding: FindingSegment, volume, place: tuple, value: bool) -> None:
    """Draw or erase by hand, through Slicer's own functions."""
    mask = array_of(finding, volume).astype(np.uint8)
    mask[place] = value
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, finding.segmentation, finding.segment_id, volume)
