"""Two runs on the same cases, held against each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from diffugts.errors import RequestError
from diffugts.evaluation.comparison import compare
from diffugts.evaluation.lesionwise import LesionScores, TrueLesion
from diffugts.evaluation.overlap import Overlap
from diffugts.evaluation.records import CaseRecord, Figures

SCORES = (0.30, 0.41, 0.52, 0.37, 0.66, 0.45, 0.58, 0.49)


def figures(dsc: float, found_ml: float = 10.0) -> Figures:
    lesions = LesionScores([TrueLesion(10.0, dsc > 0, dsc, 5.0)], 0, dsc, 5.0)
    return Figures(Overlap(dsc, dsc, 5.0, 10.0, found_ml, 1.0), lesions, "found", 0.9, None, 0.5, 1.0)


def record(
    name: str, dsc: float, method: str = "standard", truth_ml: float = 10.0, found_ml: float = 10.0
) -> CaseRecord:
    return CaseRecord(name, "liver", "liver tumour", "CT", "x", truth_ml, {method: figures(dsc, found_ml)})


def written(folder: Path, records: list[CaseRecord]) -> Path:
    for each in records:
        place = folder / "cases" / each.name
        place.mkdir(parents=True)
        (place / "case.json").write_text(each.as_json(), encoding="utf-8")
    (folder / "run.json").write_text(json.dumps({"data": "d", "methods": {}}), encoding="utf-8")
    return folder


def run_of(folder: Path, gain: float, method: str = "standard") -> Path:
    return written(folder, [record(f"case{n}", score + gain * (1 + n / 10), method) for n, score in enumerate(SCORES)])


def test_a_gain_in_every_case_is_shown_and_survives_the_correction(tmp_path: Path) -> None:
    comparison = compare(run_of(tmp_path / "a", 0.0), run_of(tmp_path / "b", 0.1))
    by_measure = {d.measure: d for d in comparison.differences}
    dsc = by_measure["dsc"]
    assert dsc.difference > 0 and dsc.low > 0 and dsc.verdict == "second better"
    assert dsc.p == pytest.approx(2 / 2**8) and dsc.p_corrected > dsc.p
    assert by_measure["hd95_mm"].verdict == "no difference shown", "the distances are all the same"


def test_the_same_run_twice_shows_no_difference(tmp_path: Path) -> None:
    comparison = compare(run_of(tmp_path / "a", 0.0), run_of(tmp_path / "b", 0.0))
    assert {d.verdict for d in comparison.differences} == {"no difference shown"}
    assert {d.p_corrected for d in comparison.differences} == {1.0}


def test_less_marked_in_tumour_free_scans_is_better(tmp_path: Path) -> None:
    a = [record(f"free{n}", 0.0, truth_ml=0.0, found_ml=20.0 + n) for n in range(8)]
    b = [record(f"free{n}", 0.0, truth_ml=0.0, found_ml=1.0 + n / 2) for n in range(8)]
    (only,) = compare(written(tmp_path / "a", a), written(tmp_path / "b", b)).differences
    assert (only.measure, only.verdict) == ("found_ml", "second better")


def test_few_cases_are_shown_but_not_tested_and_do_not_weigh_on_the_others(tmp_path: Path) -> None:
    runs = []
    for name, gain in (("a", 0.0), ("b", 0.1)):
        many = [record(f"case{n}", score + gain * (1 + n / 10)) for n, score in enumerate(SCORES)]
        few = [replace(record(f"lung{n}", 0.2 + gain), folder="lung") for n in range(3)]
        runs.append(written(tmp_path / name, many + few))
    by_group = {d.group: d for d in compare(*runs).differences if d.measure == "dsc"}
    assert by_group["lung"].p is None and by_group["lung"].verdict == "too few cases to tell"
    assert by_group["liver"].p_corrected <= 10 * by_group["liver"].p, "ten tests, not fifteen"
    assert (by_group["all cases"].cases, by_group["all cases"].verdict) == (11, "second better")


def test_only_cases_of_both_runs_with_the_same_truth_are_paired_and_that_is_told(tmp_path: Path) -> None:
    first = run_of(tmp_path / "a", 0.0)
    others = [record(f"case{n}", score) for n, score in enumerate(SCORES[:5])]
    others[0] = replace(others[0], truth_ml=99.0)
    others[1] = replace(others[1], description="hepatic mass")
    comparison = compare(first, written(tmp_path / "b", others))
    assert {d.cases for d in comparison.differences} == {4}
    notes = " ".join(comparison.notes)
    assert "3 cases are finished in one run only" in notes
    assert "truth differs between the runs in 1 cases" in notes and "In 1 cases the two runs were asked" in notes


def test_methods_may_be_named_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    a, b = run_of(tmp_path / "a", 0.0), run_of(tmp_path / "b", 0.1, method="unet")
    assert compare(a, b).second == "b (unet)", "its only one"
    with pytest.raises(RequestError, match="no method 'fast', only unet"):
        compare(a, b, second_method="fast")


def test_runs_without_a_case_in_common_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no finished case in common"):
        compare(run_of(tmp_path / "a", 0.0), written(tmp_path / "b", [record("other", 0.5)]))
    with pytest.raises(RequestError, match="no evaluation run"):
        compare(tmp_path / "a", tmp_path / "nowhere")
