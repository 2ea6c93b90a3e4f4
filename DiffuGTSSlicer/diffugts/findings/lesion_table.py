"""The lesions as a table (CSV) for spreadsheets and scripts: one row per lesion, one for a description without any."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from diffugts.findings.finding import Finding, Verdict
from diffugts.protocol import FindingRecord

COLUMNS = (
    "description",
    "verdict",
    "lesion",
    "volume_ml",
    "longest_axial_diameter_mm",
    "r_mm",
    "a_mm",
    "s_mm",
    "mean_intensity",
    "mean_score",
    "highest_score",
)

FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet takes for the beginning of a formula, full-width signs too (OWASP, "CSV injection")."""


def write_lesion_table(findings: Sequence[Finding], path: Path) -> None:
    """Write the table; a description without a lesion has its verdict, 0 ml and its highest score. Raises OSError.

    UTF-8 with the mark that spreadsheets know it by; decimal points.
    """
    with path.open("w", newline="", encoding="utf-8-sig", errors="backslashreplace") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        table.writerows(lesion_rows(findings))


def lesion_rows(findings: Iterable[Finding | FindingRecord]) -> Iterator[list[str]]:
    """The rows below `COLUMNS`, of findings or of what a result's manifest says of them."""
    for finding in findings:
        beginning = [plain_cell(finding.description), Verdict(finding.verdict).value]
        if not finding.lesions:
            yield [*beginning, "", "0", *[""] * 6, f"{finding.highest_score:.4f}"]
        for lesion in finding.lesions:
            numbers = (
                lesion.volume_ml,
                lesion.longest_axial_diameter_mm,
                *lesion.centroid_ras_mm,
                lesion.mean_intensity,
                lesion.mean_score,
                lesion.highest_score,
            )
            yield [*beginning, str(lesion.label), *(f"{number:.4f}" for number in numbers)]


def plain_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA_SIGNS) else text
