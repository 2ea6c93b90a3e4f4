"""Two runs on the same cases: is one better, by more than chance?

Cases are paired by name. Every group and measure is one Wilcoxon signed-rank test, all of them are corrected together by
Holm's method, and the mean difference carries a bootstrap interval over cases.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from diffugts.errors import RequestError
from diffugts.evaluation.records import CaseRecord, Figures
from diffugts.evaluation.report import methods_of, table
from diffugts.evaluation.run import CASE_FILE, CASES, RUN_FILE
from diffugts.evaluation.statistics import SIGNIFICANT, bootstrap_interval, holm, paired_p_value
from diffugts.evaluation.summary import ALL, MEASURES, value_of

USUAL_METHOD = "standard"
LEAST_PAIRS = 6
"""Fewer cannot differ by more than chance in this test, whatever they are: they are shown, not tested."""

SAME_VOLUME_ML = 1e-3
LOWER_IS_BETTER = frozenset({"hd95_mm", "found_ml"})
TUMOUR_FREE_MEASURE = "found_ml"
HEADINGS = {**MEASURES, TUMOUR_FREE_MEASURE: "marked in tumour-free scans, ml"}


@dataclass(frozen=True)
class Difference:
    """One group and measure in both runs; `difference` is second minus first.

    `p` is Wilcoxon's, `p_corrected` Holm's; None where there are fewer than `LEAST_PAIRS` cases.
    """

    group: str
    measure: str
    cases: int
    first: float
    second: float
    difference: float
    low: float
    high: float
    p: float | None
    p_corrected: float | None

    @property
    def verdict(self) -> str:
        """What may be said."""
        if self.p_corrected is None:
            return "too few cases to tell"
        if self.p_corrected >= SIGNIFICANT:
            return "no difference shown"
        second_is_better = (self.difference > 0) != (self.measure in LOWER_IS_BETTER)
        return "second better" if second_is_better else "first better"


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side. `notes` are sentences on what could not be paired."""

    first: str
    second: str
    differences: list[Difference]
    notes: list[str]

    def as_markdown(self) -> str:
        """The comparison as a table with its notes."""
        rows = (
            [
                d.group,
                HEADINGS[d.measure],
                d.cases,
                f"{d.first:.3f}",
                f"{d.second:.3f}",
                f"{d.difference:+.3f} ({d.low:+.3f} to {d.high:+.3f})",
                _p_text(d.p),
                _p_text(d.p_corrected),
                d.verdict,
            ]
            for d in self.differences
        )
        head = ["cases", "measure", "n", "first", "second", "difference (95 %)", "p", "p, Holm", "verdict"]
        lines = [f"First: {self.first}. Second: {self.second}.", table(head, rows), *self.notes]
        return "\n\n".join(lines) + "\n"

    def as_json(self) -> str:
        """The comparison as data."""
        facts = asdict(self)
        facts["differences"] = [{**asdict(d), "verdict": d.verdict} for d in self.differences]
        return json.dumps(facts, indent=1)


def read_run(folder: Path) -> tuple[dict[str, Any], list[CaseRecord]]:
    """A run's facts and its finished cases. Raises RequestError where `folder` is no run."""
    path = folder / RUN_FILE
    if not path.is_file():
        raise RequestError(f"'{folder}' is no evaluation run: it holds no {RUN_FILE}. Give the --output of one.")
    records = []
    for file in sorted((folder / CASES).glob(f"*/{CASE_FILE}")):
        try:
            records.append(CaseRecord.from_json(file.read_text(encoding="utf-8")))
        except (ValueError, KeyError, TypeError) as error:
            raise RequestError(f"'{file}' cannot be understood ({error}). Evaluate that case again.") from error
    return json.loads(path.read_text(encoding="utf-8")), records


def compare(first: Path, second: Path, first_method: str | None = None, second_method: str | None = None) -> Comparison:
    """Compare one method of one run with one of another. Raises RequestError where they share no case."""
    (_, a), (_, b) = read_run(first), read_run(second)
    chosen = (_chosen(a, first_method, first), _chosen(b, second_method, second))
    pairs, notes = _paired(a, b, chosen)
    if not pairs:
        raise RequestError(f"'{first}' and '{second}' have no finished case in common: there is nothing to compare.")
    tests = []
    for group, members in _groups([pair for pair in pairs if pair[0].has_tumour]).items():
        tests += [(group, measure, members) for measure in MEASURES]
    for group, members in _groups([pair for pair in pairs if not pair[0].has_tumour]).items():
        tests.append((group, TUMOUR_FREE_MEASURE, members))
    raw = [paired_p_value(*_values(m, measure)) if len(m) >= LEAST_PAIRS else None for _, measure, m in tests]
    corrected = iter(holm([p for p in raw if p is not None]))
    differences = [
        _difference(group, measure, members, p, None if p is None else next(corrected))
        for (group, measure, members), p in zip(tests, raw)
    ]
    names = [f"{folder.name} ({method})" for folder, method in zip((first, second), chosen)]
    return Comparison(names[0], names[1], differences, notes)


Pair = tuple[CaseRecord, Figures, Figures]


def _paired(a: Sequence[CaseRecord], b: Sequence[CaseRecord], methods: tuple[str, str]) -> tuple[list[Pair], list[str]]:
    others = {record.name: record for record in b}
    pairs: list[Pair] = []
    changed, asked = [], []
    for record in a:
        other = others.get(record.name)
        if other is None or methods[0] not in record.figures or methods[1] not in other.figures:
            continue
        if abs(record.truth_ml - other.truth_ml) > SAME_VOLUME_ML:
            changed.append(record.name)
            continue
        if record.description != other.description:
            asked.append(record.name)
        pairs.append((record, record.figures[methods[0]], other.figures[methods[1]]))
    notes = []
    alone = len(a) + len(b) - 2 * (len(pairs) + len(changed))
    if alone:
        notes.append(f"{alone} cases are finished in one run only, and were left out.")
    if changed:
        notes.append(f"The truth differs between the runs in {len(changed)} cases, which were left out: {changed[:5]}.")
    if asked:
        notes.append(f"In {len(asked)} cases the two runs were asked different descriptions.")
    return pairs, notes


def _chosen(records: Sequence[CaseRecord], wanted: str | None, folder: Path) -> str:
    names = methods_of(records)
    if wanted is None and names:
        return USUAL_METHOD if USUAL_METHOD in names else names[-1]
    if wanted not in names:
        raise RequestError(f"'{folder}' has no method '{wanted}', only {', '.join(names) or 'none that is finished'}.")
    return str(wanted)


def _groups(pairs: Sequence[Pair]) -> dict[str, list[Pair]]:
    groups: dict[str, list[Pair]] = {}
    for pair in pairs:
        groups.setdefault(pair[0].folder, []).append(pair)
    return groups if len(groups) < 2 else {**groups, ALL: list(pairs)}


def _values(members: Sequence[Pair], measure: str) -> tuple[list[float], list[float]]:
    return [value_of(x, measure) for _, x, _ in members], [value_of(y, measure) for _, _, y in members]


def _difference(
    group: str, measure: str, members: Sequence[Pair], p: float | None, corrected: float | None
) -> Difference:
    first, second = _values(members, measure)
    differences = np.subtract(second, first)
    low, high = bootstrap_interval(differences.tolist())
    means = (float(np.mean(first)), float(np.mean(second)), float(differences.mean()))
    return Difference(group, measure, len(members), *means, low, high, p, corrected)


def _p_text(p: float | None) -> str:
    if p is None:
        return "-"
    return f"{p:.4f}" if p >= 0.0001 else "< 0.0001"
