"""The panel with another machine to compute on: set up, tested, agreed to, used. With DIFFUGTS_PICTURES it is drawn too."""

from __future__ import annotations

import os
import sys
import types
from pathlib import Path

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("fastapi", reason="the extra 'server' is not installed")
pytest.importorskip("httpx", reason="the extra 'test' is not installed")
import qt  # noqa: E402
from made_volumes import made_volume  # noqa: E402
from opened_module import *  # noqa: E402, F403
from test_module_pictures import drawn  # noqa: E402

from diffugts.errors import InstallationError  # noqa: E402
from diffugts.protocol.remote import TRAVELLING  # noqa: E402
from DiffuGTSSlicerLib.job import JobState  # noqa: E402
from DiffuGTSSlicerLib.other_machine import OtherMachine  # noqa: E402
from running_server import TOKEN, RunningServer  # noqa: E402


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RunningServer(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def no_keyring(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def remote_panel(no_keyring, panel, environment):
    environment.other_machine._own_python = Path(sys.executable)
    return panel


def typed(edit: qt.QLineEdit, text: str) -> None:
    edit.text = text
    edit.editingFinished.emit()


def set_up(host, panel, server) -> None:
    ui = panel.otherMachineSection.ui
    ui.otherMachineGroup.collapsed = False
    typed(ui.serverEdit, server.address.removeprefix("http://"))
    typed(ui.tokenEdit, TOKEN)
    ui.testButton.click()
    host.wait_until(lambda: not panel.logic.environment.other_machine.testing, 60)


def choose(panel) -> None:
    """A volume, a description, the other machine."""
    panel.ui.volumeSelector.setCurrentNode(made_volume("oblique", name="MR T1 thigh", shape=(20, 24, 28)))
    panel.ui.descriptionsEdit.setPlainText("bright ball")
    panel.ui.deviceSelector.currentIndex = panel.ui.deviceSelector.findData("other machine")


def test_without_an_address_there_is_no_such_device(remote_panel):
    assert remote_panel.ui.deviceSelector.findData("other machine") == -1
    assert remote_panel.otherMachineSection.ui.otherMachineGroup.collapsed, "and its part of Setup is out of the way"


def test_from_the_address_over_the_test_and_the_question_to_the_findings(host, remote_panel, server):
    panel = remote_panel
    panel.ui.setupCollapsibleButton.collapsed = False
    set_up(host, panel, server)
    said = panel.otherMachineSection.ui.serverStateLabel.text
    assert "It answers: DiffuGTS" in said and "compact" in said
    choose(panel)
    drawn(host, panel, "remote-1-tested")
    assert "are sent there" in panel.ui.preflightLabel.text
    host.dialogs.answer("Cancel")
    panel.ui.segmentButton.click()
    assert panel.logic.jobs.unfinished == () and server.job_folders == [], "without a yes nothing is sent"
    (asked,) = host.dialogs.shown
    for words in (
        server.address,
        "the voxels",
        "its geometry",
        "your descriptions",
        "no patient's name",
        "deletes the scan",
    ):
        assert words in asked.text
    host.dialogs.answer("Ok")
    panel.ui.segmentButton.click()
    (job,) = panel.logic.jobs.unfinished
    seen = []
    job.listeners.append(lambda _: seen.append(panel.ui.progressLabel.text))
    host.wait_until(lambda: job.state.over, 60)
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"
    asked_so_far = len(host.dialogs.shown)
    panel.ui.descriptionsEdit.setPlainText("dark ball")
    panel.ui.segmentButton.click()
    assert len(host.dialogs.shown) == asked_so_far, "it is asked once for each address"
    (job,) = panel.logic.jobs.unfinished
    host.wait_until(lambda: job.state.over, 60)
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"
    drawn(host, panel, "remote-2-done")


def test_another_address_is_asked_for_anew_and_an_agreement_can_be_withdrawn(host, remote_panel, server):
    machine = remote_panel.logic.environment.other_machine
    set_up(host, remote_panel, server)
    machine.agree()
    assert machine.worker_command().line[-1] == server.address
    remote_panel.otherMachineSection.ui.askAgainButton.click()
    with pytest.raises(InstallationError, match="Nobody has agreed"):
        machine.worker_command()
    machine.agree()
    typed(remote_panel.otherMachineSection.ui.serverEdit, "gpu-server")
    assert not machine.agreed and str(machine.address) == "https://gpu-server:8765"


def test_a_script_cannot_send_anything_before_it_was_agreed_to(host, remote_panel, server):
    set_up(host, remote_panel, server)
    volume = made_volume("oblique", name="MR T1 thigh", shape=(20, 24, 28))
    job = remote_panel.logic.segment(volume, "bright ball", modality="MR", device="other machine", wait=True)
    assert job.state is JobState.FAILED and "Nobody has agreed" in job.reason
    assert server.job_folders == []
    remote_panel.logic.environment.other_machine.agree()
    job = remote_panel.logic.segment(volume, "bright ball", modality="MR", device="other machine", wait=True)
    assert job.state is JobState.DONE, f"{job.reason} {job.details}"


def test_the_question_names_everything_that_travels(no_keyring, module):
    words = {
        "descriptions": "descriptions",
        "model": "model",
        "quality": "quality",
        "modality": "kind of scan",
        "sequence": "kind of scan",
        "region": "region",
        "threshold": "threshold",
        "smallest_lesion_ml": "smallest lesion",
        "seed": "seed",
    }
    assert set(words) == set(TRAVELLING), "a field more is a word more"
    machine = OtherMachine()
    machine.set_address("gpu-server")
    named = machine.what_leaves().partition("Nothing else")[0]
    assert "gpu-server" in named and "voxels" in named and "token" in named and "version" in named
    assert [word for word in words.values() if word not in named] == []


def test_here_and_there_take_turns_with_a_worker_each(host, remote_panel, server):
    set_up(host, remote_panel, server)
    remote_panel.logic.environment.other_machine.agree()
    choose(remote_panel)
    volume = remote_panel.ui.volumeSelector.currentNode()
    pids = []
    for device in ("auto", "other machine", "auto"):
        job = remote_panel.logic.segment(volume, "bright ball", modality="MR", device=device, wait=True)
        assert job.state is JobState.DONE, f"{device}: {job.reason} {job.details}"
        pids.append(remote_panel.logic.jobs.worker_pid)
    assert len(set(pids)) == 3


def test_nothing_has_to_be_installed_here_to_compute_there(host, remote_panel, environment, server):
    set_up(host, remote_panel, server)
    environment.become(False, "The packages it needs are not installed yet.")
    choose(remote_panel)
    assert remote_panel.ui.segmentButton.enabled
    remote_panel.ui.deviceSelector.currentIndex = 0
    assert not remote_panel.ui.segmentButton.enabled


def test_a_wrong_token_an_unknown_machine_and_a_plain_way_are_told(host, remote_panel, server):
    ui, machine = remote_panel.otherMachineSection.ui, remote_panel.logic.environment.other_machine
    ui.otherMachineGroup.collapsed = False
    typed(ui.serverEdit, server.address)
    typed(ui.tokenEdit, "a-token-of-somebody-else-1234")
    ui.testButton.click()
    host.wait_until(lambda: not machine.testing, 60)
    assert "does not know this token" in ui.serverStateLabel.text
    typed(ui.serverEdit, "http://127.0.0.1:9")
    ui.testButton.click()
    host.wait_until(lambda: not machine.testing, 60)
    assert "does not answer" in ui.serverStateLabel.text and "firewall" in ui.serverStateLabel.text
    typed(ui.serverEdit, "http://10.0.0.7")
    assert ui.tokenEdit.text == "" and machine.token == "", "a token is shown to no other server than its own"
    assert "can be read on the way" in ui.serverStateLabel.text and "NOT encrypted" in machine.what_leaves()
    typed(ui.serverEdit, "ftp://gpu")
    assert "is not the address of a server" in ui.serverStateLabel.text
    assert not ui.testButton.enabled
    if os.environ.get("DIFFUGTS_PICTURES"):
        remote_panel.ui.setupCollapsibleButton.collapsed = ui.otherMachineGroup.collapsed = False
        typed(ui.serverEdit, "http://10.0.0.7")
        machine.agree()
        drawn(host, remote_panel, "remote-3-plain")


def test_the_token_lies_in_the_keyring_where_there_is_one_and_in_settings_with_a_warning_elsewhere(
    host, remote_panel, monkeypatch
):
    ui = remote_panel.otherMachineSection.ui
    typed(ui.serverEdit, "gpu-server")
    typed(ui.tokenEdit, TOKEN)
    assert qt.QSettings().value("DiffuGTS/serverToken") == f"https://gpu-server:8765 {TOKEN}"
    assert "no keyring" in ui.serverStateLabel.text
    kept: dict[tuple[str, str], str] = {}
    keyring = types.SimpleNamespace(
        get_keyring=lambda: types.SimpleNamespace(priority=5),
        get_password=lambda service, name: kept.get((service, name)),
        set_password=lambda service, name, token: kept.update({(service, name): token}),
        delete_password=lambda service, name: kept.pop((service, name)),
    )
    monkeypatch.setitem(sys.modules, "keyring", keyring)
    machine = OtherMachine(Path(sys.executable))
    machine.set_token(TOKEN + "-2")
    assert list(kept.values()) == [TOKEN + "-2"]
    assert not qt.QSettings().value("DiffuGTS/serverToken")
    machine.set_token("")
    assert kept == {}
