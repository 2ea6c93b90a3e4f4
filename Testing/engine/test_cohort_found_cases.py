"""The cases of a folder: what is asked of every scan, their names, and the whole command on a tree of DICOM studies."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from command_line import call, call_process
from dicom_writing import write_series
from diffugts.cohort.case_folder import CaseFolder
from diffugts.cohort.found_cases import find_cases
from diffugts.errors import RequestError
from job_folders import write_scan
from test_scans_found_scans import stored


def test_every_scan_is_asked_for_the_same_and_dicom_states_its_own_modality(tmp_path: Path) -> None:
    write_scan(tmp_path / "knee.nrrd")
    ct = write_series(tmp_path / "p1", stored())
    write_series(tmp_path / "p2", stored(), modality="MR")
    found = find_cases(tmp_path, ["cyst", "scar"], tmp_path / "out", {"modality": "CT", "device": "cpu"})
    assert [(case.name, case.request.modality, case.request.series) for case in found.cases] == [
        ("knee", "CT", None),
        ("p1-4", "CT", ct),
    ]
    assert all(case.request.descriptions == ("cyst", "scar") for case in found.cases)
    assert [(each.name, each.reason) for each in found.passed_over] == [
        ("p2/4", "The series is MR; CT was asked for.")
    ]  # fmt: skip


def test_names_that_would_be_the_same_stay_apart_and_another_scan_changes_no_name(tmp_path: Path) -> None:
    for name in ("a/b.nrrd", "a-b.nrrd", "c.nrrd"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_scan(tmp_path / name)
    before = {Path(case.request.scan): case.name for case in find_cases(tmp_path, ["x"], tmp_path / "o", {}).cases}
    assert len({CaseFolder(tmp_path, case).folder for case in find_cases(tmp_path, ["x"], tmp_path, {}).cases}) == 3
    write_scan(tmp_path / "0.nrrd")
    after = {Path(case.request.scan): case.name for case in find_cases(tmp_path, ["x"], tmp_path / "o", {}).cases}
    assert before.items() < after.items()


def test_a_folder_without_a_scan_is_refused_with_what_was_met(tmp_path: Path) -> None:
    write_series(tmp_path / "scouts", stored(3))
    with pytest.raises(RequestError, match="holds no scan.*\n.*scouts/4: .*3 parallel images"):
        find_cases(tmp_path, ["cyst"], tmp_path / "out", {})


def test_descriptions_come_from_the_table_or_from_the_command_line_never_from_both(tmp_path: Path) -> None:
    write_scan(tmp_path / "s.nrrd")
    (tmp_path / "t.csv").write_text("image,descriptions\ns.nrrd,cyst\n")
    folder = call("cohort", tmp_path, "--output", tmp_path / "out")
    table = call("cohort", tmp_path / "t.csv", "--output", tmp_path / "out", "--prompt", "cyst")
    assert (folder.code, table.code) == (2, 2)
    assert "--prompt" in folder.err and "leave --prompt out" in table.err


def test_a_tree_of_studies_is_segmented_and_what_was_passed_over_is_in_the_table(tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    for number in (1, 2):
        write_series(studies / f"patient-{number}" / "portal", stored(seed=number), spacing_mm=(4, 4, 4), number=number)
    write_series(studies / "patient-1" / "scout", stored(2), number=9)
    output = studies / "results"
    asked = ["cohort", studies, "--output", output, "--prompt", "cyst", "--device", "cpu", "--quality", "fast"]
    done = call_process(*asked)
    assert done.code == 0, done.err
    assert "Passed over: patient-1/scout/9: The DICOM series holds 2 parallel images" in done.err
    rows = list(csv.DictReader((output / "findings.csv").open(encoding="utf-8-sig", newline="")))
    assert {row["case"]: row["state"] for row in rows} == {
        "patient-1-portal-1": "done",
        "patient-2-portal-2": "done",
        "patient-1/scout/9": "passed over",
    }
    again = call_process(*asked)
    assert again.code == 0 and again.err.count("done before") == 2, again.err
