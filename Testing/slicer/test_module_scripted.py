"""The logic without the panel, as a script uses it."""

from __future__ import annotations

import time

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
import qt  # noqa: E402
from made_results import made_scores  # noqa: E402
from made_volumes import SHAPE, made_volume  # noqa: E402
from opened_module import *  # noqa: E402, F403
from test_lib_worker_process import gone  # noqa: E402

from diffugts.errors import DiffuGTSError, InstallationError, RequestError, ScanError  # noqa: E402
from diffugts.protocol import Quality, Request  # noqa: E402
from DiffuGTSSlicerLib.job import JobState  # noqa: E402


def test_waiting_gives_the_result_and_lets_timers_run(make_logic, environment):
    environment.mode = "slow"
    beats = []
    timer = qt.QTimer()
    timer.setInterval(20)
    timer.connect("timeout()", lambda: beats.append(time.monotonic()))
    timer.start()
    volume = made_volume(name="CT")
    job = make_logic(environment).segment(volume, ["liver tumour"], wait=True)
    timer.stop()
    assert job.state is JobState.DONE, job.reason
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(
        slicer.mrmlScene.GetNodeByID(job.result.segmentation_id), "finding_1", volume
    )
    assert np.array_equal(mask > 0, made_scores(SHAPE, 0) > 0.5)
    assert len(beats) > 50 and max(np.diff(beats)) < 1.5


def test_without_waiting_the_job_comes_back_at_once_and_tells_its_listener(host, make_logic, environment):
    states = []
    logic = make_logic(environment)
    job = logic.segment(
        made_volume(name="CT"), "liver tumour\nrenal cell carcinoma", listener=lambda j: states.append(j.state)
    )
    assert job.state is JobState.WAITING
    host.wait_until(lambda: job.state.over, 40)
    assert list(dict.fromkeys(states)) == [
        JobState.WAITING, JobState.EXPORTING, JobState.RUNNING, JobState.IMPORTING, JobState.DONE,
    ]  # fmt: skip
    assert [f.description for f in job.result.record.findings] == ["liver tumour", "renal cell carcinoma"]


def test_every_choice_reaches_the_request(host, make_logic, environment):
    environment.mode = "no listening"
    logic = make_logic(environment)
    job = logic.segment(
        made_volume(name="scan 4"),
        ["cyst"],
        quality="thorough",
        model="maisi-ct",
        device="cpu",
        modality="MR",
        threshold=0.3,
        smallestLesionMl=0.5,
        seed=9,
    )
    host.wait_until(lambda: job.progress.stage == "reading", 40)
    request = Request.load(job.request_path)
    assert (request.quality, request.model, request.device, request.modality) == (
        Quality.THOROUGH, "maisi-ct", "cpu", "MR",
    )  # fmt: skip
    assert (request.threshold, request.smallest_lesion_ml, request.seed) == (0.3, 0.5, 9)


@pytest.mark.parametrize(
    ("descriptions", "choices", "error", "words"),
    [
        ("", {}, RequestError, "No description is given"),
        (["a"], {"quality": "best"}, RequestError, "'quality'"),
        (["a"], {"modality": "PET"}, DiffuGTSError, "PET"),
        (["a"], {"threshold": 2.0}, RequestError, "'threshold'"),
        (["a"], {"seed": -1}, RequestError, "'seed'"),
        (["x" * 10_001], {}, RequestError, "10001 characters"),
    ],
)
def test_what_does_not_do_is_said_at_the_call(make_logic, environment, descriptions, choices, error, words):
    logic = make_logic(environment)
    with pytest.raises(error, match=words):
        logic.segment(made_volume(name="CT"), descriptions, **choices)
    assert logic.jobs.unfinished == ()


def test_no_volume_and_a_volume_of_unknown_kind_are_said_at_the_call(make_logic, environment):
    logic = make_logic(environment)
    with pytest.raises(RequestError, match="Choose a volume"):
        logic.segment(None, ["cyst"])
    with pytest.raises(ScanError, match="whether the volume is CT or MR"):
        logic.segment(made_volume(name="scan 4"), ["cyst"])


def test_without_an_environment_the_job_fails_with_the_sentence(make_logic, environment, monkeypatch):
    def nothing_installed():
        raise InstallationError("The packages it needs are not installed yet.")

    monkeypatch.setattr(environment, "worker_command", nothing_installed)
    job = make_logic(environment).segment(made_volume(name="CT"), ["cyst"], wait=True)
    assert job.state is JobState.FAILED
    assert job.reason == "The packages it needs are not installed yet."


def test_waiting_ends_when_the_scene_is_closed_meanwhile(make_logic, environment):
    environment.mode = "slow"
    qt.QTimer.singleShot(1500, lambda: slicer.mrmlScene.Clear(0))
    job = make_logic(environment).segment(made_volume(name="CT"), ["cyst"], wait=True)
    assert job.state is JobState.CANCELLED and "scene was closed" in job.reason


def test_waiting_inside_a_listener_is_refused_instead_of_hanging(host, make_logic, environment):
    logic, met = make_logic(environment), []

    def ask_again(job):
        if job.state is JobState.RUNNING and not met:
            try:
                logic.jobs.wait(job)
            except RuntimeError as error:
                met.append(str(error))

    logic.segment(made_volume(name="CT"), ["cyst"], listener=ask_again, wait=True)
    assert met and "add a listener" in met[0]


def test_a_closed_logic_has_no_worker_and_takes_no_job(make_logic, environment):
    logic = make_logic(environment)
    volume = made_volume(name="CT")
    logic.segment(volume, ["cyst"], wait=True)
    worker = logic.jobs.worker_pid
    logic.close()
    assert gone(worker)
    with pytest.raises(RuntimeError, match="closed"):
        logic.segment(volume, ["cyst"])


def test_the_in_app_test_passes_and_says_what_it_skips(host, module, environment, monkeypatch, caplog):
    environment.ready, environment.state = False, "The packages it needs are not installed yet."
    monkeypatch.setattr(module, "Environment", lambda: environment)
    with caplog.at_level("INFO"):
        slicer.selfTests["DiffuGTSSlicer"]()
    assert "Skipped the segmentation: The packages it needs are not installed yet." in caplog.text


def test_the_tutorials_scan_is_registered_when_slicer_has_started(host, module):
    slicer.modules.sampleDataSources.pop("DiffuGTS", None)
    slicer.app.startupCompleted.emit()
    assert [source.sampleName for source in slicer.modules.sampleDataSources["DiffuGTS"]] == ["GeneratedThighCT"]


def test_the_module_says_what_it_is_and_that_it_is_for_research(module):
    instance = slicer.modules.DiffuGTSSlicerInstance.parent
    assert instance.title == "DiffuGTS" and instance.categories == ["Segmentation"]
    assert "Not a medical device" in instance.helpText
    assert "arXiv:2505.02753" in instance.acknowledgementText
