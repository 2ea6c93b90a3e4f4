"""The words benchmark as tables and as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from diffugts.evaluation.report import table
from diffugts.evaluation.words import AskedPair, WordsReport

WORDS_TABLES, WORDS_DATA = "words.md", "words.json"


def write_words(report: WordsReport, folder: Path, made_by: str) -> Path:
    """Write `words.md` and `words.json` into `folder`; returns the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    facts = _without_nan({"made_by": made_by, **asdict(report)})
    facts["failures"] = _without_nan([asdict(pair) for pair in report.failures()])
    (folder / WORDS_DATA).write_text(json.dumps(facts, indent=1), encoding="utf-8")
    path = folder / WORDS_TABLES
    path.write_text(words_as_markdown(report, made_by), encoding="utf-8")
    return path


def words_as_markdown(report: WordsReport, made_by: str) -> str:
    """Figures, categories, and examples where it fails."""
    order = [
        [c.category, c.pairs, f"{c.in_order:.2f} ({c.low:.2f} to {c.high:.2f})", f"{c.in_order_at_lesion:.2f}",
         f"{c.mean_lead:+.2f}", "-" if c.silent is None else f"{c.silent:.2f}"]
        for c in report.categories if c.in_order is not None
    ]  # fmt: skip
    same = [
        [c.category, c.pairs, c.compared, f"{c.agreement:.2f}", f"{c.same_verdict:.2f}"]
        for c in report.categories
        if c.agreement is not None
    ]
    head = ["the second text is", "pairs", "in order (95 %)", "in order in the lesion", "mean lead", "nothing marked"]
    parts = [
        made_by,
        f"{report.subjects} scans with a tumour. Agreement of masks {report.agreement:.2f}; in order {report.order:.2f} of "
        f"the pairs; specificity {report.specificity:.2f} (texts of what is not there for which nothing is marked). The "
        f"right words marked something in {report.reference_found:.2f} of the scans.",
        "### Of two texts the right one should score higher\n\n" + table(head, order),
        "### Texts that mean the same should give the same mask\n\n"
        + table(["the second text is a", "pairs", "with a mask", "DSC of the masks", "same verdict"], same),
    ]
    if report.tumour_free is not None:
        parts.append(f"In scans without a tumour nothing was marked for {report.tumour_free:.2f} of the texts.")
    failures = [_failure(pair) for pair in report.failures()]
    if failures:
        head = ["scan", "category", "right text", "score", "other text", "score", "DSC of the masks"]
        parts.append("### Where it fails, worst first\n\n" + table(head, failures))
    return "\n\n".join(parts) + "\n"


def _failure(pair: AskedPair) -> list[object]:
    question = pair.question
    second = f"{question.second} (twin without tumour)" if question.on_twin else question.second
    scores = (f"{pair.first_highest:.2f}", f"{pair.second_highest:.2f}")
    agreement = "-" if pair.agreement is None else f"{pair.agreement:.2f}"
    return [
        pair.subject,
        question.category.value,
        question.first,
        scores[0],
        second,
        scores[1],
        agreement,
    ]


def _without_nan(value: Any) -> Any:
    """JSON knows no NaN: None in its place."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and math.isnan(value) else value
