"""The cohort's findings as one table (CSV): the lesion table's columns, after the case's name, its state and why it failed."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from diffugts.cohort.run import Outcome
from diffugts.findings.lesion_table import COLUMNS as LESION_COLUMNS
from diffugts.findings.lesion_table import lesion_rows, plain_cell
from diffugts.protocol.files import replace_text
from diffugts.scans.found_scans import PassedOver

COLUMNS = ("case", "state", *LESION_COLUMNS, "failure")


def write_findings_table(outcomes: Sequence[Outcome], path: Path, passed_over: Sequence[PassedOver] = ()) -> None:
    """One row per lesion, one for a description without any, one for a case that failed or was passed over. Raises OSError.

    UTF-8 with the mark that spreadsheets know it by; decimal points.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    for outcome in outcomes:
        table.writerows(_rows(outcome))
    table.writerows(_without_lesions(each.name, "passed over", each.reason) for each in passed_over)
    replace_text(path, "\ufeff" + text.getvalue())


def _rows(outcome: Outcome) -> Iterator[list[str]]:
    if outcome.manifest is None:
        yield _without_lesions(outcome.case.name, "failed", outcome.failure)
        return
    for row in lesion_rows(outcome.manifest.findings):
        yield [plain_cell(outcome.case.name), "done", *row, ""]


def _without_lesions(case: str, state: str, reason: str) -> list[str]:
    return [plain_cell(case), state, *[""] * len(LESION_COLUMNS), plain_cell(reason)]
