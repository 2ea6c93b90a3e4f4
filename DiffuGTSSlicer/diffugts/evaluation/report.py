"""A run's figures as files: tables in Markdown, everything as JSON, cases and lesions as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from diffugts.evaluation.measures import HoleEffect
from diffugts.evaluation.records import CaseRecord
from diffugts.evaluation.reliability import LEAST_SCORE, calibration_error
from diffugts.evaluation.run import RUN_FILE
from diffugts.evaluation.stage_summary import STAGES_TITLE, stage_head, stage_rows, summarise_stages
from diffugts.evaluation.statistics import share_interval
from diffugts.evaluation.summary import MEASURES, Mean, Summary, diameter_mm

RESULTS_FILE, TABLES_FILE, CASES_FILE, LESIONS_FILE = "results.json", "report.md", "cases.csv", "lesions.csv"


def write_tables(folder: Path, records: Sequence[CaseRecord], summary: Summary, made_by: str) -> None:
    """Write all files but the HTML report into a run's folder; `made_by` says with what, on which machine."""
    run = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    results = {
        "run": run,
        "summary": summary.as_dict(),
        "stages": [asdict(stage) for stage in summarise_stages(records)],
        "cases": [asdict(record) for record in records],
    }
    (folder / RESULTS_FILE).write_text(json.dumps(results, indent=1), encoding="utf-8")
    (folder / TABLES_FILE).write_text(as_markdown(records, summary, made_by), encoding="utf-8")
    _write_csv(folder / CASES_FILE, _case_rows(records))
    _write_csv(folder / LESIONS_FILE, _lesion_rows(records))


def as_markdown(records: Sequence[CaseRecord], summary: Summary, made_by: str) -> str:
    """Every table of a run."""
    ill = [r for r in records if r.failure is None and r.has_tumour]
    free = [r for r in records if r.failure is None and not r.has_tumour]
    parts = [made_by]
    if ill:
        parts += [
            "### Cases\n\n" + case_table(ill),
            "### Means by folder\n\n" + mean_table(summary, ill),
            "### Lesions by size\n\n" + size_table(summary),
        ]
    if free:
        parts.append("### Tumour-free scans\n\n" + tumour_free_table(free))
    if records:
        parts.append("### What a verdict was worth\n\n" + table(VERDICT_HEAD, verdict_rows(summary)))
    if summary.reliability:
        parts.append("### Reliability of the score\n\n" + reliability_table(summary))
    parts += stage_table(records)
    parts += _studies(records)
    if summary.failed:
        parts.append(
            "### Not evaluated\n\n" + table(["case", "why"], ([r.name, r.failure] for r in records if r.failure))
        )
    return "\n\n".join(parts) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(_cell(cell) for cell in row) + " |" for row in rows])


def with_interval(mean: Mean, digits: int = 3) -> str:
    """A mean and its interval in one cell; of one case, or of equal ones, the value alone."""
    if mean.low == mean.high:
        return f"{mean.value:.{digits}f}"
    return f"{mean.value:.{digits}f} ({mean.low:.{digits}f} to {mean.high:.{digits}f})"


def case_table(records: Sequence[CaseRecord]) -> str:
    """One line a case: DSC of every method, and what the last one said."""
    methods = methods_of(records)
    studied = any("ellipsoid_dice" in r.studies for r in records)
    extra = ["ellipsoid", "best threshold"] if studied else []
    head = ["scan", "tumour ml", *methods, *extra, "surface Dice", "lesions", "verdict", "highest", "anomaly"]
    rows = []
    for r in records:
        last = r.figures[methods[-1]]
        known = [f"{r.studies.get(key, float('nan')):.3f}" for key in ("ellipsoid_dice", "best_threshold_dice")]
        rows.append(
            [
                r.name,
                f"{r.truth_ml:.1f}",
                *(f"{r.figures[m].overlap.dsc:.3f}" for m in methods),
                *(known if studied else []),
                f"{last.overlap.nsd:.3f}",
                f"{last.lesions.detected} of {len(last.lesions.lesions)}, {last.lesions.false_positives} false",
                last.verdict,
                f"{last.highest_score:.2f}",
                "-" if last.anomaly_score is None else f"{last.anomaly_score:.2f}",
            ]
        )
    return table([*head, *(f"s {m}" for m in methods)], [
        [*row, *(f"{r.figures[m].seconds:.1f}" for m in methods)] for row, r in zip(rows, records)
    ])  # fmt: skip


def mean_table(summary: Summary, records: Sequence[CaseRecord]) -> str:
    """Means with intervals by group and method, with the ellipsoid's where it was measured."""
    ellipsoid: dict[str, list[float]] = {}
    for r in records:
        if "ellipsoid_dice" in r.studies:
            for group in (r.folder, f"{r.folder}, {r.modality}", "all cases"):
                ellipsoid.setdefault(group, []).append(r.studies["ellipsoid_dice"])
    head = ["cases", "method", "n", *MEASURES.values(), "precision", "recall", *(["ellipsoid"] if ellipsoid else [])]
    rows = []
    for g in summary.groups:
        means = [with_interval(g.means[m], 1 if m == "hd95_mm" else 3) for m in MEASURES]
        last = [f"{np.mean(ellipsoid[g.group]):.3f}" if g.group in ellipsoid else "-"] if ellipsoid else []
        rows.append([g.group, g.method, g.cases, *means, f"{g.precision:.2f}", f"{g.recall:.2f}", *last])
    return table(head, rows)


def size_table(summary: Summary) -> str:
    """Lesions found, by their size."""
    rows = []
    for s in summary.sizes:
        found = f"{s.detected} ({s.recall_low:.2f} to {s.recall_high:.2f})"
        rows.append([s.group, s.method, s.size, s.lesions, found, f"{s.mean_dsc:.3f}"])
    return table(["cases", "method", "diameter", "lesions", "found (share, 95 %)", "lesion DSC"], rows)


def tumour_free_table(records: Sequence[CaseRecord]) -> str:
    """What was marked in scans without a tumour, ml."""
    methods = methods_of(records)
    rows: list[list[object]] = []
    for r in records:
        last = r.figures[methods[-1]]
        marked = [f"{r.figures[m].overlap.found_ml:.1f}" for m in methods]
        rows.append([r.name, *marked, last.verdict, f"{last.highest_score:.2f}"])
    means = [Mean.of([r.figures[m].overlap.found_ml for r in records]) for m in methods]
    rows.append(["mean", *(with_interval(mean, 1) for mean in means), "", ""])
    return table(["scan", *(f"ml {m}" for m in methods), "verdict", "highest"], rows)


VERDICT_HEAD = (
    "method", "verdict", "cases", "mask meets the tumour", "mask misses it", "tumour-free", "right (95 %)",
)  # fmt: skip


def verdict_rows(summary: Summary) -> list[list[object]]:
    """How often each verdict was given, over cases with and without a tumour, and how often it was right."""
    rows: list[list[object]] = []
    for method, worths in summary.verdicts.items():
        for w in worths:
            low, high = share_interval(w.right, w.cases)
            right = f"{w.right / w.cases:.2f} ({low:.2f} to {high:.2f})" if w.cases else "-"
            rows.append([method, w.verdict, w.cases, w.touched, w.missed, w.free, right])
    return rows


def reliability_table(summary: Summary) -> str:
    """Share of tumour in the tissue of each score, with the expected calibration error of each method."""
    head = ["method", "score", "tissue ml", "mean score", "share that is tumour"]
    rows: list[list[object]] = []
    for method, bins in summary.reliability.items():
        for b in bins:
            rows.append(
                [method, f"{b.low:.1f} to {b.high:.1f}", f"{b.tissue_ml:.0f}", f"{b.score:.2f}", f"{b.share:.2f}"]
            )
        rows.append([method, f"calibration error from {LEAST_SCORE:g} on", "", "", f"{calibration_error(bins):.3f}"])
    return table(head, rows)


def stage_table(records: Sequence[CaseRecord]) -> list[str]:
    """What each stage brings, with its heading; nothing where it was not looked at."""
    stages = summarise_stages(records)
    return [f"### {STAGES_TITLE}\n\n" + table(stage_head(stages), stage_rows(stages))] if stages else []


def methods_of(records: Sequence[CaseRecord]) -> list[str]:
    """The methods' names, in order."""
    return list(dict.fromkeys(name for record in records for name in record.figures))


def _studies(records: Sequence[CaseRecord]) -> list[str]:
    gathered: dict[str, list[dict[str, float]]] = {"counterfactual": [], "words": [], "paraphrase_dice": []}
    for r in records:
        for key in gathered:
            found = r.studies.get(key, [])
            gathered[key] += found if isinstance(found, list) else [found]
    holes = [(r.name, HoleEffect(**r.studies["hole"])) for r in records if "hole" in r.studies]
    parts = []
    if holes:
        parts.append("### The true mask painted over\n\n" + _hole_table(holes))
    titles = {
        "counterfactual": (
            "Generated lesions painted over, where the healthy truth is known (PSNR of what is painted)",
            "dB",
        ),
        "words": ("Words: highest score on the sarcoma scans", ""),
        "paraphrase_dice": ("Paraphrases: DSC with the mask of 'soft tissue sarcoma'", ""),
    }
    return parts + [f"### {titles[k][0]}\n\n{_figures(rows, titles[k][1])}" for k, rows in gathered.items() if rows]


def _hole_table(holes: Sequence[tuple[str, HoleEffect]]) -> str:
    head = ["scan", "tumour before", "after", "ring", "nearer", "sd after", "sd ring", "ratio"]
    return table(head, (
        [
            name,
            *(f"{value:.0f}" for value in (e.before_mean, e.after_mean, e.ring_mean)),
            "yes" if e.nearer else "no",
            *(f"{value:.0f}" for value in (e.after_sd, e.ring_sd)),
            f"{e.sd_ratio:.2f}",
        ]
        for name, e in holes
    ))  # fmt: skip


def _figures(rows: Sequence[dict[str, float]], unit: str) -> str:
    lines = []
    for name in rows[0]:
        values = [row[name] for row in rows]
        lines.append([name, f"{np.mean(values):.2f} {unit}".strip(), f"{min(values):.2f}", f"{max(values):.2f}"])
    return table(["", "mean", "lowest", "highest"], lines)


def _case_rows(records: Sequence[CaseRecord]) -> Iterable[dict[str, Any]]:
    for r in records:
        facts = {"case": r.name, "group": r.folder, "modality": r.modality, "description": r.description}
        for method, f in r.figures.items():
            lesions = f.lesions
            yield {
                **facts,
                "method": method,
                **asdict(f.overlap),
                "lesions": len(lesions.lesions),
                "lesions_found": lesions.detected,
                "false_positive_lesions": lesions.false_positives,
                "lesion_dsc": lesions.dsc,
                "lesion_hd95_mm": lesions.hd95_mm,
                "lesion_f1": lesions.f1,
                "verdict": f.verdict,
                "highest_score": f.highest_score,
                "anomaly_score": f.anomaly_score,
                "seconds": f.seconds,
            }


def _lesion_rows(records: Sequence[CaseRecord]) -> Iterable[dict[str, Any]]:
    for r in records:
        for method, f in r.figures.items():
            for number, lesion in enumerate(f.lesions.lesions, start=1):
                size = {"diameter_mm": diameter_mm(lesion.volume_ml)}
                yield {"case": r.name, "group": r.folder, "method": method, "lesion": number, **asdict(lesion), **size}


def _write_csv(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    found = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(found[0]) if found else ["case"])
        writer.writeheader()
        writer.writerows(found)


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
