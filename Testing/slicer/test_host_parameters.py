"""The stand-in for parameterNodeWrapper keeps every type under Slicer's names and keeps its rules."""

import enum
import pathlib
from typing import Annotated, Optional

import pytest
import slicer
from slicer import vtkMRMLScalarVolumeNode
from slicer.parameterNodeWrapper import Choice, Default, Minimum, parameterNodeWrapper


class Quality(enum.Enum):
    FAST = "fast"
    STANDARD = "standard"


@parameterNodeWrapper
class Parameters:
    volume: vtkMRMLScalarVolumeNode
    smallest: Annotated[float, Minimum(0)] = 0.1
    seed: int = 7
    device: Annotated[str, Choice(["cpu", "cuda:0"])] = "cpu"
    quality: Quality = Quality.STANDARD
    folder: pathlib.Path
    shown: bool = True
    descriptions: list[str]
    threshold: Optional[float] = None  # noqa: UP045 (Slicer's wrapper does not know float | None)
    volumes_ml: dict[str, float]
    names: Annotated[list[str], Default(["liver metastasis"])]


@pytest.fixture
def node(scene):
    return scene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "Parameters")


def test_every_type_is_kept_by_the_node_alone(scene, node):
    volume = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "Scan")
    first = Parameters(node)
    first.volume = volume
    first.smallest = 2.5
    first.seed = 11
    first.device = "cuda:0"
    first.quality = Quality.FAST
    first.folder = pathlib.Path("/a folder/ü")
    first.shown = False
    first.descriptions = ["renal cell carcinoma", "", "ليفة"]
    first.threshold = 0.25
    first.volumes_ml = {"a": 1.0, "b": 2.0}
    again = Parameters(node)
    for name in first.allParameters:
        assert again.getValue(name) == first.getValue(name), name
    assert again.volume is volume
    assert again.quality is Quality.FAST
    assert again.descriptions == ["renal cell carcinoma", "", "ليفة"]
    assert (node.GetParameter("descriptions_len"), node.GetParameter("descriptions_2")) == ("3", "ليفة")
    assert node.GetParameter("quality") == "FAST"


def test_defaults_are_written_once_and_belong_to_one_node(node):
    parameters = Parameters(node)
    assert parameters.names == ["liver metastasis"]
    assert parameters.descriptions == []
    assert parameters.threshold is None
    parameters.threshold = 0.5
    parameters.threshold = None
    assert Parameters(node).threshold is None
    parameters.names = []
    assert Parameters(node).names == []


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("smallest", -1.0, ValueError),
        ("device", "tpu", ValueError),
        ("seed", None, ValueError),
        ("seed", "7", TypeError),
        ("quality", "FAST", TypeError),
        ("descriptions", [1], TypeError),
    ],
)
def test_a_value_against_the_rules_changes_nothing(node, name, value, error):
    parameters = Parameters(node)
    before = parameters.getValue(name)
    with pytest.raises(error):
        parameters.setValue(name, value)
    assert parameters.getValue(name) == before


def test_a_node_of_another_class_is_refused(scene, node):
    with pytest.raises(TypeError):
        Parameters(node).volume = scene.AddNewNodeByClass("vtkMRMLTextNode")


def test_what_this_host_cannot_follow_is_refused_instead_of_lost(node):
    with pytest.raises(NotImplementedError, match="anew"):
        Parameters(node).descriptions.append("lost")
    with pytest.raises(TypeError, match="Optional"):

        @parameterNodeWrapper
        class WithBar:
            threshold: float | None = None


def test_a_list_made_shorter_leaves_no_item_behind(node):
    parameters = Parameters(node)
    parameters.descriptions = ["a", "b", "c"]
    parameters.descriptions = ["d"]
    assert parameters.descriptions == ["d"]
    assert not node.HasParameter("descriptions_1")
    assert slicer.mrmlScene.GetNodeByID(node.GetID()) is node
