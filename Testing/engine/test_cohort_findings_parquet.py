"""The findings of a cohort as Parquet: the same rows as the CSV, with types; a sentence where the library is missing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from command_line import call
from diffugts.cohort import findings_parquet
from diffugts.cohort.findings_table import COLUMNS, write_findings_table
from diffugts.errors import InstallationError
from diffugts.scans.found_scans import PassedOver
from job_folders import write_scan
from test_cohort_run import carried_out, made_cases

OVER = [PassedOver("a/b", "No scan.")]


def without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings_parquet.importlib.util.find_spec
    monkeypatch.setattr(
        findings_parquet.importlib.util, "find_spec", lambda name: None if name == "pyarrow" else found(name)
    )


def test_both_tables_hold_the_same_and_parquet_has_types(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="the extra 'parquet' is not installed")
    cases = made_cases(tmp_path, 3)
    (tmp_path / "s1.nrrd").write_bytes(b"no scan")
    outcomes = carried_out(cases, tmp_path)
    write_findings_table(outcomes, tmp_path / "f.csv", OVER)
    findings_parquet.write_findings_parquet(outcomes, tmp_path / "f.parquet", OVER)
    table = parquet.read_table(tmp_path / "f.parquet")
    assert tuple(table.column_names) == COLUMNS
    assert str(table.schema.field("volume_ml").type) == "double" and str(table.schema.field("lesion").type) == "int32"
    rows = table.to_pylist()
    texts = list(csv.DictReader((tmp_path / "f.csv").open(encoding="utf-8-sig", newline="")))
    assert len(rows) == len(texts) and {row["state"] for row in rows} == {"done", "failed", "passed over"}
    assert any(row["lesion"] is not None for row in rows)
    for row, text in zip(rows, texts):
        for name in COLUMNS:
            if row[name] is None:
                assert text[name] == ""
            elif isinstance(row[name], float):
                assert float(text[name]) == pytest.approx(row[name], abs=1e-4)
            else:
                assert text[name] == str(row[name])


def test_without_the_library_it_is_said_how_to_get_it_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_the_library(monkeypatch)
    with pytest.raises(InstallationError, match="pip install"):
        findings_parquet.write_findings_parquet([], tmp_path / "f.parquet")
    write_scan(tmp_path / "s.nrrd")
    (tmp_path / "t.csv").write_text("image,descriptions\ns.nrrd,cyst\n")
    asked = call("cohort", tmp_path / "t.csv", "--output", tmp_path / "out", "--parquet")
    assert asked.code == InstallationError.exit_code and "diffugts[parquet]" in asked.err
    assert not (tmp_path / "out").exists()
