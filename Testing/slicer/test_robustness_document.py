"""docs/robustness.md: its tests exist, and the program says what it quotes."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
TEXT = (ROOT / "docs" / "robustness.md").read_text(encoding="utf-8")
TESTS = sorted(set(re.findall(r"`([\w./]+\.py)::(\w+)`", TEXT)))
ROWS = [row for row in TEXT.splitlines() if row.startswith("| ") and not row.startswith("| fault |")]
QUOTED = sorted({quote for row in ROWS for quote in re.findall(r'"([^"]+)"', row.split(" | ")[1])})
SHORTEST = 8
"""Characters of a piece of a sentence that says which sentence it is."""


@cache
def said() -> str:
    """Every text in the program, joined as Python joins them; values that are put in are cut out."""
    texts = []
    for path in (ROOT / "DiffuGTSSlicer").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                texts.append("".join(p.value if isinstance(p, ast.Constant) else "\0" for p in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(node.value)
    return "\n".join(texts)


def test_the_document_names_tests_and_quotes_sentences():
    assert len(TESTS) > 60 and len(QUOTED) > 25


@pytest.mark.parametrize(("file", "name"), TESTS)
def test_every_test_that_the_document_names_exists(file: str, name: str):
    tree = ast.parse((HERE / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("quote", QUOTED)
def test_the_program_says_what_the_document_quotes(quote: str):
    pieces = [piece for piece in (part.strip(" .,:;()'") for part in quote.split("…")) if len(piece) >= SHORTEST]
    assert pieces, f"{quote!r} has no piece long enough to be found"
    missing = [piece for piece in pieces if piece not in said()]
    assert not missing


def test_every_row_of_a_table_has_its_test():
    without = [
        row
        for row in ROWS
        if not re.search(r"`[\w./]+\.py::\w+`", row) and not row.startswith(("| case", "| typed", "| volume |"))
    ]
    assert not without
