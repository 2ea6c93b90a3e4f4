"""`diffugts evaluate` and `diffugts baseline` as they are called."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import made_datasets as made
from command_line import call
from small_model_folder import save_small_model


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.table(tmp_path_factory.mktemp("table"), cases=2, healthy=1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small_model(tmp_path_factory.mktemp("models") / "small")


def test_a_model_is_evaluated_on_a_table_of_cases(tmp_path: Path, table: Path, model: Path) -> None:
    shown = call("evaluate", table, "--model", model, "--quality", "fast", "--output", tmp_path / "run")
    assert shown.code == 0, shown.err
    assert "thighs, fast: DSC" in shown.out and "in 1 scans without a tumour" in shown.out
    assert (tmp_path / "run" / "report.html").is_file()
    again = call("evaluate", table, "--model", model, "--quality", "fast", "--output", tmp_path / "run")
    assert again.out.count("done before") == 3
    assert "Gain of each stage" not in shown.out, "the stages are those of standard"


def test_the_gain_of_each_stage_is_printed_and_written_for_any_data_set(
    tmp_path: Path, table: Path, model: Path
) -> None:
    asked = ["evaluate", table, "--model", model, "--quality", "standard", "--no-pictures"]
    shown = call(*asked, "--output", tmp_path / "run")
    assert shown.code == 0, shown.err
    row = "| attention, 2 looks | standard, thorough |"
    tables = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    assert "### Gain of each stage" in shown.out and row in shown.out and row in tables
    assert "<h2>Gain of each stage</h2>" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    results = json.loads((tmp_path / "run" / "results.json").read_text(encoding="utf-8"))
    assert [stage["cases"] for stage in results["stages"]] == [{"thighs": 2}] * len(results["stages"])
    left_out = call(*asked, "--no-studies", "--output", tmp_path / "bare")
    assert left_out.code == 0 and "Gain of each stage" not in left_out.out


def test_a_data_folder_gives_the_tables_of_the_benchmarks(tmp_path: Path, model: Path) -> None:
    data = made.data_folder(tmp_path / "data")
    shown = call(
        "evaluate", data, "--model", model, "--quality", "standard", "--output", tmp_path / "run", "--no-pictures"
    )
    assert shown.code == 0, shown.err
    tables = (tmp_path / "run" / "report.md").read_text(encoding="utf-8")
    for heading in (
        "Cases",
        "Means by folder",
        "Tumour-free scans",
        "Gain of each stage",
        "The true mask painted over",
        "Words: highest score",
    ):
        assert f"### {heading}" in tables
    assert "ellipsoid" in tables and "best threshold" in tables


def test_a_baseline_is_evaluated_by_the_same_command_and_compared(tmp_path: Path, table: Path) -> None:
    for method in ("otsu", "ellipsoid"):
        shown = call("evaluate", table, "--method", method, "--no-pictures", "--output", tmp_path / method)
        assert shown.code == 0, shown.err
    output = tmp_path / "comparison.json"
    shown = call("evaluate", "compare", tmp_path / "otsu", tmp_path / "ellipsoid", "--output", output)
    assert shown.code == 0 and "First: otsu (otsu). Second: ellipsoid (ellipsoid)." in shown.out
    assert {d["measure"] for d in json.loads(output.read_text(encoding="utf-8"))["differences"]} >= {"dsc", "found_ml"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--method", "magic"], "no method 'magic'"),
        (["--layout", "dicom"], "--layout is 'dicom'"),
        (["--only", "nothing-like-it"], "holds 'nothing-like-it'"),
        (["--quality", "best"], "--quality is 'best'"),
    ],
)
def test_wrong_options_are_told_with_what_there_is(
    tmp_path: Path, table: Path, options: list[str], sentence: str
) -> None:
    shown = call("evaluate", table, *options, "--output", tmp_path / "run")
    assert shown.code == 2 and sentence in shown.err
    assert not (tmp_path / "run").exists()


def test_a_data_set_that_is_not_there_is_told(tmp_path: Path) -> None:
    shown = call("evaluate", tmp_path / "nowhere")
    assert shown.code == 2 and "does not exist" in shown.err


def test_the_baselines_are_listed() -> None:
    shown = call("baseline", "list")
    assert shown.code == 0 and all(name in shown.out for name in ("ellipsoid", "otsu", "outlier", "nnunet"))
    assert call("baseline", "train", "magic", "--data", "x").code == 2
