"""An evaluation run: it goes on where it was stopped, and never mixes what does not belong together."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import made_datasets as made
from diffugts.baselines.regions import RegionBaseline
from diffugts.errors import Cancelled, RequestError
from diffugts.evaluation.html_report import best_median_worst, write_html
from diffugts.evaluation.layouts import read_cases
from diffugts.evaluation.report import write_tables
from diffugts.evaluation.run import EvaluationRun
from diffugts.evaluation.summary import summarise


class Watched(RegionBaseline):
    """A real baseline that counts the scans it was shown, and stops at one of them if told to."""

    def __init__(self, name: str = "otsu", stop_at: int | None = None) -> None:
        super().__init__(name)
        self.shown: list[str] = []
        self.stop_at = stop_at

    def segment(self, scan, description):
        if len(self.shown) == self.stop_at:
            raise Cancelled("Stopped.")
        self.shown.append(scan.name)
        return super().segment(scan, description)


def run_in(folder: Path, method: RegionBaseline, data: str = "thighs") -> EvaluationRun:
    run = EvaluationRun(folder, (method,), data)
    run.open()
    return run


def quiet(_: str) -> None: ...


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return made.table(tmp_path / "data", cases=3, healthy=1)


def test_a_stopped_run_goes_on_with_what_is_not_finished(tmp_path: Path, table: Path) -> None:
    cases, folder = read_cases(table), tmp_path / "run"
    with pytest.raises(Cancelled):
        run_in(folder, Watched(stop_at=2)).evaluate(cases, pictures=False, say=quiet)
    assert sorted(path.name for path in (folder / "cases").iterdir()) == ["thigh0", "thigh1"], "nothing half-written"
    method = Watched()
    records = run_in(folder, method).evaluate(cases, pictures=False, say=quiet)
    assert method.shown == ["thigh2", "healthy0"]
    assert [record.name for record in records] == ["thigh0", "thigh1", "thigh2", "healthy0"]


def test_what_is_read_back_is_what_was_measured(tmp_path: Path, table: Path) -> None:
    cases = read_cases(table)
    measured = run_in(tmp_path / "run", Watched()).evaluate(cases, pictures=False, say=quiet)
    read = run_in(tmp_path / "run", Watched()).evaluate(cases, pictures=False, say=quiet)
    assert read == measured


def test_a_damaged_or_changed_case_is_computed_again_and_the_others_are_not(tmp_path: Path, table: Path) -> None:
    cases, folder = read_cases(table), tmp_path / "run"
    run_in(folder, Watched()).evaluate(cases, pictures=False, say=quiet)
    (folder / "cases" / "thigh1" / "case.json").write_text('{"name": "thi', encoding="utf-8")
    made.write_labels(table.parent / "scans" / "thigh2_truth.nii.gz", 2)
    method = Watched()
    run_in(folder, method).evaluate(cases, pictures=False, say=quiet)
    assert method.shown == ["thigh1", "thigh2"]


def test_another_method_or_data_set_in_the_same_folder_is_refused_unless_started_afresh(
    tmp_path: Path, table: Path
) -> None:
    folder = tmp_path / "run"
    run_in(folder, Watched()).evaluate(read_cases(table), pictures=False, say=quiet)
    for other in (EvaluationRun(folder, (Watched("outlier"),), "thighs"), EvaluationRun(folder, (Watched(),), "heads")):
        with pytest.raises(RequestError, match="holds another evaluation"):
            other.open()
    EvaluationRun(folder, (Watched("outlier"),), "thighs").open(fresh=True)
    assert not (folder / "cases").exists()


def test_a_case_that_cannot_be_read_is_told_and_the_others_are_measured(tmp_path: Path, table: Path) -> None:
    cases = read_cases(table)
    (table.parent / "scans" / "thigh1.nii.gz").write_bytes(b"no scan")
    told: list[str] = []
    records = run_in(tmp_path / "run", Watched()).evaluate(cases, pictures=False, say=told.append)
    assert [bool(record.failure) for record in records] == [False, True, False, False]
    assert any("thigh1: could not be evaluated" in line for line in told)
    summary = summarise(records)
    assert summary.failed == ["thigh1"] and summary.groups[0].cases == 2
    made.write_scan(table.parent / "scans" / "thigh1.nii.gz", 1)
    method = Watched()
    run_in(tmp_path / "run", method).evaluate(read_cases(table), pictures=False, say=quiet)
    assert method.shown == ["thigh1"], "a failure is tried again"


def test_names_that_no_file_may_have_get_folders_of_their_own(tmp_path: Path, table: Path) -> None:
    text = table.read_text(encoding="utf-8").replace("image,label", "name,image,label", 1)
    rows = text.splitlines()
    named = [rows[0], f"a/b,{rows[1]}", f"a:b,{rows[2]}"]
    table.write_text("\n".join(named), encoding="utf-8")
    run = run_in(tmp_path / "run", Watched())
    records = run.evaluate(read_cases(table), pictures=False, say=quiet)
    assert len({run.case_folder(record) for record in records}) == 2
    assert all(run.case_folder(record).parent == run.folder / "cases" for record in records)


def test_means_are_of_cases_with_a_tumour_and_the_others_have_their_own_line(tmp_path: Path, table: Path) -> None:
    summary = summarise(run_in(tmp_path / "run", Watched()).evaluate(read_cases(table), pictures=False, say=quiet))
    (thighs,) = summary.groups
    assert (thighs.group, thighs.cases) == ("thighs", 3)
    assert thighs.true_positives + thighs.missed == 3
    (free,) = summary.tumour_free
    assert (free.group, free.scans) == ("healthy", 1)
    assert free.marked_ml.value > 0, "the brightest part of a healthy thigh is its bone"
    assert sum(size.lesions for size in summary.sizes) == 3


def test_the_report_is_one_file_with_its_pictures_and_the_data_are_beside_it(tmp_path: Path, table: Path) -> None:
    run = run_in(tmp_path / "run", Watched())
    records = run.evaluate(read_cases(table), say=quiet)
    summary = summarise(records)
    write_tables(run.folder, records, summary, "otsu")
    page = write_html(run, records, summary, "otsu").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4, "best, median, worst, and the false alarm"
    assert "://" not in page and "<script" not in page, "nothing is fetched, nothing runs"
    assert all(record.name in page for record in records)
    results = json.loads((run.folder / "results.json").read_text(encoding="utf-8"))
    assert [case["name"] for case in results["cases"]] == [record.name for record in records]
    assert (
        results["summary"]["groups"][0]["means"]["dsc"]["low"]
        <= results["summary"]["groups"][0]["means"]["dsc"]["value"]
    )
    for name, rows in (("cases.csv", 4), ("lesions.csv", 3)):
        assert len((run.folder / name).read_text(encoding="utf-8").splitlines()) == rows + 1
    tables = (run.folder / "report.md").read_text(encoding="utf-8")
    assert "### Means by folder" in tables and "### Tumour-free scans" in tables


def test_best_median_and_worst_are_different_cases(tmp_path: Path, table: Path) -> None:
    records = [
        r
        for r in run_in(tmp_path / "run", Watched()).evaluate(read_cases(table), pictures=False, say=quiet)
        if r.has_tumour
    ]
    chosen = best_median_worst(records, "otsu")
    scores = [record.figures["otsu"].overlap.dsc for _, record in chosen]
    assert [word for word, _ in chosen] == ["Best", "Median", "Worst"] and scores == sorted(scores, reverse=True)
    assert [word for word, _ in best_median_worst(records[:1], "otsu")] == ["Best"]


def test_the_report_says_what_verdicts_were_worth_and_scores_meant(tmp_path: Path, table: Path) -> None:
    class Scoring(Watched):
        """Knows how sure it is: 0.8 where it marks."""

        def segment(self, scan, description):
            answer = super().segment(scan, description)
            return replace(answer, score_map=np.where(answer.mask, 0.8, 0.02))

    run = run_in(tmp_path / "run", Scoring())
    run.evaluate(read_cases(table), say=quiet)
    records = run.evaluate(read_cases(table), say=quiet)  # read back from disk
    summary = summarise(records)
    assert sum(worth.cases for worth in summary.verdicts["otsu"]) == 4
    assert [row.low for row in summary.reliability["otsu"]] == [0.0, 0.8]
    write_tables(run.folder, records, summary, "made by a test")
    tables = (run.folder / "report.md").read_text()
    assert "What a verdict was worth" in tables and "| otsu | 0.8 to 0.9 |" in tables
    page = write_html(run, records, summary, "made by a test").read_text()
    assert "Do the scores mean what they say?" in page and "Expected calibration error" in page
