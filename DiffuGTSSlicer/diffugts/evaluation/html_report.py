"""The report of a run as one HTML file that needs nothing else: figures, pictures, and how everything was measured."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from diffugts.evaluation.comparison import USUAL_METHOD
from diffugts.evaluation.overlap import ABSENT_MM, SURFACE_TOLERANCE_MM
from diffugts.evaluation.records import CaseRecord
from diffugts.evaluation.reliability_diagram import reliability_diagram
from diffugts.evaluation.report import VERDICT_HEAD, methods_of, verdict_rows, with_interval
from diffugts.evaluation.run import EvaluationRun
from diffugts.evaluation.stage_summary import STAGES_TITLE, stage_head, stage_rows, summarise_stages
from diffugts.evaluation.statistics import RESAMPLES
from diffugts.evaluation.summary import MEASURES, Summary
from diffugts.findings.html_page import figure, page, table

REPORT_FILE = "report.html"

STYLE = """
svg text { fill: currentColor; font-size: 12px; }
span.truth { color: #2a9d4f; } span.mask { color: #d9741f; }
"""

MEASURED = f"""
<p><b>DSC</b>: Dice similarity coefficient of the whole scan; 1 where nothing is found and nothing is there.
<b>Surface Dice</b>: share of both outlines within {SURFACE_TOLERANCE_MM:g} mm of each other. <b>HD95</b>: 95th percentile of the
distances between the outlines, {ABSENT_MM:g} mm where one of the two is empty. <b>Lesion DSC and F1</b> by the rules of BraTS 2023:
parts of the truth that touch after dilation are one lesion, lesions of up to 50 mm³ (2 mm³ for metastases) are left out, a missed
lesion and a false one count with 0. Means are of cases with a tumour; scans without one have their own table.
Intervals are 95 %, by resampling cases {RESAMPLES} times; of shares, Wilson's.</p>
"""


def write_html(run: EvaluationRun, records: Sequence[CaseRecord], summary: Summary, made_by: str) -> Path:
    """Write `report.html` into the run's folder; returns its path."""
    names = methods_of(records)
    method = USUAL_METHOD if USUAL_METHOD in names else (names[-1] if names else "")
    ill = [r for r in records if r.has_tumour and method in r.figures]
    free = [r for r in records if not r.has_tumour and method in r.figures]
    parts = [
        f"<h1>Evaluation: {escape(Path(run.data).name or run.data)}</h1>",
        f"<p class=quiet>{escape(made_by.replace('`', ''))}</p>",
        f"<p>{len(ill)} cases with a tumour, {len(free)} without, {len(summary.failed)} that could not be evaluated. "
        f"Figures of single cases and pictures are of <b>{escape(method)}</b>. Research use only; not a medical device.</p>",
    ]
    if ill:
        parts += ["<h2>Means</h2>", _means(summary), "<h2>Every case</h2>", _strips(ill, method)]
        parts += ["<h2>Best, median and worst case</h2>", LEGEND, *_pictures(run, ill, method)]
    if free:
        parts += ["<h2>Scans without a tumour</h2>", _tumour_free(summary), *_false_alarm(run, free, method)]
    if summary.sizes:
        parts += ["<h2>Lesions by size</h2>", _sizes(summary)]
    if summary.verdicts:
        parts += [
            "<h2>What a verdict was worth</h2>",
            table(list(VERDICT_HEAD), verdict_rows(summary), text_columns=(1,)),
        ]
    if summary.reliability.get(method):
        parts += ["<h2>Do the scores mean what they say?</h2>", reliability_diagram(summary.reliability[method])]
    if stages := summarise_stages(records):
        parts += [f"<h2>{STAGES_TITLE}</h2>", table(stage_head(stages), stage_rows(stages), text_columns=(1,)), STAGES]
    parts += ["<h2>All cases</h2>", _cases([*ill, *free], method)]
    failed = [(r.name, r.failure or "") for r in records if r.failure]
    if failed:
        parts += ["<h2>Not evaluated</h2>", table(["case", "why"], failed, text_columns=(1,))]
    parts += ["<h2>How this was measured</h2>", MEASURED, _facts(run.facts)]
    path = run.folder / REPORT_FILE
    path.write_text(page("DiffuGTS evaluation", parts, STYLE), encoding="utf-8")
    return path


STAGES = (
    "<p class=quiet>DSC of the mask up to each stage. The gain is over the attention that the stage is added to: of further looks "
    "over one, of every refinement over the attention as 'standard' has it.</p>"
)

LEGEND = (
    "<p class=quiet>From the left: scan; <span class=truth>truth</span>; <span class=mask>mask</span> over the truth; "
    "score map, white where it is cut; pseudo-healthy scan. The slice is the truth's largest; a second row shows where the "
    "mask is largest, if that is elsewhere.</p>"
)


def best_median_worst(records: Sequence[CaseRecord], method: str) -> list[tuple[str, CaseRecord]]:
    """Up to three different cases by DSC, best first; among equals the one with the better surface Dice is better."""
    ranked = sorted(
        records, key=lambda r: (r.figures[method].overlap.dsc, r.figures[method].overlap.nsd, r.name), reverse=True
    )
    places = {"Best": 0, "Median": (len(ranked) - 1) // 2, "Worst": len(ranked) - 1}
    chosen: list[tuple[str, CaseRecord]] = []
    for word, place in places.items():
        if ranked and all(ranked[place] is not record for _, record in chosen):
            chosen.append((word, ranked[place]))
    return chosen


def _means(summary: Summary) -> str:
    head = ["cases", "method", "n", *MEASURES.values(), "precision", "recall", "s per case"]
    rows = []
    for g in summary.groups:
        means = [with_interval(g.means[m], 1 if m == "hd95_mm" else 3) for m in MEASURES]
        rows.append([g.group, g.method, g.cases, *means, f"{g.precision:.2f}", f"{g.recall:.2f}", f"{g.seconds:.1f}"])
    return table(head, rows, text_columns=(1,))


def _tumour_free(summary: Summary) -> str:
    head = ["scans", "method", "n", "marked, ml", "nothing marked (share, 95 %)", "verdict 'found'"]
    rows = []
    for s in summary.tumour_free:
        silent = f"{s.silent} ({s.silent_low:.2f} to {s.silent_high:.2f})"
        rows.append([s.group, s.method, s.scans, with_interval(s.marked_ml, 1), silent, s.found])
    return table(head, rows, text_columns=(1,))


def _sizes(summary: Summary) -> str:
    head = ["cases", "method", "diameter", "lesions", "found", "recall (95 %)", "lesion DSC"]
    rows = []
    for s in summary.sizes:
        recall = f"{s.detected / s.lesions:.2f} ({s.recall_low:.2f} to {s.recall_high:.2f})"
        rows.append([s.group, s.method, s.size, s.lesions, s.detected, recall, f"{s.mean_dsc:.3f}"])
    return table(head, rows, text_columns=(1, 2))


def _cases(records: Sequence[CaseRecord], method: str) -> str:
    head = ["case", "group", "asked", "tumour ml", "marked ml", "DSC", "surface Dice", "HD95 mm", "lesions", "found",
            "false", "verdict", "highest", "s"]  # fmt: skip
    rows = []
    for r in records:
        f = r.figures[method]
        o, lesions = f.overlap, f.lesions
        agreement = [f"{o.dsc:.3f}", f"{o.nsd:.3f}", f"{o.hd95_mm:.1f}"] if r.has_tumour else ["-"] * 3
        counts = [len(lesions.lesions), lesions.detected, lesions.false_positives]
        volumes = [f"{r.truth_ml:.1f}", f"{o.found_ml:.1f}"]
        last = [f.verdict, f"{f.highest_score:.2f}", f"{f.seconds:.1f}"]
        rows.append([r.name, r.folder, r.description, *volumes, *agreement, *counts, *last])
    return table(head, rows, text_columns=(1, 2, 11))


def _pictures(run: EvaluationRun, records: Sequence[CaseRecord], method: str) -> Iterable[str]:
    for word, record in best_median_worst(records, method):
        f = record.figures[method]
        caption = (
            f"<b>{word}: {escape(record.name)}</b>, asked '{escape(record.description)}'. DSC {f.overlap.dsc:.3f}, surface "
            f"Dice {f.overlap.nsd:.3f}; {f.lesions.detected} of {len(f.lesions.lesions)} lesions found, "
            f"{f.lesions.false_positives} false; tumour {record.truth_ml:.1f} ml, marked {f.overlap.found_ml:.1f} ml."
        )
        yield _picture(run, record, method, caption)


def _false_alarm(run: EvaluationRun, records: Sequence[CaseRecord], method: str) -> Iterable[str]:
    worst = max(records, key=lambda r: r.figures[method].overlap.found_ml)
    marked = worst.figures[method].overlap.found_ml
    if marked > 0:
        caption = f"<b>Most marked where nothing is: {escape(worst.name)}</b>, {marked:.1f} ml, asked '{escape(worst.description)}'."
        yield _picture(run, worst, method, caption)


def _picture(run: EvaluationRun, record: CaseRecord, method: str, caption: str) -> str:
    path = run.case_folder(record) / f"{method}.png"
    words = f"{record.name}: scan, truth, mask, score map and pseudo-healthy scan"
    return figure(path.read_bytes() if path.is_file() else None, "png", words, caption)


def _strips(records: Sequence[CaseRecord], method: str) -> str:
    """DSC of every case as a dot, one line a group, with the group's mean."""
    groups: dict[str, list[CaseRecord]] = {}
    for record in records:
        groups.setdefault(record.folder, []).append(record)
    left, width, step = 190, 620, 34
    height = step * len(groups) + 34
    parts = [f'<svg width="{left + width + 40}" height="{height}" role="img" aria-label="DSC of every case">']
    for tick in range(0, 11, 2):
        x = left + width * tick / 10
        parts.append(f'<line x1="{x}" x2="{x}" y1="4" y2="{height - 26}" stroke="var(--line)"/>')
        parts.append(f'<text x="{x}" y="{height - 10}" text-anchor="middle">{tick / 10:.1f}</text>')
    for number, (group, members) in enumerate(groups.items()):
        y = step * number + 20
        parts.append(f'<text x="0" y="{y + 4}">{escape(group[:26])} ({len(members)})</text>')
        scores = [record.figures[method].overlap.dsc for record in members]
        for record, score in zip(members, scores):
            title = f"{escape(record.name)}: {score:.3f}"
            dot = f'<circle cx="{left + width * score:.1f}" cy="{y}" r="4.5" fill="var(--dot)" fill-opacity="0.55">'
            parts.append(f"{dot}<title>{title}</title></circle>")
        x = left + width * sum(scores) / len(scores)
        parts.append(
            f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 11}" y2="{y + 11}" stroke="var(--mean)" stroke-width="2.5"/>'
        )
    return (
        "<div class=wide>"
        + "".join(parts)
        + "</svg></div><p class=quiet>A dot is a case's DSC, the bar the group's mean.</p>"
    )


def _facts(facts: dict[str, Any]) -> str:
    return f"<details><summary>What was run</summary><pre>{escape(json.dumps(facts, indent=2))}</pre></details>"
