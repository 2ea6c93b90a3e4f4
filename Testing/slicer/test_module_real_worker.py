"""The panel from the click to the findings with the real worker and the compact model."""

from __future__ import annotations

import subprocess
import time

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from opened_module import *  # noqa: E402, F403
from test_lib_real_worker import made_phantom, worker_command  # noqa: E402, F401

from DiffuGTSSlicerLib.environment import Environment  # noqa: E402
from DiffuGTSSlicerLib.job import JobState  # noqa: E402
from DiffuGTSSlicerLib.results import nodes_of_result  # noqa: E402


@pytest.fixture
def real_panel(host, module, monkeypatch, worker_command):  # noqa: F811
    """The panel with the real environment, whose Python a developer's variable names."""
    monkeypatch.setenv("DIFFUGTS_WORKER_PYTHON", str(worker_command.python))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    yield host.open_module("DiffuGTSSlicer")
    host.unload_widget("DiffuGTSSlicer")


def what_the_doctor_told(environment: Environment) -> None:
    """The real doctor on this Python: what it says reaches the line, the devices, the models and the report."""
    ready, line = environment.readiness()
    assert ready and line.startswith("Ready: compact") and "CPU (tested" in line, line
    asked = subprocess.run([environment.other_python, "-V"], capture_output=True, text=True, check=True)
    assert f"{asked.stdout.strip()} of your choice" in line
    cpu = next(device for device in environment.devices() if device.value == "cpu")
    assert cpu.proven
    compact = next(model for model in environment.models() if model.name == "compact")
    assert compact.weights_sha256 is not None and len(compact.weights_sha256) == 64
    assert {line.name for line in environment.report.about("package")} >= {"torch", "monai", "diffusers"}
    again = Environment()
    assert again.readiness() == (ready, line), "a check holds until something changes"
    again.close()


@pytest.mark.slow
def test_from_the_setups_check_over_the_click_to_the_findings(host, real_panel):
    panel = real_panel
    host.wait_until(lambda: panel.logic.environment.activity is None, 240)
    what_the_doctor_told(panel.logic.environment)
    assert panel.ui.setupCollapsibleButton.collapsed
    volume = made_phantom("oblique")
    volume.SetName("CT phantom")
    panel.ui.volumeSelector.setCurrentNode(volume)
    seen: list[str] = []

    def segment(text: str):
        panel.ui.descriptionsEdit.setPlainText(text)
        announced, began = panel.ui.preflightLabel.text, time.monotonic()
        panel.ui.segmentButton.click()
        (job,) = panel.logic.jobs.unfinished
        job.listeners.append(lambda _: seen.append(panel.ui.progressLabel.text.partition(" · ")[0]))
        host.wait_until(lambda: job.state.over, 240)
        assert job.state is JobState.DONE, f"{job.reason} {job.details}"
        nodes = nodes_of_result(slicer.mrmlScene, job.name)
        assert len(nodes["score map"]) == len(job.order.descriptions)
        scores = slicer.util.arrayFromVolume(nodes["score map"][0])
        assert scores.shape == slicer.util.arrayFromVolume(volume).shape
        assert 0 <= np.min(scores) and 0 < np.max(scores) <= 1
        return announced, time.monotonic() - began

    announced, first_s = segment("soft tissue sarcoma\nrenal cell carcinoma")
    assert "is quick" not in announced
    announced, further_s = segment("hypodense liver metastasis")
    assert "is quick" in announced
    print(f"\nfirst {first_s:.1f} s, a further description {further_s:.1f} s")
    assert further_s < first_s
    assert any("Looking at the scan" in text for text in seen)
    assert panel.findingsSection.ui.findingsTable.rowCount >= 3
