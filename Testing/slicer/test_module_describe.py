"""The panel's inputs: what is chosen by itself, what is missing, what is unusual, what is kept."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from host.pictures import widget_picture  # noqa: E402
from made_volumes import made_volume  # noqa: E402
from opened_module import *  # noqa: E402, F403

from diffugts.protocol.colours import PALETTE  # noqa: E402
from DiffuGTSSlicerLib.choices import ModalityChoice, QualityChoice  # noqa: E402
from DiffuGTSSlicerLib.description_history import used_descriptions  # noqa: E402


def type_text(panel, text: str) -> None:
    panel.ui.descriptionsEdit.setPlainText(text)


def entries(selector) -> list[str]:
    return [selector.itemText(n) for n in range(selector.count)]


def test_nothing_is_missing_once_a_volume_is_shown_and_something_is_described(panel):
    assert not panel.ui.segmentButton.enabled
    assert panel.ui.segmentButton.toolTip.splitlines() == [
        "Choose a volume: load a CT or MR volume first if there is none.",
        "Type at least one description of what to look for.",
    ]
    panel.ui.volumeSelector.setCurrentNode(made_volume())
    assert panel.ui.segmentButton.toolTip == "Type at least one description of what to look for."
    type_text(panel, "  \n liver metastasis ")
    assert panel.ui.segmentButton.enabled and panel.ui.segmentButton.text == "Segment"


def test_every_missing_thing_is_named_at_once(panel, environment):
    roi = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLMarkupsROINode", "Nowhere")
    panel.ui.volumeSelector.setCurrentNode(made_volume(shape=(4, 20, 24), name="CT slab"))
    panel.ui.roiSelector.setCurrentNode(roi)
    environment.become(False, "The packages it needs are not installed yet.")
    missing = panel.ui.segmentButton.toolTip.splitlines()
    assert missing[0] == "The packages it needs are not installed yet."
    assert "24 x 20 x 4 voxels" in missing[1]
    assert "'Nowhere' has no inside" in missing[2]
    assert "at least one description" in missing[3]
    assert not panel.ui.segmentButton.enabled


def test_the_shown_volume_is_chosen_when_the_panel_opens_but_never_a_result(host, panel):
    host.open_module("SegmentEditor")
    result, scan = made_volume(name="score"), made_volume(name="CT shown")
    result.SetAttribute("DiffuGTS.Role", "score map")
    made_volume(name="CT not shown")
    composite = slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode")
    composite.SetBackgroundVolumeID(scan.GetID())
    slicer.util.selectModule("DiffuGTSSlicer")
    assert panel.ui.volumeSelector.currentNode() is scan
    panel.ui.volumeSelector.setCurrentNode(None)
    composite.SetBackgroundVolumeID(result.GetID())
    host.open_module("SegmentEditor")
    slicer.util.selectModule("DiffuGTSSlicer")
    assert panel.ui.volumeSelector.currentNode() is scan


def test_a_volume_that_is_loaded_while_the_panel_is_open_is_chosen(host, panel):
    scan = made_volume(name="CT loaded")
    assert panel.ui.volumeSelector.currentNode() is None
    slicer.mrmlScene.GetSingletonNode("Red", "vtkMRMLSliceCompositeNode").SetBackgroundVolumeID(scan.GetID())
    host.wait_until(lambda: panel.ui.volumeSelector.currentNode() is scan)


@pytest.mark.parametrize(
    ("name", "shown", "modality", "sequence"),
    [("CTLiver", "Automatic: CT", "CT", None), ("MRBrainTumor1 T1", "Automatic: MR T1", "MR", "T1")],
)
def test_the_modality_is_taken_from_the_name_and_shown(panel, name, shown, modality, sequence):
    panel.ui.volumeSelector.setCurrentNode(made_volume(name=name))
    type_text(panel, "tumour")
    assert entries(panel.ui.modalitySelector) == [shown, "CT", "MR"]
    order = panel.describeSection.inputs().order()
    assert (order.modality, order.sequence) == (modality, sequence)


def test_a_volume_of_unknown_kind_is_asked_about_and_the_answer_counts(panel):
    panel.ui.volumeSelector.setCurrentNode(made_volume(name="scan 4"))
    type_text(panel, "tumour")
    assert panel.ui.segmentButton.toolTip == "Say whether the volume is CT or MR: neither its name nor its voxels tell."
    assert panel.ui.preflightLabel.text == f"⚠ {panel.ui.segmentButton.toolTip}", "it is seen without the mouse"
    panel.ui.modalitySelector.currentIndex = 2
    assert panel.ui.segmentButton.enabled
    assert panel.describeSection.inputs().order().modality == "MR"


def test_hounsfield_units_are_recognised_without_a_name(panel):
    voxels = np.full((16, 20, 24), -1000, np.int16)
    voxels[:, 5:15, 6:18] = 40
    panel.ui.volumeSelector.setCurrentNode(slicer.util.addVolumeFromArray(voxels, name="scan 4"))
    assert panel.ui.modalitySelector.itemText(0) == "Automatic: CT"


def test_a_volume_of_another_modality_is_refused_by_name(panel):
    volume = made_volume(name="PET")
    hierarchy = slicer.mrmlScene.GetSubjectHierarchyNode()
    hierarchy.SetItemAttribute(hierarchy.GetItemByDataNode(volume), "DICOM.Modality", "PT")
    panel.ui.volumeSelector.setCurrentNode(volume)
    assert "'PT' by its DICOM data; only CT and MR" in panel.ui.segmentButton.toolTip


def test_a_result_can_be_chosen_but_is_warned_about(panel):
    volume = made_volume(name="CT pseudo-healthy")
    volume.SetAttribute("DiffuGTS.Role", "pseudo-healthy")
    panel.ui.volumeSelector.setCurrentNode(volume)
    type_text(panel, "tumour")
    assert "itself a result of DiffuGTS" in panel.ui.preflightLabel.text
    assert panel.ui.segmentButton.enabled, "it warns and does not block"


def test_the_panel_says_what_it_will_take(panel):
    panel.ui.volumeSelector.setCurrentNode(made_volume(shape=(60, 100, 100), name="CT"))
    assert "Takes about" not in panel.ui.preflightLabel.text
    type_text(panel, "tumour")
    assert panel.ui.preflightLabel.text.splitlines()[-1] == "Takes about 10 s and 0.7 GB of memory."


def test_typing_keeps_the_cursor_and_one_undo_history(panel):
    edit = panel.ui.descriptionsEdit
    edit.insertPlainText("liv")
    edit.insertPlainText("er")
    assert edit.toPlainText() == "liver" == panel.logic.getParameterNode().descriptions
    assert edit.textCursor().position() == 5
    edit.undo()
    assert panel.logic.getParameterNode().descriptions == edit.toPlainText() != "liver"


WEIRD = {
    "right to left": "ورم في الكبد",
    "emoji": "tumour 🩻 of the liver",
    "quotes": "\"liver\" 'tumour' \\n %s {x}",
    "path": "../../etc/passwd C:\\tumour",
    "html": "<b>tumour</b> &amp; <script>",
    "long": "x" * 2000,
}


@pytest.mark.parametrize("kind", WEIRD)
def test_any_text_is_taken_as_it_is(panel, kind):
    panel.ui.volumeSelector.setCurrentNode(made_volume(name="CT"))
    type_text(panel, WEIRD[kind])
    assert panel.ui.segmentButton.enabled, panel.ui.segmentButton.toolTip
    assert panel.describeSection.inputs().order().descriptions == (WEIRD[kind],)


def test_fifty_lines_are_fifty_descriptions_and_too_many_are_refused(panel):
    panel.ui.volumeSelector.setCurrentNode(made_volume(name="CT"))
    type_text(panel, "\n".join(f"tumour {n}" for n in range(50)))
    assert len(panel.describeSection.inputs().order().descriptions) == 50
    type_text(panel, "\n".join(f"tumour {n}" for n in range(201)))
    assert "at most 200 are taken" in panel.ui.segmentButton.toolTip


def dots(host, panel) -> list[tuple[float, ...]]:
    """The colours of the dots beside the lines, from above."""
    widget_picture(panel.parent, 460, 900)
    host.process_events(50)
    image = panel.ui.coloursLabel.pixmap.toImage()
    column = [image.pixelColor(6, y) for y in range(image.height())]
    shown = [(c.red(), c.green(), c.blue()) if c.alpha() == 255 else None for c in column]
    return [colour for colour, before in zip(shown, [None, *shown]) if colour not in (before, None)]


def on_screen(*colours: tuple[float, ...]) -> list[tuple[int, ...]]:
    return [tuple(round(255 * share) for share in colour) for colour in colours]


def test_each_line_has_the_colour_of_its_segment(host, panel):
    type_text(panel, "one\n\ntwo\none\nthree")
    assert dots(host, panel) == on_screen(PALETTE[0], PALETTE[1], PALETTE[0], PALETTE[2])


def test_the_dots_show_what_the_next_run_on_the_volume_will_use(host, panel, environment):
    environment.mode = "slow"
    panel.ui.volumeSelector.setCurrentNode(made_volume(name="CT liver"))
    type_text(panel, "one\ntwo")
    panel.ui.segmentButton.click()
    jobs = panel.logic.jobs
    type_text(panel, "three\ntwo")
    announced = dots(host, panel)
    assert announced == on_screen(PALETTE[2], PALETTE[1]), "what runs has its colours already"
    host.wait_until(lambda: not jobs.unfinished, 40)
    assert dots(host, panel) == announced
    panel.ui.segmentButton.click()
    (job,) = jobs.unfinished
    host.wait_until(lambda: not jobs.unfinished, 40)
    segmentation = slicer.mrmlScene.GetNodeByID(job.result.segmentation_id).GetSegmentation()
    assert on_screen(*(segmentation.GetNthSegment(n).GetColor() for n in range(2))) == announced
    panel.ui.volumeSelector.setCurrentNode(made_volume(name="CT of another"))
    assert dots(host, panel) == on_screen(PALETTE[0], PALETTE[1])


def test_an_example_is_added_on_a_line_of_its_own_once(panel):
    type_text(panel, "liver cyst\n")
    menu = next(each for each in panel.describeSection._submenus if each.title == "Limbs and soft tissue")
    action = next(each for each in menu.actions() if each.text == "soft tissue sarcoma")
    action.trigger()
    action.trigger()
    assert panel.logic.getParameterNode().descriptions == "liver cyst\nsoft tissue sarcoma"


def test_what_was_used_can_be_picked_again_and_forgotten(panel):
    menu = panel.ui.historyButton.menu()
    panel.describeSection.remember(["liver & spleen metastasis", "cyst"])
    panel.describeSection.remember(["cyst"])
    menu.aboutToShow.emit()
    assert [each.text for each in menu.actions()] == ["cyst", "liver && spleen metastasis", "", "Clear history"]
    menu.actions()[1].trigger()
    assert panel.ui.descriptionsEdit.toPlainText() == "liver & spleen metastasis"
    menu.actions()[-1].trigger()
    assert used_descriptions() == ()
    menu.aboutToShow.emit()
    assert [each.enabled for each in menu.actions()] == [False]


def test_a_new_region_is_placed_into_the_volume(panel):
    volume = made_volume("straight", shape=(40, 40, 40), name="CT")
    panel.ui.volumeSelector.setCurrentNode(volume)
    type_text(panel, "tumour")
    roi = panel.ui.roiSelector.addNode()
    bounds, box = [0.0] * 6, [0.0] * 6
    volume.GetRASBounds(bounds)
    roi.GetRASBounds(box)
    assert np.allclose(np.diff(box)[::2], 0.5 * np.diff(bounds)[::2])
    assert panel.ui.segmentButton.enabled
    order = panel.describeSection.inputs().order()
    assert np.allclose(order.region.minimum_ras_mm, box[::2])


def test_models_and_devices_are_offered_and_kept_by_name(panel, environment):
    assert entries(panel.ui.modelSelector)[0] == "compact"
    assert panel.ui.modelSelector.toolTip.startswith("Compact CT and MR model")
    assert panel.ui.deviceSelector.toolTip == "Automatic: not tried yet. Press Check in Setup."
    assert panel.describeSection.inputs().model.endswith("compact")
    panel.ui.deviceSelector.currentIndex = panel.ui.deviceSelector.findData("cpu")
    assert panel.logic.getParameterNode().device == "cpu"
    panel.logic.getParameterNode().device = "cuda:7"  # from a scene of another computer
    assert panel.describeSection.inputs().device == "auto"
    assert panel.ui.deviceSelector.currentIndex == 0


def test_the_choices_come_back_with_the_scene(host, panel, tmp_path: Path):
    volume = made_volume(name="CT")
    panel.ui.volumeSelector.setCurrentNode(volume)
    type_text(panel, "liver cyst\nكتلة 🩻 <b>")
    panel.ui.qualitySelector.currentIndex = 2
    panel.ui.modalitySelector.currentIndex = 1
    path = tmp_path / "a scene.mrb"
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    assert panel.ui.descriptionsEdit.toPlainText() == ""
    slicer.util.loadScene(str(path), {"clear": True})
    parameters = panel.logic.getParameterNode()
    assert parameters.volume.GetName() == "CT"
    assert parameters.descriptions == "liver cyst\nكتلة 🩻 <b>" == panel.ui.descriptionsEdit.toPlainText()
    assert (parameters.quality, parameters.modality) == (QualityChoice.THOROUGH, ModalityChoice.CT)
    assert panel.ui.qualitySelector.currentText == "Thorough"
    assert panel.ui.segmentButton.enabled


def test_deleting_the_volume_is_noticed(panel):
    volume = made_volume(name="CT")
    panel.ui.volumeSelector.setCurrentNode(volume)
    type_text(panel, "tumour")
    slicer.mrmlScene.RemoveNode(volume)
    assert panel.ui.segmentButton.toolTip.startswith("Choose a volume")


def test_the_setup_title_tells_the_state_and_opens_when_something_is_needed(panel, environment):
    assert panel.ui.setupCollapsibleButton.text == "Setup: Ready: scripted worker"
    assert panel.ui.setupCollapsibleButton.collapsed
    environment.become(False, "The packages it needs are not installed yet.")
    assert panel.ui.setupCollapsibleButton.text == "Setup: The packages it needs are not installed yet"
    assert not panel.ui.setupCollapsibleButton.collapsed
    environment.become(True, "Ready: compact model")
    assert panel.ui.setupCollapsibleButton.collapsed
