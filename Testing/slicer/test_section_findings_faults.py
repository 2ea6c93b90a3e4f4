"""The section Findings when something goes away under it, and when a scene comes back from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
from findings_panel import TEXTS, panels  # noqa: E402
from made_findings import BIG, array_of, draw, made_finding  # noqa: E402
from made_results import made_scores  # noqa: E402
from made_volumes import SHAPE  # noqa: E402

from DiffuGTSSlicerLib.finding_segment import FindingSegment  # noqa: E402
from DiffuGTSSlicerLib.provenance import RECORD  # noqa: E402
from DiffuGTSSlicerLib.results import nodes_of_result  # noqa: E402


@pytest.fixture
def panel(scene, host):
    yield from panels(scene, host)


def test_a_deleted_segmentation_leaves_its_rows_and_says_what_is_missing(scene, tmp_path: Path, panel):
    _, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    scene.RemoveNode(finding.segmentation)
    shown.settle()
    assert [row[1] for row in shown.rows()] == ["segment deleted"] * 3
    assert not shown.ui.correctingBox.visible and shown.ui.resultBox.visible
    assert "was deleted" in shown.ui.messageLabel.text


def test_a_deleted_segment_leaves_the_other_findings_as_they_are(scene, tmp_path: Path, panel):
    _, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    finding.segmentation.GetSegmentation().RemoveSegment("finding_1")
    shown.settle()
    assert [row[1] for row in shown.rows()] == ["segment deleted", "found", "not found"]
    assert "deleted" in shown.ui.messageLabel.text and not shown.ui.correctingBox.visible
    shown.choose(1)
    assert shown.ui.correctingBox.visible and not shown.ui.messageLabel.visible


def test_without_its_score_map_a_finding_is_shown_but_not_cut(scene, tmp_path: Path, panel):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    before = array_of(finding, volume)
    shown = panel()
    shown.choose(0)
    shown.ui.thresholdSlider.setValue(70)
    scene.RemoveNode(nodes_of_result(scene, "1")["score map"][0])  # before the cut is made
    shown.settle()
    assert not shown.ui.correctingBox.visible and "score map" in shown.ui.messageLabel.text
    assert array_of(finding, volume).sum() in (before.sum(), (made_scores(SHAPE, 0) > 0.7).sum())
    assert shown.rows()[0][0] == "liver tumour"


def test_without_the_scan_the_mean_intensity_is_left_open(scene, tmp_path: Path, panel):
    volume, _ = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    assert shown.lesions()[0][3] != "–"
    scene.RemoveNode(volume)
    shown.settle()
    assert [row[3] for row in shown.lesions()] == ["–", "–"]
    shown.ui.thresholdSlider.setValue(65)
    shown.settle()
    assert len(shown.lesions()) == 1, "it can still be corrected"


@pytest.mark.parametrize("move", ["SetOrigin", "SetSpacing"])
def test_a_score_map_that_was_moved_is_not_cut_from(scene, tmp_path: Path, panel, move: str):
    made_finding(scene, tmp_path, texts=TEXTS)
    getattr(nodes_of_result(scene, "1")["score map"][0], move)(1, 2, 3)
    shown = panel()
    shown.choose(0)
    assert "no longer lies on the grid" in shown.ui.messageLabel.text
    assert not shown.ui.correctingBox.visible


def test_closing_the_scene_empties_the_section(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.ui.thresholdSlider.setValue(70)
    scene.Clear(0)
    shown.settle()
    assert shown.rows() == [] and shown.ui.hintLabel.visible
    assert not shown.ui.correctingBox.visible and not shown.ui.resultBox.visible
    assert not shown.ui.messageLabel.visible


def test_a_damaged_record_is_said_and_the_other_runs_are_shown(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    for nodes in nodes_of_result(scene, "1").values():
        for node in nodes:
            node.SetAttribute(RECORD, "{")
    shown = panel()
    assert shown.rows() == [] and "is damaged" in shown.ui.messageLabel.text


@pytest.mark.parametrize("kind", ["oblique", "left-handed"])
def test_everything_goes_on_in_a_scene_loaded_from_a_file(scene, tmp_path: Path, panel, kind: str):
    volume, finding = made_finding(scene, tmp_path, kind, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.choose_lesion(1)
    shown.ui.acceptButton.click()
    shown.choose_lesion(0)
    shown.ui.rejectButton.click()
    draw(finding, volume, (1, 1, slice(1, 4)), True)
    shown.choose(2)
    shown.ui.thresholdSlider.setValue(30)
    shown.settle()
    shown.choose(0)
    before, lesions = shown.rows(), shown.lesions()
    path = tmp_path / "scene ü.mrb"
    scene.WriteToMRB(str(path), None)
    scene.Clear(0)
    shown.settle()
    scene.ReadFromMRB(str(path), True)
    shown.settle()
    assert shown.rows() == before
    shown.choose(0)
    assert shown.lesions() == lesions, "states, sizes and intensities"
    assert shown.ui.handWorkBox.visible
    shown.choose_lesion([row[-1] for row in lesions].index("rejected"))
    shown.ui.rejectButton.click()
    shown.settle()
    loaded = FindingSegment.of_result(scene, "1", "finding_1")
    mask = loaded.mask().within((0, 0, 0), SHAPE)
    assert mask[BIG].all() and mask[1, 1, 1:4].all()
    shown.ui.thresholdSlider.setValue(65)
    shown.settle()
    expected = made_scores(SHAPE, 0) > 0.65
    expected[1, 1, 1:4] = True
    assert np.array_equal(loaded.mask().within((0, 0, 0), SHAPE), expected)


def test_a_panel_that_was_left_follows_nothing_and_is_up_to_date_when_it_is_entered(scene, tmp_path: Path, panel):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.section.exit()
    draw(finding, volume, BIG, False)
    scene.RemoveNode(nodes_of_result(scene, "1")["score map"][2])
    shown.settle()
    assert len(shown.lesions()) == 2
    shown.section.enter()
    assert len(shown.lesions()) == 1 and shown.ui.handWorkBox.visible
