"""Cutting a segment anew from its stored map."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
from made_findings import BIG, PEAK, SMALL, array_of, draw, made_finding  # noqa: E402
from made_results import made_scores  # noqa: E402
from made_volumes import KINDS, SHAPE  # noqa: E402

from diffugts.errors import ResultError  # noqa: E402
from DiffuGTSSlicerLib.box_mask import BoxMask  # noqa: E402
from DiffuGTSSlicerLib.finding_segment import FindingSegment  # noqa: E402
from DiffuGTSSlicerLib.lesions import lesions_of, reject  # noqa: E402
from DiffuGTSSlicerLib.open_finding import EarlierSegments  # noqa: E402
from DiffuGTSSlicerLib.recut import hand_work, recut  # noqa: E402
from DiffuGTSSlicerLib.score_field import ScoreField, ScoreFields  # noqa: E402
from DiffuGTSSlicerLib.segment_masks import write_box  # noqa: E402
from DiffuGTSSlicerLib.sparse_mask import SparseMask  # noqa: E402
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry  # noqa: E402

GEOMETRY = VolumeGeometry.of((30, 25, 20), np.diag([0.7, 0.8, 2.5, 1.0]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threshold", [0.3, 0.65, 0.8, 0.95])
def test_the_segment_is_what_scores_above_the_threshold(scene, tmp_path: Path, kind: str, threshold: float):
    volume, finding = made_finding(scene, tmp_path, kind)
    recut(finding, threshold, 0.0)
    assert np.array_equal(array_of(finding, volume), made_scores(SHAPE, 0) > threshold)
    assert finding.threshold == threshold


def test_a_score_equal_to_the_threshold_is_not_above_it(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    recut(finding, float(np.float32(0.7)), 0.0)
    assert array_of(finding, volume).sum() == 1 and array_of(finding, volume)[PEAK]


def test_regions_below_the_smallest_lesion_are_left_out(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    big_ml = 120 * finding.geometry.voxel_ml
    small = np.zeros(SHAPE, bool)
    small[SMALL] = True
    assert small.sum() * finding.geometry.voxel_ml == pytest.approx(big_ml)  # both lesions are of the same size
    recut(finding, 0.5, big_ml)
    assert array_of(finding, volume).sum() == 240
    recut(finding, 0.5, big_ml * 1.01)
    assert array_of(finding, volume).sum() == 0


def test_voxels_touching_at_a_corner_are_one_lesion():
    scores = np.zeros(GEOMETRY.shape, np.float32)
    scores[3, 3, 3] = scores[4, 4, 4] = 0.9
    scores[10, 10, 10] = 0.9
    field = ScoreField.of(scores, GEOMETRY)
    assert field.cut(0.5, 2 * GEOMETRY.voxel_ml).count == 2


def test_other_segments_keep_their_voxels_where_they_overlap(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    before = array_of(finding, volume, "finding_2")
    assert (before & array_of(finding, volume)).any()
    recut(finding, 0.1, 0.0)
    recut(finding, 0.95, 0.0)
    assert np.array_equal(array_of(finding, volume, "finding_2"), before)


def test_what_was_drawn_and_erased_by_hand_is_kept(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    assert not hand_work(finding)
    draw(finding, volume, (1, 1, slice(1, 4)), True)
    draw(finding, volume, (BIG[0], 5, BIG[2]), False)
    work = hand_work(finding)
    assert (work.added.count, work.removed.count) == (3, 24)
    recut(finding, 0.65, 0.0)
    mask, expected = array_of(finding, volume), made_scores(SHAPE, 0) > 0.65
    expected[1, 1, 1:4] = True
    expected[BIG[0], 5, BIG[2]] = False
    assert np.array_equal(mask, expected)
    assert hand_work(finding).added.count == 3, "it counts as work by hand after the next cut too"


def test_work_done_in_the_array_of_a_segment_is_kept_too(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    recut(finding, 0.3, 0.0)
    voxels = slicer.util.arrayFromSegmentInternalBinaryLabelmap(finding.segmentation, "finding_1")
    set_before = int((voxels > 0).sum())
    voxels[tuple(np.argwhere(voxels > 0)[0])] = 0
    finding.segmentation.GetSegmentation().GetSegment("finding_1").Modified()
    assert hand_work(finding).removed.count == 1
    recut(finding, 0.31, 0.0)
    assert finding.mask().count == set_before - 1


def test_work_by_hand_goes_when_the_user_says_so(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    draw(finding, volume, (1, 1, slice(1, 4)), True)
    met = recut(finding, 0.65, 0.0, keep_hand_work=False)
    assert met.added.count == 3
    assert np.array_equal(array_of(finding, volume), made_scores(SHAPE, 0) > 0.65)


def test_a_rejected_lesion_stays_rejected_at_another_threshold(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    low = next(lesion for lesion in lesions_of(finding, None) if lesion.highest_score < 0.65)
    reject(finding, low)
    assert not hand_work(finding), "rejecting is a decision, not drawing"
    recut(finding, 0.2, 0.0)
    mask = array_of(finding, volume)
    assert not mask[SMALL].any() and mask[BIG].all()
    assert not hand_work(finding)


@pytest.mark.parametrize("kind", ["oblique", "left-handed"])
def test_a_cut_can_be_made_in_a_scene_loaded_from_a_file(scene, tmp_path: Path, kind: str):
    volume, finding = made_finding(scene, tmp_path, kind)
    draw(finding, volume, (1, 1, slice(1, 4)), True)
    recut(finding, 0.65, 0.0)
    expected = array_of(finding, volume)
    path = tmp_path / "scene.mrb"
    scene.WriteToMRB(str(path), None)
    scene.Clear(0)
    scene.ReadFromMRB(str(path), True)
    loaded = FindingSegment.of_result(scene, "1", "finding_1")
    assert (loaded.threshold, hand_work(loaded).added.count) == (0.65, 3)
    assert np.array_equal(loaded.mask().within((0, 0, 0), SHAPE), expected)
    recut(loaded, 0.5, 0.0)
    assert loaded.mask().count == 240 + 3


def test_what_was_deleted_is_said(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    finding.segmentation.GetSegmentation().RemoveSegment("finding_1")
    with pytest.raises(ResultError, match="deleted|any more"):
        recut(finding, 0.5, 0.0)
    scene.RemoveNode(finding.segmentation)
    with pytest.raises(ResultError, match="was deleted"):
        FindingSegment.of_result(scene, "1", "finding_1")


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_none_is_refused(scene, tmp_path: Path, threshold: float):
    _, finding = made_finding(scene, tmp_path)
    with pytest.raises(ValueError, match="expected 0..1"):
        recut(finding, threshold, 0.0)


def test_the_cut_is_the_engines():
    lesions = pytest.importorskip(
        "diffugts.findings.lesions", reason="SimpleITK, which Slicer brings, is not installed"
    )
    from diffugts.scans.scan import Geometry

    engine = Geometry((30, 25, 20), (0.7, 0.8, 2.5), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    noise = np.random.default_rng(1).random(GEOMETRY.shape).astype(np.float32) ** 2
    field = ScoreField.of(noise, GEOMETRY)
    for threshold in (0.05, 0.5, 0.8, 0.95):
        for smallest in (0.0, 2 * engine.voxel_ml, 0.01, 0.1):
            expected = lesions.cut(noise, threshold, smallest, engine)
            assert np.array_equal(field.cut(threshold, smallest).within((0, 0, 0), GEOMETRY.shape), expected)


def test_a_cut_in_a_large_scan_is_quick(scene):
    geometry = VolumeGeometry.of((512, 512, 300), np.diag([0.7, 0.7, 1.0, 1.0]))
    scores = np.zeros(geometry.shape, np.float32)
    ball = np.linalg.norm(np.indices((60, 60, 60)) - 30.0, axis=0)
    for corner in ((20, 100, 100), (180, 300, 250)):
        scores[tuple(slice(c, c + 60) for c in corner)] = np.clip(1.2 - ball / 30, 0, 1)
    segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "large")
    segmentation.GetSegmentation().AddEmptySegment("finding_1", "mass", (1, 0, 0))
    finding = FindingSegment(segmentation, "finding_1", ScoreField.of(scores, geometry))
    recut(finding, 0.5, 0.1)
    took = []
    for threshold in (0.3, 0.6, 0.4, 0.7):
        began = time.perf_counter()
        recut(finding, threshold, 0.1)
        took.append(time.perf_counter() - began)
    print(f"re-cut of two lesions in 512 x 512 x 300: {min(took):.3f} to {max(took):.3f} s")
    assert min(took) < 2.0


def test_masks_in_boxes_combine_like_masks_in_arrays():
    random = np.random.default_rng(2)
    for _ in range(20):
        a, b = (random.random((6, 7, 8)) > random.random() for _ in range(2))
        x, y = BoxMask.of(a), BoxMask.of(b)
        for ours, theirs in ((x | y, a | b), (x - y, a & ~b)):
            assert np.array_equal(ours.within((0, 0, 0), (6, 7, 8)), theirs)
            assert ours.count == theirs.sum()
        assert x.meets(y) == (a & b).any()
        assert not x.meets(y - x) and not BoxMask.empty().meets(x)


@pytest.mark.parametrize("corner", [(0, 0, 0), (7, 30, 15), (-5, -20, 3)])
def test_masks_in_cells_are_the_masks_that_they_were_made_of(corner: tuple[int, int, int]):
    random = np.random.default_rng(3)
    for share in (0.0, 1e-4, 0.01, 0.5, 1.0):
        a, b = (random.random((33, 40, 19)) < share for _ in range(2))
        x, y = (SparseMask.of(BoxMask(corner, each)) for each in (a, b))
        for ours, theirs in ((x, a), (x | y, a | b), (x & y, a & b), (x - y, a & ~b)):
            assert np.array_equal(ours.within(corner, a.shape), theirs)
            assert ours.count == theirs.sum()
            box = BoxMask.of(theirs, corner)
            assert ours.box() == (box.corner, box.voxels.shape)
            assert ours.blocks.any(axis=(1, 2, 3)).all(), "no cell is empty"


def test_lesions_far_apart_and_at_the_edge_of_the_scan_are_cut_and_written_as_they_are(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    scores = np.random.default_rng(4).random(SHAPE).astype(np.float32) ** 3
    scores[0, 0, 0] = scores[-1, -1, -1] = scores[8, :, 8] = 0.95
    finding = FindingSegment(finding.segmentation, "finding_1", ScoreField.of(scores, finding.geometry))
    finding.set_mask(SparseMask.empty())
    finding.note_cut(1.0, 0.0)
    before = array_of(finding, volume, "finding_2")
    for threshold in (0.94, 0.2, 0.7, 0.99, 0.94):
        recut(finding, threshold, 0.0)
        assert np.array_equal(array_of(finding, volume), scores > threshold)
    assert np.array_equal(array_of(finding, volume, "finding_2"), before)


def test_a_cut_is_told_to_what_shows_and_saves_the_segmentation(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    told = []
    for event in (slicer.vtkSegmentation.SourceRepresentationModified, slicer.vtkSegmentation.RepresentationModified):
        finding.segmentation.AddObserver(event, lambda _node, name, event=event: told.append(event))
    recut(finding, 0.3, 0.0)
    assert set(told) == {
        slicer.vtkSegmentation.SourceRepresentationModified, slicer.vtkSegmentation.RepresentationModified
    }  # fmt: skip


def test_a_finding_of_nothing_can_be_filled_emptied_and_filled_again(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    nothing = FindingSegment.of_result(scene, "1", "finding_3")
    for path in (None, tmp_path / "s.mrb"):
        if path is not None:  # a loaded scene has empty segments in one label map with others
            scene.WriteToMRB(str(path), None)
            scene.Clear(0)
            scene.ReadFromMRB(str(path), True)
            nothing = FindingSegment.of_result(scene, "1", "finding_3")
        others = FindingSegment.of_result(scene, "1", "finding_1").mask().within((0, 0, 0), SHAPE)
        for threshold, count in ((0.3, 1), (0.4, 0), (0.2, 1), (0.5, 0)):
            recut(nothing, threshold, 0.0)
            assert FindingSegment.of_result(scene, "1", "finding_3").mask().count == count
        after = FindingSegment.of_result(scene, "1", "finding_1").mask().within((0, 0, 0), SHAPE)
        assert np.array_equal(after, others) and others.any()


def test_surfaces_shown_in_3d_follow_the_cut(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    finding.segmentation.CreateClosedSurfaceRepresentation()

    def points() -> int:
        segment = finding.segmentation.GetSegmentation().GetSegment("finding_1")
        return segment.GetRepresentation("Closed surface").GetNumberOfPoints()

    before = points()
    recut(finding, 0.65, 0.0)
    assert 0 < points() < before


def test_a_segment_on_another_grid_is_refused(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    moved = finding.geometry.ijk_to_ras.copy()
    moved[0, 3] += 1
    write_box(finding.segmentation, "finding_3", BoxMask((1, 1, 1), np.ones((2, 2, 2), bool)),
                  VolumeGeometry.of(finding.geometry.dimensions, moved))  # fmt: skip
    other = FindingSegment(finding.segmentation, "finding_3", finding.field)
    with pytest.raises(ResultError, match="no longer lie on the scan's own grid"):
        other.mask()


def test_a_finding_that_was_open_before_comes_back_with_what_was_read_of_it(scene, tmp_path: Path):
    made_finding(scene, tmp_path)
    fields, earlier = ScoreFields(), EarlierSegments(most=2)

    def opened(number: int) -> FindingSegment:
        return earlier.known(FindingSegment.of_result(scene, "1", f"finding_{number}", fields.of_node))

    first = opened(1)
    assert opened(2) is not first and opened(1) is first
    opened(3)
    opened(2)
    assert opened(1) is not first, "only the last two are kept"
    earlier.forget()
    assert opened(2) is not opened(1)
