"""Lesions measured, accepted, rejected, split, and written as tables."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
ndimage = pytest.importorskip("scipy.ndimage", reason="scipy, which Slicer brings, is not installed")
from made_findings import BIG, PEAK, SMALL, array_of, draw, made_finding  # noqa: E402
from made_volumes import KINDS, SHAPE  # noqa: E402

from DiffuGTSSlicerLib import lesions  # noqa: E402
from DiffuGTSSlicerLib.finding_segment import FindingSegment  # noqa: E402
from DiffuGTSSlicerLib.lesion_table import COLUMNS, fill_table_node, write_csv  # noqa: E402
from DiffuGTSSlicerLib.lesions import (  # noqa: E402
    LesionState,
    accept,
    lesions_of,
    longest_axial_diameter_mm,
    reject,
    restore,
    split,
    undecide,
)
from DiffuGTSSlicerLib.recut import hand_work, recut  # noqa: E402
from DiffuGTSSlicerLib.regions import Regions  # noqa: E402
from DiffuGTSSlicerLib.score_field import ScoreField  # noqa: E402
from DiffuGTSSlicerLib.segment_masks import read_segment  # noqa: E402
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry  # noqa: E402


def test_lesions_are_measured_highest_score_first(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path, "straight")
    voxels = slicer.util.arrayFromVolume(volume)
    first, second = lesions_of(finding, voxels)
    assert (first.label, second.label) == (1, 2)
    assert first.volume_ml == pytest.approx(120 * 0.7 * 0.8 * 2.5 / 1000)
    assert (first.highest_score, second.highest_score) == (pytest.approx(0.9), pytest.approx(0.6))
    assert first.mean_score == pytest.approx((119 * 0.7 + 0.9) / 120)
    assert first.mean_intensity == pytest.approx(voxels[BIG].mean())
    # 6 voxels of 0.7 mm and 5 of 0.8 mm: the diagonal between voxel centres, and one voxel
    assert first.longest_axial_diameter_mm == pytest.approx(np.hypot(5 * 0.7, 4 * 0.8) + 0.75)


def test_measures_are_the_engines(scene, tmp_path: Path):
    engine = pytest.importorskip("diffugts.findings.lesions", reason="SimpleITK, which Slicer brings, is not installed")
    from diffugts.scans.scan import Geometry, Scan

    to_lps = np.diag([-1.0, -1.0, 1.0])
    for kind in KINDS:
        scene.Clear(0)
        volume, finding = made_finding(scene, tmp_path / kind, kind)
        noise = np.random.default_rng(3).random(SHAPE).astype(np.float32)
        finding = FindingSegment(finding.segmentation, "finding_1", ScoreField.of(noise, finding.geometry))
        recut(finding, 0.93, 0.0, keep_hand_work=False)
        matrix = finding.geometry.ijk_to_ras
        spacing = finding.geometry.spacing_mm
        geometry = Geometry(
            SHAPE[::-1],
            tuple(spacing),
            tuple(to_lps @ matrix[:3, 3]),
            tuple((to_lps @ matrix[:3, :3] / spacing).ravel()),
        )
        voxels = slicer.util.arrayFromVolume(volume)
        scan = Scan(voxels.astype(np.float32), geometry, "CT")
        theirs = engine.measure_lesions(array_of(finding, volume), noise, scan)
        ours = lesions_of(finding, voxels)
        assert len(ours) == len(theirs) > 20
        for name in (
            "label",
            "volume_ml",
            "longest_axial_diameter_mm",
            "mean_score",
            "highest_score",
            "mean_intensity",
        ):
            assert [getattr(o, name) for o in ours] == pytest.approx([getattr(t, name) for t in theirs], rel=1e-4), name


def test_of_too_many_lesions_those_with_the_highest_scores_are_measured(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    noise = np.random.default_rng(3).random(SHAPE).astype(np.float32)
    finding = FindingSegment(finding.segmentation, "finding_1", ScoreField.of(noise, finding.geometry))
    recut(finding, 0.93, 0.0, keep_hand_work=False)
    every = lesions_of(finding, None)
    some = lesions_of(finding, None, most=7)
    assert len(every) > 20
    assert {lesion.highest_score for lesion in some} == {lesion.highest_score for lesion in every[:7]}
    assert [lesion.label for lesion in some] == list(range(1, 8))


def test_the_place_to_jump_to_lies_inside_the_lesion(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    for lesion in lesions_of(finding, None):
        to_ijk = np.linalg.inv(finding.geometry.ijk_to_ras)
        i, j, k = np.round((to_ijk @ [*lesion.centre_ras_mm, 1])[:3]).astype(int)
        assert lesion.mask.within((k, j, i), (1, 1, 1)).all()
        assert lesion.mean_intensity is None


def test_a_rejected_lesion_moves_to_the_rejected_segment_and_comes_back(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    before = array_of(finding, volume)
    reject(finding, lesions_of(finding, None)[0])
    assert not array_of(finding, volume)[BIG].any() and array_of(finding, volume)[SMALL].all()
    assert array_of(finding, volume, "finding_1_rejected")[BIG].all()
    states = [lesion.state for lesion in lesions_of(finding, None)]
    assert states == [LesionState.REJECTED, LesionState.UNDECIDED], "it keeps its place and its number"
    restore(finding, lesions_of(finding, None)[0])
    assert np.array_equal(array_of(finding, volume), before)
    assert not array_of(finding, volume, "finding_1_rejected").any()


def test_an_accepted_lesion_stays_accepted_at_another_threshold_and_after_loading(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    accept(finding, lesions_of(finding, None)[0])
    recut(finding, 0.8, 0.0)
    assert [lesion.state for lesion in lesions_of(finding, None)] == [LesionState.ACCEPTED]
    assert finding.accepted == [PEAK]
    scene.WriteToMRB(str(tmp_path / "s.mrb"), None)
    scene.Clear(0)
    scene.ReadFromMRB(str(tmp_path / "s.mrb"), True)
    loaded = FindingSegment.of_result(scene, "1", "finding_1")
    assert [lesion.state for lesion in lesions_of(loaded, None)] == [LesionState.ACCEPTED]


def test_decisions_can_be_changed_and_taken_back(scene, tmp_path: Path):
    _, finding = made_finding(scene, tmp_path)
    accept(finding, lesions_of(finding, None)[0])
    reject(finding, lesions_of(finding, None)[0])
    assert finding.accepted == []
    accept(finding, lesions_of(finding, None)[0])
    assert [lesion.state for lesion in lesions_of(finding, None)] == [LesionState.ACCEPTED, LesionState.UNDECIDED]
    undecide(finding, lesions_of(finding, None)[0])
    assert {lesion.state for lesion in lesions_of(finding, None)} == {LesionState.UNDECIDED}


def test_splitting_gives_one_segment_per_lesion_and_leaves_the_finding_as_it_is(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    before = array_of(finding, volume)
    ids = split(finding, lesions_of(finding, None))
    assert ids == ["finding_1_lesion_1", "finding_1_lesion_2"]
    node = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[-1]
    masks = [read_segment(node, one, finding.geometry).within((0, 0, 0), SHAPE) for one in ids]
    assert np.array_equal(masks[0] | masks[1], before) and not (masks[0] & masks[1]).any()
    assert np.array_equal(array_of(finding, volume), before)
    colours = {node.GetSegmentation().GetSegment(one).GetColor() for one in ids}
    assert len(colours) == 2
    assert node.GetAttribute("DiffuGTS.Role") == "lesions"
    assert "Neoplasm" in node.GetSegmentation().GetSegment(ids[0]).GetTerminology()


def test_the_table_says_everything_also_that_nothing_was_found(scene, tmp_path: Path):
    volume, finding = made_finding(scene, tmp_path)
    reject(finding, lesions_of(finding, None)[1])
    table = [("=HYPERLINK(1)", lesions_of(finding, slicer.util.arrayFromVolume(volume))), ("nothing", [])]
    write_csv(table, tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["state"] for row in rows] == ["", "rejected", "no lesion"]
    assert rows[0]["description"] == "'=HYPERLINK(1)", "no spreadsheet may take it for a formula"
    assert float(rows[0]["highest_score"]) == 0.9 and rows[2]["mean_score"] == ""
    node = scene.AddNewNodeByClass("vtkMRMLTableNode", "lesions")
    fill_table_node(table, node)
    assert node.GetNumberOfRows() == 3
    assert [node.GetColumnName(n) for n in range(node.GetNumberOfColumns())] == [name for name, _ in COLUMNS]
    assert node.GetCellText(1, 2) == "rejected"


def test_the_axial_plane_is_found_in_any_acquisition():
    axes = {"straight": 0, "sagittal": 1}
    from made_volumes import matrix

    for kind, axis in axes.items():
        assert VolumeGeometry.of(SHAPE[::-1], matrix(kind)).axial_axis == axis


@pytest.mark.parametrize("corner", [(9, 40, 36), (4, 9, 7), (1, 1, 1)], ids=["large", "speck", "voxel"])
@pytest.mark.parametrize("seed", range(6))
def test_the_longest_diameter_is_that_of_all_pairs_of_voxels(seed: int, corner: tuple[int, int, int]):
    rng = np.random.default_rng(seed)
    noise = ndimage.gaussian_filter(rng.normal(size=(9, 40, 36)), (0.5, 3, 3))
    noise = noise[tuple(slice(n) for n in corner)]
    region = noise >= np.quantile(noise, 0.8)
    to_ras = np.diag([0.7, 0.9, 3.0, 1.0])
    found = longest_axial_diameter_mm(region, VolumeGeometry.of(region.shape[::-1], to_ras))
    points = [np.argwhere(section) * [0.9, 0.7] for section in region]
    longest = max(np.linalg.norm(p[:, None] - p[None], axis=2).max() for p in points if len(p))
    assert found == pytest.approx(longest + 0.8)


@pytest.mark.parametrize("radius", [9.5, 19.0, 22.5])
def test_the_longest_diameter_of_a_ball_whose_slices_reach_nearly_as_far(radius: float):
    """The middle slice is longer than it looks along the directions, and longer than its neighbours can be."""
    region = np.linalg.norm(np.indices((61, 61, 61)) - np.full((3, 1, 1, 1), 30), axis=0) < radius
    found = longest_axial_diameter_mm(region, VolumeGeometry.of((61, 61, 61), np.diag([0.7, 0.7, 1.0, 1.0])))
    points = np.argwhere(region[30]) * 0.7
    assert found == pytest.approx(np.linalg.norm(points[:, None] - points[None], axis=2).max() + 0.7)


def test_what_a_decision_does_not_change_is_not_measured_again(scene, tmp_path: Path, monkeypatch):
    """The longest diameter of half a litre takes tens of milliseconds, and every key pressed asks for all lesions."""
    volume, finding = made_finding(scene, tmp_path)
    voxels = slicer.util.arrayFromVolume(volume)
    before = lesions_of(finding, voxels)
    measured: list[int] = []
    real = lesions.longest_axial_diameter_mm
    monkeypatch.setattr(
        lesions, "longest_axial_diameter_mm", lambda region, geometry: (measured.append(1), real(region, geometry))[1]
    )
    reject(finding, before[0])
    after = lesions_of(finding, voxels)
    assert not measured
    assert [lesion.state for lesion in after] == [LesionState.REJECTED, LesionState.UNDECIDED]
    for old, new in zip(before, after):
        assert old.longest_axial_diameter_mm == new.longest_axial_diameter_mm and old.mean_score == new.mean_score
    voxels[BIG] += 7
    assert lesions_of(finding, voxels)[0].mean_intensity == pytest.approx(before[0].mean_intensity + 7), (
        "of the scan now"
    )
    draw(finding, volume, BIG[:2] + (slice(BIG[2].start, BIG[2].start + 1),), True)
    assert [lesion.volume_ml for lesion in lesions_of(finding, voxels)] != [lesion.volume_ml for lesion in after]
    assert measured, "what was drawn is measured"


def test_regions_of_the_cut_are_known_when_a_lesion_is_rejected(scene, tmp_path: Path, monkeypatch):
    """What is left and what was rejected are looked through, the cut is not: its regions were found when it was made."""
    _, finding = made_finding(scene, tmp_path)
    recut(finding, 0.5, 0.0)
    for _ in range(3):  # as the panel shows it again and again
        first = lesions_of(finding, None)[0]
        hand_work(finding)
    looked_through: list[int] = []
    real = Regions.of.__func__
    monkeypatch.setattr(
        Regions, "of", classmethod(lambda cls, mask: (looked_through.append(mask.count), real(cls, mask))[1])
    )
    reject(finding, first)
    lesions_of(finding, None)
    hand_work(finding)
    assert sorted(looked_through) == [120, 120]
