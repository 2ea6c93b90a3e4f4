"""The section Setup, driven by its buttons, on real programs that install made wheels."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import ctk
import pytest
import qt
import slicer
from made_wheels import CHECK, WORKING_REPORT, quiet_pip, write_lists, write_wheels

from DiffuGTSSlicerLib.environment import VARIABLE, Environment
from DiffuGTSSlicerLib.setup_section import SetupSection

UI = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer" / "Resources" / "UI" / "SetupSection.ui"
BUTTONS = ("install", "resume", "discard", "check", "repair", "remove", "cancel")


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name, value in quiet_pip({}).items():
        monkeypatch.setenv(name, value)
    qt.QSettings().remove("DiffuGTS")
    yield
    qt.QSettings().remove("DiffuGTS")


class Panel:
    """A section on an environment that installs made wheels."""

    def __init__(self, folder: Path) -> None:
        write_wheels(folder / "wheels")
        lists = write_lists(folder / "lists")
        self.environment = Environment(own_python=Path(sys.executable), package_lists=lists, check=CHECK)
        self.environment.choose(
            parent_folder=str(folder / "packages"), package_source="wheels", wheels_folder=str(folder / "wheels")
        )
        self.container = ctk.ctkCollapsibleButton()
        qt.QVBoxLayout(self.container)
        self.section = SetupSection(self.container, str(UI), self.environment)
        self.ui = self.section.ui

    @property
    def offered(self) -> list[str]:
        return [name for name in BUTTONS if not getattr(self.ui, f"{name}Button").isHidden()]

    def wait(self, step: str | None = None) -> None:
        """Until nothing is being done any more, or the step is reached."""
        ends = time.monotonic() + 180
        while self.environment.activity is not None and self.environment.activity.step != (step or "-"):
            assert time.monotonic() < ends, list(self.environment.log)[-10:]
            qt.QApplication.processEvents()
            time.sleep(0.01)

    def choose(self, selector: qt.QComboBox, data: str) -> None:
        """As a user does: pick an entry of the list."""
        index = selector.findData(data)
        selector.setCurrentIndex(index)
        selector.activated.emit(index)


@pytest.fixture
def panel(host, tmp_path: Path) -> Iterator[Panel]:
    panel = Panel(tmp_path)
    yield panel
    panel.section.cleanup()


def test_before_anything_is_installed_only_installing_is_offered(panel: Panel):
    assert panel.offered == ["install"]
    assert panel.container.text == "Setup: The packages that DiffuGTS needs are not installed yet"
    assert not panel.container.collapsed


def test_installing_asks_once_and_says_what_from_where_how_large_and_where_to(host, panel: Panel):
    host.dialogs.answer("Cancel")
    panel.ui.installButton.click()
    assert panel.environment.activity is None, "nothing is installed without a yes"
    (asked,) = host.dialogs.shown
    assert "PyTorch" in asked.text and "MONAI" in asked.text
    assert str(panel.environment.settings.wheels_folder) in asked.text and "no network is used" in asked.text
    assert "about 2 MB on disk" in asked.text
    assert "are free" in asked.text and str(panel.environment.folder.path) in asked.text
    assert "no image" in asked.text


def test_the_question_names_the_size_and_the_index_of_what_is_fetched(host, panel: Panel):
    panel.choose(panel.ui.fromSelector, "index")
    panel.choose(panel.ui.buildSelector, "index")
    panel.ui.addressEdit.text = "https://wheels.hospital.example/cpu"
    panel.ui.addressEdit.editingFinished.emit()
    host.dialogs.answer("Cancel")
    panel.ui.installButton.click()
    (asked,) = host.dialogs.shown
    assert "PyTorch from https://wheels.hospital.example/cpu" in asked.text
    assert "470 MB to download, 1.9 GB on disk" in asked.text
    assert panel.environment.plan().torch_index == "https://wheels.hospital.example/cpu"


def test_what_is_missing_for_an_installation_is_asked_for_first(host, panel: Panel):
    panel.choose(panel.ui.fromSelector, "index")
    panel.choose(panel.ui.buildSelector, "index")
    panel.ui.installButton.click()
    assert panel.ui.stateLabel.text == "Give the address of the index for PyTorch first."
    panel.choose(panel.ui.fromSelector, "wheels")
    panel.ui.wheelsEdit.currentPath = ""
    panel.ui.installButton.click()
    assert panel.ui.stateLabel.text == "Choose the folder of wheels first."
    assert host.dialogs.shown == []


def test_from_the_click_to_ready_and_away_again(host, panel: Panel):
    host.dialogs.answer("Ok")
    panel.ui.installButton.click()
    panel.wait("unpack")
    assert panel.offered == ["cancel"] and not panel.ui.progressBar.isHidden()
    assert panel.container.text.startswith("Setup: Unpacking")
    assert "You can go on working meanwhile." in panel.ui.stateLabel.text
    panel.wait()
    assert panel.container.text == "Setup: Ready: compact model · CPU (tested) · 1 MB of packages"
    assert panel.container.collapsed, "once ready, it is out of the way"
    assert panel.offered == ["check", "repair", "remove"] and panel.ui.progressBar.isHidden()
    found = [panel.ui.reportTable.item(0, column).text() for column in range(3)]
    assert found == ["Device cpu", "works", "works (8 threads)"]
    panel.ui.detailsGroup.collapsed = False
    assert "pip install" in panel.ui.logEdit.plainText
    host.dialogs.answer("Ok")
    panel.ui.removeButton.click()
    panel.wait()
    assert "This frees 1 MB" in host.dialogs.shown[-1].text
    assert panel.offered == ["install"] and not panel.container.collapsed


def test_cancelling_offers_to_resume_or_to_discard(host, panel: Panel):
    host.dialogs.answer("Ok")
    panel.ui.installButton.click()
    panel.wait("unpack")
    panel.ui.cancelButton.click()
    assert not panel.ui.cancelButton.enabled
    panel.wait()
    assert panel.offered == ["resume", "discard"]
    assert panel.container.text == "Setup: The installation was interrupted"
    panel.ui.resumeButton.click()
    panel.wait()
    assert panel.offered == ["check", "repair", "remove"]


def test_after_a_restart_the_installation_is_seen_to_go_on_and_can_be_cancelled(host, panel: Panel, tmp_path: Path):
    host.dialogs.answer("Ok")
    panel.ui.installButton.click()
    panel.wait("unpack")
    panel.section.cleanup()
    again = Panel(tmp_path)
    again.container.collapsed = True
    again.section.enter()
    assert again.offered == ["cancel"] and not again.container.collapsed
    assert "goes on after the restart. Cancel stops it." in again.ui.stateLabel.text
    again.wait()
    assert again.offered == ["check", "repair", "remove"] and again.container.collapsed
    again.section.cleanup()


def test_a_repair_that_was_cut_off_is_told_while_the_present_packages_are_used(host, panel: Panel):
    panel.environment.install()
    panel.wait()
    host.dialogs.answer("Ok")
    panel.ui.repairButton.click()
    panel.wait("unpack")
    panel.ui.cancelButton.click()
    panel.wait()
    assert panel.environment.readiness()[0]
    assert "A repair was interrupted; the present packages stay in use." in panel.ui.stateLabel.text
    assert "resume" in panel.offered and "discard" in panel.offered


def test_a_failure_is_told_in_the_section_with_what_to_do(host, panel: Panel):
    next(Path(panel.environment.settings.wheels_folder).glob("made_part*")).unlink()
    host.dialogs.answer("Ok")
    panel.ui.installButton.click()
    panel.wait()
    assert "it was filled for another Python or system" in panel.ui.stateLabel.text
    assert panel.offered == ["resume", "discard"]


def test_a_gpu_that_does_not_work_is_named_with_the_reason(host, panel: Panel, tmp_path: Path):
    gpu = {"topic": "device", "name": "cuda:0", "state": "warning", "found": "the driver is too old."}
    write_wheels(tmp_path / "wheels", {"works": True, "checks": [*WORKING_REPORT["checks"], gpu]})
    panel.environment.install()
    panel.wait()
    assert "CUDA:0 is not used: the driver is too old." in panel.ui.stateLabel.text
    assert panel.ui.reportTable.item(0, 1).text() == "warning", "what does not work comes first"


def test_another_python_is_asked_for_where_it_is_chosen(panel: Panel):
    assert panel.ui.pythonEdit.isHidden()
    panel.choose(panel.ui.placeSelector, "other")
    assert not panel.ui.pythonEdit.isHidden() and panel.ui.sourceGroup.isHidden()
    assert "No Python is chosen" in panel.ui.stateLabel.text
    panel.ui.pythonEdit.currentPath = sys.executable
    assert panel.environment.worker_command().python == Path(sys.executable)


def test_a_path_that_is_being_typed_changes_nothing_before_it_exists(panel: Panel, tmp_path: Path):
    before = panel.environment.folder.path
    panel.ui.folderEdit.currentPath = str(tmp_path / "not the")
    assert panel.environment.folder.path == before
    (tmp_path / "there").mkdir()
    panel.ui.folderEdit.currentPath = str(tmp_path / "there")
    assert panel.environment.folder.path.parent == tmp_path / "there"


def test_what_was_never_checked_is_checked_when_the_module_is_opened(panel: Panel):
    panel.choose(panel.ui.placeSelector, "other")
    panel.ui.pythonEdit.currentPath = sys.executable
    panel.section.enter()
    assert panel.environment.activity is not None and panel.offered == ["cancel"]
    panel.wait()
    assert "lacks the package 'made_doctor'" in panel.ui.stateLabel.text


def test_the_report_to_copy_holds_what_was_found_and_the_log(host, panel: Panel):
    panel.environment.install()
    panel.wait()
    panel.ui.detailsGroup.collapsed = False
    panel.ui.copyButton.click()
    text = slicer.app.clipboard().text()
    assert "Ready: compact model" in text and "torch: 2.13.0+made" in text and "> pip install" in text


def test_what_runs_goes_on_when_the_module_is_left_and_ends_with_it(host, panel: Panel):
    panel.environment.install()
    panel.wait("unpack")
    process = panel.environment._running._process
    panel.section.exit()
    assert process.poll() is None
    panel.section.cleanup()
    assert process.wait(5) != 0
    assert panel.environment.folder.interrupted is not None
