"""The installing program as a real process, with the real pip and wheels made on the spot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from made_wheels import (
    BROKEN_REPORT,
    CHECK,
    WORKING_REPORT,
    quiet_pip,
    write_index,
    write_lists,
    write_wheel,
    write_wheels,
)

from DiffuGTSSlicerLib.package_folder import MARKER, InstallPlan, PackageFolder, read_marker
from DiffuGTSSlicerLib.process_tree import kill_tree, start_apart

LIBRARY = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer"
PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
NAME = "DiffuGTS packages of Jürgen Müller 日本"


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """Where the packages go: a path with spaces and letters of several alphabets."""
    return tmp_path / NAME


@pytest.fixture
def plan(tmp_path: Path) -> InstallPlan:
    lists = write_lists(tmp_path / "lists")
    wheels = write_wheels(tmp_path / "räder 2")
    return InstallPlan(
        str(lists / "requirements.txt"), str(lists / "constraints.txt"), str(tmp_path), wheels=str(wheels), check=CHECK
    )


def line_for(task: str, parent: Path, plan: InstallPlan | None = None) -> list[str]:
    told = [json.dumps(asdict(plan))] if plan else []
    return [sys.executable, "-m", "DiffuGTSSlicerLib.package_install", task, str(parent), *told]


def environment(**more: str) -> dict[str, str]:
    return {**quiet_pip(os.environ), "PYTHONPATH": str(LIBRARY), **more}


def run(task: str, parent: Path, plan: InstallPlan | None = None, **more: str) -> tuple[list[dict], str]:
    """The events of a whole run, and what it logged."""
    process = start_apart(line_for(task, parent, plan), environment(**more))
    out, log = b"", b""
    try:
        keep_open, process.stdin = process.stdin, None  # communicate() would close it, which is the sign to end
        out, log = process.communicate(timeout=300)
        keep_open.close()
    finally:
        kill_tree(process)
    return [json.loads(line) for line in out.decode().splitlines()], log.decode()


def steps_of(events: list[dict]) -> list[str]:
    return [event["step"] for event in events if event["event"] == "step"]


def fault_of(events: list[dict]) -> dict:
    assert events[-1]["event"] == "failed", events
    return events[-1]


def works(packages: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", "import made_tool; print(made_tool.VALUE)"],
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
    )
    return done.stdout.strip() == b"7"


def interrupt_at(step: str, parent: Path, plan: InstallPlan) -> None:
    """Kill the program and its pip a moment after it began with a step."""
    process = start_apart(line_for("install", parent, plan), environment())
    for line in process.stdout:
        if json.loads(line).get("step") == step:
            break
    else:
        pytest.fail(f"the program ended before '{step}': {process.stderr.read().decode()}")
    time.sleep(0.1)
    assert process.poll() is None
    kill_tree(process)
    process.wait(10)


def test_packages_from_a_folder_of_wheels_are_installed_checked_and_moved_into_place(parent: Path, plan: InstallPlan):
    events, log = run("install", parent, plan)
    assert events[-1]["event"] == "done", log
    assert steps_of(events) == ["prepare", "prepare", "torch", "others", "unpack", "check", "swap"]
    folder = PackageFolder(parent, PYTHON)
    record = folder.record
    assert record is not None and record.report == WORKING_REPORT and record.python == PYTHON
    assert works(folder.packages)
    assert record.size_bytes > 400_000 and events[-1]["bytes"] == record.size_bytes
    assert sorted(path.name for path in parent.iterdir()) == [folder.path.name]
    assert sorted(path.name for path in folder.path.iterdir()) == [MARKER, "site", "torch-pin.txt"]


def test_from_indexes_torch_comes_from_its_own_and_the_rest_from_the_usual_one(
    parent: Path, plan: InstallPlan, tmp_path: Path
):
    wheels = Path(plan.wheels)
    write_wheel(wheels, "torch", "2.13.0", {"torch/__init__.py": "raise ImportError('the wrong build')\n"})
    special = tmp_path / "special"
    special.mkdir()
    (wheels / "torch-2.13.0+made-py3-none-any.whl").rename(special / "torch-2.13.0+made-py3-none-any.whl")
    usual = write_index(tmp_path / "usual index", wheels, "torch", "made_part", "made_tool", "made_doctor")
    torch_index = write_index(tmp_path / "torch index", special, "torch")
    events, log = run("install", parent, replace(plan, wheels="", torch_index=torch_index), PIP_INDEX_URL=usual)
    assert events[-1]["event"] == "done", log
    folder = PackageFolder(parent, PYTHON)
    assert (folder.packages / "torch-2.13.0+made.dist-info").is_dir()
    assert not (folder.path / "wheels").exists(), "fetched wheels are not needed twice"


@pytest.mark.parametrize("step", ["unpack", "check"])
def test_an_installation_killed_in_the_middle_is_never_taken_for_a_whole_and_resumes(
    step: str, parent: Path, plan: InstallPlan
):
    if step == "check":
        slow = {"made_doctor.py": f"import time\ntime.sleep(1)\nprint({json.dumps(json.dumps(WORKING_REPORT))})\n"}
        write_wheel(Path(plan.wheels), "made_doctor", "0.1", slow, needs=("made-tool", "torch"))
    interrupt_at(step, parent, plan)
    folder = PackageFolder(parent, PYTHON)
    assert folder.record is None and not folder.path.exists()
    assert folder.interrupted is not None and folder.interrupted.plan == plan
    events, log = run("resume", parent)
    assert events[-1]["event"] == "done", log
    assert steps_of(events)[0] == step, "what was done is not done again"
    assert folder.interrupted is None and works(folder.packages)


def test_an_installation_ends_with_slicer_and_its_pip_with_it(parent: Path, plan: InstallPlan):
    process = start_apart(line_for("install", parent, plan), environment())
    while json.loads(process.stdout.readline()).get("step") != "unpack":
        pass
    process.stdin.close()
    assert process.wait(10) == 130
    assert PackageFolder(parent, PYTHON).interrupted is not None


def test_repairing_leaves_the_old_packages_in_use_until_the_new_ones_have_proven_themselves(
    parent: Path, plan: InstallPlan
):
    run("install", parent, plan)
    folder = PackageFolder(parent, PYTHON)
    first = folder.record.made_at
    (folder.packages / "made_part.py").write_text("VALUE = 'damaged'\n")
    interrupt_at("unpack", parent, plan)
    assert folder.record.made_at == first
    events, log = run("install", parent, plan)
    assert events[-1]["event"] == "done", log
    assert folder.record.made_at > first and works(folder.packages)
    assert sorted(path.name for path in parent.iterdir()) == [folder.path.name]


def test_packages_that_do_not_work_are_not_put_in_use(parent: Path, plan: InstallPlan):
    run("install", parent, plan)
    before = PackageFolder(parent, PYTHON).record
    write_wheels(Path(plan.wheels), BROKEN_REPORT)
    fault = fault_of(run("install", parent, plan)[0])
    assert fault["fault"] == "broken" and fault["facts"]["problems"] == ["torch: cannot be used: DLL load failed"]
    assert PackageFolder(parent, PYTHON).record == before


def test_removing_takes_everything_of_ours_away_and_says_how_much(parent: Path, plan: InstallPlan):
    run("install", parent, plan)
    size = PackageFolder(parent, PYTHON).record.size_bytes
    interrupt_at("unpack", parent, plan)
    (parent / "holiday.jpg").write_text("not ours")
    events, log = run("remove", parent)
    assert events[-1]["event"] == "done" and events[-1]["bytes"] >= size, log
    assert [path.name for path in parent.iterdir()] == ["holiday.jpg"]


def test_a_removal_that_was_interrupted_is_finished_by_the_next_one(parent: Path, plan: InstallPlan):
    run("install", parent, plan)
    folder = PackageFolder(parent, PYTHON)
    folder.path.rename(folder.outgoing)
    assert folder.record is None and folder.leftover
    run("remove", parent)
    assert list(parent.iterdir()) == []


@pytest.mark.parametrize("task", ["install", "remove"])
def test_a_folder_that_we_did_not_make_is_left_alone(task: str, parent: Path, plan: InstallPlan):
    folder = PackageFolder(parent, PYTHON)
    folder.path.mkdir(parents=True)
    (folder.path / "thesis.docx").write_text("years of work")
    fault = fault_of(run(task, parent, plan if task == "install" else None)[0])
    assert fault["fault"] == "not ours" and fault["facts"]["folder"] == str(folder.path)
    assert (folder.path / "thesis.docx").read_text() == "years of work"


def test_a_link_is_not_followed_when_packages_are_removed(parent: Path, plan: InstallPlan, tmp_path: Path):
    run("install", parent, plan)
    folder = PackageFolder(parent, PYTHON)
    elsewhere = folder.path.rename(tmp_path / "elsewhere")
    folder.path.symlink_to(elsewhere)
    assert fault_of(run("remove", parent)[0])["fault"] == "not ours"
    assert read_marker(elsewhere) is not None


def test_nothing_is_begun_where_the_disk_is_too_small(parent: Path, plan: InstallPlan):
    fault = fault_of(run("install", parent, replace(plan, wheels="", needed_bytes=10**18))[0])
    assert fault["fault"] == "disk full" and fault["facts"]["needed"] > fault["facts"]["free"] > 0


def test_a_place_that_cannot_be_written_to_is_named(tmp_path: Path, plan: InstallPlan):
    (tmp_path / "file").write_text("")
    fault = fault_of(run("install", tmp_path / "file", plan)[0])
    assert fault["fault"] == "not writable" and fault["facts"]["folder"] == str(tmp_path / "file")


def test_a_folder_without_wheels_and_one_that_lacks_a_package_are_told_apart(
    parent: Path, plan: InstallPlan, tmp_path: Path
):
    assert fault_of(run("install", parent, replace(plan, wheels=str(tmp_path)))[0])["fault"] == "no wheels"
    next(Path(plan.wheels).glob("made_part*")).unlink()
    fault = fault_of(run("install", parent, plan)[0])
    assert fault["fault"] == "no package" and fault["facts"]["package"].startswith("made-part")


def test_a_wheel_that_was_cut_off_is_named(parent: Path, plan: InstallPlan):
    wheel = next(Path(plan.wheels).glob("made_tool*"))
    wheel.write_bytes(wheel.read_bytes()[:-120])
    fault = fault_of(run("install", parent, plan)[0])
    assert fault["fault"] == "damaged wheel" and fault["facts"]["wheel"] == wheel.name


def test_an_index_that_cannot_be_reached_is_a_missing_connection(parent: Path, plan: InstallPlan):
    nowhere = replace(plan, wheels="", torch_index="http://127.0.0.1:9/simple")
    assert fault_of(run("install", parent, nowhere)[0])["fault"] == "no connection"


def test_a_python_without_pip_is_said_to_have_none(parent: Path, plan: InstallPlan, tmp_path: Path):
    broken = tmp_path / "shadow"
    (broken / "pip").mkdir(parents=True)
    (broken / "pip" / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'pip'\")\n")
    path = os.pathsep.join([str(LIBRARY), str(broken)])
    assert fault_of(run("install", parent, plan, PYTHONPATH=path)[0])["fault"] == "pip missing"


def test_two_slicers_do_not_install_into_one_folder_at_once(parent: Path, plan: InstallPlan):
    first = start_apart(line_for("install", parent, plan), environment())
    while json.loads(first.stdout.readline()).get("step") != "unpack":
        pass
    assert fault_of(run("install", parent, plan)[0])["fault"] == "busy"
    kill_tree(first)
    first.wait(10)
    assert run("resume", parent)[0][-1]["event"] == "done"


def test_what_the_user_set_up_for_pip_does_not_lead_an_offline_installation_astray(parent: Path, plan: InstallPlan):
    astray = {"PIP_USER": "1", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_REQUIRE_VIRTUALENV": "1"}
    events, log = run("install", parent, plan, **astray)
    assert events[-1]["event"] == "done", log
    assert "127.0.0.1" not in log
