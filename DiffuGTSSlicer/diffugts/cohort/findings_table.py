"""The cohort's findings as one table (CSV): the lesion table's columns, after the case's name, its state and why it failed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffugts.cohort.run import Outcome
from diffugts.findings.lesion_table import COLUMNS as LESION_COLUMNS
from diffugts.findings.lesion_table import FORMULA_SIGNS
from diffugts.protocol.files import replace_text

COLUMNS = ("case", "state", *LESION_COLUMNS, "failure")


def write_findings_table(outcomes: Sequence[Outcome], path: Path) -> None:
    """One row per lesion, one for a description without any, one for a case that failed. Raises OSError.

    UTF-8 with the mark that spreadsheets know it by; decimal points.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for outcome in outcomes:
        table.writerows(_rows(outcome))
    replace_text(path, "\ufeff" + text.getvalue())


def _rows(outcome: Outcome) -> Iterator[list[str]]:
    case = _cell(outcome.case.name)
    if outcome.manifest is None:
        yield [case, "failed", *[""] * len(LESION_COLUMNS), _cell(outcome.failure)]
        return
    for finding in outcome.manifest.findings:
        beginning = [case, "done", _cell(finding.description), finding.verdict]
        if not finding.lesions:
            yield [*beginning, "", "0", *[""] * 6, f"{finding.highest_score:.4f}", ""]
        for lesion in finding.lesions:
            numbers = (
                lesion.volume_ml,
                lesion.longest_axial_diameter_mm,
                *lesion.centroid_ras_mm,
                lesion.mean_intensity,
                lesion.mean_score,
                lesion.highest_score,
            )
            yield [*beginning, str(lesion.label), *(f"{number:.4f}" for number in numbers), ""]


def _cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA_SIGNS) else text
