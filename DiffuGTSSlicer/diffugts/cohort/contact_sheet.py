"""The cohort to look through: one HTML file with every finding's picture, made smaller, and what was said of it.

The pictures are those of the results (scan with outline, scan with score map, pseudo-healthy scan); no volume is read again.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from PIL import Image  # drawing is matplotlib's, which needs Pillow itself

from diffugts.cohort.run import Outcome
from diffugts.findings.finding import Verdict
from diffugts.findings.html_page import Markup, figure, page, table
from diffugts.protocol import FindingRecord, ResultManifest
from diffugts.protocol.files import replace_text
from diffugts.scans.found_scans import PassedOver

PICTURE_WIDTH, JPEG_QUALITY = 1120, 82
"""Pixels and quality of a picture in the page: about 60 kB each."""

VERDICT_CLASSES = {Verdict.FOUND.value: "found", Verdict.UNCERTAIN.value: "uncertain", Verdict.NOT_FOUND.value: "none"}

STYLE = """
tr.found td:nth-child(3), b.found { color: #c2410c; } tr.uncertain td:nth-child(3), b.uncertain { color: #a16207; }
nav { position: sticky; top: 0; background: Canvas; padding: .5rem 0; border-bottom: 1px solid var(--line); z-index: 1; }
nav label { margin-right: 1.4rem; } body { max-width: 1900px; }
div.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(600px, 100%), 1fr)); gap: 1rem; }
body:has(#large:checked) div.sheet { grid-template-columns: 1fr; }
figure { margin: 0; content-visibility: auto; contain-intrinsic-size: auto 300px; }
figure img { width: 100%; max-width: 1120px; } td.why { white-space: normal; text-align: left; }
""" + "".join(
    f"body:has(#show-{name}:not(:checked)) .{name} {{ display: none; }}\n" for name in VERDICT_CLASSES.values()
)
"""Which findings are shown is chosen by the style alone: a page with pictures of patients runs no script."""

LEGEND = (
    "<p class=quiet>Of each picture, from the left: the scan with the outline of what was found; the scan with the score map, "
    "white dots where it is cut; the pseudo-healthy scan. The slice is the one in which most was found, or with the highest "
    "score; the patient's right is on the left.</p>"
)


def write_contact_sheet(outcomes: Sequence[Outcome], path: Path, passed_over: Sequence[PassedOver] = ()) -> None:
    """Write the page. Raises OSError."""
    found = [(outcome, outcome.manifest) for outcome in outcomes if outcome.manifest is not None]
    parts = [
        f"<h1>Cohort: {escape(path.resolve().parent.name)}</h1>",
        f"<p>{_counted(outcomes, found)} Research use only; not a medical device.</p>",
        _choices(found),
        "<h2>Findings</h2>",
        _findings(found),
        *_reasons("Failed", ((o.case.name, o.failure) for o in outcomes if o.manifest is None)),
        *_reasons("Passed over", ((each.name, each.reason) for each in passed_over)),
        "<h2>Pictures</h2>",
        LEGEND,
        "<div class=sheet>",
        *(
            _picture(outcome, manifest, number)
            for outcome, manifest in found
            for number in range(len(manifest.findings))
        ),
        "</div>",
    ]
    replace_text(path, page("DiffuGTS cohort", parts, STYLE))


def _counted(outcomes: Sequence[Outcome], found: Sequence[tuple[Outcome, ResultManifest]]) -> str:
    models = sorted({f"{m.provenance.model} ({m.provenance.quality})" for _, m in found})
    by = f", by {escape(', '.join(models))}" if models else ""
    return f"{len(found)} of {len(outcomes)} cases are finished{by}."


def _choices(found: Sequence[tuple[Outcome, ResultManifest]]) -> str:
    """A box for each verdict, with how often it was given, and one for the size of the pictures."""
    often = Counter(finding.verdict for _, manifest in found for finding in manifest.findings)
    boxes = (
        f"<label><input type=checkbox id=show-{name} checked> {escape(verdict)} ({often[verdict]})</label>"
        for verdict, name in VERDICT_CLASSES.items()
    )
    return f"<nav>{''.join(boxes)}<label><input type=checkbox id=large> large pictures</label></nav>"


def _findings(found: Sequence[tuple[Outcome, ResultManifest]]) -> str:
    head = ("case", "description", "verdict", "ml", "lesions", "longest axial mm", "highest score")
    rows, classes = [], []
    for outcome, manifest in found:
        for number, finding in enumerate(manifest.findings):
            link = f'<a href="#{_anchor(outcome, number)}">{escape(outcome.case.name)}</a>'
            longest = max((lesion.longest_axial_diameter_mm for lesion in finding.lesions), default=None)
            rows.append((
                Markup(link), finding.description, finding.verdict, f"{finding.volume_ml:.2f}", len(finding.lesions),
                "" if longest is None else f"{longest:.0f}", f"{finding.highest_score:.2f}",
            ))  # fmt: skip
            classes.append(VERDICT_CLASSES.get(finding.verdict, ""))
    return table(head, rows, text_columns=(1, 2), row_classes=classes)


def _reasons(title: str, reasons: Iterator[tuple[str, str]]) -> Iterator[str]:
    """A folded list of what has no result, with why."""
    rows = [f"<tr><td>{escape(name)}<td class=why>{escape(reason)}" for name, reason in reasons]
    if rows:
        yield f"<details open><summary>{title}: {len(rows)}</summary><table>{''.join(rows)}</table></details>"


def _picture(outcome: Outcome, manifest: ResultManifest, number: int) -> str:
    finding = manifest.findings[number]
    name = VERDICT_CLASSES.get(finding.verdict, "")
    drawn = manifest.file("picture", number)
    attributes = f' id="{_anchor(outcome, number)}" class="{name}"'
    caption = f"<b>{escape(outcome.case.name)}</b>: {escape(_said(finding), quote=False)}"
    words = f"{outcome.case.name}, {finding.description}: scan with outline, score map, pseudo-healthy scan"
    return figure(None if drawn is None else _smaller(drawn), "jpeg", words, caption, attributes)


def _said(finding: FindingRecord) -> str:
    parts = [f"{finding.description}: {finding.verdict}, highest score {finding.highest_score:.2f}"]
    if finding.lesions:
        parts.append(
            f"{finding.volume_ml:.2f} ml in {len(finding.lesions)} lesion{'s' if len(finding.lesions) > 1 else ''}"
        )
    return ", ".join(parts) + "." + "".join(f" {note}" for note in finding.notes)


def _smaller(path: Path) -> bytes:
    """A picture of a result as JPEG, no wider than the page."""
    with Image.open(path) as picture:
        picture = picture.convert("RGB")
        picture.thumbnail((PICTURE_WIDTH, 4 * PICTURE_WIDTH))
        content = io.BytesIO()
        picture.save(content, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return content.getvalue()


def _anchor(outcome: Outcome, number: int) -> str:
    return escape(f"{outcome.case.name}-{number + 1}")
