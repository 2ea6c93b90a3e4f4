"""The panel from the click to the findings with the real worker and the compact model."""

from __future__ import annotations

import csv
import subprocess
import time

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import vtk  # noqa: E402
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


@pytest.mark.slow
def test_two_ticked_volumes_are_segmented_one_after_the_other_into_one_table(host, real_panel, tmp_path):
    panel = real_panel
    host.wait_until(lambda: panel.logic.environment.activity is None, 240)
    volumes = [made_phantom(kind) for kind in ("oblique", "left-handed")]
    for volume, name in zip(volumes, ("CT phantom one", "CT phantom two")):
        volume.SetName(name)
    panel.ui.descriptionsEdit.setPlainText("soft tissue sarcoma\nhypodense liver metastasis")
    panel.ui.qualitySelector.currentIndex = 0
    host.process_events(300)
    panel.ui.severalGroup.collapsed = False
    panel.ui.tickAllButton.click()
    host.wait_until(lambda: panel.ui.segmentButton.text == "Segment 2 volumes" and panel.ui.segmentButton.enabled, 10)
    panel.ui.segmentButton.click()
    jobs = panel.logic.jobs.unfinished
    host.wait_until(lambda: all(job.state.over for job in jobs), 240)
    host.process_events(300)
    assert [job.state for job in jobs] == 2 * [JobState.DONE], [f"{job.reason} {job.details}" for job in jobs]
    for job, volume in zip(jobs, volumes):
        (score_map, _second) = nodes_of_result(slicer.mrmlScene, job.name)["score map"]
        assert np.allclose(ijk_to_ras(score_map), ijk_to_ras(volume), atol=1e-4)
    rows = panel.volumesSection.ui.volumesTable
    texts = [[rows.item(row, column).text() for column in range(4)] for row in range(rows.rowCount)]
    assert [text[:2] for text in texts] == [
        ["CT phantom one", "soft tissue sarcoma"],
        ["", "hypodense liver metastasis"],
        ["CT phantom two", "soft tissue sarcoma"],
        ["", "hypodense liver metastasis"],
    ]
    for text, finding in zip(texts, [each for job in jobs for each in job.result.record.findings]):
        assert text[2:] == [finding.verdict, f"{finding.highest_score:.2f}"]
    host.dialogs.answer(str(tmp_path / "findings.csv"))
    panel.volumesSection.ui.csvButton.click()
    host.process_events(100)
    with (tmp_path / "findings.csv").open(encoding="utf-8-sig", newline="") as file:
        lines = list(csv.DictReader(file))
    for job in jobs:
        for finding in job.result.record.findings:
            own = [
                line
                for line in lines
                if (line["case"], line["description"]) == (job.order.volume_name, finding.description)
            ]
            assert len(own) == max(1, len(finding.lesions))
            assert sum(float(line["volume_ml"]) for line in own) == pytest.approx(finding.volume_ml, rel=0.01, abs=1e-3)


def ijk_to_ras(volume) -> np.ndarray:
    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)
