"""A cohort through the real worker process: the same as single runs, resumed after a kill, its failures listed."""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import SimpleITK as sitk
import torch
from filelock import FileLock

from command_line import call, call_process
from diffugts.cohort.case_folder import CaseFolder
from diffugts.cohort.findings_table import write_findings_table
from diffugts.cohort.run import LOCK, MOST_ATTEMPTS, Outcome, carry_out_cohort
from diffugts.cohort.table import Case, read_table
from diffugts.errors import InstallationError, RequestError, ResultError
from diffugts.preset import ModelPreset
from diffugts.protocol import Event, Region, Request, ResultManifest, Stage
from diffugts.worker.link import WorkerLink
from job_folders import write_scan
from worker_process import HERE, environment

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"


def made_cases(folder: Path, count: int) -> list[Case]:
    (folder / "model").mkdir()
    rows = [f"{write_scan(folder / f's{n}.nrrd', seed=n).name},bright ball" for n in range(count)]
    (folder / "table.csv").write_text("\n".join(["image,descriptions", *rows]))
    return read_table(folder / "table.csv", {"model": str(folder / "model"), "device": "cpu", "modality": "MR"})


class Heard:
    """A listener that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def began(self, case: Case) -> None:
        self.told.append((case.name, "began"))

    def progress(self, case: Case, event: Event) -> None:
        self.told.append((case.name, event.fields["stage"]))

    def ended(self, outcome: Outcome) -> None:
        self.told.append((outcome.case.name, "earlier" if outcome.earlier else "ended"))


def worker(step_s: float = 0.0) -> WorkerLink:
    return WorkerLink([sys.executable, str(HERE / "slow_pipeline_worker.py"), str(step_s)], environment())


def carried_out(cases: list[Case], folder: Path, workers: int = 1) -> list[Outcome]:
    return carry_out_cohort(cases, folder / "out", [worker() for _ in range(workers)], Heard())


def test_every_case_is_done_and_kept_the_next_time(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 3)
    first = carried_out(cases, tmp_path, workers=2)
    assert [o.failure for o in first] == ["", "", ""] and not any(o.earlier for o in first)
    again = carried_out(cases, tmp_path)
    assert all(o.earlier for o in again)
    assert not psutil.Process().children()


def test_a_scan_that_cannot_be_read_is_listed_and_the_others_are_done(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 3)
    (tmp_path / "s1.nrrd").write_bytes(b"no scan")
    outcomes = carried_out(cases, tmp_path)
    assert [o.manifest is not None for o in outcomes] == [True, False, True]
    assert outcomes[1].failure


def test_a_changed_scan_is_done_again(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 2)
    carried_out(cases, tmp_path)
    write_scan(tmp_path / "s0.nrrd", seed=9)
    assert [o.earlier for o in carried_out(cases, tmp_path)] == [False, True]


def test_a_result_that_somebody_changed_is_neither_kept_as_finished_nor_overwritten(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 1)
    (done,) = carried_out(cases, tmp_path)
    changed = done.manifest.folder / done.manifest.files[0].name
    changed.write_bytes(b"corrected by hand")
    (again,) = carried_out(cases, tmp_path)
    assert again.manifest is None and "changed since" in again.failure
    assert changed.read_bytes() == b"corrected by hand"


def test_killed_in_the_middle_it_goes_on_and_redoes_only_what_was_not_finished(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 3)
    program = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_cohort_run as t\n"
        "from diffugts.cohort.table import read_table\n"
        "f = Path(sys.argv[2]); o = {'model': str(f / 'model'), 'device': 'cpu', 'modality': 'MR'}\n"
        "t.carry_out_cohort(read_table(f / 'table.csv', o), f / 'out', [t.worker(0.05)], t.Heard())"
    )
    process = subprocess.Popen([sys.executable, "-c", program, str(HERE), str(tmp_path)], env=environment())
    first = CaseFolder(tmp_path / "out", cases[0])
    end = time.monotonic() + 60
    while first.finished() is None:
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    children = psutil.Process(process.pid).children()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    gone, alive = psutil.wait_procs(children, 20)
    assert gone and not alive, "the worker ends with who started it"
    outcomes = carried_out(cases, tmp_path)
    assert all(o.manifest is not None for o in outcomes)
    assert outcomes[0].earlier and not outcomes[2].earlier


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX systems")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopped_it_ends_its_workers_and_leaves_nothing_half_written(tmp_path: Path, how: signal.Signals) -> None:
    cases = made_cases(tmp_path, 2)
    program = (
        "import signal, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_cohort_run as t\n"
        "from diffugts.cohort.table import read_table\n"
        "signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command has it\n"
        "f = Path(sys.argv[2]); o = {'model': str(f / 'model'), 'device': 'cpu', 'modality': 'MR'}\n"
        "links = [t.worker(0.2), t.worker(0.2)]\n"
        "try: t.carry_out_cohort(read_table(f / 'table.csv', o), f / 'out', links, t.Heard())\n"
        "except KeyboardInterrupt: print('stopped')"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(HERE), str(tmp_path)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    end = time.monotonic() + 60
    while len(children := psutil.Process(process.pid).children()) < 2 or not all(
        (tmp_path / "out" / "cases" / case.name / "request.json").is_file() for case in cases
    ):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.02)
    time.sleep(0.5)
    process.send_signal(how)
    out, err = process.communicate(timeout=30)
    assert (out, err) == ("stopped\n", "")
    assert not psutil.wait_procs(children, 10)[1]
    for case in cases:
        assert [path.name for path in (tmp_path / "out" / "cases" / case.name).iterdir()] == ["request.json"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "image\na.nrrd",
        "image,descriptions\n",
        "image,descriptions\na.nrrd,",
        "image,descriptions\na.nrrd,x\nb/a.nrrd,y",
    ],
)
def test_a_table_that_is_none_is_refused_with_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(RequestError):
        read_table(tmp_path / "table.csv", {})


def test_two_processes_do_not_work_in_one_folder(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 1)
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / LOCK), pytest.raises(ResultError, match="Another process"):
        carried_out(cases, tmp_path)


def killed_while_at_work(link: WorkerLink, heard: Heard, pids: list[int], times: int) -> None:
    """Kill the link's process (-9) a moment after it took up a case, again for each new one."""
    while len(pids) < times:
        began = sum(what == "began" for _, what in heard.told)
        pid = link.pid
        if began > len(pids) and pid is not None and pid not in pids:
            time.sleep(0.05)
            pids.append(pid)
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.02)


def test_a_worker_killed_in_a_case_is_replaced_and_the_case_done(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 2)
    slow, heard, pids = worker(0.1), Heard(), []
    killer = threading.Thread(target=killed_while_at_work, args=(slow, heard, pids, 1), daemon=True)
    killer.start()
    outcomes = carry_out_cohort(cases, tmp_path / "out", [slow], heard)
    assert [o.failure for o in outcomes] == ["", ""]
    assert len(pids) == 1 and sum(what == "began" for _, what in heard.told) == 3


class Killing(Heard):
    """A listener that kills a process (-9) the first time that a case named `case` is at a stage."""

    def __init__(self, stage: str, case: str, pid: Callable[[], int | None]) -> None:
        super().__init__()
        self._stage, self._case, self._pid = stage, case, pid

    def progress(self, case: Case, event: Event) -> None:
        at = (case.name, event.fields["stage"])
        first = at == (self._case, self._stage) and at not in self.told
        super().progress(case, event)
        if first:
            os.kill(self._pid() or 0, signal.SIGKILL)


def require_whole_and_nothing_else(cases: list[Case], output: Path) -> None:
    """Every case has a whole result, and nothing that a killed process has left beside it."""
    for case in cases:
        folder = CaseFolder(output, case)
        assert folder.finished() is not None
        assert {path.name for path in folder.folder.iterdir()} == {"request.json", "finished.json", "result"}


STAGES = [stage.value for stage in Stage if stage is not Stage.LOADING]
"""Loading the stand-in takes no time that a job could be killed in."""


@pytest.mark.parametrize("stage", STAGES)
def test_a_worker_killed_at_any_stage_costs_nothing_but_time(tmp_path: Path, stage: str) -> None:
    cases = made_cases(tmp_path, 2)
    link = worker(0.03)
    heard = Killing(stage, "s1", lambda: link.pid)
    outcomes = carry_out_cohort(cases, tmp_path / "out", [link], heard)
    assert [o.failure for o in outcomes] == ["", ""]
    assert heard.told.count(("s1", "began")) == 2 and heard.told.count(("s0", "began")) == 1
    require_whole_and_nothing_else(cases, tmp_path / "out")


@pytest.mark.parametrize("stage", STAGES)
def test_the_command_killed_at_any_stage_loses_no_finished_case(tmp_path: Path, stage: str) -> None:
    cases = made_cases(tmp_path, 2)
    program = (
        "import os, sys; from pathlib import Path; sys.path.insert(0, sys.argv[1]); import test_cohort_run as t\n"
        "from diffugts.cohort.table import read_table\n"
        "f = Path(sys.argv[2]); o = {'model': str(f / 'model'), 'device': 'cpu', 'modality': 'MR'}\n"
        "heard = t.Killing(sys.argv[3], 's1', os.getpid)\n"
        "t.carry_out_cohort(read_table(f / 'table.csv', o), f / 'out', [t.worker(0.03)], heard)"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(HERE), str(tmp_path), stage], env=environment())
    assert killed.returncode == -signal.SIGKILL
    outcomes = carried_out(cases, tmp_path)
    assert [(o.failure, o.earlier) for o in outcomes] == [("", True), ("", False)]
    require_whole_and_nothing_else(cases, tmp_path / "out")


def test_a_case_that_always_ends_its_worker_is_given_up_with_a_sentence(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 1)
    slow, heard, pids = worker(0.3), Heard(), []
    killer = threading.Thread(target=killed_while_at_work, args=(slow, heard, pids, MOST_ATTEMPTS), daemon=True)
    killer.start()
    (outcome,) = carry_out_cohort(cases, tmp_path / "out", [slow], heard)
    assert outcome.manifest is None and "out of memory" in outcome.failure
    assert len(pids) == MOST_ATTEMPTS


def test_a_worker_that_cannot_start_is_done_without_and_none_at_all_is_said(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 2)
    absent = WorkerLink([str(tmp_path / "no such program")])
    with pytest.raises(InstallationError, match="could not be started"):
        carry_out_cohort(cases, tmp_path / "out", [absent], Heard())
    outcomes = carry_out_cohort(cases, tmp_path / "out", [absent, worker()], Heard())
    assert all(o.manifest is not None for o in outcomes)


def test_a_cohort_that_is_done_starts_no_worker(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 2)
    carried_out(cases, tmp_path)
    absent = WorkerLink([str(tmp_path / "no such program")])
    assert all(o.earlier for o in carry_out_cohort(cases, tmp_path / "out", [absent], Heard()))


def test_who_listens_hears_of_every_case_from_its_beginning_to_its_end(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 2)
    heard = Heard()
    carry_out_cohort(cases, tmp_path / "out", [worker(0.01)], heard)
    for case in cases:
        told = [what for name, what in heard.told if name == case.name]
        assert told[0] == "began" and told[-1] == "ended" and "encoding" in told
    again = Heard()
    carry_out_cohort(cases, tmp_path / "out", [worker()], again)
    assert again.told == [(case.name, "earlier") for case in cases]


def test_a_row_gives_region_modality_name_and_several_descriptions(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        'image,descriptions,roi,modality,name\na.nii.gz,liver metastasis|cyst,"10,0,0,-5,20,30",ct,P 1\nb.nii.gz,cyst,,,\n'
    )
    first, second = read_table(tmp_path / "t.csv", {"modality": "MR"})
    assert first.request.descriptions == ("liver metastasis", "cyst")
    assert first.request.region == Region((-5.0, 0.0, 0.0), (10.0, 20.0, 30.0))
    assert (first.request.modality, second.request.modality) == ("CT", "MR")
    assert first.name.startswith("P_1-") and second.name == "b"


@pytest.mark.parametrize(("image", "name"), [(".", "study-7"), ("/", "scan"), (".nrrd", "nrrd-0635af86"), ("..", None)])
def test_a_case_whose_scan_has_no_name_has_a_folder_of_its_own_all_the_same(
    tmp_path: Path, image: str, name: str | None
) -> None:
    folder = tmp_path / "study-7"
    folder.mkdir()
    (folder / "scans.csv").write_text(f"image,descriptions\n{image},cyst\n")
    (case,) = read_table(folder / "scans.csv", {})
    assert case.name == Path(case.name).name not in ("", ".", "..")
    assert name is None or case.name == name


def test_the_table_of_findings_lists_lesions_and_why_a_case_failed(tmp_path: Path) -> None:
    cases = made_cases(tmp_path, 2)
    (tmp_path / "s1.nrrd").write_bytes(b"no scan")
    outcomes = carried_out(cases, tmp_path)
    write_findings_table(outcomes, tmp_path / "findings.csv")
    rows = list(csv.DictReader((tmp_path / "findings.csv").open(encoding="utf-8-sig", newline="")))
    assert {row["case"]: row["state"] for row in rows} == {"s0": "done", "s1": "failed"}
    assert rows[-1]["failure"] == outcomes[1].failure


def easily_satisfied(folder: Path) -> Path:
    """A copy of the shipped model that calls something found in any scan."""
    shutil.copytree(COMPACT, folder)
    preset = ModelPreset.load(folder)
    levels = {
        name: replace(level, calibration=replace(level.calibration, threshold=0.01, least_anomaly_score=0.0))
        for name, level in preset.qualities.items()
    }
    replace(preset, qualities=levels).save(folder)
    return folder


@pytest.mark.parametrize("quality, painted", [("fast", False), ("standard", True)])
def test_the_command_gives_what_a_single_run_gives(tmp_path: Path, quality: str, painted: bool) -> None:
    write_scan(tmp_path / "s.nrrd")
    (tmp_path / "table.csv").write_text("image,descriptions,modality\ns.nrrd,liver metastasis,MR\n")
    model = easily_satisfied(tmp_path / "model")
    options = ("--output", tmp_path / "out", "--device", "cpu", "--quality", quality, "--model", model)
    many = call_process("cohort", tmp_path / "table.csv", *options)
    assert many.code == 0, many.err
    assert "data:image/jpeg" in (tmp_path / "out" / "contact-sheet.html").read_text(encoding="utf-8")
    case = tmp_path / "out" / "cases" / "s"
    single = tmp_path / "single"
    replace(Request.load(case / "request.json"), output=str(single)).save(tmp_path / "single.json")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as the worker has it: sums in another order would differ in their last digits
    try:
        assert call("run", tmp_path / "single.json").code == 0
    finally:
        torch.set_num_threads(threads)
    ours, theirs = (ResultManifest.load(folder) for folder in (case / "result", single))
    assert ours.findings == theirs.findings
    pictures = [[record.sha256 for record in each.files if record.role == "picture"] for each in (ours, theirs)]
    assert pictures[0] == pictures[1] and len(pictures[0]) == 1
    compared = set()
    for record in ours.files:
        if record.role in ("segmentation", "score map", "pseudo-healthy", "residual"):
            path = theirs.file(record.role, record.description)
            a, b = (sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in (ours.folder / record.name, path))
            assert np.array_equal(a, b) and a.any(), record.role
            compared.add(record.role)
    assert compared == {"segmentation", "score map", *({"pseudo-healthy", "residual"} if painted else ())}
