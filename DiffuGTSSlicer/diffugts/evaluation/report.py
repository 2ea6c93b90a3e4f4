"""The evaluation as tables (Markdown) and as data (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from diffugts.evaluation.speed import machine
from diffugts.evaluation.validation import QUALITIES, CaseRow, Report
from diffugts.pipeline import DiffuGTSPipeline

BOOTSTRAP_SAMPLES = 2000


def write_report(report: Report, pipeline: DiffuGTSPipeline, folder: Path) -> Path:
    """Write `report.md` and `report.json` into `folder`; returns the path of the first."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(asdict(report), indent=1), encoding="utf-8")
    path = folder / "report.md"
    path.write_text(as_markdown(report, pipeline), encoding="utf-8")
    return path


def as_markdown(report: Report, pipeline: DiffuGTSPipeline) -> str:
    """All tables, with the model's checksum and the machine."""
    parts = [
        f"Model `{pipeline.identity.name}`, weights `{pipeline.identity.weights_sha256[:12]}`; {machine(pipeline.device)}; "
        f"peak memory {report.peak_rss_mb / 1000:.1f} GB.",
        "### Validation cases\n\n" + _cases(report.cases),
        "### Means by folder\n\n" + _means(report.cases),
        "### Tumour-free scans\n\n" + _tumour_free(report.tumour_free),
        "### The true mask as the hole\n\n" + _effects(report.cases),
        "### Generated lesions, where the healthy truth is known (PSNR in the hole)\n\n"
        + _figures(report.counterfactual, "dB"),
        "### Words: highest score on the sarcoma scans\n\n" + _figures(report.words, ""),
        "### Paraphrases: DSC with the mask of 'soft tissue sarcoma'\n\n" + _figures(report.paraphrase_dice, ""),
    ]
    return "\n\n".join(parts) + "\n"


def bootstrap_interval(values: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean by resampling cases."""
    rng = np.random.default_rng(seed)
    means = rng.choice(np.asarray(values, float), (BOOTSTRAP_SAMPLES, len(values))).mean(1)
    return float(np.percentile(means, 2.5)), float(np.percentile(means, 97.5))


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows])


def _cases(rows: Sequence[CaseRow]) -> str:
    head = [
        "scan",
        "tumour ml",
        "ellipsoid",
        *QUALITIES,
        "best threshold",
        "verdict",
        "highest",
        "anomaly",
        "s fast",
        "s standard",
    ]
    return table(
        head,
        (
            [
                r.name,
                f"{r.tumour_ml:.1f}",
                f"{r.ellipsoid_dice:.2f}",
                *(f"{r.dice[q]:.3f}" if q in r.dice else "-" for q in QUALITIES),
                f"{r.oracle_dice:.3f}",
                r.verdict,
                f"{r.highest_score:.2f}",
                f"{r.anomaly_score:.2f}",
                *(f"{r.seconds[q]:.1f}" if q in r.seconds else "-" for q in QUALITIES[:2]),
            ]
            for r in rows
        ),
    )


def _means(rows: Sequence[CaseRow]) -> str:
    lines = []
    for name, members in _groups(rows).items():
        for quality in QUALITIES:
            values = [r.dice[quality] for r in members if quality in r.dice]
            if values:
                low, high = bootstrap_interval(values)
                ellipsoid = np.mean([r.ellipsoid_dice for r in members])
                lines.append(
                    [
                        name,
                        quality,
                        len(values),
                        f"{np.mean(values):.3f}",
                        f"{low:.3f} to {high:.3f}",
                        f"{ellipsoid:.3f}",
                    ]
                )
    return table(["cases", "quality", "n", "mean DSC", "95 % interval", "ellipsoid"], lines)


def _groups(rows: Sequence[CaseRow]) -> dict[str, list[CaseRow]]:
    groups: dict[str, list[CaseRow]] = {}
    for row in rows:
        groups.setdefault(row.folder, []).append(row)
        if row.folder == "sarcoma":
            groups.setdefault("sarcoma, CT" if "_CT" in row.name else "sarcoma, MR", []).append(row)
    return groups


def _tumour_free(rows: Sequence[CaseRow]) -> str:
    lines = [
        [r.name, *(f"{r.found_ml.get(q, float('nan')):.1f}" for q in QUALITIES), r.verdict, f"{r.highest_score:.2f}"]
        for r in rows
    ]
    if rows:
        lines.append(
            ["mean", *(f"{np.mean([r.found_ml.get(q, np.nan) for r in rows]):.1f}" for q in QUALITIES), "", ""]
        )
    return table(["scan", *(f"ml {q}" for q in QUALITIES), "verdict", "highest"], lines)


def _effects(rows: Sequence[CaseRow]) -> str:
    lines = []
    for row in rows:
        e = row.effect
        if e is not None:
            lines.append(
                [
                    row.name,
                    f"{e.before_mean:.0f}",
                    f"{e.after_mean:.0f}",
                    f"{e.ring_mean:.0f}",
                    "yes" if e.nearer else "no",
                    f"{e.after_sd:.0f}",
                    f"{e.ring_sd:.0f}",
                    f"{e.sd_ratio:.2f}",
                ]
            )
    return table(["scan", "tumour before", "after", "ring", "nearer", "sd after", "sd ring", "ratio"], lines)


def _figures(rows: Sequence[dict[str, float]], unit: str) -> str:
    if not rows:
        return "None."
    names = list(rows[0])
    values = {name: [row[name] for row in rows] for name in names}
    lines = [
        [name, f"{np.mean(v):.2f} {unit}".strip(), f"{np.min(v):.2f}", f"{np.max(v):.2f}"] for name, v in values.items()
    ]
    return table(["", "mean", "lowest", "highest"], lines)
