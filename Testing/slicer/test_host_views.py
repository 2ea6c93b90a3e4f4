"""Slice views are drawn by the real displayable managers, in layouts made by the real layout logic."""

import numpy as np
import pytest
import qt
import slicer
from host.pictures import save_png, share_of_colour, share_of_difference, views_picture, widget_picture

RED, GREEN = (255, 0, 0), (0, 255, 0)
LAYOUT_ID = 911
PANES = ("HostLeft", "HostMiddle", "HostRight")


@pytest.fixture
def scan(scene):
    """A grey block of 20 x 40 x 40 mm in a dark volume of 40 x 80 x 80 mm, around the origin."""
    array = np.zeros((40, 80, 80), np.int16)
    array[10:30, 20:60, 20:60] = 100
    matrix = np.eye(4)
    matrix[:3, 3] = [-39.5, -39.5, -19.5]
    volume = slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="Scan")
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevelMinMax(0, 200)
    return volume


@pytest.fixture
def heat_map(scan):
    """A score of 0.9 in the block's left half (by index), 0.2 elsewhere; green above the threshold of 0.5."""
    scores = np.full((40, 80, 80), 0.2, np.float32)
    scores[10:30, 20:60, 20:40] = 0.9
    matrix = np.eye(4)
    matrix[:3, 3] = [-39.5, -39.5, -19.5]
    volume = slicer.util.addVolumeFromArray(scores, ijkToRAS=matrix, name="Scores")
    table = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLColorTableNode", "Scores")
    table.SetTypeToUser()
    table.SetNumberOfColors(2)
    table.SetColor(0, "low", 0, 0, 1, 1)
    table.SetColor(1, "high", 0, 1, 0, 1)
    display = volume.GetDisplayNode()
    display.SetAndObserveColorNodeID(table.GetID())
    display.AutoWindowLevelOff()
    display.SetWindowLevelMinMax(0, 1)
    display.ApplyThresholdOn()
    display.SetThreshold(0.5, 1.0)
    return volume


@pytest.fixture
def lesion(scan):
    """A red segment of 20 x 20 mm in the middle of the block."""
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Findings")
    segmentation.CreateDefaultDisplayNodes()
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    segmentation.GetSegmentation().AddEmptySegment("lesion", "Lesion", (1.0, 0.0, 0.0))
    mask = np.zeros((40, 80, 80), np.uint8)
    mask[10:30, 30:50, 30:50] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, "lesion", scan)
    return segmentation


@pytest.fixture
def panes(scene):
    """Three axial panes side by side, linked among themselves; the earlier layout comes back afterwards."""
    manager = slicer.app.layoutManager()
    views = "".join(
        f'<item><view class="vtkMRMLSliceNode" singletontag="{tag}">'
        f'<property name="orientation" action="default">Axial</property>'
        f'<property name="viewlabel" action="default">{tag[4]}</property>'
        f'<property name="viewcolor" action="default">#F34A33</property>'
        f'<property name="viewgroup" action="default">21</property></view></item>'
        for tag in PANES
    )
    node = manager.layoutLogic().GetLayoutNode()
    node.AddLayoutDescription(LAYOUT_ID, f'<layout type="horizontal">{views}</layout>')
    before = manager.layout
    manager.setLayout(LAYOUT_ID)
    yield [manager.sliceWidget(tag) for tag in PANES]
    manager.setLayout(before)


def show(pane, background, foreground=None):
    composite = pane.sliceLogic().GetSliceCompositeNode()
    composite.SetBackgroundVolumeID(background.GetID() if background else None)
    composite.SetForegroundVolumeID(foreground.GetID() if foreground else None)
    composite.SetForegroundOpacity(1.0)
    composite.SetLinkedControl(True)
    composite.SetHotLinkedControl(True)
    pane.sliceLogic().FitSliceToBackground()


def test_the_panes_are_those_of_the_layout_and_leaving_brings_the_earlier_back(scene, panes):
    manager = slicer.app.layoutManager()
    assert manager.layout == LAYOUT_ID
    assert [each.sliceViewName for each in panes] == list(PANES)
    assert {each.mrmlSliceNode().GetViewGroup() for each in panes} == {21}
    heard = []
    manager.connect("layoutChanged(int)", heard.append)
    manager.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    assert heard == [slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView]
    assert {"Red", "Green", "Yellow"} <= set(manager.sliceViewNames())
    manager.disconnect("layoutChanged(int)", heard.append)


def test_grey_values_heat_map_and_segment_have_their_colours(scan, heat_map, lesion, panes, tmp_path):
    left, middle, right = panes
    show(left, scan)
    show(middle, scan, heat_map)
    show(right, scan)
    display = lesion.GetDisplayNode()
    display.SetViewNodeIDs([right.mrmlSliceNode().GetID()])
    display.SetOpacity2DFill(1.0)
    picture = views_picture(panes, 300, 300)
    save_png(picture, tmp_path / "panes.png")
    assert (tmp_path / "panes.png").stat().st_size > 500
    left_picture, middle_picture, right_picture = np.split(picture, 3, axis=1)
    block = 0.25  # the block's share of the volume's area, which fills the pane
    assert share_of_colour(left_picture, (127, 127, 127)) == pytest.approx(block, abs=0.02)
    assert share_of_colour(left_picture, (0, 0, 0)) == pytest.approx(1 - block, abs=0.02)
    assert share_of_colour(left_picture, RED) == 0
    assert share_of_colour(middle_picture, GREEN) == pytest.approx(block / 2, abs=0.02)
    assert share_of_colour(middle_picture, (127, 127, 127)) == pytest.approx(block / 2, abs=0.02)
    assert share_of_colour(right_picture, RED, tolerance=40) == pytest.approx(block / 4, abs=0.02)
    assert share_of_difference(left_picture, right_picture) == pytest.approx(block / 4, abs=0.02)


def test_an_outline_leaves_the_inside_as_it_is(scan, lesion, panes):
    show(panes[0], scan)
    lesion.GetDisplayNode().SetVisibility2DFill(False)
    picture = views_picture(panes[:1], 300, 300)
    assert 0.001 < share_of_colour(picture, RED, tolerance=60) < 0.03
    np.testing.assert_allclose(picture[150, 150], (127, 127, 127), atol=3)


def test_linked_panes_move_together(scan, panes):
    for pane in panes:
        show(pane, scan)
    panes[0].sliceController().setSliceOffsetValue(-12.0)
    assert [pane.sliceLogic().GetSliceOffset() for pane in panes] == pytest.approx([-12.0] * 3)
    outside = views_picture(panes[1:2], 200, 200)
    assert share_of_colour(outside, (127, 127, 127)) == 0  # the block reaches from -10 to 10 mm


def test_a_corner_annotation_is_drawn(scan, panes):
    show(panes[0], scan)
    without = views_picture(panes[:1], 300, 300)
    panes[0].sliceView().cornerAnnotation().SetText(2, "pseudo-healthy")
    panes[0].sliceView().scheduleRender()
    assert 0.002 < share_of_difference(views_picture(panes[:1], 300, 300), without) < 0.1
    panes[0].sliceView().cornerAnnotation().ClearAllTexts()


def test_widgets_are_drawn_with_their_views(host, scan, panes):
    for pane in panes:
        show(pane, scan)
    picture = widget_picture(host.main_window, 1100, 500)
    assert picture.shape == (500, 1100, 3)
    assert share_of_colour(picture, (0xF3, 0x4A, 0x33)) > 0.01  # the bars of the views
    assert share_of_colour(picture, (127, 127, 127), tolerance=2) > 0.05
    host.main_window.hide()


def test_a_collapsed_section_hides_its_contents(scene):
    panel = qt.QWidget()
    column = qt.QVBoxLayout(panel)
    section = slicer.qMRMLCollapsibleButton()
    section.text = "Findings"
    column.addWidget(section)
    label = qt.QLabel("12.4 ml")
    qt.QVBoxLayout(section).addWidget(label)
    tall = widget_picture(panel, 200).shape[0]
    assert label.visible
    section.collapsed = True
    assert not label.visible
    assert widget_picture(panel, 200).shape[0] < tall
    section.click()
    assert label.visible
    assert not section.collapsed
    panel.close()
