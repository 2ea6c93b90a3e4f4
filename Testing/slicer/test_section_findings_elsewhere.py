"""The section Findings: tables, files, the methods paragraph, running again, and the keys."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
import qt  # noqa: E402
from findings_panel import TEXTS, panels  # noqa: E402
from made_findings import made_finding  # noqa: E402
from PySide6 import QtTest  # noqa: E402

from DiffuGTSSlicerLib.job import Order  # noqa: E402
from DiffuGTSSlicerLib.lesion_table import COLUMNS  # noqa: E402


@pytest.fixture
def panel(scene, host):
    yield from panels(scene, host)


def test_the_table_has_the_lesions_of_every_description_of_the_run(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(1)
    shown.ui.tableButton.click()
    assert not shown.ui.tableButton.enabled and "Measuring" in shown.ui.messageLabel.text
    shown.settle()
    shown.ui.tableButton.click()
    shown.settle()
    first, second = slicer.util.getNodesByClass("vtkMRMLTableNode")
    assert first.GetName() != second.GetName(), "a table that the user may have worked in is not overwritten"
    assert [first.GetCellText(row, 0) for row in range(first.GetNumberOfRows())] == [
        "liver tumour", "liver tumour", "cyst", "nothing of the kind"
    ]  # fmt: skip
    assert first.GetCellText(3, 2) == "no lesion"
    assert second.GetName() in shown.ui.messageLabel.text
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    folder = hierarchy.GetItemParent(hierarchy.GetItemByDataNode(first))
    assert hierarchy.GetItemName(folder) == "CT liver DiffuGTS"


def test_the_lesions_are_saved_as_csv_where_the_user_says(scene, tmp_path: Path, panel, host):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    host.dialogs.answer(str(tmp_path / "lesions ü"))
    shown.ui.csvButton.click()
    shown.settle()
    with (tmp_path / "lesions ü.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [name for name, _ in COLUMNS] and len(rows) == 4
    assert "lesions ü.csv" in shown.ui.messageLabel.text


def test_a_scene_that_is_closed_meanwhile_ends_the_measuring(scene, tmp_path: Path, panel, host):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.ui.tableButton.click()
    scene.Clear(0)
    shown.settle()
    assert shown.ui.tableButton.enabled and not slicer.util.getNodesByClass("vtkMRMLTableNode")


def test_a_csv_that_cannot_be_written_is_said(scene, tmp_path: Path, panel, host):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    host.dialogs.answer(str(tmp_path / "no such folder" / "lesions.csv"))
    shown.ui.csvButton.click()
    shown.settle()
    assert "no such folder" in shown.ui.messageLabel.text
    host.dialogs.answer("")
    shown.ui.csvButton.click()  # cancelled: nothing happens


def test_the_methods_paragraph_says_what_was_corrected_and_nothing_about_the_patient(scene, tmp_path: Path, panel):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.ui.methodsButton.click()
    text = qt.QApplication.clipboard().text()
    assert "2505.02753" in text and "corrected" not in text and "CT liver" not in text
    shown.ui.thresholdSlider.setValue(65)
    shown.settle()
    shown.ui.methodsButton.click()
    text = qt.QApplication.clipboard().text()
    assert "a reader corrected the segments of “liver tumour” (threshold 0.65" in text


def test_a_run_is_made_again_with_what_was_asked_then(scene, tmp_path: Path, panel):
    volume, _ = made_finding(scene, tmp_path, texts=TEXTS)
    asked: list[Order] = []
    shown = panel(on_rerun=asked.append)
    scene.WriteToMRB(str(tmp_path / "s.mrb"), None)
    scene.Clear(0)
    scene.ReadFromMRB(str(tmp_path / "s.mrb"), True)
    shown.settle()
    shown.choose(2)
    shown.ui.rerunButton.click()
    (order,) = asked
    loaded = slicer.util.getNode("CT liver")
    assert order.volume_id == loaded.GetID() and order.descriptions == TEXTS
    assert (order.seed, order.quality.value, order.model, order.threshold) == (7, "standard", "compact", 0.5)
    assert order.modality == "CT"


def test_a_run_whose_volume_is_gone_cannot_be_made_again_and_says_so(scene, tmp_path: Path, panel):
    volume, _ = made_finding(scene, tmp_path, texts=TEXTS)
    asked: list[Order] = []
    shown = panel(on_rerun=asked.append)
    shown.choose(0)
    scene.RemoveNode(volume)
    shown.settle()
    shown.ui.rerunButton.click()
    assert not asked and "Load the volume" in shown.ui.messageLabel.text


# -- keys -------------------------------------------------------------------------------------------------------------


def press(widget, key: str) -> None:
    QtTest.QTest.keyClick(widget, key)


def test_lesions_are_gone_through_and_decided_on_by_keys(scene, tmp_path: Path, panel, host):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    shown.choose(0)
    shown.widget.activateWindow()
    host.wait_until(lambda: shown.widget.isActiveWindow, 5)
    press(shown.widget, "n")
    assert shown.ui.lesionsTable.currentRow() == 0
    press(shown.widget, "a")
    assert shown.states() == ["accepted", "–"] and shown.ui.lesionsTable.currentRow() == 1
    press(shown.widget, "r")
    assert shown.states() == ["accepted", "rejected"]
    press(shown.widget, "p")
    assert shown.ui.lesionsTable.currentRow() == 0


def test_keys_do_nothing_once_the_panel_was_left_and_typing_stays_typing(scene, tmp_path: Path, panel, host):
    made_finding(scene, tmp_path, texts=TEXTS)
    shown = panel()
    line = qt.QLineEdit(shown.widget)
    shown.widget.layout().addWidget(line)
    line.show()
    shown.choose(0)
    shown.choose_lesion(0)
    shown.widget.activateWindow()
    host.wait_until(lambda: shown.widget.isActiveWindow, 5)
    line.setFocus()
    for letter in "rap":
        press(line, letter)
    assert line.text == "rap" and shown.states() == ["–", "–"]
    shown.section.exit()
    press(shown.ui.lesionsTable, "a")
    assert shown.states() == ["–", "–"]
