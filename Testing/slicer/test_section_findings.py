"""The section Findings: what its rows say, and choosing, showing and correcting a finding, on real nodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
import qt  # noqa: E402
from findings_panel import TEXTS, Panel, panels  # noqa: E402
from made_findings import BIG, SMALL, TO_LPS, array_of, draw, made_finding  # noqa: E402
from made_results import made_scores, write_result  # noqa: E402
from made_volumes import SHAPE, made_volume, matrix  # noqa: E402

from DiffuGTSSlicerLib import findings_table as columns  # noqa: E402
from DiffuGTSSlicerLib.finding_rows import Outcome  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import Job  # noqa: E402
from DiffuGTSSlicerLib.provenance import RECORD, RESULT  # noqa: E402
from DiffuGTSSlicerLib.results import import_result, nodes_of_result  # noqa: E402


@pytest.fixture
def panel(scene, host):
    yield from panels(scene, host)


def tip(shown: Panel, row: int, column: int) -> str:
    """A tooltip as the user reads it."""
    document = qt.QTextDocument()
    document.setHtml(shown.ui.findingsTable.item(row, column).toolTip())
    return document.toPlainText()


def another_run(volume, folder: Path, scene, name: str = "2", texts=TEXTS) -> None:
    job = Job(name, freeze_order(volume, texts), folder / name)
    manifest = write_result(job.result_folder, SHAPE, TO_LPS @ matrix("oblique"), job.order.descriptions)
    import_result(job, manifest, scene)


# -- what the rows say ------------------------------------------------------------------------------------------------


def test_without_a_result_the_section_says_what_will_be_here(panel):
    shown = panel()
    assert shown.ui.hintLabel.visible and not shown.ui.findingsTable.visible
    assert not shown.ui.correctingBox.visible and not shown.ui.resultBox.visible


def test_every_description_has_a_row_also_where_nothing_was_found(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    volumes = [f"{(made_scores(SHAPE, n) > 0.5).sum() * 0.7 * 0.8 * 2.5 / 1000:.1f}" for n in range(2)]
    assert shown.rows() == [
        ["liver tumour", "found", "0.90", volumes[0], "2"],
        ["cyst", "found", "0.90", volumes[1], "1"],
        ["nothing of the kind", "not found", "0.31", "–", "–"],
    ]
    assert tip(shown, 2, columns.OUTCOME) == "Nothing above 0.50 for 'nothing of the kind'; highest score 0.31."


def test_the_swatch_of_a_row_has_the_segments_colour_also_after_the_user_changed_it(scene, tmp_path: Path, panel):
    _, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()

    def swatch(row: int) -> tuple[float, ...]:
        icon = shown.ui.findingsTable.item(row, columns.DESCRIPTION).icon()
        return icon.pixmap(12, 12).toImage().pixelColor(6, 6).getRgbF()[:3]

    segments = finding.segmentation.GetSegmentation()
    for row in range(3):
        assert swatch(row) == pytest.approx(segments.GetSegment(f"finding_{row + 1}").GetColor(), abs=0.005)
    shown.choose(0)
    segments.GetSegment("finding_1").SetColor(0.1, 0.8, 0.3)
    shown.settle()
    assert swatch(0) == pytest.approx((0.1, 0.8, 0.3), abs=0.005)


def test_several_runs_have_headings_and_the_newest_is_on_top(scene, tmp_path: Path, panel):
    volume, _ = made_finding(scene, tmp_path, texts=TEXTS)
    another_run(volume, tmp_path, scene)
    for node in slicer.util.getNodesByClass("vtkMRMLNode"):
        if node.GetAttribute(RESULT) == "2":
            node.SetAttribute(RECORD, node.GetAttribute(RECORD).replace("2026-11-24T03:00", "2026-11-24T04:00"))
    shown = panel()
    assert [row[0] for row in shown.rows()] == [
        "CT liver · 2026-11-24 04:00 UTC · Standard", *TEXTS, "CT liver · 2026-11-24 03:00 UTC · Standard", *TEXTS
    ]  # fmt: skip
    shown.choose(0)
    assert shown.chosen == [], "a heading is no finding"
    shown.choose(5)
    assert shown.chosen == [("1", "finding_1")]


def test_a_long_description_with_signs_of_html_is_shown_as_it_was_typed(scene, tmp_path: Path, panel):
    text = "<b>tumour</b> & " + "very " * 390 + "long 🩻"
    made_finding(scene, tmp_path, texts=(text,))
    shown = panel()
    assert len(shown.rows()) == 1 and shown.rows()[0][0].startswith("<b>tumour</b> & very")
    assert tip(shown, 0, columns.DESCRIPTION) == text


# -- choosing and showing ---------------------------------------------------------------------------------------------


def test_choosing_a_finding_tells_the_module_and_lists_its_lesions(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    assert shown.chosen == [("1", "finding_1")]
    assert [(row[0], row[4], row[5]) for row in shown.lesions()] == [("1", "0.90", "–"), ("2", "0.60", "–")]
    assert shown.ui.lesionsTable.horizontalHeaderItem(3).text() == "Mean HU"
    assert shown.ui.thresholdField.value == pytest.approx(0.5) and shown.ui.thresholdSlider.value == 50


def test_a_new_result_is_shown_with_its_first_finding_chosen(scene, tmp_path: Path, panel):
    volume, _ = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    another_run(volume, tmp_path, scene, texts=("nothing", "liver tumour"))
    shown.section.show_result("2")
    assert shown.chosen == [("2", "finding_1")]
    assert shown.ui.correctingBox.visible


def test_what_was_not_found_can_be_chosen_and_says_why_it_has_no_lesion(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(2)
    assert shown.chosen == [("1", "finding_3")]
    assert shown.ui.lesionsLabel.visible and "highest score 0.31" in shown.ui.lesionsLabel.text
    assert not shown.ui.lesionsTable.visible and shown.ui.thresholdSlider.visible


def test_a_segment_is_hidden_and_shown_by_its_tick(scene, tmp_path: Path, panel):
    _, finding = made_finding(scene, tmp_path, texts=TEXTS)
    display = finding.segmentation.GetDisplayNode()
    shown = panel()
    shown.tick(1, columns.SHOWN, False)
    assert not display.GetSegmentVisibility("finding_2") and display.GetSegmentVisibility("finding_1")
    display.SetVisibility(False)
    shown.section.refresh()
    shown.tick(0, columns.SHOWN, True)
    assert display.GetVisibility() and display.GetSegmentVisibility("finding_1")


def test_the_map_is_laid_over_the_scan_and_what_was_there_comes_back(scene, tmp_path: Path, panel):
    volume, _ = made_finding(scene, tmp_path, texts=TEXTS)
    other = made_volume(name="PET")
    maps = nodes_of_result(scene, "1")["score map"]
    red = slicer.app.layoutManager().sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    red.SetBackgroundVolumeID(volume.GetID())
    red.SetForegroundVolumeID(other.GetID())
    red.SetForegroundOpacity(0.3)
    shown = panel()
    shown.tick(0, columns.MAP, True)
    assert red.GetForegroundVolumeID() == maps[0].GetID()
    shown.settle()
    shown.tick(2, columns.MAP, True)
    shown.settle()
    assert red.GetForegroundVolumeID() == maps[2].GetID()
    ticked = [shown.ui.findingsTable.item(row, columns.MAP).checkState() for row in range(3)]
    assert [state == qt.Qt.Checked for state in ticked] == [False, False, True]
    shown.tick(2, columns.MAP, False)
    assert (red.GetForegroundVolumeID(), red.GetForegroundOpacity()) == (other.GetID(), pytest.approx(0.3))
    assert red.GetBackgroundVolumeID() == volume.GetID()


# -- correcting -------------------------------------------------------------------------------------------------------


def test_moving_the_threshold_cuts_the_segment_again_at_once(scene, tmp_path: Path, panel):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    for position in (55, 60, 65):
        shown.ui.thresholdSlider.setValue(position)
    assert shown.ui.thresholdField.value == pytest.approx(0.65)
    shown.settle()
    assert np.array_equal(array_of(finding, volume), made_scores(SHAPE, 0) > 0.65)
    assert shown.rows()[0][1] == "corrected" and shown.rows()[0][4] == "1"
    assert len(shown.lesions()) == 1
    why = tip(shown, 0, columns.OUTCOME)
    assert "The run itself said: found at threshold 0.50" in why and "Now cut at 0.65" in why
    shown.ui.thresholdField.setValue(0.5)
    shown.settle()
    assert shown.rows()[0][1] == "found", "back where the run had it"


def test_a_finding_of_nothing_can_be_cut_lower(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(2)
    shown.ui.thresholdSlider.setValue(30)
    shown.settle()
    assert shown.rows()[2][1] == "corrected" and shown.rows()[2][4] == "1"
    assert shown.ui.lesionsTable.visible


def test_the_smallest_lesion_leaves_out_what_is_smaller(scene, tmp_path: Path, panel):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    draw(finding, volume, SMALL, False)
    shown = panel()
    shown.choose(0)
    assert len(shown.lesions()) == 1
    shown.ui.smallestField.setValue(0.5)
    shown.settle()
    assert shown.lesions() == [] and finding.smallest_lesion_ml == pytest.approx(0.5)


def test_work_by_hand_is_kept_and_said_when_the_threshold_moves(scene, tmp_path: Path, panel):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    assert not shown.ui.handWorkBox.visible
    draw(finding, volume, (1, 1, slice(1, 4)), True)
    shown.settle()
    assert shown.ui.handWorkBox.visible, "drawn while the panel is open: seen at once"
    shown.ui.thresholdSlider.setValue(65)
    shown.settle()
    assert array_of(finding, volume)[1, 1, 1:4].all()
    assert "drawn" in shown.ui.handWorkLabel.text


def test_work_by_hand_is_discarded_only_after_asking(scene, tmp_path: Path, panel, host):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    draw(finding, volume, (1, 1, slice(1, 4)), True)
    shown = panel()
    shown.choose(0)
    host.dialogs.answer("Cancel")
    shown.ui.discardButton.click()
    assert array_of(finding, volume)[1, 1, 1:4].all()
    assert "cannot be undone" in host.dialogs.shown[0].text
    host.dialogs.answer("Ok")
    shown.ui.discardButton.click()
    shown.settle()
    assert np.array_equal(array_of(finding, volume), made_scores(SHAPE, 0) > 0.5)
    assert not shown.ui.handWorkBox.visible


def test_edit_opens_the_segment_editor_on_the_segment_and_its_scan(scene, tmp_path: Path, panel):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(1)
    shown.ui.editButton.click()
    assert slicer.util.mainWindow().moduleSelector().selectedModule == "SegmentEditor"
    editor = slicer.util.getModuleWidget("SegmentEditor").editor
    assert editor.segmentationNode() is finding.segmentation and editor.sourceVolumeNode() is volume
    assert editor.currentSegmentID() == "finding_2"
    node = editor.mrmlSegmentEditorNode()
    assert node.GetOverwriteMode() == node.OverwriteNone, "painting here must not erase another finding"


def test_splitting_adds_one_segment_per_lesion_and_says_where(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.ui.splitButton.click()
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert nodes[-1].GetSegmentation().GetNumberOfSegments() == 2
    assert nodes[-1].GetName() in shown.ui.messageLabel.text and shown.ui.messageLabel.visible


def test_the_distribution_is_coloured_above_the_threshold(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)

    def coloured() -> int:
        image = shown.ui.distributionLabel.pixmap.toImage()
        wanted = qt.QColor(238, 102, 119)
        return sum(image.pixelColor(x, image.height() - 1) == wanted for x in range(image.width()))

    at_half = coloured()
    shown.ui.thresholdSlider.setValue(80)
    assert 0 < coloured() < at_half


# -- going through the lesions ----------------------------------------------------------------------------------------


def centre_of(view: str) -> np.ndarray:
    node = slicer.mrmlScene.GetSingletonNode(view, "vtkMRMLSliceNode")
    return slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3].copy()


def test_choosing_a_lesion_shows_its_slice_in_all_views(scene, tmp_path: Path, panel):
    _, finding = made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    places = []
    for row in range(2):
        shown.choose_lesion(row)
        axes = {"Red": 2, "Yellow": 0, "Green": 1}  # each view's slice stands still along one axis
        places.append(tuple(centre_of(view)[axis] for view, axis in sorted(axes.items(), key=lambda item: item[1])))
        i, j, k = np.round((np.linalg.inv(finding.geometry.ijk_to_ras) @ [*places[-1], 1])[:3]).astype(int)
        inside = np.zeros(SHAPE, bool)
        inside[BIG if row == 0 else SMALL] = True
        assert inside[k, j, i]


def test_next_and_previous_go_round(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    seen = []
    for button in (shown.ui.nextButton, shown.ui.nextButton, shown.ui.nextButton, shown.ui.previousButton):
        button.click()
        seen.append(shown.ui.lesionsTable.currentRow())
    assert seen == [0, 1, 0, 1]


def test_accepting_marks_the_lesion_and_goes_on_to_the_next_undecided(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    assert not shown.ui.acceptButton.enabled, "no lesion is chosen yet"
    shown.choose_lesion(0)
    shown.ui.acceptButton.click()
    shown.settle()
    assert shown.states() == ["accepted", "–"] and shown.ui.lesionsTable.currentRow() == 1
    assert not shown.ui.acceptButton.checked
    shown.choose_lesion(0)
    assert shown.ui.acceptButton.checked
    shown.ui.acceptButton.click()
    shown.settle()
    assert shown.states() == ["–", "–"], "once more takes it back"


def test_a_rejected_lesion_keeps_its_place_and_comes_back(scene, tmp_path: Path, panel):
    volume, finding = made_finding(scene, tmp_path, texts=TEXTS)
    before = array_of(finding, volume)
    shown = panel()
    shown.choose(0)
    shown.choose_lesion(0)
    shown.ui.rejectButton.click()
    shown.settle()
    assert shown.states() == ["rejected", "–"] and shown.ui.lesionsTable.currentRow() == 1
    assert not array_of(finding, volume)[BIG].any()
    assert shown.rows()[0][1] == "corrected"
    shown.choose_lesion(0)
    shown.ui.rejectButton.click()
    shown.settle()
    assert shown.states() == ["–", "–"] and np.array_equal(array_of(finding, volume), before)
    assert shown.rows()[0][1] == "found"


def test_a_chosen_lesion_stays_chosen_when_the_threshold_moves(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.choose_lesion(1)
    shown.ui.thresholdSlider.setValue(40)
    shown.settle()
    assert shown.ui.lesionsTable.currentRow() == 1


def test_what_the_run_left_out_is_said_above_its_lesions_until_it_is_corrected(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    assert not shown.ui.lesionsLabel.visible
    correcting, row = shown.section._correcting, shown.section._table.rows[0]
    sentence = "2 more regions lie above 0.50, but alone they would be uncertain."
    findings = tuple(replace(each, notes=(sentence,)) for each in row.record.findings)
    said = replace(row, record=replace(row.record, findings=findings))
    lesions = correcting.open_finding.lesions()
    correcting._show_lesions(said, lesions)
    assert shown.ui.lesionsLabel.visible and shown.ui.lesionsLabel.text == sentence
    correcting._show_lesions(replace(said, outcome=Outcome.CORRECTED), lesions)
    assert not shown.ui.lesionsLabel.visible, "a lower threshold shows them: it is true no more"
