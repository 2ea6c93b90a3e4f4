"""What the cases of a run say together: means with intervals by group, detection by lesion size, tumour-free scans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from diffugts.evaluation.records import CaseRecord, Figures
from diffugts.evaluation.reliability import Reliability, VerdictWorth, reliability
from diffugts.evaluation.statistics import bootstrap_interval, share_interval
from diffugts.findings.finding import Verdict

ALL = "all cases"

SIZES_MM: tuple[tuple[float, float], ...] = ((0, 10), (10, 20), (20, 40), (40, float("inf")))
"""Strata of lesions by the diameter of a ball of their volume."""

MEASURES: dict[str, str] = {
    "dsc": "DSC",
    "nsd": "surface Dice 2 mm",
    "hd95_mm": "HD95 mm",
    "lesion_dsc": "lesion DSC",
    "lesion_f1": "lesion F1",
}
"""Measures of cases with a tumour that are averaged and compared, with their headings."""


@dataclass(frozen=True)
class Mean:
    """A mean over cases with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float
    median: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Mean:
        """Of at least one value."""
        low, high = bootstrap_interval(values)
        return cls(float(np.mean(values)), low, high, float(np.median(values)))


@dataclass(frozen=True)
class GroupSummary:
    """One group of cases with a tumour under one method. `lesions` true positives, false positives and misses in all."""

    group: str
    method: str
    cases: int
    means: dict[str, Mean]
    true_positives: int
    false_positives: int
    missed: int
    seconds: float

    @property
    def precision(self) -> float:
        """Share of found parts that are lesions, over all cases together."""
        return self.true_positives / max(1, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float:
        """Share of lesions found, over all cases together."""
        return self.true_positives / max(1, self.true_positives + self.missed)


@dataclass(frozen=True)
class SizeSummary:
    """Lesions of one size under one method: how many there are, how many were found, and how well."""

    group: str
    method: str
    size: str
    lesions: int
    detected: int
    recall_low: float
    recall_high: float
    mean_dsc: float


@dataclass(frozen=True)
class TumourFreeSummary:
    """Scans without a tumour under one method: what was marked in them."""

    group: str
    method: str
    scans: int
    marked_ml: Mean
    silent: int
    silent_low: float
    silent_high: float
    found: int


@dataclass(frozen=True)
class Summary:
    """A whole run; `reliability` and `verdicts` by the methods' names, over all cases."""

    groups: list[GroupSummary]
    sizes: list[SizeSummary]
    tumour_free: list[TumourFreeSummary]
    failed: list[str]
    reliability: dict[str, list[Reliability]]
    verdicts: dict[str, list[VerdictWorth]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def summarise(records: Sequence[CaseRecord]) -> Summary:
    """Summarise the records of a run, method by method, by group and over all."""
    measured = [record for record in records if record.failure is None]
    methods = list(dict.fromkeys(name for record in measured for name in record.figures))
    groups, sizes, free = [], [], []
    for group, members in _groups([record for record in measured if record.has_tumour]).items():
        for method in methods:
            figures = [record.figures[method] for record in members if method in record.figures]
            if figures:
                groups.append(_group(group, method, figures))
                sizes.extend(_sizes(group, method, figures))
    for group, members in _groups([record for record in measured if not record.has_tumour]).items():
        for method in methods:
            figures = [record.figures[method] for record in members if method in record.figures]
            if figures:
                free.append(_tumour_free(group, method, figures))
    scored: dict[str, list[Reliability]] = {}
    for method in methods:
        tissue = [r.figures[method].scored for r in measured if method in r.figures]
        if any(tissue):
            scored[method] = reliability([part for part in tissue if part is not None])
    failed = [record.name for record in records if record.failure is not None]
    return Summary(groups, sizes, free, failed, scored, {method: _verdicts(measured, method) for method in methods})


def value_of(figures: Figures, measure: str) -> float:
    """One of `MEASURES`, or "found_ml", of a case."""
    if measure == "lesion_dsc":
        return figures.lesions.dsc
    if measure == "lesion_f1":
        return figures.lesions.f1
    return float(getattr(figures.overlap, measure))


def diameter_mm(volume_ml: float) -> float:
    """Diameter of a ball of this volume."""
    return float((6000.0 * volume_ml / np.pi) ** (1 / 3))


def size_name(low: float, high: float) -> str:
    """A stratum in words."""
    if high == float("inf"):
        return f"over {low:g} mm"
    return f"up to {high:g} mm" if low == 0 else f"{low:g} to {high:g} mm"


def _groups(records: Sequence[CaseRecord]) -> dict[str, list[CaseRecord]]:
    """By folder, where a folder holds both by modality as well, and all together where there are several folders."""
    groups: dict[str, list[CaseRecord]] = {}
    for record in records:
        groups.setdefault(record.folder, []).append(record)
    whole = dict(groups)
    for folder, members in whole.items():
        modalities = sorted({record.modality for record in members})
        if len(modalities) > 1:
            for modality in modalities:
                groups[f"{folder}, {modality}"] = [r for r in members if r.modality == modality]
    return groups if len(whole) < 2 else {**groups, ALL: list(records)}


def _verdicts(records: Sequence[CaseRecord], method: str) -> list[VerdictWorth]:
    worths = []
    for verdict in (Verdict.FOUND.value, Verdict.UNCERTAIN.value, Verdict.NOT_FOUND.value):
        given = [r for r in records if method in r.figures and r.figures[method].verdict == verdict]
        touched = sum(r.has_tumour and r.figures[method].overlap.dsc > 0 for r in given)
        free = sum(not r.has_tumour for r in given)
        worths.append(VerdictWorth(verdict, touched, len(given) - touched - free, free))
    return worths


def _group(group: str, method: str, figures: list[Figures]) -> GroupSummary:
    return GroupSummary(
        group,
        method,
        len(figures),
        {measure: Mean.of([value_of(f, measure) for f in figures]) for measure in MEASURES},
        sum(f.lesions.detected for f in figures),
        sum(f.lesions.false_positives for f in figures),
        sum(len(f.lesions.lesions) - f.lesions.detected for f in figures),
        float(np.mean([f.seconds for f in figures])),
    )


def _sizes(group: str, method: str, figures: list[Figures]) -> list[SizeSummary]:
    lesions = [lesion for f in figures for lesion in f.lesions.lesions]
    summaries = []
    for low, high in SIZES_MM:
        members = [lesion for lesion in lesions if low < diameter_mm(lesion.volume_ml) <= high]
        if members:
            detected = sum(lesion.detected for lesion in members)
            summaries.append(
                SizeSummary(
                    group,
                    method,
                    size_name(low, high),
                    len(members),
                    detected,
                    *share_interval(detected, len(members)),
                    float(np.mean([lesion.dsc for lesion in members])),
                )
            )
    return summaries


def _tumour_free(group: str, method: str, figures: list[Figures]) -> TumourFreeSummary:
    silent = sum(f.overlap.found_ml == 0 for f in figures)
    return TumourFreeSummary(
        group,
        method,
        len(figures),
        Mean.of([f.overlap.found_ml for f in figures]),
        silent,
        *share_interval(silent, len(figures)),
        sum(f.verdict == Verdict.FOUND.value for f in figures),
    )
