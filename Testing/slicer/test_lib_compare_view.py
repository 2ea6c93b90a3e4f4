"""The three panes on the host's layout manager, with real slice logics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from made_findings import made_finding  # noqa: E402

from DiffuGTSSlicerLib.compare_view import LAYOUT_ID, Compared, CompareView, Pane, ThirdPane  # noqa: E402
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
    view.jump_to((-110.0, 90.0, 1050.0))
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


def test_the_map_has_a_legend_while_it_is_compared(view: CompareView, compared: Compared, scene):
    view.enter(compared)
    legend = slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(compared.score_map)
    assert legend.GetViewNodeIDs() == (scene.GetSingletonNode(Pane.SCORE.tag, "vtkMRMLSliceNode").GetID(),)
    view.leave()
    assert slicer.vtkSlicerColorLogic.GetColorLegendDisplayNode(compared.score_map) is None


def test_every_pane_says_in_words_what_it_shows(scene, compared: Compared):
    said = {}

    def note(slice_widget, text: str) -> None:
        said[slice_widget.sliceLogic().GetSliceNode().GetLayoutName()] = text

    view = CompareView(scene, slicer.app.layoutManager(), note)
    view.enter(compared)
    assert said == {
        "DiffuGTSScan": "Scan with outline",
        "DiffuGTSScore": "Score map",
        "DiffuGTSHealthy": "Pseudo-healthy",
    }
    view.leave()


def test_the_words_are_written_into_the_corner_of_the_view(view: CompareView, compared: Compared):
    view.enter(compared)
    corner = slicer.app.layoutManager().sliceWidget(Pane.HEALTHY.tag).sliceView().cornerAnnotation()
    assert corner.GetText(corner.UpperLeft) == "Pseudo-healthy"


def test_a_result_without_a_healthy_scan_says_so(scene, compared: Compared):
    said = []
    view = CompareView(scene, slicer.app.layoutManager(), lambda widget, text: said.append(text))
    view.enter(Compared(compared.scan, compared.segmentation, compared.score_map))
    assert said[-1].startswith("No pseudo-healthy volume")
    view.leave()


def test_nodes_deleted_while_they_are_compared_do_no_harm(view: CompareView, compared: Compared, scene):
    view.enter(compared)
    for node in (compared.segmentation, compared.score_map, compared.pseudo_healthy):
        scene.RemoveNode(node)
    view.leave()
    assert not view.active


def test_jumping_moves_the_panes_to_the_lesion(view: CompareView, compared: Compared, scene):
    view.enter(compared)
    view.jump_to((-110.0, 90.0, 1050.0))
    for pane in Pane:
        node = scene.GetSingletonNode(pane.tag, "vtkMRMLSliceNode")
        centre = slicer.util.arrayFromVTKMatrix(node.GetSliceToRAS())[:3, 3]
        assert np.allclose(centre, (-110, 90, 1050), atol=1e-6)
