"""A finished job brought into a real scene."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from made_results import made_scores, write_result  # noqa: E402
from made_volumes import KINDS, SHAPE, made_volume, matrix  # noqa: E402

from diffugts.errors import ResultError  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import Job  # noqa: E402
from DiffuGTSSlicerLib.provenance import methods_paragraph, record_on  # noqa: E402
from DiffuGTSSlicerLib.results import import_result, nodes_of_result  # noqa: E402
from DiffuGTSSlicerLib.segment_masks import read_segment  # noqa: E402

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
TEXTS = ("hypodense liver metastasis", 'renal; "cell" <carcinoma> & 🩻', "nothing of the kind")

FACTS = {
    "Model": "compact",
    "WeightsSHA256": "ab" * 32,
    "Thresholds": "0.5 0.5 0.5",
    "Seed": "7",
    "Version": "0.1.0",
    "Versions": "python 3.11.7, torch 2.13.0",
    "Device": "cpu",
    "Created": "2026-11-24T03:00:00+00:00",
    "Quality": "standard",
}
"""What every node of a made result says of how it was made, beside the descriptions."""


def made_job(volume, folder: Path, name: str = "1", descriptions=TEXTS) -> Job:
    return Job(name, freeze_order(volume, descriptions), folder / name)


def imported(job: Job, scene, kind: str = "oblique", **options):
    manifest = write_result(job.result_folder, SHAPE, TO_LPS @ matrix(kind), job.order.descriptions, **options)
    return import_result(job, manifest, scene)


def ijk_to_ras(volume) -> np.ndarray:
    import vtk

    result = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(result)
    return slicer.util.arrayFromVTKMatrix(result)


@pytest.mark.parametrize("kind", KINDS)
def test_segments_and_maps_lie_exactly_where_the_worker_found_them(scene, tmp_path: Path, kind: str):
    volume = made_volume(kind)
    result = imported(made_job(volume, tmp_path), scene, kind)
    segmentation = scene.GetNodeByID(result.segmentation_id)
    for number, map_id in enumerate(result.score_map_ids):
        expected = made_scores(SHAPE, number)
        node = scene.GetNodeByID(map_id)
        assert np.array_equal(slicer.util.arrayFromVolume(node), expected)
        assert np.abs(ijk_to_ras(node) - matrix(kind)).max() < 1e-6
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, f"finding_{number + 1}", volume)
        assert np.array_equal(mask > 0, expected > 0.5), f"finding {number}"


def test_what_was_not_found_keeps_its_empty_segment_and_its_map(scene, tmp_path: Path):
    result = imported(made_job(made_volume(), tmp_path), scene)
    segmentation = scene.GetNodeByID(result.segmentation_id)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 3
    assert read_segment(segmentation, "finding_3", freeze_order(made_volume(), TEXTS).geometry).count == 0
    node = scene.GetNodeByID(result.score_map_ids[2])
    assert slicer.util.arrayFromVolume(node).max() == pytest.approx(0.31)
    assert node.GetAttribute("DiffuGTS.Verdict") == "not found"


def test_segments_have_the_descriptions_as_names_their_colours_and_terms(scene, tmp_path: Path):
    result = imported(made_job(made_volume(), tmp_path), scene)
    segments = scene.GetNodeByID(result.segmentation_id).GetSegmentation()
    for number, text in enumerate(TEXTS):
        segment = segments.GetSegment(f"finding_{number + 1}")
        assert segment.GetName() == text
        assert segment.GetColor() == pytest.approx(result.record.findings[number].colour)
    assert "Neoplasm, Secondary" in segments.GetSegment("finding_1").GetTerminology()
    assert "Neoplasm" in segments.GetSegment("finding_2").GetTerminology()
    assert "4147007^Mass" in segments.GetSegment("finding_3").GetTerminology()


def test_maps_and_volumes_are_shown_as_they_should_be(scene, tmp_path: Path):
    volume = made_volume()
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(350, 40)
    result = imported(made_job(volume, tmp_path), scene)
    score = scene.GetNodeByID(result.score_map_ids[0]).GetDisplayNode()
    assert "nferno" in score.GetColorNode().GetName()
    assert (score.GetWindowLevelMin(), score.GetWindowLevelMax()) == (0, 1)
    assert score.GetApplyThreshold() and score.GetLowerThreshold() == pytest.approx(0.25)
    healthy = scene.GetNodeByID(result.pseudo_healthy_id).GetDisplayNode()
    assert (healthy.GetWindow(), healthy.GetLevel()) == (350, 40)
    residual = scene.GetNodeByID(result.residual_id).GetDisplayNode()
    assert residual.GetWindowLevelMin() == pytest.approx(-residual.GetWindowLevelMax())
    assert 90 < residual.GetWindowLevelMax() <= 100
    table = residual.GetColorNode()
    low, middle, high = np.zeros(4), np.zeros(4), np.zeros(4)
    for colour, number in ((low, 0), (middle, 128), (high, 255)):
        table.GetColor(number, colour)
    assert low[2] > low[0] and high[0] > high[2] and np.ptp(middle[:3]) < 0.03


def test_the_residual_s_colours_reach_no_further_than_the_window_the_scan_is_read_in(scene, tmp_path: Path):
    """Its greatest differences are 100; in a window of 80 grey values a difference of 40 has the full colour."""
    volume = made_volume()
    volume.GetDisplayNode().AutoWindowLevelOff()
    volume.GetDisplayNode().SetWindowLevel(80, 40)
    result = imported(made_job(volume, tmp_path), scene)
    residual = scene.GetNodeByID(result.residual_id).GetDisplayNode()
    assert (residual.GetWindowLevelMin(), residual.GetWindowLevelMax()) == pytest.approx((-40, 40))


def test_a_second_run_is_added_and_the_first_stays_as_it_was(scene, tmp_path: Path):
    volume = made_volume()
    first = imported(made_job(volume, tmp_path, "1"), scene)
    segmentation = scene.GetNodeByID(first.segmentation_id)
    names = {
        node.GetID(): (node.GetName(), node.GetMTime())
        for node in slicer.util.getNodesByClass("vtkMRMLNode")
        if node.GetAttribute("DiffuGTS.Role")
    }
    second = imported(made_job(volume, tmp_path, "2"), scene)
    assert segmentation.GetName() == "CT liver findings"
    assert scene.GetNodeByID(second.segmentation_id).GetName() == "CT liver findings (2)"
    assert second.folder_item != first.folder_item
    for node_id, (name, modified) in names.items():
        node = scene.GetNodeByID(node_id)
        assert (node.GetName(), node.GetMTime()) == (name, modified)


def test_a_result_lies_in_a_folder_under_the_volumes_study(scene, tmp_path: Path):
    volume = made_volume()
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    patient = hierarchy.CreateSubjectItem(hierarchy.GetSceneItemID(), "Patient")
    study = hierarchy.CreateStudyItem(patient, "Study")
    item = hierarchy.GetItemByDataNode(volume) or hierarchy.CreateItem(study, volume)
    hierarchy.SetItemParent(item, study)
    result = imported(made_job(volume, tmp_path), scene)
    assert hierarchy.GetItemParent(result.folder_item) == study
    assert hierarchy.GetItemName(result.folder_item) == "CT liver DiffuGTS"
    for node_id in (result.segmentation_id, *result.score_map_ids, result.pseudo_healthy_id, result.residual_id):
        node = hierarchy.GetItemByDataNode(scene.GetNodeByID(node_id))
        assert hierarchy.GetItemParent(node) == result.folder_item


def test_the_volume_may_be_deleted_while_the_job_runs(scene, tmp_path: Path):
    volume = made_volume()
    job = made_job(volume, tmp_path)
    scene.RemoveNode(volume)
    result = imported(job, scene)
    mask = read_segment(scene.GetNodeByID(result.segmentation_id), "finding_1", job.order.geometry)
    assert mask.count == (made_scores(SHAPE, 0) > 0.5).sum()
    assert job.notes == ["The volume 'CT liver' was deleted while the job ran."]
    assert np.abs(ijk_to_ras(scene.GetNodeByID(result.score_map_ids[0])) - matrix("oblique")).max() < 1e-6


def test_a_volume_renamed_or_moved_while_the_job_runs_does_not_move_the_result(scene, tmp_path: Path):
    volume = made_volume()
    job = made_job(volume, tmp_path)
    volume.SetOrigin(0, 0, 0)
    volume.SetName("another")
    result = imported(job, scene)
    assert np.abs(ijk_to_ras(scene.GetNodeByID(result.pseudo_healthy_id)) - matrix("oblique")).max() < 1e-6
    assert scene.GetNodeByID(result.segmentation_id).GetName() == "CT liver findings"


def test_a_file_on_another_grid_is_refused_and_nothing_is_added(scene, tmp_path: Path):
    job = made_job(made_volume(), tmp_path)
    count = scene.GetNumberOfNodes()
    with pytest.raises(ResultError, match="'01-score.nrrd' does not lie on the scan's own grid"):
        imported(job, scene, "straight", stated_lps=TO_LPS @ matrix("oblique"))
    assert scene.GetNumberOfNodes() == count


def test_an_import_that_fails_half_way_leaves_nothing(scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from DiffuGTSSlicerLib import results

    job = made_job(made_volume(), tmp_path)
    monkeypatch.setattr(results, "greatest_distance_from_zero", lambda image: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        imported(job, scene)
    assert nodes_of_result(scene, "1") == {}
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    assert hierarchy.GetItemByName("CT liver DiffuGTS") == hierarchy.GetInvalidItemID(), "nor an empty folder"


def test_a_fast_result_without_inpainting_has_no_such_volumes(scene, tmp_path: Path):
    result = imported(made_job(made_volume(), tmp_path), scene, pseudo_healthy=False)
    assert result.pseudo_healthy_id == result.residual_id == ""


def test_how_it_was_made_survives_saving_and_loading_the_scene(scene, tmp_path: Path):
    job = made_job(made_volume(), tmp_path)
    before = imported(job, scene)
    path = tmp_path / "scene with blank ü.mrb"
    assert scene.WriteToMRB(str(path), None)
    scene.Clear(0)
    assert nodes_of_result(scene, "1") == {}
    assert scene.ReadFromMRB(str(path), True)
    nodes = nodes_of_result(scene, "1")
    assert {role: len(found) for role, found in nodes.items()} == {
        "segmentation": 1, "score map": 3, "pseudo-healthy": 1, "residual": 1
    }  # fmt: skip
    for node in (n for found in nodes.values() for n in found):
        assert record_on(node) == before.record
        assert node.GetAttribute("DiffuGTS.WeightsSHA256") == "ab" * 32
        assert node.GetNodeReference("DiffuGTS.Volume").GetName() == "CT liver"
    segmentation = nodes["segmentation"][0]
    assert segmentation.GetSegmentation().GetSegment("finding_2").GetName() == TEXTS[1]
    assert read_segment(segmentation, "finding_1", job.order.geometry).count == (made_scores(SHAPE, 0) > 0.5).sum()


def test_every_node_tells_by_itself_how_it_was_made_also_after_loading(scene, tmp_path: Path):
    imported(made_job(made_volume(), tmp_path), scene)

    def check() -> None:
        nodes = [node for found in nodes_of_result(scene, "1").values() for node in found]
        assert len(nodes) == 6
        for node in nodes:
            assert json.loads(node.GetAttribute("DiffuGTS.Descriptions")) == list(TEXTS)
            facts = {name: node.GetAttribute(f"DiffuGTS.{name}") for name in FACTS}
            assert facts == FACTS, node.GetName()

    check()
    path = tmp_path / "s.mrb"
    assert scene.WriteToMRB(str(path), None)
    scene.Clear(0)
    assert scene.ReadFromMRB(str(path), True)
    check()


def test_the_methods_paragraph_says_what_is_needed_to_do_it_again(scene, tmp_path: Path):
    text = methods_paragraph(imported(made_job(made_volume(name="Patient X"), tmp_path), scene).record)
    for fact in (
        "2505.02753",
        "“hypodense liver metastasis” (threshold 0.50)",
        "ab" * 32,
        "seed 7",
        "torch 2.13.0",
        "CT",
    ):
        assert fact in text
    assert "Patient X" not in text


def test_a_damaged_record_is_said(scene):
    volume = made_volume()
    assert record_on(volume) is None
    volume.SetAttribute("DiffuGTS.Record", "{}")
    with pytest.raises(ResultError, match="'CT liver' of how it was made is damaged"):
        record_on(volume)
