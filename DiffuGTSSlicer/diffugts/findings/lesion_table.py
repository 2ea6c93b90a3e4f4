"""The lesions as a table (CSV) for spreadsheets and scripts: one row per lesion, one for a description without any."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from diffugts.findings.finding import Finding

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
        for finding in findings:
            beginning = [_cell(finding.description), finding.verdict.value]
            if not finding.lesions:
                row = [*beginning, "", "0", *[""] * 6, f"{finding.highest_score:.4f}"]
                table.writerow(row)
            for lesion in finding.lesions:
                numbers = (
                    lesion.volume_ml,
                    lesion.longest_axial_diameter_mm,
                    *lesion.centroid_ras_mm,
                    lesion.mean_intensity,
                    lesion.mean_score,
                    lesion.highest_score,
                )
                table.writerow([*beginning, lesion.label, *(f"{number:.4f}" for number in numbers)])


def _cell(text: str) -> str:
    """A description that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA_SIGNS) else text
