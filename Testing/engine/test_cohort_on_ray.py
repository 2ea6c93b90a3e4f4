"""A cohort on a Ray cluster of machines on this one: the same case folders, a lost machine, a killed command; needs Ray."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from command_line import call, call_process
from diffugts.cohort.case_folder import CaseFolder
from diffugts.errors import InstallationError, RequestError
from diffugts.protocol import Event, ResultManifest
from job_folders import write_scan
from test_cohort_run import STAGES, Heard, made_cases, require_whole_and_nothing_else
from worker_process import HERE, environment

try:
    import ray
    from ray.cluster_utils import Cluster
except ImportError:
    ray = None

needs_ray = pytest.mark.skipif(ray is None, reason="the extra 'ray' is not installed")


def test_without_ray_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ray", "diffugts.cohort.on_ray", "diffugts.worker.on_ray"):
        monkeypatch.setitem(sys.modules, name, None)
    write_scan(tmp_path / "s.nrrd")
    asked = call("cohort", tmp_path, "--output", tmp_path / "out", "--prompt", "cyst", "--ray", "auto")
    assert asked.code == InstallationError.exit_code and "diffugts[ray]" in asked.err
    assert not (tmp_path / "out").exists()


@needs_ray
def test_what_each_worker_takes_of_the_cluster() -> None:
    from diffugts.cohort.on_ray import Machine, Share, share_of

    small, large, gpus = Machine(4, 0), Machine(16, 0), Machine(32, 4)
    assert share_of([small, gpus, gpus], "auto", None) == Share(8, 8, 1)
    assert share_of([small, gpus], "cuda", 2) == Share(2, 8, 1)
    assert share_of([small, large], "auto", None) == Share(2, 8, 0), "as many as there are machines"
    assert share_of([small, large], "cpu", 5) == Share(5, 4, 0)
    assert share_of([gpus], "cpu", None) == Share(1, 32, 0)
    assert share_of([small], "auto", 9) == Share(9, 1, 0), "more than there is place for wait"
    for machines, device, words in (
        ([small], "cuda", "no GPU"),
        ([small], "cuda:0,cuda:1", "Ray gives each worker"),
        ([Machine(0, 0)], "auto", "no processor core"),
    ):
        with pytest.raises(RequestError, match=words):
            share_of(machines, device, None)


@pytest.fixture
def machines() -> Iterator[Cluster]:
    """A head without cores and two machines with one each."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    cluster.add_node(num_cpus=1)
    cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    yield cluster
    ray.shutdown()
    cluster.shutdown()


class HeardEarly(Heard):
    """Calls `when_busy` once so many cases are being encoded at the same time."""

    def __init__(self, count: int, when_busy: threading.Event) -> None:
        super().__init__()
        self._count, self._when_busy = count, when_busy

    def progress(self, case, event: Event) -> None:
        super().progress(case, event)
        if len({name for name, what in self.told if what == "encoding"}) >= self._count:
            self._when_busy.set()


def with_ray() -> dict[str, str]:
    """The environment of a command that finds Ray wherever this test has it from."""
    return {"PYTHONPATH": os.pathsep.join((environment()["PYTHONPATH"], *filter(None, sys.path)))}


def stand_in(step_s: float) -> tuple[str, ...]:
    from diffugts.worker.on_ray import OWN_PYTHON

    return OWN_PYTHON, str(HERE / "slow_pipeline_worker.py"), str(step_s)


@needs_ray
@pytest.mark.slow
def test_two_machines_do_the_cases_and_what_is_finished_is_kept(tmp_path: Path, machines: Cluster) -> None:
    from diffugts.cohort.on_ray import cluster, links, share_of
    from diffugts.cohort.run import carry_out_cohort

    cases = made_cases(tmp_path, 4)
    (tmp_path / "s1.nrrd").write_bytes(b"no scan")
    with cluster(machines.address) as met:
        assert sorted(machine.cores for machine in met) == [0, 1, 1]
        share = share_of(met, "cpu", None)
        outcomes = carry_out_cohort(cases, tmp_path / "out", links(share, 4, stand_in(0.02)), Heard())
        assert [o.manifest is not None for o in outcomes] == [True, False, True, True] and outcomes[1].failure
        again = carry_out_cohort(cases, tmp_path / "out", links(share, 4, stand_in(0.02)), Heard())
    assert [o.earlier for o in again] == [True, False, True, True]


@needs_ray
@pytest.mark.slow
def test_a_lost_machine_is_outlived_and_its_case_done_on_another(tmp_path: Path, machines: Cluster) -> None:
    from diffugts.cohort.on_ray import cluster, links, share_of
    from diffugts.cohort.run import carry_out_cohort

    cases = made_cases(tmp_path, 4)
    busy = threading.Event()
    heard = HeardEarly(2, busy)

    def lose_one() -> None:
        busy.wait(120)
        machines.remove_node(machines.list_all_nodes()[-1], allow_graceful=False)

    losing = threading.Thread(target=lose_one)
    losing.start()
    with cluster(machines.address) as met:
        outcomes = carry_out_cohort(cases, tmp_path / "out", links(share_of(met, "cpu", None), 4, stand_in(0.3)), heard)
    losing.join()
    assert busy.is_set(), "both machines were at work"
    assert [o.failure for o in outcomes] == [""] * 4
    assert sum(what == "began" for _, what in heard.told) == 5, "the case of the lost machine began again"


@needs_ray
@pytest.mark.slow
def test_where_no_machine_is_left_the_cohort_waits_until_one_is_back(tmp_path: Path) -> None:
    from diffugts.cohort.on_ray import Share, cluster, links
    from diffugts.cohort.run import carry_out_cohort

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    only = made.add_node(num_cpus=1)
    made.wait_for_nodes()
    cases, busy, outcomes = made_cases(tmp_path, 1), threading.Event(), []
    heard = HeardEarly(1, busy)
    try:
        with cluster(made.address):
            link = links(Share(1, 1, 0), 1, stand_in(0.1))
            # Machines come and go on the main thread alone: Ray sets signal handlers.
            carrying = threading.Thread(
                target=lambda: outcomes.extend(carry_out_cohort(cases, tmp_path / "out", link, heard)), daemon=True
            )
            carrying.start()
            assert busy.wait(120)
            made.remove_node(only, allow_graceful=False)
            time.sleep(20)
            assert carrying.is_alive() and not outcomes
            made.add_node(num_cpus=1)
            carrying.join(180)
    finally:
        made.shutdown()
    assert [o.failure for o in outcomes] == [""] and heard.told.count(("s0", "began")) == 2


@needs_ray
@pytest.mark.slow
def test_an_actor_ends_a_job_that_was_given_up_before_it_takes_another(tmp_path: Path) -> None:
    import asyncio

    from diffugts.worker.on_ray import WorkerActor

    cases = made_cases(tmp_path, 2)
    for case in cases:
        CaseFolder(tmp_path / "out", case).prepare()
    first, second = (CaseFolder(tmp_path / "out", case) for case in cases)

    async def give_up_and_ask_again() -> str:
        actor = WorkerActor(stand_in(0.1))
        given_up = actor.carry_out("a", str(first.request_path))
        await given_up.__anext__()  # it is at work, and nobody listens any more
        said = [line async for line in actor.carry_out("b", str(second.request_path))]
        await actor.close()
        return said[-1]

    assert '"done"' in asyncio.run(give_up_and_ask_again())
    assert second.finish().findings and not first.result_folder.exists()


def actor_pid() -> int:
    """The process of the one actor."""
    (pid,) = [process.pid for process in psutil.process_iter() if actor_named(process)]
    return pid


def actor_named(process: psutil.Process) -> bool:
    try:
        return process.cmdline()[:1] != [] and process.cmdline()[0].startswith("ray::WorkerActor")
    except psutil.Error:
        return False


class KillingActors(Heard):
    """Kills the actor (-9) at another stage of every case."""

    def progress(self, case, event: Event) -> None:
        at = (case.name, event.fields["stage"])
        first = at not in self.told
        super().progress(case, event)
        if first and at == (case.name, STAGES[int(case.name[1:])]):
            os.kill(actor_pid(), signal.SIGKILL)


@needs_ray
@pytest.mark.slow
def test_an_actor_killed_at_any_stage_costs_nothing_but_time(tmp_path: Path, machines: Cluster) -> None:
    from diffugts.cohort.on_ray import Share, cluster, links
    from diffugts.cohort.run import carry_out_cohort

    cases, heard = made_cases(tmp_path, len(STAGES)), KillingActors()
    with cluster(machines.address):
        outcomes = carry_out_cohort(cases, tmp_path / "out", links(Share(1, 1, 0), 1, stand_in(0.05)), heard)
    assert [o.failure for o in outcomes] == [""] * len(STAGES)
    began = [heard.told.count((case.name, "began")) for case in cases]
    # The kill while the last one is written may come when its result is whole already.
    assert began in ([2] * len(STAGES), [2] * (len(STAGES) - 1) + [1]), "each began again once"
    require_whole_and_nothing_else(cases, tmp_path / "out")


MOST_BYTES_PER_CASE = 100_000
"""Of the lines of a case, in the object stores of all machines together."""


def passed_through_the_stores() -> tuple[int, int]:
    """(bytes ever put into the object stores of the machines, bytes spilled from them), as the raylets count them."""
    from ray._private.internal_api import get_memory_info_reply
    from ray._private.worker import global_worker

    alive = [node for node in ray.nodes() if node["Alive"]]
    asked = [(node["NodeManagerAddress"], node["NodeManagerPort"]) for node in alive]
    stores = [get_memory_info_reply(None, *address).store_stats for address in asked]
    assert global_worker.connected and len(stores) == 3
    # Each raylet answers for all machines.
    return max(s.cumulative_created_bytes for s in stores), max(s.spilled_bytes_total for s in stores)


@needs_ray
@pytest.mark.slow
def test_scans_and_results_never_pass_through_the_object_store_and_nothing_is_spilled(tmp_path: Path) -> None:
    from diffugts.cohort.on_ray import Share, cluster, links
    from diffugts.cohort.run import carry_out_cohort

    smallest = {"object_store_memory": 75 << 20}  # that Ray takes: a hundred such scans' voxels do not fit
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **smallest})
    for _ in range(2):
        made.add_node(num_cpus=1, **smallest)
    made.wait_for_nodes()
    cases = made_cases(tmp_path, 4)
    for number, case in enumerate(cases):
        write_scan(Path(case.request.scan), size=64, seed=number)
    smallest_scan = min(Path(case.request.scan).stat().st_size for case in cases)
    assert smallest_scan > 5 * MOST_BYTES_PER_CASE, "one scan alone would be noticed"
    try:
        with cluster(made.address):
            outcomes = carry_out_cohort(cases, tmp_path / "out", links(Share(2, 1, 0), 4, stand_in(0.0)), Heard())
            assert [o.failure for o in outcomes] == [""] * 4
            put, spilled = passed_through_the_stores()
            assert spilled == 0 and put <= MOST_BYTES_PER_CASE * len(cases), (put, spilled)
            kept = ray.put(bytes(smallest_scan))  # what is counted, is counted
            end = time.monotonic() + 30
            while passed_through_the_stores()[0] < put + smallest_scan:
                assert time.monotonic() < end, "the raylets count nothing"
                time.sleep(0.2)
            del kept
            session = Path(made.head_node.get_session_dir_path())
            assert not [path for path in session.rglob("ray_spilled_objects*/*") if path.is_file()]
    finally:
        made.shutdown()


@needs_ray
@pytest.mark.slow
def test_a_cancel_that_finds_its_actor_lost_is_no_error(machines: Cluster) -> None:
    import asyncio

    from diffugts.cohort.on_ray import cluster
    from diffugts.worker.on_ray import RayLink

    async def cancel_after_a_kill() -> None:
        link = RayLink(stand_in(0.1), 0)
        await link.ready()
        os.kill(actor_pid(), signal.SIGKILL)
        await link.cancel("a")  # there is no such job any more: what carries it out says what became of it
        await link.close()

    with cluster(machines.address):
        asyncio.run(cancel_after_a_kill())


@needs_ray
@pytest.mark.slow
def test_the_command_on_a_cluster_killed_and_started_again(tmp_path: Path, machines: Cluster) -> None:
    (tmp_path / "scans").mkdir()
    for number in range(3):
        write_scan(tmp_path / "scans" / f"s{number}_MR.nrrd", seed=number)
    asked = ["cohort", tmp_path / "scans", "--output", tmp_path / "out", "--prompt", "cyst", "--quality", "fast"]
    asked += ["--ray", machines.address, "--device", "cpu", "--workers", "2"]
    before = set(psutil.pids())
    process = subprocess.Popen(
        [sys.executable, "-m", "diffugts", *map(str, asked)],
        env=environment(**with_ray()),
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    first = next(line for line in process.stderr if line.startswith("1/3"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 60
    while left := [pid for pid in set(psutil.pids()) - before if is_worker(pid)]:
        assert time.monotonic() < end, f"workers {left} outlived the command"
        time.sleep(0.2)
    again = call_process(*asked, **with_ray())
    assert again.code == 0, again.err
    name = first.split()[1].rstrip(":")
    assert f"{name}: done before" in again.err and "3 of 3 cases are finished" in again.out
    for number in range(3):
        ResultManifest.load(tmp_path / "out" / "cases" / f"s{number}_MR" / "result")


def is_worker(pid: int) -> bool:
    try:
        return "--idle-release" in psutil.Process(pid).cmdline()
    except psutil.Error:
        return False


@needs_ray
@pytest.mark.slow
def test_an_address_without_a_cluster_is_refused_with_a_sentence(tmp_path: Path) -> None:
    write_scan(tmp_path / "s.nrrd")
    asked = call_process(
        "cohort",
        tmp_path,
        "--output",
        tmp_path / "out",
        "--prompt",
        "cyst",
        "--ray",
        "auto",
        RAY_ADDRESS="",
        **with_ray(),
    )
    assert asked.code == RequestError.exit_code, asked.err
    assert "no Ray cluster at 'auto'" in asked.err and "Traceback" not in asked.err
