"""A reliability diagram as SVG: the share of tumour in the tissue of each score, against the score."""

from __future__ import annotations

from collections.abc import Sequence

from diffugts.evaluation.reliability import LEAST_SCORE, Reliability, calibration_error

SIDE, LEFT, BOTTOM = 260, 46, 40


def reliability_diagram(bins: Sequence[Reliability]) -> str:
    """One point a bin, its area the amount of tissue; on the diagonal a score is the share of tumour it promises."""
    largest = max((b.tissue_ml for b in bins if b.low >= LEAST_SCORE - 1e-9), default=1.0)
    points = []
    for b in bins:
        x, y = LEFT + SIDE * b.score, SIDE * (1 - b.share)
        radius = 3 + 7 * min(1.0, b.tissue_ml / max(largest, 1e-9)) ** 0.5
        told = f"score {b.low:.1f} to {b.high:.1f}: {b.tissue_ml:.0f} ml, {100 * b.share:.0f} % of it tumour"
        points.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="var(--dot)" fill-opacity=".75">'
            f"<title>{told}</title></circle>"
        )
    ticks = []
    for tenth in range(0, 11, 2):
        x, y = LEFT + SIDE * tenth / 10, SIDE * (1 - tenth / 10)
        ticks.append(f'<text x="{x:.0f}" y="{SIDE + 18}" text-anchor="middle">{tenth / 10:g}</text>')
        ticks.append(f'<text x="{LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{tenth / 10:g}</text>')
        ticks.append(f'<path d="M{LEFT} {y:.0f}h{SIDE}M{x:.0f} 0v{SIDE}" stroke="var(--line)" fill="none"/>')
    error = calibration_error(bins)
    said = (
        f"Expected calibration error {error:.3f} of the tissue that scores at least {LEAST_SCORE:g}. "
        if error == error
        else f"No tissue scores {LEAST_SCORE:g} or more. "
    )
    return (
        f'<svg viewBox="0 -12 {LEFT + SIDE + 20} {SIDE + BOTTOM + 16}" width="{LEFT + SIDE + 20}" role="img" '
        f'aria-label="share of tumour by score">{"".join(ticks)}'
        f'<path d="M{LEFT} {SIDE}L{LEFT + SIDE} 0" stroke="var(--mean)" stroke-dasharray="5 4" fill="none"/>'
        f'{"".join(points)}<text x="{LEFT + SIDE / 2}" y="{SIDE + 36}" text-anchor="middle">score</text>'
        f'<text transform="translate(11 {SIDE / 2}) rotate(-90)" text-anchor="middle">share that is tumour</text></svg>'
        f"<p class=quiet>{said}Larger points stand for more tissue, all cases together. Below the dashed line a score "
        "promises more than there is.</p>"
    )
