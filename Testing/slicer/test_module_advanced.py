"""The group Advanced: threshold, smallest lesion and seed, from the panel into the order, the scene and the next run."""

from __future__ import annotations

from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import qt  # noqa: E402
from made_volumes import made_volume  # noqa: E402
from opened_module import *  # noqa: E402, F403
from screenshots import section_picture  # noqa: E402

from diffugts.protocol import Request  # noqa: E402
from DiffuGTSSlicerLib.advanced_choices import USUAL  # noqa: E402
from DiffuGTSSlicerLib.preflight import ModelLimits  # noqa: E402

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"


@pytest.fixture
def filled(panel):
    """The panel, ready to segment."""
    panel.ui.volumeSelector.setCurrentNode(made_volume())
    panel.ui.descriptionsEdit.setPlainText("liver metastasis")
    return panel


def asked(panel):
    """The order that the click puts in line."""
    panel.ui.segmentButton.click()
    return panel.logic.jobs.unfinished[-1].order


def test_it_is_closed_and_a_job_is_as_usual(filled):
    assert filled.ui.advancedGroup.collapsed and filled.ui.advancedGroup.title == "Advanced"
    order = asked(filled)
    assert (order.threshold, order.smallest_lesion_ml, order.seed) == (None, 0.1, 0)
    assert (order.threshold, order.smallest_lesion_ml, order.seed) == tuple(
        USUAL[name] for name in ("threshold", "smallest_lesion_ml", "seed")
    )


def test_the_threshold_s_usual_value_is_the_model_s_own_and_says_which(filled):
    own = ModelLimits.of(COMPACT).threshold_of("standard")
    assert filled.ui.thresholdField.text == f"the model's own, {own:.2f}"
    filled.ui.thresholdField.setValue(0.4)
    assert filled.ui.thresholdField.text == "0.40"


def test_the_threshold_that_is_named_is_that_of_the_chosen_quality(filled, monkeypatch):
    limits = ModelLimits(threshold=0.65, thresholds={"fast": 0.34, "standard": 0.32})
    monkeypatch.setattr(ModelLimits, "of", classmethod(lambda cls, folder: limits))
    shown = {}
    for index in (0, 1, 2):
        filled.ui.qualitySelector.currentIndex = index
        shown[filled.ui.qualitySelector.currentText] = filled.ui.thresholdField.text
    own = {"Fast": "0.34", "Standard": "0.32", "Thorough": "0.65"}
    assert shown == {quality: f"the model's own, {threshold}" for quality, threshold in own.items()}


def test_what_is_chosen_is_in_the_title_in_the_order_and_in_the_request(host, filled):
    filled.ui.thresholdField.setValue(0.4)
    filled.ui.smallestLesionField.setValue(0.5)
    filled.ui.seedField.setValue(7)
    assert filled.ui.advancedGroup.title == "Advanced: threshold 0.40, smallest lesion 0.5 ml, seed 7"
    filled.ui.segmentButton.click()
    (job,) = filled.logic.jobs.unfinished
    host.wait_until(job.request_path.is_file)
    request = Request.load(job.request_path)
    assert (request.threshold, request.smallest_lesion_ml, request.seed) == (0.4, 0.5, 7)


def test_another_seed_is_another_job_that_can_be_put_in_line(filled):
    filled.ui.segmentButton.click()
    assert filled.ui.segmentButton.text == "Cancel"
    filled.ui.seedField.setValue(3)
    assert filled.ui.segmentButton.text == "Segment next"


def test_a_number_that_is_being_typed_counts_when_the_key_for_segment_is_pressed(filled):
    filled.ui.advancedGroup.collapsed = False
    field = filled.ui.seedField
    field.findChild(qt.QLineEdit).setText("12")
    assert filled.logic.getParameterNode().seed == 0, "not while it is typed"
    filled.runSection._segment_by_key()
    assert filled.logic.jobs.unfinished[-1].order.seed == 12


def test_the_choices_are_kept_with_the_scene(host, filled, tmp_path: Path):
    filled.ui.seedField.setValue(7)
    filled.ui.thresholdField.setValue(0.4)
    slicer.mrmlScene.WriteToMRB(str(tmp_path / "s.mrb"), None)
    slicer.mrmlScene.Clear(0)
    assert filled.ui.advancedGroup.title == "Advanced", "a new scene begins as usual"
    slicer.mrmlScene.ReadFromMRB(str(tmp_path / "s.mrb"), True)
    host.process_events(150)
    assert (filled.ui.seedField.value, filled.ui.thresholdField.value) == (7, 0.4)
    assert filled.ui.advancedGroup.title == "Advanced: threshold 0.40, seed 7"


def test_running_a_result_again_asks_for_its_seed_and_not_for_that_of_the_panel(host, filled):
    """The scripted worker's results have the seed 7 and a threshold of 0.5."""
    job = filled.logic.segment(made_volume(name="CT"), "liver metastasis", seed=7, wait=True)
    assert job.state.value == "done", job.reason
    filled.ui.seedField.setValue(3)
    filled.findingsSection.show_result(job.name)
    filled.findingsSection.ui.rerunButton.click()
    again = filled.logic.jobs.unfinished[-1].order
    assert (again.seed, again.threshold) == (7, 0.5)
    assert filled.ui.seedField.value == 3, "the panel stays as it was"


def test_opened_its_three_fields_lie_in_the_panel(host, filled):
    closed = section_picture(host, filled.ui.describeCollapsibleButton)
    filled.ui.advancedGroup.collapsed = False
    opened = section_picture(host, filled.ui.describeCollapsibleButton)
    assert 60 < opened.shape[0] - closed.shape[0] < 150 and opened.shape[1] == closed.shape[1]
    assert all(field.height > 15 and field.width > 150 for field in filled.describeSection._advanced.widgets)
