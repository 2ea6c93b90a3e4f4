"""Pages of HTML: texts stay texts, pictures are in the page, and nothing is asked of anybody else."""

from __future__ import annotations

import base64

from diffugts.findings.html_page import Markup, figure, page, table

HOSTILE = "<script>alert('x')</script>"


def test_texts_are_never_taken_for_markup_unless_they_are_meant_as_such() -> None:
    made = page(
        HOSTILE, [table([HOSTILE], [[HOSTILE, Markup("<b>bold</b>")]]), figure(None, "png", HOSTILE, "caption")]
    )
    assert "<script" not in made and made.count("&lt;script&gt;") == 3
    assert "<td><b>bold</b></td>" in made


def test_a_picture_is_in_the_page_and_one_that_is_missing_is_told() -> None:
    content = b"\x89PNG"
    drawn = figure(content, "png", 'a "picture"', "<b>caption</b>", " id=one")
    assert f"data:image/png;base64,{base64.b64encode(content).decode()}" in drawn
    assert 'alt="a &quot;picture&quot;"' in drawn and drawn.startswith("<figure id=one>")
    assert "no picture was drawn" in figure(None, "png", "words", "caption")


def test_a_table_sets_texts_left_and_gives_each_row_its_class() -> None:
    made = table(["case", "verdict", "ml"], [["a", "found", 1.5], ["b", "not found", 0]], (1,), ["found", "none"])
    assert '<tr class="found"><td>a</td><td class=text>found</td><td>1.5</td></tr>' in made
    assert '<tr class="none">' in made and "<th class=text>verdict</th>" in made


def test_a_browser_is_told_to_fetch_nothing_and_to_run_nothing() -> None:
    made = page("title", ["text"], "p { color: red; }")
    assert "default-src 'none'" in made and "script-src" not in made
    assert "p { color: red; }" in made and made.endswith("<body>text</body></html>\n")
