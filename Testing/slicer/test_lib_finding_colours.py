"""Colours of findings in the scene: a text keeps its colour on a volume, different texts differ as long as there are colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from made_findings import TO_LPS  # noqa: E402
from made_results import write_result  # noqa: E402
from made_volumes import SHAPE, made_volume, matrix  # noqa: E402

from diffugts.protocol.colours import PALETTE  # noqa: E402
from DiffuGTSSlicerLib.finding_colours import VolumeColours  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import Job  # noqa: E402
from DiffuGTSSlicerLib.provenance import record_on  # noqa: E402
from DiffuGTSSlicerLib.results import import_result, nodes_of_result  # noqa: E402

GREEN = (0.1, 0.9, 0.1)


@pytest.fixture
def looked_for(scene, tmp_path: Path):
    """Brings a result on a volume into the scene; returns its segmentation node."""
    names = iter("123456789")

    def look(volume, *texts: str):
        name = next(names)
        job = Job(name, freeze_order(volume, texts), tmp_path / name)
        import_result(job, write_result(job.result_folder, SHAPE, TO_LPS @ matrix("oblique"), texts), scene)
        return nodes_of_result(scene, name)["segmentation"][0]

    return look


def colours_of(node) -> list[tuple[float, float, float]]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(n).GetColor() for n in range(segmentation.GetNumberOfSegments())]


def test_another_text_on_the_same_volume_gets_another_colour(looked_for):
    volume = made_volume()
    assert colours_of(looked_for(volume, "liver tumour")) == [PALETTE[0]]
    assert colours_of(looked_for(volume, "cyst")) == [PALETTE[1]]


def test_a_text_keeps_its_colour_wherever_it_stands_in_the_list(looked_for):
    volume = made_volume()
    looked_for(volume, "liver tumour", "cyst")
    again = looked_for(volume, "abscess", "cyst", "liver tumour")
    assert colours_of(again) == [PALETTE[2], PALETTE[1], PALETTE[0]]
    assert [finding.colour for finding in record_on(again).findings] == colours_of(again)


def test_a_colour_that_the_user_chose_is_kept_and_the_one_of_a_deleted_segment_is_free(looked_for):
    volume = made_volume()
    first = looked_for(volume, "liver tumour", "cyst").GetSegmentation()
    first.GetSegment("finding_1").SetColor(*GREEN)
    first.RemoveSegment("finding_2")
    assert colours_of(looked_for(volume, "liver tumour", "abscess", "cyst")) == [GREEN, PALETTE[0], PALETTE[1]]


def test_another_volume_begins_with_the_first_colour(looked_for):
    looked_for(made_volume(), "liver tumour")
    assert colours_of(looked_for(made_volume(name="CT of another"), "cyst")) == [PALETTE[0]]


def test_colours_are_known_in_a_scene_from_a_file(looked_for, scene, tmp_path: Path):
    looked_for(made_volume(), "liver tumour", "cyst")
    scene.WriteToMRB(str(tmp_path / "scene.mrb"), None)
    scene.Clear(0)
    scene.ReadFromMRB(str(tmp_path / "scene.mrb"), True)
    again = colours_of(looked_for(slicer.util.getNode("CT liver"), "cyst", "abscess"))
    assert np.allclose(again, [PALETTE[1], PALETTE[2]], atol=1e-3)


def test_when_all_colours_are_taken_the_one_taken_least_often_is_next():
    colours = VolumeColours({})
    taken = colours.take(f"text {number}" for number in range(8))
    assert taken == (*PALETTE, *PALETTE[:2])
    assert colours.take(["text 7"]) == (PALETTE[1],)
    assert VolumeColours({"one": PALETTE[0], "two": PALETTE[0], **{str(c): c for c in PALETTE[1:]}}).take(["new"]) == (
        PALETTE[1],
    )
