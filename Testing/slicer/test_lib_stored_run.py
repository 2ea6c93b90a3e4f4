"""An earlier run made again: which model it is made with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from made_results import write_result  # noqa: E402
from made_volumes import SHAPE, made_volume, matrix  # noqa: E402
from opened_module import *  # noqa: E402, F403

from diffugts.errors import ResultError  # noqa: E402
from DiffuGTSSlicerLib.freeze import freeze_order  # noqa: E402
from DiffuGTSSlicerLib.job import Job, JobState, Order  # noqa: E402
from DiffuGTSSlicerLib.model_folders import models_in  # noqa: E402
from DiffuGTSSlicerLib.results import import_result  # noqa: E402
from DiffuGTSSlicerLib.stored_run import OrderOfThen, order_again  # noqa: E402

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
OF_THEN, OTHERS = "ab" * 32, "cd" * 32
"""Checksums of weights: those that made results state, and others."""


def models_folder(parent: Path, **names_in_results: str) -> Path:
    """A folder of models: their folders' names, and what results name them."""
    for folder, name in names_in_results.items():
        (parent / folder).mkdir(parents=True)
        (parent / folder / "model_index.json").write_text("{}")
        (parent / folder / "preset.json").write_text(json.dumps({"name": name, "title": f"Model {name}"}))
    return parent


def asked_again(scene, folder: Path, model: str) -> OrderOfThen:
    """The order of a run with a model of this name."""
    job = Job("1", freeze_order(made_volume(), ("liver tumour",)), folder / "1")
    manifest = write_result(job.result_folder, SHAPE, TO_LPS @ matrix("oblique"), job.order.descriptions, model=model)
    return order_again(scene, import_result(job, manifest, scene).record)


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """Two models of the user's own, of which the second has a folder of another name."""
    return models_folder(tmp_path / "models", liver="liver", second="bones")


def models_of(shelf: Path, **checksums: str):
    return models_in(shelf / "no engine", shelf, {str(shelf / name): value for name, value in checksums.items()})


@pytest.mark.parametrize(("name", "folder"), [("liver", "liver"), ("bones", "second"), ("second", "second")])
def test_the_model_of_then_is_found_by_its_name_and_asked_for_by_its_folder(scene, tmp_path, shelf, name, folder):
    asked = asked_again(scene, tmp_path, name)
    order, said = asked.with_model(models_of(shelf))
    assert (order.model, said) == (str(shelf / folder), "")
    assert type(order) is Order and (order.seed, order.descriptions) == (7, ("liver tumour",))


def test_equal_weights_count_more_than_an_equal_name(scene, tmp_path: Path, shelf: Path):
    models = models_of(shelf, liver=OTHERS, second=OF_THEN)
    order, said = asked_again(scene, tmp_path, "liver").with_model(models)
    assert (order.model, said) == (str(shelf / "second"), "")


def test_of_two_of_the_name_it_is_the_one_with_the_weights_of_then(scene, tmp_path: Path):
    shelf = models_folder(tmp_path / "models", one="liver", two="liver")
    asked = asked_again(scene, tmp_path, "liver")
    assert asked.with_model(models_of(shelf, one=OTHERS, two=OF_THEN))[0].model == str(shelf / "two")
    assert asked.with_model(models_of(shelf, one=OTHERS))[0].model == str(shelf / "two"), "which may be it"


def test_other_weights_are_said_and_taken(scene, tmp_path: Path, shelf: Path):
    order, said = asked_again(scene, tmp_path, "liver").with_model(models_of(shelf, liver=OTHERS, second=OTHERS))
    assert order.model == str(shelf / "liver")
    assert "'liver' has other weights now" in said and OTHERS[:12] in said and OF_THEN[:12] in said


def test_a_model_that_is_not_here_is_refused_with_what_to_do(scene, tmp_path: Path, shelf: Path):
    with pytest.raises(ResultError, match=r"'kidney', which is not here \(found: 'liver', 'second'\).*in Setup"):
        asked_again(scene, tmp_path, "kidney").with_model(models_of(shelf, liver=OTHERS))


def test_a_run_with_a_model_of_the_user_s_own_is_made_again_by_the_button(host, panel, environment, shelf):
    environment.choose(models_folder=str(shelf))
    volume = made_volume(name="CT liver")
    panel.ui.volumeSelector.setCurrentNode(volume)
    panel.ui.descriptionsEdit.setPlainText("liver tumour")
    panel.ui.modelSelector.currentIndex = panel.ui.modelSelector.findData("second")
    panel.ui.segmentButton.click()
    (first,) = panel.logic.jobs.unfinished
    panel.logic.jobs.wait(first)
    assert first.state is JobState.DONE, first.reason
    panel.ui.modelSelector.currentIndex = panel.ui.modelSelector.findData("compact")
    panel.findingsSection.ui.rerunButton.click()
    (again,) = panel.logic.jobs.unfinished
    assert again.order.model == first.order.model == str(shelf / "second")
    panel.logic.jobs.wait(again)


def test_the_panel_says_that_the_weights_are_others_and_that_a_model_is_gone(
    host, panel, environment, shelf, monkeypatch
):
    job = panel.logic.segment(made_volume(name="CT liver"), "liver tumour", model=str(shelf / "liver"), wait=True)
    panel.findingsSection.show_result(job.name)
    monkeypatch.setattr(environment, "models", lambda: models_of(shelf, liver=OTHERS))
    panel.findingsSection.ui.rerunButton.click()
    (again,) = panel.logic.jobs.unfinished
    assert "'liver' has other weights now" in panel.findingsSection.ui.messageLabel.text
    panel.logic.jobs.wait(again)
    monkeypatch.setattr(environment, "models", lambda: ())
    panel.findingsSection.ui.rerunButton.click()
    assert not panel.logic.jobs.unfinished
    assert "which is not here (found: none)" in panel.findingsSection.ui.messageLabel.text
