"""The worker's environment through real programs: installed, checked, repaired, removed, and what is said of it."""

from __future__ import annotations

import json
import os
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import qt
from made_wheels import BROKEN_REPORT, CHECK, quiet_pip, write_lists, write_wheel, write_wheels

from diffugts.errors import InstallationError
from DiffuGTSSlicerLib.environment import VARIABLE, Environment
from DiffuGTSSlicerLib.setup_faults import Fault

LIBRARY = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer"
PATIENCE_S = 180.0


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(VARIABLE, raising=False)
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    for name, value in quiet_pip({}).items():
        monkeypatch.setenv(name, value)
    qt.QSettings().remove("DiffuGTS")
    yield
    qt.QSettings().remove("DiffuGTS")


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Environment]]:
    """Environments that install made wheels offline; the second one is as after a restart of Slicer."""
    made: list[Environment] = []

    def make_one() -> Environment:
        lists = write_lists(tmp_path / "lists")
        environment = Environment(own_python=Path(sys.executable), package_lists=lists, check=CHECK)
        made.append(environment)
        return environment

    yield make_one
    for environment in made:
        environment.close()


@pytest.fixture
def environment(make: Callable[[], Environment], tmp_path: Path) -> Environment:
    environment = make()
    write_wheels(tmp_path / "wheels")
    environment.choose(
        parent_folder=str(tmp_path / "Für Ärzte"), package_source="wheels", wheels_folder=str(tmp_path / "wheels")
    )
    return environment


def wait(environment: Environment, until: Callable[[], bool] | None = None) -> None:
    """Let timers run until what is being done is done."""
    until = until or (lambda: environment.activity is None)
    ends = time.monotonic() + PATIENCE_S
    while not until():
        assert time.monotonic() < ends, (environment.activity, list(environment.log)[-10:])
        qt.QApplication.processEvents()
        time.sleep(0.01)


def installed(environment: Environment) -> Environment:
    environment.install()
    wait(environment)
    assert environment.fault is None, environment.fault
    return environment


def test_where_nothing_is_set_up_it_says_what_to_do(environment: Environment):
    ready, line = environment.readiness()
    assert not ready and line.startswith("The packages that DiffuGTS needs are not installed yet. Press Install")
    with pytest.raises(InstallationError, match="not installed yet"):
        environment.worker_command()
    assert [(device.value, device.proven) for device in environment.devices()] == [("auto", False), ("cpu", False)]


def test_after_installing_it_is_ready_and_the_worker_finds_the_packages_first(environment: Environment):
    seen: list[str] = []
    environment.listeners.append(lambda: seen.append(environment.readiness()[1]))
    installed(environment)
    assert environment.readiness() == (True, "Ready: compact model · CPU (tested) · 1 MB of packages")
    assert seen[0] == "Starting" and any(line.startswith("Unpacking") for line in seen)
    command = environment.worker_command()
    assert command.python == Path(sys.executable)
    first, second, *_ = command.environment()["PYTHONPATH"].split(os.pathsep)
    assert Path(first) == environment.folder.packages and Path(second) == LIBRARY
    assert [(device.value, device.label, device.proven) for device in environment.devices()] == [
        ("auto", "Automatic (CPU)", True),
        ("cpu", "CPU", True),
    ]


def test_what_lies_in_slicer_s_own_packages_does_not_come_before_ours(make, environment: Environment, tmp_path: Path):
    """Slicer's launcher puts Slicer's packages before the path; there an extension may have put another torch."""
    inside_slicer = tmp_path / "Slicer 5.12" / "site-packages"
    inside_slicer.mkdir(parents=True)
    (inside_slicer / "made_part.py").write_text("VALUE = 'of Slicer'\n")
    launcher = tmp_path / "PythonSlicer"
    launcher.write_text(f'#!/bin/sh\nexport PYTHONPATH="{inside_slicer}:$PYTHONPATH"\nexec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    doctor = """
        import json, subprocess, sys, made_part, torch
        child = subprocess.run([sys.executable, "-c", "import made_part; print(made_part.VALUE)"], capture_output=True)
        found = f"{made_part.VALUE}, in a child {child.stdout.decode().strip()}, told {sys.argv[1:]}"
        print(json.dumps({"works": True, "checks": [dict(topic="package", name="part", state="ok", found=found)]}))
    """
    write_wheel(
        tmp_path / "wheels", "made_doctor", "0.1", {"made_doctor.py": textwrap.dedent(doctor)}, ("made-tool", "torch")
    )
    environment._own_python = launcher
    installed(environment)
    environment.choose(models_folder=str(tmp_path))
    environment.check()
    wait(environment)
    (line,) = environment.report.lines
    assert line.found == f"7, in a child 7, told ['--models', '{tmp_path}']"


def test_what_was_installed_is_ready_after_a_restart_without_another_check(environment: Environment, make):
    line = installed(environment).readiness()
    again = make()
    assert again.readiness() == line
    again.check_if_unknown()
    assert again.activity is None


def test_packages_of_an_earlier_version_are_checked_again_before_they_are_called_ready(
    environment: Environment, make, tmp_path: Path
):
    line = installed(environment).readiness()
    again = make()
    with (tmp_path / "lists" / "requirements.txt").open("a") as lists:
        lists.write("made-part\n")
    assert "Not checked yet" in again.readiness()[1]
    again.check_if_unknown()
    wait(again)
    assert again.readiness() == line


def test_a_cancelled_installation_is_offered_to_be_resumed_after_a_restart(environment: Environment, make):
    environment.install()
    wait(environment, lambda: environment.activity.step == "unpack")
    environment.cancel()
    assert environment.readiness()[1] == "Stopping"
    wait(environment)
    assert environment.fault is None, "stopping on the user's own wish is no failure"
    again = make()
    assert not again.go_on_after_restart(), "the user stopped it"
    ready, line = again.readiness()
    assert not ready and line.startswith("The installation was interrupted. Nothing that was fetched is lost")
    assert "until you press Resume in Setup" in line
    again.resume()
    wait(again)
    assert again.readiness()[0] and again.folder.interrupted is None


def closed_in_the_middle(environment: Environment, step: str = "unpack") -> None:
    """Slicer is closed while it installs."""
    environment.install()
    wait(environment, lambda: environment.activity.step == step)
    environment.close()


def test_an_installation_goes_on_by_itself_after_slicer_was_closed(environment: Environment, make):
    closed_in_the_middle(environment)
    again = make()
    assert again.go_on_after_restart() and again.activity.by_itself
    wait(again)
    assert again.fault is None and again.readiness()[0] and again.folder.interrupted is None
    steps = [line for line in again.log if line.startswith("= ")]
    assert steps == ["= unpack", "= check", "= swap"], "what was done before is not done again"
    assert not make().go_on_after_restart()


def test_an_installation_that_goes_on_by_itself_can_be_cancelled_and_waits_then(environment: Environment, make):
    closed_in_the_middle(environment)
    again = make()
    again.go_on_after_restart()
    again.cancel()
    wait(again)
    again.close()
    assert not make().go_on_after_restart()


def test_it_goes_on_after_each_restart(environment: Environment, make):
    closed_in_the_middle(environment)
    second = make()
    second.go_on_after_restart()
    second.close()  # at once: what is left takes less than a look at it
    third = make()
    assert third.go_on_after_restart()
    wait(third)
    assert third.readiness()[0]


def test_after_a_crash_nothing_goes_on_by_itself(environment: Environment, make):
    environment.install()
    wait(environment, lambda: environment.activity.step == "unpack")
    environment._running.kill()  # as Slicer's end does, without a chance to note anything
    again = make()
    assert not again.go_on_after_restart() and again.activity is None
    assert "until you press Resume" in again.readiness()[1]


def test_a_crash_while_it_goes_on_by_itself_ends_that(environment: Environment, make):
    """An installation that brings Slicer down must not do so at every start."""
    closed_in_the_middle(environment)
    again = make()
    again.go_on_after_restart()
    again._running.kill()
    assert not make().go_on_after_restart()


def test_what_was_agreed_to_and_is_another_now_does_not_go_on_by_itself(environment: Environment, make, tmp_path: Path):
    closed_in_the_middle(environment)
    with (tmp_path / "lists" / "requirements.txt").open("a") as lists:
        lists.write("made-part\n")  # the extension was updated by the restart: other packages, never agreed to
    again = Environment(own_python=Path(sys.executable), package_lists=tmp_path / "lists", check=CHECK)
    assert not again.go_on_after_restart() and again.activity is None


def test_an_unfinished_installation_of_somebody_else_does_not_go_on_by_itself(
    environment: Environment, make, tmp_path: Path
):
    closed_in_the_middle(environment)
    again = make()
    again.choose(parent_folder=str(tmp_path / "elsewhere"))
    assert not again.go_on_after_restart()


def test_nothing_is_installed_that_was_never_agreed_to(environment: Environment):
    assert not environment.go_on_after_restart()
    assert environment.activity is None and not environment.folder.path.parent.exists()


def test_discarding_an_interrupted_installation_leaves_nothing(environment: Environment):
    environment.install()
    wait(environment, lambda: environment.activity.step == "unpack")
    environment.cancel()
    wait(environment)
    environment.discard()
    wait(environment)
    assert list(environment.folder.path.parent.iterdir()) == []


def test_a_program_ended_from_outside_is_told_and_can_be_resumed(environment: Environment):
    environment.install()
    wait(environment, lambda: environment.activity.step == "unpack")
    environment._running._process.kill()
    wait(environment)
    assert environment.fault.fault is Fault.KILLED and "SIGKILL" in environment.fault.facts["line"]
    environment.resume()
    wait(environment)
    assert environment.readiness()[0]


def test_repairing_puts_sound_packages_in_place_and_a_worker_is_told_to_let_go(environment: Environment):
    installed(environment)
    (environment.folder.packages / "made_part.py").unlink()
    told: list[bool] = []
    environment.before_change.append(lambda: told.append(environment.readiness()[0]))
    installed(environment)
    assert (environment.folder.packages / "made_part.py").is_file() and told


def test_a_repair_that_fails_keeps_what_was_there(environment: Environment, tmp_path: Path):
    line = installed(environment).readiness()
    write_wheels(tmp_path / "wheels", BROKEN_REPORT)
    environment.install()
    wait(environment)
    assert environment.fault.fault is Fault.BROKEN
    assert environment.readiness() == line


def test_removing_frees_the_folder(environment: Environment):
    installed(environment)
    environment.remove()
    wait(environment)
    assert not environment.folder.path.exists()
    assert not environment.readiness()[0]


def test_packages_damaged_later_are_noticed_by_a_check(environment: Environment):
    installed(environment)
    (environment.folder.packages / "made_part.py").unlink()
    environment.check()
    wait(environment)
    assert environment.fault.fault is Fault.NO_MODULE and environment.fault.facts["package"] == "made_part"


def test_nothing_waits_for_an_installation(environment: Environment):
    began = time.perf_counter()
    environment.install()
    longest = time.perf_counter() - began
    while environment.activity is not None:
        began = time.perf_counter()
        qt.QApplication.processEvents()
        longest = max(longest, time.perf_counter() - began)
        time.sleep(0.005)
    assert longest < 0.5, "starting pip alone takes longer: somebody waited for it"


def test_another_python_is_used_with_its_own_packages_and_the_system_s_variables(environment: Environment):
    environment.choose(python_source="other", other_python=sys.executable)
    command = environment.worker_command()
    assert command.packages_folder is None
    assert command.environment()["PYTHONPATH"] == str(LIBRARY)
    assert environment.readiness() == (True, "Not checked yet: press Check to see whether it works")


def test_another_python_that_was_deleted_later_is_said_to_be_gone(environment: Environment, tmp_path: Path):
    python = tmp_path / "env" / "python"
    python.parent.mkdir()
    python.symlink_to(sys.executable)
    environment.choose(python_source="other", other_python=str(python))
    environment.worker_command()
    python.unlink()
    with pytest.raises(InstallationError, match="is no longer there. Choose another one in Setup"):
        environment.worker_command()


def test_a_program_that_is_no_python_is_refused_with_its_name(environment: Environment):
    environment.choose(python_source="other", other_python="/bin/ls")
    environment.check()
    wait(environment)
    ready, line = environment.readiness()
    assert not ready and line.startswith("'/bin/ls' does not start as a Python")


def test_a_python_of_another_version_is_refused_with_its_version(environment: Environment, tmp_path: Path):
    old = tmp_path / "python"
    old.write_text("#!/bin/sh\necho 3.8.10\n")
    old.chmod(0o755)
    environment.choose(python_source="other", other_python=str(old))
    environment.check()
    wait(environment)
    assert environment.readiness()[1].startswith("Python 3.8.10 cannot be used: 3.10 to 3.13 are supported")


def test_a_python_without_the_packages_is_told_which_one_it_lacks(environment: Environment):
    environment.choose(python_source="other", other_python=sys.executable)
    environment.check()  # this one has no made_doctor
    wait(environment)
    assert f"The Python '{sys.executable}' lacks the package 'made_doctor'" in environment.readiness()[1]


def test_a_gpu_whose_driver_is_too_old_leaves_the_cpu_and_is_said_to_fail(environment: Environment, tmp_path: Path):
    report = {
        "works": True,
        "checks": [
            {"topic": "device", "name": "cpu", "state": "ok", "found": "works", "facts": {"title": "8 threads"}},
            {"topic": "device", "name": "cuda", "state": "warning", "found": "The NVIDIA driver is too old."},
        ],
    }
    write_wheels(tmp_path / "wheels", report)
    installed(environment)
    assert "CPU (tested; the GPU cannot be used)" in environment.readiness()[1]
    assert [(device.value, device.proven) for device in environment.devices()] == [
        ("auto", True),
        ("cpu", True),
        ("cuda", False),
    ]


def test_a_gpu_that_was_proven_is_named(environment: Environment, tmp_path: Path):
    gpu = {"topic": "device", "name": "cuda:0", "state": "ok", "found": "works", "facts": {"title": "NVIDIA RTX A2000"}}
    write_wheels(tmp_path / "wheels", {"works": True, "checks": [gpu]})
    installed(environment)
    assert "GPU 0 NVIDIA RTX A2000 (tested)" in environment.readiness()[1]
    assert environment.devices()[0].label == "Automatic (GPU 0 NVIDIA RTX A2000)"


def test_a_developer_s_variable_names_the_python_until_something_is_chosen(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(VARIABLE, sys.executable)
    assert environment.worker_command().python == Path(sys.executable)
    environment.choose(python_source="own")
    with pytest.raises(InstallationError):
        environment.worker_command()


def test_the_shipped_model_and_those_of_another_folder_can_be_chosen(environment: Environment, tmp_path: Path):
    mine = tmp_path / "models" / "mine"
    mine.mkdir(parents=True)
    (mine / "model_index.json").write_text("{}")
    (mine / "preset.json").write_text(json.dumps({"title": "Our liver model"}))
    environment.choose(models_folder=str(tmp_path / "models"))
    models = {model.name: model for model in environment.models()}
    assert "compact" in models and models["mine"].title == "Our liver model"
    environment.choose(models_folder=str(mine))
    assert [model.folder for model in environment.models()][-1] == mine


def test_without_slicer_s_own_python_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    environment = Environment()
    environment.choose(parent_folder=str(tmp_path))
    environment.install()
    assert environment.fault.fault is Fault.NO_PYTHON
    assert "PythonSlicer" in environment.fault.facts["line"]


def test_closing_ends_the_program_that_runs(environment: Environment, tmp_path: Path):
    slow = {"made_doctor.py": "import time\ntime.sleep(60)\n"}
    write_wheel(tmp_path / "wheels", "made_doctor", "0.1", slow, needs=("made-tool", "torch"))
    environment.install()
    wait(environment, lambda: environment.activity.step == "check")
    process = environment._running._process
    environment.close()
    assert process.wait(5) != 0
