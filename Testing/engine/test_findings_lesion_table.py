"""findings.csv: what a spreadsheet or a script reads of the lesions."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from diffugts.findings.lesion_table import COLUMNS, write_lesion_table
from made_segmentations import finding, textured_scan

BOX = (slice(2, 6), slice(3, 9), slice(4, 11))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        table = csv.DictReader(file)
        assert tuple(table.fieldnames or ()) == COLUMNS
        return list(table)


def test_every_lesion_has_a_row_with_its_measures(tmp_path: Path) -> None:
    found = finding("liver metastasis", textured_scan(), BOX)
    write_lesion_table([found], tmp_path / "findings.csv")
    (row,), (lesion,) = rows(tmp_path / "findings.csv"), found.lesions
    assert (row["description"], row["verdict"], row["lesion"]) == ("liver metastasis", "found", "1")
    assert [float(row[name]) for name in ("r_mm", "a_mm", "s_mm")] == pytest.approx(lesion.centroid_ras_mm, abs=1e-4)
    for name in ("volume_ml", "longest_axial_diameter_mm", "mean_intensity", "mean_score", "highest_score"):
        assert float(row[name]) == pytest.approx(getattr(lesion, name), abs=1e-4)


def test_a_description_that_found_nothing_has_a_row_too(tmp_path: Path) -> None:
    scan = textured_scan()
    write_lesion_table([finding("cyst", scan, None), finding("mass", scan, BOX)], tmp_path / "findings.csv")
    first, second = rows(tmp_path / "findings.csv")
    assert (first["description"], first["verdict"], first["lesion"]) == ("cyst", "not found", "")
    assert (first["volume_ml"], first["r_mm"], first["highest_score"]) == ("0", "", "0.0500")
    assert second["description"] == "mass"


@pytest.mark.parametrize(
    "text", ["a, b; c", 'a "quoted" mass', "two\nlines", "Größe 😀 肝", "3 cm – lobulated", "'quoted'"]
)
def test_a_description_of_any_signs_comes_back(text: str, tmp_path: Path) -> None:
    write_lesion_table([finding(text, textured_scan(), BOX)], tmp_path / "findings.csv")
    assert [row["description"] for row in rows(tmp_path / "findings.csv")] == [text]


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_no_description_is_a_formula_in_a_spreadsheet(sign: str, tmp_path: Path) -> None:
    write_lesion_table([finding(f"{sign}HYPERLINK(1)", textured_scan(), BOX)], tmp_path / "findings.csv")
    assert rows(tmp_path / "findings.csv")[0]["description"].startswith("'")


def test_a_spreadsheet_knows_the_encoding(tmp_path: Path) -> None:
    write_lesion_table([], tmp_path / "findings.csv")
    assert (tmp_path / "findings.csv").read_bytes().startswith(b"\xef\xbb\xbfdescription,")


def test_text_that_is_no_valid_unicode_is_escaped(tmp_path: Path) -> None:
    write_lesion_table([finding("mass \ud800", textured_scan(), BOX)], tmp_path / "findings.csv")
    assert rows(tmp_path / "findings.csv")[0]["description"] == "mass \\ud800"
