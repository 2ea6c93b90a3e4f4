"""Several volumes ticked in the panel: one click, a job each, and what may happen to them."""

from __future__ import annotations

from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import qt  # noqa: E402
from made_volumes import made_volume  # noqa: E402
from opened_module import *  # noqa: E402, F403
from ticked_volumes import (  # noqa: E402
    NAMES,
    PATIENCE_S,
    load,
    start,
    table,
    tick,
    tick_all,
    ticked,
    until_looked_at,
    until_over,
)

from DiffuGTSSlicerLib.job import JobState  # noqa: E402
from DiffuGTSSlicerLib.provenance import RESULT  # noqa: E402


def test_the_group_is_seen_only_where_there_are_several_scans_and_lists_no_results(host, panel):
    made_volume(name="CT one")
    host.process_events(250)
    assert panel.ui.severalGroup.isHidden(), "a single scan: nothing to choose among"
    assert panel.ui.severalGroup.collapsed
    panel.ui.volumeSelector.setCurrentNode(load(panel, host, ("CT two",))[0])
    assert not panel.ui.severalGroup.isHidden()
    until_over(host, start(host, panel))
    assert slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")[-1].GetAttribute(RESULT)
    assert [panel.ui.volumesList.item(n).text() for n in range(panel.ui.volumesList.count)] == ["CT one", "CT two"]


def test_renamed_deleted_and_new_volumes_are_followed_and_ticks_stay(host, panel):
    one, two, _three = load(panel, host)
    tick(host, panel, "CT one", "CT three")
    one.SetName("CT first")
    slicer.mrmlScene.RemoveNode(two)
    made_volume(name="CT four")
    host.process_events(300)
    assert [panel.ui.volumesList.item(n).text() for n in range(3)] == ["CT first", "CT three", "CT four"]
    assert ticked(panel) == ["CT first", "CT three"]
    assert panel.ui.severalGroup.title == "Several volumes: 2 ticked"
    slicer.mrmlScene.RemoveNode(one)
    host.process_events(300)
    assert ticked(panel) == ["CT three"] and panel.ui.segmentButton.text == "Segment the ticked volume"


def test_all_and_none(host, panel):
    load(panel, host)
    tick_all(host, panel)
    assert ticked(panel) == list(NAMES) and panel.ui.segmentButton.text == "Segment 3 volumes"
    panel.ui.tickNoneButton.click()
    assert ticked(panel) == [] and panel.ui.segmentButton.text == "Segment"
    assert panel.ui.severalGroup.title == "Several volumes"


def test_one_click_gives_a_job_for_each_with_the_same_choices_and_one_table(host, panel):
    volumes = load(panel, host)
    panel.ui.volumeSelector.setCurrentNode(volumes[1])
    panel.ui.seedField.setValue(5)
    tick(host, panel, "CT three", "CT one")
    jobs = start(host, panel)
    assert [job.order.volume_name for job in jobs] == ["CT one", "CT three"], "in the order of the scene"
    assert {(job.order.descriptions, job.order.seed) for job in jobs} == {(("liver tumour", "cyst"), 5)}
    assert panel.ui.segmentButton.text == "Cancel", "what is asked is under way"
    until_over(host, jobs)
    assert [job.state for job in jobs] == 2 * [JobState.DONE], [job.reason for job in jobs]
    assert panel.ui.outcomeLabel.text == "2 volumes: 2 done."
    rows = table(panel)
    assert [row[:4] for row in rows] == [
        ["CT one", "liver tumour", "found", "0.90"],
        ["", "cyst", "found", "0.90"],
        ["CT three", "liver tumour", "found", "0.90"],
        ["", "cyst", "found", "0.90"],
    ]
    assert [row[5] for row in rows] == ["2", "1", "2", "1"] and all(float(row[4]) > 0 for row in rows)
    assert not panel.ui.volumesCollapsibleButton.isHidden()


def test_the_volume_chosen_above_is_segmented_where_nothing_is_ticked(host, panel):
    volumes = load(panel, host)
    panel.ui.volumeSelector.setCurrentNode(volumes[2])
    jobs = start(host, panel)
    assert [job.order.volume_name for job in jobs] == ["CT three"] and jobs[0].companions == ()
    until_over(host, jobs)
    assert panel.ui.volumesCollapsibleButton.isHidden(), "there is nothing to say of more than one volume"


def test_progress_names_the_volume_and_its_place_and_each_can_be_cancelled(host, panel, environment):
    environment.mode = "slow"
    load(panel, host)
    tick_all(host, panel)
    jobs = start(host, panel)
    host.wait_until(lambda: jobs[0].progress.done >= 3, PATIENCE_S)
    assert panel.ui.progressLabel.text.startswith("CT one, 1 of 3 · Looking at the scan ")
    tree = panel.ui.jobsTree
    assert not tree.isHidden() and tree.topLevelItemCount == 3
    tree.itemWidget(tree.topLevelItem(1), 2).click()
    panel.ui.segmentButton.click()
    host.wait_until(lambda: jobs[2].progress.done >= 1, PATIENCE_S)
    assert panel.ui.progressLabel.text.startswith("CT three, 3 of 3 · ")
    panel.ui.segmentButton.click()
    until_over(host, jobs)
    assert [job.state for job in jobs] == 3 * [JobState.CANCELLED]
    assert panel.ui.outcomeLabel.text == "3 volumes: 3 cancelled."
    assert table(panel) == [[name, "Cancelled."] for name in NAMES]


def test_all_are_cancelled_with_one_click_and_none_begins_meanwhile(host, panel, environment):
    environment.mode = "slow"
    load(panel, host)
    tick_all(host, panel)
    assert panel.ui.cancelAllButton.isHidden()
    jobs = start(host, panel)
    host.wait_until(lambda: jobs[0].progress.done >= 3, PATIENCE_S)
    begun = set()
    for job in jobs[1:]:
        job.listeners.append(lambda each: begun.add(each.name) if each.state is JobState.EXPORTING else None)
    panel.ui.cancelAllButton.click()
    assert [job.state for job in jobs[1:]] == 2 * [JobState.CANCELLED]
    until_over(host, jobs)
    assert jobs[0].state is JobState.CANCELLED and not begun
    assert panel.ui.cancelAllButton.isHidden()


def test_what_failed_is_in_the_table_with_its_sentence_and_the_others_are_done(host, panel, environment):
    environment.mode = "unhurried"
    volumes = load(panel, host)
    tick_all(host, panel)
    jobs = start(host, panel)
    host.wait_until(lambda: jobs[0].progress.stage == "encoding" or jobs[0].state.over, PATIENCE_S)
    slicer.mrmlScene.RemoveNode(volumes[1])
    until_over(host, jobs)
    assert [job.state for job in jobs] == [JobState.DONE, JobState.FAILED, JobState.DONE]
    sentence = "The volume 'CT two' was deleted before its turn came. Load it again."
    assert panel.ui.outcomeLabel.text == f"3 volumes: 2 done, 1 failed.\n{sentence}"
    assert not panel.ui.detailsRow.isHidden(), "the one that failed is explained, though the last one was done"
    assert table(panel)[-1] == ["CT two", f"failed: {sentence}"], "a deleted volume comes last"
    panel.volumesSection.ui.volumesTable.selectRow(4)
    assert panel.volumesSection.ui.messageLabel.text == sentence


def test_a_failure_is_forgotten_when_its_volume_is_segmented_again(host, panel, environment):
    environment.mode = "killed"
    load(panel, host, NAMES[:2])
    tick_all(host, panel)
    until_over(host, start(host, panel))
    assert table(panel)[0][1].startswith("failed: The worker ended in the middle of the job")
    panel.ui.tickNoneButton.click()
    tick(host, panel, "CT one")
    until_over(host, start(host, panel))
    assert [row[:3] for row in table(panel)[:2]] == [["CT one", "liver tumour", "found"], ["", "cyst", "found"]]
    assert len(table(panel)) == 4


def test_what_a_cancelled_job_left_undone_has_a_row_also_in_a_saved_scene(host, panel, environment, tmp_path: Path):
    environment.mode = "keeps"
    load(panel, host, NAMES[:2])
    tick_all(host, panel)
    jobs = start(host, panel)
    host.wait_until(lambda: jobs[0].progress.stage == "encoding", PATIENCE_S)
    panel.ui.segmentButton.click()
    until_over(host, jobs)
    rows = table(panel)
    undone = ["", "cyst: The job was cancelled before this description was finished."]
    assert rows[0][:3] == ["CT one", "liver tumour", "found"] and rows[1] == undone
    saved = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(saved)
    slicer.mrmlScene.Clear(0)
    host.process_events(300)
    assert table(panel) == [] and panel.ui.volumesCollapsibleButton.isHidden()
    slicer.util.loadScene(saved, {"clear": True})
    host.process_events(300)
    assert table(panel) == rows
    assert ticked(panel) == ["CT one", "CT two"], "what was ticked is saved with the scene"


def test_the_scene_closed_cancels_all_and_nothing_of_it_is_left_in_the_panel(host, panel, environment):
    environment.mode = "slow"
    load(panel, host)
    tick_all(host, panel)
    jobs = start(host, panel)
    host.wait_until(lambda: jobs[0].progress.stage == "encoding", PATIENCE_S)
    slicer.mrmlScene.Clear(0)
    until_over(host, jobs)
    assert [job.state for job in jobs] == 3 * [JobState.CANCELLED]
    assert table(panel) == [] and panel.ui.volumesCollapsibleButton.isHidden()
    assert panel.ui.volumesList.count == 0 and not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_region_holds_for_the_chosen_volume_alone_and_this_is_said(host, panel):
    volumes = load(panel, host)
    panel.ui.volumeSelector.setCurrentNode(volumes[0])
    roi = panel.ui.roiSelector.addNode()
    host.wait_until(lambda: panel.ui.segmentButton.enabled)
    tick_all(host, panel)
    said = "The region holds for 'CT one' alone; the other volumes are searched as a whole."
    assert said in panel.ui.preflightLabel.text
    assert [order.region is not None for order in panel.describeSection.orders()] == [True, False, False]
    panel.ui.tickNoneButton.click()
    tick(host, panel, "CT two", "CT three")
    assert "which is not ticked: it is not used" in panel.ui.preflightLabel.text
    panel.ui.roiSelector.setCurrentNode(None)
    assert "region" not in panel.ui.preflightLabel.text
    slicer.mrmlScene.RemoveNode(roi)


def test_what_does_not_fit_is_said_of_each_volume_and_nothing_is_started_while_one_cannot_be(host, panel):
    load(panel, host)
    made_volume("anisotropic", name="CT coarse")
    made_volume(name="CT flat", shape=(3, 20, 24))
    host.process_events(250)
    tick_all(host, panel)
    host.process_events(100)
    lines = panel.ui.preflightLabel.text.splitlines()
    assert any(line.startswith("⚠ CT coarse: Slices are 7.5 mm apart") for line in lines), lines
    assert any(line.startswith("⚠ 'CT flat' has 24 x 20 x 3 voxels") for line in lines), lines
    assert not panel.ui.segmentButton.enabled and "'CT flat' has 24 x 20 x 3 voxels" in panel.ui.segmentButton.toolTip
    flat = panel.ui.volumesList.item(4)
    assert "24 x 20 x 3 voxels" in flat.toolTip()
    flat.setCheckState(qt.Qt.Unchecked)
    until_looked_at(host, panel)
    assert panel.ui.segmentButton.text == "Segment 4 volumes" and panel.ui.segmentButton.enabled
    assert "4 volumes, one after the other. Takes about" in panel.ui.preflightLabel.text


def test_many_lines_are_shortened_and_the_list_has_the_rest(host, panel):
    for number in range(12):
        made_volume("anisotropic", name=f"CT {number}")
    load(panel, host, ())
    tick_all(host, panel)
    lines = panel.ui.preflightLabel.text.splitlines()
    assert len(lines) <= 8 and "more: hold the mouse over the volumes in the list" in panel.ui.preflightLabel.text
    assert "Slices are 7.5 mm apart" in panel.ui.volumesList.item(11).toolTip()
