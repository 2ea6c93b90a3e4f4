"""A scripted module in Slicer's conventions runs on the host unchanged."""

from pathlib import Path

import numpy as np
import pytest
import slicer

EXAMPLE = Path(__file__).resolve().parents[1] / "host" / "example" / "HostExample.py"


@pytest.fixture
def panel(host, scene):
    """The example's Python widget, its panel open."""
    if not hasattr(slicer.modules, "hostexample"):
        host.load_module(EXAMPLE)
    yield host.open_module("HostExample")
    host.unload_widget("HostExample")


@pytest.fixture
def volume(scene):
    array = np.zeros((4, 6, 8), np.int16)
    array[1:3, 2:4, 2:5] = 100
    return slicer.util.addVolumeFromArray(array, name="Scan")


def test_the_button_follows_the_scene_through_selector_and_parameter_node(panel):
    assert panel.ui.applyButton.enabled is False
    assert panel.ui.applyButton.toolTip == "Select a volume"
    volume = slicer.util.addVolumeFromArray(np.ones((2, 3, 4), np.int16), name="Late")
    panel.ui.inputSelector.setCurrentNode(volume)
    assert panel.ui.applyButton.enabled is True
    slicer.mrmlScene.RemoveNode(volume)
    assert panel.ui.inputSelector.currentNode() is None
    assert panel.ui.applyButton.enabled is False


def test_widgets_and_parameters_keep_each_other_up_to_date(panel):
    parameters = panel.logic.getParameterNode()
    panel.ui.thresholdSlider.value = 0.25
    panel.ui.sideSelector.currentText = "BELOW"
    panel.ui.nameEdit.text = "Dark"
    assert parameters.threshold == 0.25
    assert parameters.side.name == "BELOW"
    assert parameters.parameterNode.GetParameter("segmentName") == "Dark"
    parameters.threshold = 0.75
    assert panel.ui.thresholdSlider.value == 0.75


def test_a_value_outside_the_range_is_refused_and_not_stored(panel):
    parameters = panel.logic.getParameterNode()
    with pytest.raises(ValueError, match="within range"):
        parameters.threshold = 1.5
    assert parameters.threshold == 0.5


def test_apply_makes_the_segment_and_the_table_shows_it(host, panel, volume):
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.applyButton.click()
    segmentation = slicer.util.getNode("Result")
    segment = segmentation.GetSegmentation().GetNthSegmentID(0)
    assert slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, volume).sum() == 12
    assert panel.ui.segmentsTable.segmentCount == 1
    host.wait_until(lambda: panel.ui.statusLabel.text == "Done")


def test_an_error_is_shown_once_and_recorded(host, panel, volume):
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.nameEdit.text = ""
    panel.ui.applyButton.click()
    host.process_events()
    assert [each.text for each in host.dialogs.shown] == ["Segmentation failed.\n\nThe segment has no name: enter one."]
    assert "ValueError" in host.dialogs.shown[0].detailed_text
    # tryWithErrorDisplay raises again after showing it, as in Slicer
    assert ["no name" in each for each in host.faults.take_exceptions()] == [True]


def test_closing_the_scene_disconnects_and_reconnects_the_panel(panel, volume):
    panel.ui.inputSelector.setCurrentNode(volume)
    panel.ui.thresholdSlider.value = 0.9
    slicer.mrmlScene.Clear(0)
    assert panel.ui.applyButton.enabled is False
    assert panel.logic.getParameterNode().threshold == panel.ui.thresholdSlider.value


def test_leaving_the_module_stops_the_connection(host, panel):
    parameters = panel.logic.getParameterNode()
    host.open_module("SegmentEditor")
    assert panel.parent.isEntered is False
    parameters.threshold = 0.25
    assert panel.ui.thresholdSlider.value != 0.25
    slicer.util.selectModule("HostExample")
    assert panel.ui.thresholdSlider.value == 0.25


def test_the_in_app_test_runs(panel):
    slicer.selfTests["HostExample"]()


def test_reloading_makes_a_new_widget_in_the_same_panel(host, panel):
    slicer.util.reloadScriptedModule("HostExample")
    again = slicer.util.getModuleWidget("HostExample")
    assert again is not panel
    assert again.parent is panel.parent
