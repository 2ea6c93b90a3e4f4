"""Pages of HTML that need nothing else: one file with its style and its pictures in it, which loads nothing from anywhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --dot: #2f86d6; --mean: #d9741f; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1360px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p.quiet, figcaption, small { color: var(--quiet); }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .25rem .55rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { vertical-align: bottom; } td:first-child, th:first-child, .text { text-align: left; }
figure { margin: 1rem 0 1.6rem; } figure img { max-width: 100%; border-radius: 4px; display: block; }
figcaption { margin-top: .3rem; } figcaption b { color: CanvasText; }
pre { font-size: 12px; overflow-x: auto; } details { margin: .6rem 0; }
"""

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""What a browser may do with the page: show it. No script runs and nothing is fetched, whatever a description holds."""


class Markup(str):
    """A text that is HTML already; any other text is escaped where it is put into a page."""


def page(title: str, parts: Iterable[str], style: str = "") -> str:
    """A whole page of parts that are HTML; `style` is added to the common one."""
    return (
        f"<!DOCTYPE html><html lang=en><head><meta charset=utf-8><title>{escape(title)}</title>"
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}{style}</style></head><body>{''.join(parts)}</body></html>\n"
    )


def table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    text_columns: Sequence[int] = (),
    row_classes: Sequence[str] = (),
) -> str:
    """A table that scrolls where it is too wide; the first column and `text_columns` are set flush left.

    `row_classes` are one for every row, or none at all.
    """

    def line(tag: str, cells: Sequence[object]) -> str:
        marks = (" class=text" if number in text_columns else "" for number in range(len(cells)))
        return "".join(f"<{tag}{mark}>{_shown(cell)}</{tag}>" for mark, cell in zip(marks, cells))

    lines = [f"<tr>{line('th', head)}</tr>"]
    for number, row in enumerate(rows):
        mark = f' class="{row_classes[number]}"' if row_classes else ""
        lines.append(f"<tr{mark}>{line('td', row)}</tr>")
    return "<div class=wide><table>" + "".join(lines) + "</table></div>"


def figure(picture: bytes | None, kind: str, words: str, caption: str, attributes: str = "") -> str:
    """A picture (its bytes, `kind` "png" or "jpeg") with the words for who cannot see it, and a caption that is HTML.

    Without a picture the caption says so.
    """
    if picture is None:
        return f"<figure{attributes}><figcaption>{caption} (no picture was drawn)</figcaption></figure>"
    data = base64.b64encode(picture).decode("ascii")
    image = f'<img alt="{escape(words)}" src="data:image/{kind};base64,{data}">'
    return f"<figure{attributes}>{image}<figcaption>{caption}</figcaption></figure>"


def _shown(cell: object) -> str:
    return cell if isinstance(cell, Markup) else escape(str(cell))
