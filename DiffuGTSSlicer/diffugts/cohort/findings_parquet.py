"""The cohort's findings as a Parquet file: the columns of `findings_table`, as numbers and texts and not as their spelling."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from diffugts.cohort.findings_table import COLUMNS
from diffugts.cohort.run import Outcome
from diffugts.errors import InstallationError
from diffugts.scans.found_scans import PassedOver

TEXTS = frozenset(("case", "state", "description", "verdict", "failure"))
MISSING = (
    "Parquet needs the library 'pyarrow', which is not installed. Install it with: pip install 'diffugts[parquet]'"
)


def parquet_is_possible() -> bool:
    """Whether the library is there."""
    return importlib.util.find_spec("pyarrow") is not None


def require_parquet() -> None:
    """Raise InstallationError where the library is missing."""
    if not parquet_is_possible():
        raise InstallationError(MISSING)


def write_findings_parquet(outcomes: Sequence[Outcome], path: Path, passed_over: Sequence[PassedOver] = ()) -> None:
    """The rows of `write_findings_table`, written whole or not at all; what a row does not have is null.

    `lesion` is a 32-bit whole number, measures are 64-bit floating-point numbers. Raises OSError, InstallationError.
    """
    require_parquet()
    import pyarrow
    from pyarrow import parquet

    fields = [
        pyarrow.field(
            name, pyarrow.string() if name in TEXTS else pyarrow.int32() if name == "lesion" else pyarrow.float64()
        )
        for name in COLUMNS
    ]
    rows = [*(row for outcome in outcomes for row in _rows(outcome)), *map(_passed_over, passed_over)]
    table = pyarrow.Table.from_pylist(rows, schema=pyarrow.schema(fields))
    temporary = path.with_name(f".{path.name}.part-{os.getpid()}")
    try:
        parquet.write_table(table, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    case: dict[str, Any] = {"case": outcome.case.name}
    if outcome.manifest is None:
        yield {**case, "state": "failed", "failure": outcome.failure}
        return
    case["state"] = "done"
    for finding in outcome.manifest.findings:
        said = {**case, "description": finding.description, "verdict": finding.verdict}
        if not finding.lesions:
            yield {**said, "volume_ml": 0.0, "highest_score": finding.highest_score}
        for lesion in finding.lesions:
            r_mm, a_mm, s_mm = lesion.centroid_ras_mm
            yield {
                **said,
                "lesion": lesion.label,
                "volume_ml": lesion.volume_ml,
                "longest_axial_diameter_mm": lesion.longest_axial_diameter_mm,
                "r_mm": r_mm,
                "a_mm": a_mm,
                "s_mm": s_mm,
                "mean_intensity": lesion.mean_intensity,
                "mean_score": lesion.mean_score,
                "highest_score": lesion.highest_score,
            }


def _passed_over(each: PassedOver) -> dict[str, Any]:
    return {"case": each.name, "state": "passed over", "failure": each.reason}
