"""Several volumes asked for at once by a script: a job each, one behind the other, and none stops another one."""

from __future__ import annotations

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
from made_volumes import made_volume  # noqa: E402
from opened_module import *  # noqa: E402, F403

from diffugts.errors import RequestError, ScanError  # noqa: E402
from DiffuGTSSlicerLib.expected_cost import ExpectedCost  # noqa: E402
from DiffuGTSSlicerLib.job import JobState  # noqa: E402

NAMES = ("CT one", "CT two", "CT three")


def made_volumes(names=NAMES) -> list:
    return [made_volume(kind, name=name) for kind, name in zip(("oblique", "left-handed", "straight"), names)]


def test_each_volume_has_a_job_of_its_own_with_the_same_choices(make_logic, environment):
    volumes = made_volumes()
    jobs = make_logic(environment).segmentVolumes(
        volumes, "liver tumour\nrenal cell carcinoma", quality="fast", threshold=0.4, seed=3, wait=True
    )
    assert [job.state for job in jobs] == 3 * [JobState.DONE], [job.reason for job in jobs]
    assert [job.order.volume_id for job in jobs] == [volume.GetID() for volume in volumes]
    chosen = {(job.order.descriptions, job.order.quality, job.order.threshold, job.order.seed) for job in jobs}
    assert chosen == {(("liver tumour", "renal cell carcinoma"), "fast", 0.4, 3)}
    for job, volume in zip(jobs, volumes):
        segmentation = slicer.mrmlScene.GetNodeByID(job.result.segmentation_id)
        assert segmentation.GetNodeReference("DiffuGTS.Volume") is volume
        assert job.companions == jobs


def test_without_waiting_they_come_back_at_once_and_one_listener_hears_of_all(host, make_logic, environment):
    heard = []
    jobs = make_logic(environment).segmentVolumes(
        made_volumes(), ["cyst"], listener=lambda job: heard.append((job.order.volume_name, job.state))
    )
    assert [job.state for job in jobs] == 3 * [JobState.WAITING]
    host.wait_until(lambda: all(job.state.over for job in jobs), 40)
    assert [name for name, state in heard if state is JobState.DONE] == list(NAMES)


def test_a_volume_that_comes_twice_is_taken_once(make_logic, environment):
    volumes = made_volumes()
    jobs = make_logic(environment).segmentVolumes([*volumes, volumes[0]], ["cyst"], wait=True)
    assert [job.order.volume_name for job in jobs] == list(NAMES)


def test_a_job_by_itself_has_no_companions(make_logic, environment):
    logic = make_logic(environment)
    assert logic.segment(made_volume(name="CT"), ["cyst"], wait=True).companions == ()
    assert logic.segmentVolumes([made_volume(name="CT")], ["cyst"], wait=True)[0].companions == ()


def test_a_volume_deleted_while_it_waits_is_told_and_the_others_are_done(host, make_logic, environment):
    environment.mode = "unhurried"
    volumes = made_volumes()
    jobs = make_logic(environment).segmentVolumes(volumes, ["cyst"])
    host.wait_until(lambda: jobs[0].progress.stage == "encoding" or jobs[0].state.over, 40)
    slicer.mrmlScene.RemoveNode(volumes[1])
    host.wait_until(lambda: all(job.state.over for job in jobs), 40)
    assert [job.state for job in jobs] == [JobState.DONE, JobState.FAILED, JobState.DONE]
    assert jobs[1].reason == "The volume 'CT two' was deleted before its turn came. Load it again."


def test_a_worker_killed_at_one_volume_costs_that_one_only(make_logic, environment):
    environment.mode = "killed"
    jobs = make_logic(environment).segmentVolumes(made_volumes(), ["cyst"], wait=True)
    assert [job.state for job in jobs] == [JobState.FAILED, JobState.DONE, JobState.DONE]
    assert "ended in the middle of the job" in jobs[0].reason


def test_one_is_cancelled_and_the_others_go_on(host, make_logic, environment):
    environment.mode = "unhurried"
    logic = make_logic(environment)
    jobs = logic.segmentVolumes(made_volumes(), ["cyst"])
    logic.jobs.cancel(jobs[1])
    host.wait_until(lambda: all(job.state.over for job in jobs), 40)
    assert [job.state for job in jobs] == [JobState.DONE, JobState.CANCELLED, JobState.DONE]


def test_the_scene_closed_meanwhile_cancels_all_and_stays_empty(host, make_logic, environment):
    environment.mode = "slow"
    logic = make_logic(environment)
    jobs = logic.segmentVolumes(made_volumes(), ["cyst"])
    host.wait_until(lambda: jobs[0].progress.stage == "encoding", 40)
    slicer.mrmlScene.Clear(0)
    host.wait_until(lambda: all(job.state.over for job in jobs), 40)
    assert [job.state for job in jobs] == 3 * [JobState.CANCELLED]
    assert all("The scene was closed" in job.reason for job in jobs)
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode") and logic.jobs.unfinished == ()


def test_one_volume_that_cannot_be_segmented_is_named_and_none_is_put_in_line(make_logic, environment):
    logic = make_logic(environment)
    flat = made_volume(name="CT flat", shape=(3, 20, 24))
    with pytest.raises(ScanError, match="'CT flat' has 24 x 20 x 3 voxels"):
        logic.segmentVolumes([*made_volumes(), flat], ["cyst"])
    with pytest.raises(ScanError, match="^scan 4: Say whether the volume is CT or MR"):
        logic.segmentVolumes([*made_volumes(), made_volume(name="scan 4")], ["cyst"])
    with pytest.raises(RequestError, match="^No description is given"):
        logic.segmentVolumes(made_volumes(), " ")
    with pytest.raises(RequestError, match="Choose a volume"):
        logic.segmentVolumes([], ["cyst"])
    assert logic.jobs.unfinished == ()


def test_the_cost_of_several_is_their_time_added_up_and_the_most_memory_of_one():
    costs = [ExpectedCost(60.0, 2.0), ExpectedCost(90.0, 3.5)]
    assert ExpectedCost.together(costs) == ExpectedCost(150.0, 3.5)
    assert ExpectedCost.together([*costs, ExpectedCost(None, None)]).in_words() == ""
