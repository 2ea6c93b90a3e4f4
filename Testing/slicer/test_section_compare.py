"""The section Compare: switching the panes on and off and steering the third one, on real nodes and layouts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
from host.pictures import share_of_colour, views_picture  # noqa: E402
from made_findings import made_finding  # noqa: E402
from made_results import COLOURS, write_result  # noqa: E402
from made_sections import UI, compare_section, made_container  # noqa: E402
from made_volumes import SHAPE, made_volume, matrix  # noqa: E402
from PySide6 import QtTest  # noqa: E402

from DiffuGTSSlicerLib.compare_layout import LAYOUT_ID, Pane  # noqa: E402
from DiffuGTSSlicerLib.compare_section import CompareSection  # noqa: E402
from DiffuGTSSlicerLib.compare_view import CompareView  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import Job  # noqa: E402
from DiffuGTSSlicerLib.lesion_jump import jump_to  # noqa: E402
from DiffuGTSSlicerLib.lesions import lesions_of  # noqa: E402
from DiffuGTSSlicerLib.results import import_result, nodes_of_result  # noqa: E402


@pytest.fixture
def compare(scene):
    """The entered section and its widgets by name."""
    panel, section, _ = compare_section(scene)
    yield section
    section.cleanup()
    panel.close()
    panel.deleteLater()


def layout() -> int:
    return slicer.app.layoutManager().layout


def shown_in(pane: Pane) -> str:
    composite = slicer.app.layoutManager().sliceWidget(pane.tag).sliceLogic().GetSliceCompositeNode()
    return composite.GetForegroundVolumeID() or ""


def opacity() -> float:
    logic = slicer.app.layoutManager().sliceWidget(Pane.HEALTHY.tag).sliceLogic()
    return logic.GetSliceCompositeNode().GetForegroundOpacity()


def test_without_a_finding_the_button_says_what_to_do(compare):
    assert not compare.ui.compareButton.enabled
    assert "Choose a finding" in compare.ui.compareButton.toolTip
    assert not compare.ui.comparingBox.visible


def test_without_a_main_window_there_is_nothing_to_compare_in_and_nothing_fails(scene, tmp_path: Path):
    made_finding(scene, tmp_path)
    panel, container = made_container("Compare")
    section = CompareSection(container, str(UI / "CompareSection.ui"), CompareView(scene, None))
    section.enter()
    section.show("1", "finding_1")
    assert not section.ui.compareButton.enabled
    section.cleanup()
    panel.deleteLater()


def test_one_button_shows_the_panes_and_gives_the_earlier_layout_back(scene, tmp_path: Path, compare):
    made_finding(scene, tmp_path)
    before = layout()
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    assert layout() == LAYOUT_ID and compare.ui.comparingBox.visible
    assert shown_in(Pane.SCORE) == nodes_of_result(scene, "1")["score map"][0].GetID()
    compare.ui.compareButton.click()
    assert layout() == before and not compare.ui.comparingBox.visible


def test_choosing_another_finding_changes_the_map(scene, tmp_path: Path, compare):
    made_finding(scene, tmp_path)
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    compare.show("1", "finding_2")
    assert shown_in(Pane.SCORE) == nodes_of_result(scene, "1")["score map"][1].GetID()
    assert layout() == LAYOUT_ID


def test_leaving_the_panel_gives_the_earlier_layout_back(scene, tmp_path: Path, compare):
    made_finding(scene, tmp_path)
    before = layout()
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    compare.exit()
    assert layout() == before and not compare.ui.compareButton.checked
    compare.enter()
    assert layout() == before, "coming back surprises nobody with another layout"


def test_a_layout_that_the_user_chooses_meanwhile_ends_the_comparison(scene, tmp_path: Path, compare):
    made_finding(scene, tmp_path)
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert not compare.ui.compareButton.checked and not compare.ui.comparingBox.visible
    assert layout() == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView
    assert nodes_of_result(scene, "1")["segmentation"][0].GetDisplayNode().GetVisibility2DFill()


def test_the_third_pane_changes_to_the_residual_and_back(scene, tmp_path: Path, compare):
    made_finding(scene, tmp_path)
    nodes = nodes_of_result(scene, "1")
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    compare.ui.residualButton.click()
    assert shown_in(Pane.HEALTHY) == nodes["residual"][0].GetID() and compare.ui.thirdEndLabel.text == "residual"
    compare.ui.healthyButton.click()
    assert shown_in(Pane.HEALTHY) == nodes["pseudo-healthy"][0].GetID()


def test_fade_and_blink_move_the_same_slider(scene, tmp_path: Path, compare):
    made_finding(scene, tmp_path)
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    compare.ui.fadeSlider.setValue(30)
    assert opacity() == pytest.approx(0.3)
    compare.ui.blinkButton.click()
    assert opacity() == 1 and compare.ui.fadeSlider.value == 100
    compare.ui.blinkButton.click()
    assert opacity() == 0 and compare.ui.fadeSlider.value == 0


def test_the_key_b_blinks_until_the_comparison_is_left(scene, tmp_path: Path, compare, host):
    made_finding(scene, tmp_path)
    window = compare.ui.compareButton.window()
    window.activateWindow()
    host.wait_until(lambda: window.isActiveWindow, 5)

    def blinked() -> list[float]:
        """The opacities after the key was pressed once, and twice."""
        met = []
        for _ in range(2):
            QtTest.QTest.keyClick(window, "b")
            met.append((opacity(), compare.ui.fadeSlider.value))
        return met

    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    assert blinked() == [(0, 0), (1, 100)]
    compare.ui.compareButton.click()
    assert blinked() == [(1, 100)] * 2, "no comparison, nothing to blink"
    compare.ui.compareButton.click()
    assert blinked() == [(0, 0), (1, 100)]
    compare.exit()
    compare._view.enter(compare._compared())
    assert blinked() == [(1, 100)] * 2, "another module is open: the key is Slicer's again"
    compare._view.leave()


def test_all_panes_change_their_plane(scene, tmp_path: Path, compare):
    made_finding(scene, tmp_path)
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    compare.ui.planeSelector.setCurrentIndex(compare.ui.planeSelector.findText("coronal"))
    nodes = [scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode") for pane in Pane]
    assert {node.GetOrientation() for node in nodes} == {"Coronal"}


def test_a_run_without_a_healthy_scan_says_so_and_still_compares(scene, tmp_path: Path, compare):
    volume = made_volume()
    job = Job("1", freeze_order(volume, ("liver tumour",)), tmp_path / "1")
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix("oblique")
    manifest = write_result(job.result_folder, SHAPE, lps, job.order.descriptions, pseudo_healthy=False)
    import_result(job, manifest, scene)
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    assert layout() == LAYOUT_ID
    assert "no pseudo-healthy scan" in compare.ui.messageLabel.text
    assert not compare.ui.healthyButton.enabled and not compare.ui.blinkButton.enabled


@pytest.mark.parametrize("role", ["segmentation", "score map", "pseudo-healthy", "residual"])
def test_a_node_deleted_while_it_is_compared_leaves_the_rest(scene, tmp_path: Path, compare, host, role: str):
    made_finding(scene, tmp_path)
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    for node in nodes_of_result(scene, "1")[role]:
        scene.RemoveNode(node)
    host.process_events(150)
    assert layout() == LAYOUT_ID and compare.ui.compareButton.checked
    assert compare.ui.healthyButton.enabled == (role != "pseudo-healthy")
    compare.ui.compareButton.click()
    assert layout() != LAYOUT_ID


def test_without_the_scan_the_comparison_ends_and_says_why(scene, tmp_path: Path, compare, host):
    volume, _ = made_finding(scene, tmp_path)
    before = layout()
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    scene.RemoveNode(volume)
    host.process_events(150)
    assert layout() == before and not compare.ui.compareButton.enabled
    assert "not in the scene any more" in compare.ui.compareButton.toolTip


def test_closing_the_scene_while_comparing_gives_the_earlier_layout_back(scene, tmp_path: Path, compare, host):
    made_finding(scene, tmp_path)
    before = layout()
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    scene.Clear(0)
    host.process_events(150)
    assert layout() == before and not compare.ui.compareButton.checked


def test_a_scene_saved_while_comparing_is_put_right_when_it_is_opened(scene, tmp_path: Path, compare, host):
    made_finding(scene, tmp_path)
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    scene.WriteToMRB(str(tmp_path / "s.mrb"), None)
    compare.ui.compareButton.click()
    scene.Clear(0)
    scene.ReadFromMRB(str(tmp_path / "s.mrb"), True)
    host.process_events(150)
    display = nodes_of_result(scene, "1")["segmentation"][0].GetDisplayNode()
    assert not display.GetViewNodeIDs() and display.GetVisibility2DFill()
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    assert layout() == LAYOUT_ID


def test_the_panes_are_drawn_with_outline_heat_map_and_healthy_scan(scene, tmp_path: Path, compare, host):
    _, finding = made_finding(scene, tmp_path, "straight", ("liver tumour",))
    compare.show("1", "finding_1")
    jump_to(scene, lesions_of(finding, None)[1].centre_ras_mm)
    compare.ui.compareButton.click()
    panes = [slicer.app.layoutManager().sliceWidget(pane.tag) for pane in Pane]
    views_picture(
        panes, 300, 300
    )  # gives them their size; until then they are as large as the views of the tests before
    host.process_events(50)
    scan, score, healthy = np.split(views_picture(panes, 300, 300), 3, axis=1)
    outline = tuple(round(255 * c) for c in COLOURS[0])
    assert 0.0004 < share_of_colour(scan, outline, 40) < 0.1
    assert share_of_colour(healthy, outline, 40) == share_of_colour(score, outline, 10) == 0
    assert colourful(scan) < 0.1 and colourful(healthy) == 0
    assert colourful(score) > colourful(scan) + 0.02, "the heat map and its legend"
    compare.ui.residualButton.click()
    residual = views_picture(panes[2:], 300, 300)
    assert colourful(residual) > 0.1, "blue below and red above 0"


def field_of_view(pane: Pane) -> tuple[float, ...]:
    return slicer.app.layoutManager().sliceWidget(pane.tag).mrmlSliceNode().GetFieldOfView()[:2]


def resized(pane: Pane, width: int, height: int) -> None:
    """As Qt's layout does after the click, perhaps more than once."""
    slicer.app.layoutManager().sliceWidget(pane.tag).sliceLogic().ResizeSliceNode(width, height)


def fitted_anew(pane: Pane) -> tuple[float, ...]:
    slicer.app.layoutManager().sliceWidget(pane.tag).fitSliceToBackground()
    return field_of_view(pane)


def test_panes_that_get_their_size_later_are_fitted_to_it_each_time(scene, tmp_path: Path, compare, host):
    made_finding(scene, tmp_path, "straight", ("liver tumour",))
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    for width, height in ((640, 480), (200, 700), (1200, 300)):
        resized(Pane.SCORE, width, height)
        early = field_of_view(Pane.SCORE)
        host.process_events(50)
        fitted = field_of_view(Pane.SCORE)
        assert fitted != pytest.approx(early)
        assert fitted == pytest.approx(fitted_anew(Pane.SCORE))


def test_what_the_user_has_zoomed_into_stays_when_the_window_changes(scene, tmp_path: Path, compare, host):
    made_finding(scene, tmp_path, "straight", ("liver tumour",))
    compare.show("1", "finding_1")
    compare.ui.compareButton.click()
    resized(Pane.SCORE, 400, 400)
    host.process_events(50)
    node = slicer.app.layoutManager().sliceWidget(Pane.SCORE.tag).mrmlSliceNode()
    width, height, depth = node.GetFieldOfView()
    node.SetFieldOfView(width / 4, height / 4, depth)
    resized(Pane.SCORE, 480, 480)
    host.process_events(50)
    assert max(field_of_view(Pane.SCORE)) < width / 2
    compare.ui.planeSelector.setCurrentIndex(compare.ui.planeSelector.findText("coronal"))
    resized(Pane.SCORE, 500, 300)
    host.process_events(50)
    assert field_of_view(Pane.SCORE) == pytest.approx(fitted_anew(Pane.SCORE)), "another plane begins with all of it"


def colourful(picture: np.ndarray) -> float:
    """The share of pixels that are not grey."""
    return float((np.ptp(picture.astype(int), axis=2) > 30).mean())
