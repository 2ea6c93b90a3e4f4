"""How long the section Findings keeps the main thread busy in a scan of 512 x 512 x 300 voxels.

The figures are printed (pytest -s); the limits are far above them, so that a busy computer fails nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
from made_results import write_result  # noqa: E402
from made_sections import findings_section  # noqa: E402

from DiffuGTSSlicerLib.box_mask import BoxMask  # noqa: E402
from DiffuGTSSlicerLib.provenance import VOLUME_REFERENCE, ResultRecord  # noqa: E402
from DiffuGTSSlicerLib.segment_masks import add_segment  # noqa: E402
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry  # noqa: E402

SHAPE = (300, 512, 512)
MATRIX = np.diag([0.7, 0.7, 1.0, 1.0])
LESIONS = ((20, 30, 40), (220, 400, 400), (100, 200, 300))


def large_scores() -> np.ndarray:
    """Low scores everywhere, as attention gives them, and three round lesions at the far ends of the scan."""
    noise = 0.25 * np.random.default_rng(0).random([n // 4 for n in SHAPE], dtype=np.float32)
    scores = noise.repeat(4, 0).repeat(4, 1).repeat(4, 2)
    distance = np.linalg.norm(np.indices((60, 60, 60), dtype=np.float32) - 30, axis=0)
    for corner in LESIONS:
        part = scores[tuple(slice(c, c + 60) for c in corner)]
        np.maximum(part, np.clip(1.2 - distance / 30, 0, 1), out=part)
    return scores


def large_result(scene, folder: Path) -> None:
    """The nodes of a result on a large scan; the record is that of a small one."""
    small = write_result(folder / "small", (16, 20, 24), np.eye(4), ("liver metastasis",))
    record = ResultRecord.of(small, "large", "CT chest")
    volume = slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16), ijkToRAS=MATRIX, name="CT chest")
    score_map = slicer.util.addVolumeFromArray(large_scores(), ijkToRAS=MATRIX, name="score")
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "findings")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    geometry = VolumeGeometry.of(SHAPE[::-1], MATRIX)
    segment = add_segment(segmentation, "finding_1", "liver metastasis", (1, 0, 0), BoxMask.empty(), geometry)
    segment.SetTag("DiffuGTS.Threshold", "1.0")
    segment.SetTag("DiffuGTS.SmallestLesionMl", "0.1")
    for node, role, number in ((segmentation, "segmentation", None), (score_map, "score map", 0)):
        record.mark(node, role, number)
        node.SetNodeReferenceID(VOLUME_REFERENCE, volume.GetID())


@pytest.mark.slow
def test_correcting_a_large_scan_does_not_stop_slicer(scene, tmp_path: Path, host):
    large_result(scene, tmp_path)
    panel, section, _ = findings_section(scene)
    took: list[str] = []

    def timed(what: str, action: Callable[[], object]) -> float:
        wall, processor = time.perf_counter(), time.process_time()
        action()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        took.append(f"{what}: {1000 * wall:.0f} ms, {1000 * processor:.0f} ms of them computing")
        return processor

    timed("choose the finding, first time", lambda: section.ui.findingsTable.selectRow(0))
    timed("choose it again", section.refresh)
    worst = 0.0
    for position in (50, 40, 45, 60, 30, 31, 70, 50):
        section.ui.thresholdSlider.setValue(position)
        cut = timed(f"cut at 0.{position}", section._correcting._cut)
        follow = timed("rows and lesions after it", section.refresh)
        worst = max(worst, cut, follow)
    section.ui.lesionsTable.selectRow(1)
    timed("reject a lesion", section._correcting.reject)
    timed("rows and lesions after it", section.refresh)
    print("\n512 x 512 x 300, three lesions at its far ends\n  " + "\n  ".join(took))
    assert section.ui.lesionsTable.rowCount == 3
    assert worst < 2.0
    section.cleanup()
    panel.close()
