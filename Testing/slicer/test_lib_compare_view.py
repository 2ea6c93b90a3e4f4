"""The three panes on the host's layout manager, with real slice logics."""

from __future__ import annotations

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from host.pictures import share_of_colour, views_picture  # noqa: E402
from made_findings import made_finding  # noqa: E402

from DiffuGTSSlicerLib.compare_layout import LAYOUT_ID, Pane, Plane  # noqa: E402
from DiffuGTSSlicerLib.compare_view import Compared, CompareView, ThirdPane  # noqa: E402
from DiffuGTSSlicerLib.lesion_jump import jump_to  # noqa: E402
from DiffuGTSSlicerLib.outline_drawing import end_all_outlines  # noqa: E402
from DiffuGTSSlicerLib.results import nodes_of_result  # noqa: E402


@pytest.fixture
def compared(scene, tmp_path: Path) -> Compared:
    volume, finding = made_finding(scene, tmp_path)
    nodes = nodes_of_result(scene, "1")
    return Compared(
        volume, finding.segmentation, nodes["score map"][0], nodes["pseudo-healthy"][0], nodes["residual"][0]
    )


@pytest.fixture
def view(scene) -> CompareView:
    made = CompareView(scene, slicer.app.layoutManager())
    yield made
    made.leave()


def composite(pane: Pane):
    return slicer.app.layoutManager().sliceWidget(pane.tag).sliceLogic().GetSliceCompositeNode()


def layout() -> int:
    return slicer.app.layoutManager().layoutLogic().GetLayoutNode().GetViewArrangement()


def test_the_panes_show_scan_map_and_healthy_scan(view: CompareView, compared: Compared):
    view.enter(compared)
    assert layout() == LAYOUT_ID and view.active
    scan = compared.scan.GetID()
    assert [composite(pane).GetBackgroundVolumeID() for pane in Pane] == [scan] * 3
    assert [composite(pane).GetForegroundVolumeID() or None for pane in Pane] == [
        None, compared.score_map.GetID(), compared.pseudo_healthy.GetID()
    ]  # fmt: skip
    for pane in Pane:
        assert composite(pane).GetLinkedControl() and composite(pane).GetHotLinkedControl()
        assert not composite(pane).GetDoPropagateVolumeSelection()


def test_the_panes_are_linked_among_themselves_only(view: CompareView, compared: Compared, scene):
    red = scene.GetSingletonNode("Red", "vtkMRMLSliceNode")
    view.enter(compared)
    groups = {scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode").GetViewGroup() for pane in Pane}
    assert len(groups) == 1 and red.GetViewGroup() not in groups


def test_no_other_view_is_changed_and_the_earlier_layout_comes_back(view: CompareView, compared: Compared, scene):
    red = slicer.app.layoutManager().sliceWidget("Red")
    before = layout()
    red.sliceLogic().GetSliceCompositeNode().SetBackgroundVolumeID(compared.scan.GetID())
    state = (red.sliceLogic().GetSliceCompositeNode().GetMTime(), red.sliceLogic().GetSliceNode().GetSliceOffset())
    view.enter(compared)
    jump_to(scene, (-110.0, 90.0, 1050.0))
    view.blink()
    view.leave()
    assert layout() == before and not view.active
    assert (
        red.sliceLogic().GetSliceCompositeNode().GetMTime(),
        red.sliceLogic().GetSliceNode().GetSliceOffset(),
    ) == state


def test_a_layout_that_the_user_chose_meanwhile_stays(view: CompareView, compared: Compared):
    view.enter(compared)
    node = slicer.app.layoutManager().layoutLogic().GetLayoutNode()
    node.SetViewArrangement(slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView)
    assert not view.active
    view.leave()
    assert layout() == slicer.vtkMRMLLayoutNode.SlicerLayoutOneUpRedSliceView


def test_fade_and_blink_blend_the_third_pane(view: CompareView, compared: Compared):
    view.enter(compared)
    view.set_fade(0.3)
    assert composite(Pane.HEALTHY).GetForegroundOpacity() == pytest.approx(0.3)
    view.blink()
    assert composite(Pane.HEALTHY).GetForegroundOpacity() == 1
    view.blink()
    assert composite(Pane.HEALTHY).GetForegroundOpacity() == 0
    assert composite(Pane.SCORE).GetForegroundOpacity() == pytest.approx(0.6)


def test_the_third_pane_can_show_the_residual(view: CompareView, compared: Compared):
    view.enter(compared)
    view.show_third(ThirdPane.RESIDUAL)
    assert composite(Pane.HEALTHY).GetForegroundVolumeID() == compared.residual.GetID()


def test_outlines_are_drawn_in_the_first_pane_only_and_drawn_as_before_afterwards(
    view: CompareView, compared: Compared, scene
):
    display = compared.segmentation.GetDisplayNode()
    view.enter(compared)
    ids = {pane: scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode").GetID() for pane in Pane}
    shown = display.GetViewNodeIDs()
    assert ids[Pane.SCAN] in shown and ids[Pane.SCORE] not in shown and ids[Pane.HEALTHY] not in shown
    assert scene.GetSingletonNode("Red", "vtkMRMLSliceNode").GetID() in shown
    assert not display.GetVisibility2DFill()
    view.leave()
    assert not display.GetViewNodeIDs() and display.GetVisibility2DFill()


def test_map_and_residual_have_legends_while_they_are_compared(view: CompareView, compared: Compared, scene):
    def legend(volume):
        node = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(volume)
        return node.GetViewNodeIDs() if node is not None else None

    view.enter(compared)
    panes = {pane: scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode").GetID() for pane in Pane}
    assert legend(compared.score_map) == (panes[Pane.SCORE],) and legend(compared.residual) is None
    view.show_third(ThirdPane.RESIDUAL)
    assert legend(compared.score_map) == (panes[Pane.SCORE],) and legend(compared.residual) == (panes[Pane.HEALTHY],)
    view.show_third(ThirdPane.PSEUDO_HEALTHY)
    assert legend(compared.residual) is None
    view.leave()
    assert legend(compared.score_map) is None


class NotedLabel:
    """A label that can be read without being drawn."""

    made: dict[str, NotedLabel] = {}

    def __init__(self, slice_widget) -> None:
        self.text, self.removed = "", False
        self.made[slice_widget.sliceLogic().GetSliceNode().GetLayoutName()] = self

    def say(self, text: str) -> None:
        self.text = text

    def remove(self) -> None:
        self.removed = True


@pytest.fixture
def labelled(scene) -> CompareView:
    made = CompareView(scene, slicer.app.layoutManager(), NotedLabel)
    yield made
    made.leave()


def said() -> list[str]:
    return [NotedLabel.made[pane.tag].text for pane in Pane]


def test_every_pane_says_in_words_what_it_shows(labelled: CompareView, compared: Compared):
    labelled.enter(compared)
    assert said() == ["Scan with outline", "Score map: brighter is more likely", "Pseudo-healthy"]
    labelled.show_third(ThirdPane.RESIDUAL)
    assert said()[2] == "Residual: scan minus pseudo-healthy"
    assert slicer.app.layoutManager().sliceWidget(Pane.HEALTHY.tag).mrmlSliceNode().GetLayoutLabel() == "Residual"
    labelled.leave()
    assert all(label.removed for label in NotedLabel.made.values())


def test_a_pane_that_was_blinked_back_to_the_scan_says_so(labelled: CompareView, compared: Compared):
    labelled.enter(compared)
    labelled.blink()
    assert said()[2] == "Scan"
    labelled.set_fade(0.4)
    assert said()[2] == "Pseudo-healthy, 40 % over the scan"


def test_the_words_are_drawn_and_stay_when_slicer_writes_its_own_into_the_corners(
    view: CompareView, compared: Compared
):
    widget = slicer.app.layoutManager().sliceWidget(Pane.SCAN.tag)
    without = views_picture([widget], 300, 300) if widget else None
    view.enter(compared)
    widget = slicer.app.layoutManager().sliceWidget(Pane.SCAN.tag)
    for corner in range(4):  # as Slicer's Data Probe does at every change of the slice
        widget.sliceView().cornerAnnotation().SetText(corner, "")
    compared.segmentation.GetDisplayNode().SetVisibility(False)
    labelled = views_picture([widget], 300, 300)
    view.leave()
    upper, plain = labelled[:30], views_picture([widget], 300, 300)[:30]
    assert share_of_colour(upper, (255, 255, 255), 60) > share_of_colour(plain, (255, 255, 255), 60) + 0.01
    assert without is None or without.shape == labelled.shape


def test_a_result_without_a_healthy_scan_says_so(labelled: CompareView, compared: Compared):
    labelled.enter(Compared(compared.scan, compared.segmentation, compared.score_map))
    assert said()[2] == "Scan (this run has no pseudo-healthy scan)"


def test_window_and_level_are_equal_in_scan_and_healthy_scan_whichever_is_changed(
    view: CompareView, compared: Compared
):
    scan, healthy = compared.scan.GetDisplayNode(), compared.pseudo_healthy.GetDisplayNode()
    scan.AutoWindowLevelOff()
    scan.SetWindowLevel(400, 40)
    view.enter(compared)
    assert (healthy.GetWindow(), healthy.GetLevel()) == (400, 40)
    healthy.SetWindowLevel(150, 60)
    assert (scan.GetWindow(), scan.GetLevel()) == (150, 60)
    scan.SetWindowLevel(1500, -600)
    assert (healthy.GetWindow(), healthy.GetLevel()) == (1500, -600)
    residual = compared.residual.GetDisplayNode()
    assert residual.GetWindowLevelMin() == pytest.approx(-residual.GetWindowLevelMax()), "the residual keeps its own"
    view.leave()
    scan.SetWindowLevel(80, 40)
    assert healthy.GetWindow() == 1500, "after leaving they go their own ways"


def test_all_panes_turn_to_another_plane_together(view: CompareView, compared: Compared, scene):
    view.enter(compared)
    view.show_plane(Plane.SAGITTAL)
    assert {scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode").GetOrientation() for pane in Pane} == {"Sagittal"}


def distance_to_slice(scene, pane: Pane, place: tuple[float, float, float]) -> float:
    """Millimetres from a place to the slice that a pane shows."""
    node = scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode")
    to_ras = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())
    return float(abs((np.array(place) - to_ras[:3, 3]) @ to_ras[:3, 2]))


def test_choosing_another_finding_of_the_same_scan_leaves_the_slice_where_it_is(
    view: CompareView, compared: Compared, scene
):
    view.enter(compared)
    jump_to(scene, (-110.0, 90.0, 1050.0))
    view.enter(replace(compared, score_map=nodes_of_result(scene, "1")["score map"][1]))
    assert distance_to_slice(scene, Pane.SCAN, (-110.0, 90.0, 1050.0)) == pytest.approx(0, abs=1e-6)


def test_a_scene_saved_while_comparing_opens_as_if_nothing_had_been_compared(
    view: CompareView, compared: Compared, scene, tmp_path: Path
):
    view.enter(compared)
    scene.WriteToMRB(str(tmp_path / "s.mrb"), None)
    with zipfile.ZipFile(tmp_path / "s.mrb") as archive:
        saved = archive.read(next(n for n in archive.namelist() if n.endswith(".mrml"))).decode()
    assert f'currentViewArrangement="{LAYOUT_ID}"' not in saved, "the layout may be unknown where the scene is opened"
    assert "<ColorLegendDisplay" not in saved
    view.leave()
    scene.Clear(0)
    scene.ReadFromMRB(str(tmp_path / "s.mrb"), True)
    end_all_outlines(scene)
    display = nodes_of_result(scene, "1")["segmentation"][0].GetDisplayNode()
    assert not display.GetViewNodeIDs() and display.GetVisibility2DFill()
    scene.WriteToMRB(str(tmp_path / "t.mrb"), None)
    with zipfile.ZipFile(tmp_path / "t.mrb") as archive:
        saved = archive.read(next(n for n in archive.namelist() if n.endswith(".mrml"))).decode()
    assert "currentViewArrangement" in saved, "after leaving, the user's layout is saved as ever"


def test_after_a_scene_saved_while_comparing_was_opened_the_panes_follow_each_other_and_the_lesions(
    view: CompareView, compared: Compared, scene, tmp_path: Path
):
    view.enter(compared)
    scene.WriteToMRB(str(tmp_path / "s.mrb"), None)
    view.leave()
    scene.Clear(0)
    scene.ReadFromMRB(str(tmp_path / "s.mrb"), True)
    nodes = nodes_of_result(scene, "1")
    view.enter(Compared(slicer.util.getNode("CT liver"), nodes["segmentation"][0], nodes["score map"][0]))
    groups = {scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode").GetViewGroup() for pane in Pane}
    assert len(groups) == 1 and groups != {scene.GetSingletonNode("Red", "vtkMRMLSliceNode").GetViewGroup()}
    place = tuple(middle_of(slicer.util.getNode("CT liver")) + (6, -4, 3))
    jump_to(scene, place)
    for pane in Pane:
        assert distance_to_slice(scene, pane, place) == pytest.approx(0, abs=1e-6)


def test_nodes_deleted_while_they_are_compared_do_no_harm(view: CompareView, compared: Compared, scene):
    view.enter(compared)
    for node in (compared.segmentation, compared.score_map, compared.pseudo_healthy):
        scene.RemoveNode(node)
    view.leave()
    assert not view.active


def test_the_panes_begin_at_the_slice_that_the_user_looks_at_and_keep_it_in_another_plane(
    view: CompareView, compared: Compared, scene
):
    bounds = np.zeros(6)
    compared.scan.GetRASBounds(bounds)
    place = bounds[::2] + np.array([0.6, 0.4, 0.7]) * (bounds[1::2] - bounds[::2])
    scene.GetSingletonNode("Red", "vtkMRMLSliceNode").JumpSliceByCentering(*place)

    def offset() -> float:
        return slicer.app.layoutManager().sliceWidget(Pane.HEALTHY.tag).sliceLogic().GetSliceOffset()

    view.enter(compared)
    assert offset() == pytest.approx(place[2], abs=1.5)
    view.show_plane(Plane.CORONAL)
    view.show_plane(Plane.AXIAL)
    assert offset() == pytest.approx(place[2], abs=1.5)
    view.leave()
    scene.GetSingletonNode("Red", "vtkMRMLSliceNode").JumpSliceByCentering(*(place + 5000))
    view.enter(compared)
    assert bounds[4] < offset() < bounds[5], "a view that looks elsewhere is no guide"


def pixel_of(scene, pane: Pane, place: tuple[float, float, float]) -> np.ndarray:
    """Where a pane shows a place, as shares of its width and height."""
    node = scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode")
    to_pixels = np.linalg.inv(slicer.util.arrayFromVTKMatrix(node.GetXYToRAS()))
    return (to_pixels @ [*place, 1.0])[:2] / node.GetDimensions()[:2]


def middle_of(volume) -> np.ndarray:
    bounds = np.zeros(6)
    volume.GetRASBounds(bounds)
    return (bounds[::2] + bounds[1::2]) / 2


def test_jumping_shows_the_lesion_s_slice_and_leaves_the_scan_where_it_is_seen(
    view: CompareView, compared: Compared, scene
):
    view.enter(compared)
    middle = middle_of(compared.scan)
    before = pixel_of(scene, Pane.SCAN, middle)
    place = tuple(middle + (6, -4, 3))
    jump_to(scene, place)
    for pane in Pane:
        assert distance_to_slice(scene, pane, place) == pytest.approx(0, abs=1e-6)
    assert pixel_of(scene, Pane.SCAN, middle) == pytest.approx(before, abs=1e-6), "the picture does not leap"


def test_jumping_to_a_place_that_is_not_seen_brings_it_into_the_middle(view: CompareView, compared: Compared, scene):
    view.enter(compared)
    place = tuple(middle_of(compared.scan) + (20, 10, 3))
    for pane in Pane:  # zoomed into another place
        node = scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode")
        node.SetFieldOfView(*(size / 8 for size in node.GetFieldOfView()[:2]), node.GetFieldOfView()[2])
    jump_to(scene, place)
    for pane in Pane:
        assert distance_to_slice(scene, pane, place) == pytest.approx(0, abs=1e-6)
        assert pixel_of(scene, pane, place) == pytest.approx((0.5, 0.5), abs=0.02)


def test_another_plane_goes_through_the_lesion_that_was_jumped_to(view: CompareView, compared: Compared, scene):
    view.enter(compared)
    place = tuple(middle_of(compared.scan) + (6, -4, 3))
    jump_to(scene, place)
    for plane in (Plane.CORONAL, Plane.SAGITTAL, Plane.AXIAL):
        view.show_plane(plane)
        for pane in Pane:
            assert distance_to_slice(scene, pane, place) == pytest.approx(0, abs=1e-3)
