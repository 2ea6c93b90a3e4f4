"""The gain of each stage over all cases of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from diffugts.evaluation.records import CaseRecord
from diffugts.evaluation.summary import ALL, Mean

STUDY = "stages"
"""Under this name a case's `StageResult`s are kept among its studies."""

STAGES_TITLE = "Gain of each stage"


@dataclass(frozen=True)
class StageSummary:
    """One stage over all cases.

    `dsc` means of cases with a tumour, by group, with all together where there are several, and `cases` their numbers; `gain`
    the mean difference to the stage it is added to (`against`), over all of them; `marked_ml` in the scans without a tumour.
    Both are None where there is nothing to say.
    """

    stage: str
    levels: list[str]
    against: str | None
    dsc: dict[str, Mean]
    cases: dict[str, int]
    gain: Mean | None
    marked_ml: Mean | None
    tumour_free: int


def summarise_stages(records: Sequence[CaseRecord]) -> list[StageSummary]:
    """The stages of all records that have them, in their order; nothing where none has."""
    studied = [(r, {s["stage"]: s for s in r.studies[STUDY]}) for r in records if STUDY in r.studies]
    summaries = []
    for stage in dict.fromkeys(name for _, stages in studied for name in stages):
        measured = [(r, stages) for r, stages in studied if stage in stages]
        facts = measured[0][1][stage]
        ill = [(r, stages) for r, stages in measured if r.has_tumour]
        free = [stages[stage]["marked_ml"] for r, stages in measured if not r.has_tumour]
        dsc: dict[str, list[float]] = {}
        for record, stages in ill:
            dsc.setdefault(record.folder, []).append(stages[stage]["dsc"])
        if len(dsc) > 1:
            dsc[ALL] = [value for values in dsc.values() for value in values]
        against = facts["against"]
        gains = [stages[stage]["dsc"] - stages[against]["dsc"] for _, stages in ill if against in stages]
        summaries.append(
            StageSummary(
                stage,
                facts["levels"],
                against,
                {group: Mean.of(values) for group, values in dsc.items()},
                {group: len(values) for group, values in dsc.items()},
                Mean.of(gains) if gains else None,
                Mean.of(free) if free else None,
                len(free),
            )
        )
    return summaries


def stage_head(stages: Sequence[StageSummary]) -> list[str]:
    """Headings of `stage_rows`: groups with their number of cases."""
    counts = {group: count for s in stages for group, count in s.cases.items()}
    free = max((s.tumour_free for s in stages), default=0)
    marked = [f"ml in tumour-free scans ({free})"] if free else []
    return ["stage", "on at", *(f"DSC {group} ({count})" for group, count in counts.items()), "gain (95 %)", *marked]


def stage_rows(stages: Sequence[StageSummary]) -> list[list[str]]:
    """One row a stage: where it is switched on, its means, and what it adds to the attention that comes before it."""
    groups = list(dict.fromkeys(group for s in stages for group in s.dsc))
    free = any(s.tumour_free for s in stages)
    rows = []
    for s in stages:
        means = [f"{s.dsc[group].value:.3f}" if group in s.dsc else "-" for group in groups]
        marked = [f"{s.marked_ml.value:.1f}" if s.marked_ml else "-"] if free else []
        rows.append([s.stage, ", ".join(s.levels) or "no level", *means, _signed(s.gain), *marked])
    return rows


def _signed(gain: Mean | None) -> str:
    if gain is None:
        return "-"
    if gain.low == gain.high:
        return f"{gain.value:+.3f}"
    return f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"
