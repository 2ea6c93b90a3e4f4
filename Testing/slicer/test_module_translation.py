"""Every sentence that a user may read goes through Slicer's translation; found in the sources, so that it stays so.

Not translated are what other programs and papers read (functions whose docstring says "in English"), what only a
developer sees (log files, programming errors, the in-app test), and the programs that run outside Slicer, whose files
say that they use the standard library only: Slicer shows their sentences as it shows the engine's.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffugts import errors

MODULE = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer"
OUTSIDE = "Standard library only"
FILES = [MODULE / "DiffuGTSSlicer.py", *sorted((MODULE / "DiffuGTSSlicerLib").glob("*.py"))]
INSIDE = [path for path in FILES if OUTSIDE not in (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "")]

TRANSLATING = {"_", "translate"}
FOR_DEVELOPERS = {"RuntimeError", "ValueError", "AssertionError", "logging", "delayDisplay"}
NAMES_IN_SLICER = {"Segmentation category and type - DICOM master list", "Anatomic codes - DICOM master list"}
SENTENCES = {name for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
WORDS = re.compile(r"[A-Za-z']+[,;:]? [A-Za-z']{2,}")


def is_prose(text: str) -> bool:
    """Whether a text is words for people: a sentence, or four words and more. Not code, a pattern or a name."""
    if not WORDS.search(text) or re.search(r"[<\\%]|import ", text) or text in NAMES_IN_SLICER:
        return False
    return text.rstrip()[-1:] in {".", "!", "?", ":", ";"} or len(text.split()) >= 4


def called(call: ast.Call) -> str:
    """The name of what is called; of `logging.error` it is "logging"."""
    part = call.func
    if isinstance(part, ast.Attribute):
        return part.value.id if isinstance(part.value, ast.Name) and part.value.id == "logging" else part.attr
    return part.id if isinstance(part, ast.Name) else ""


def text_of(node: ast.AST) -> str | None:
    """The text of a literal, an f-string's with a sign for what is filled in; None for everything else."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def visible(node: ast.AST) -> Iterator[ast.AST]:
    """The tree without docstrings, translated texts, and what only developers, papers and other programs read."""
    if isinstance(node, ast.Call) and called(node) in TRANSLATING | FOR_DEVELOPERS:
        return
    if isinstance(node, ast.ClassDef) and node.name.endswith("Test"):
        return
    if isinstance(node, ast.FunctionDef) and "in English" in (ast.get_docstring(node) or ""):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    yield node
    if not isinstance(node, ast.JoinedStr):
        for child in ast.iter_child_nodes(node):
            yield from visible(child)


def literals(node: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every literal that a user may read."""
    for part in visible(node):
        text = text_of(part)
        if text is not None:
            yield part.lineno, text


def kinds_of_error(tree: ast.AST) -> set[str]:
    """The names of the errors whose text is shown to the user: the engine's, and those derived from them in a file."""
    own = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and {b.id for b in node.bases if isinstance(b, ast.Name)} & SENTENCES
    }
    return own | SENTENCES | {"OSError"}


def in_program(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: path.stem)
def test_prose_is_translated(path: Path):
    assert [f"{line}: {text}" for line, text in literals(in_program(path)) if is_prose(text)] == []


@pytest.mark.parametrize("path", INSIDE, ids=lambda path: path.stem)
def test_what_is_raised_for_the_user_is_translated(path: Path):
    tree = in_program(path)
    kinds = kinds_of_error(tree)
    raised = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and called(node) in kinds]
    texts = [(line, text) for node in raised for argument in node.args[:2] for line, text in literals(argument)]
    assert [f"{line}: {text}" for line, text in texts if re.search("[A-Za-z]", text)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_only_whole_literals_are_given_to_translators(path: Path):
    """Slicer's extraction of texts reads the sources: it finds neither f-strings nor variables."""
    calls = [node for node in ast.walk(in_program(path)) if isinstance(node, ast.Call) and called(node) == "_"]
    assert [node.lineno for node in calls if len(node.args) != 1 or not isinstance(node.args[0], ast.Constant)] == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_nothing_else_is_called_like_the_translation(path: Path):
    """A loop over `_` in a function that translates makes an error of every sentence in it."""
    for function in (node for node in ast.walk(in_program(path)) if isinstance(node, ast.FunctionDef)):
        names = [node for node in ast.walk(function) if isinstance(node, ast.Name) and node.id == "_"]
        translates = any(isinstance(node, ast.Call) and called(node) == "_" for node in ast.walk(function))
        assert not translates or all(isinstance(name.ctx, ast.Load) for name in names), function.name


@pytest.mark.parametrize("path", sorted(set(FILES) - set(INSIDE)), ids=lambda path: path.stem)
def test_what_runs_outside_slicer_keeps_to_the_standard_library(path: Path):
    own = {file.stem for file in FILES if file not in INSIDE}
    for node in ast.walk(in_program(path)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            package, _dot, rest = name.partition(".")
            assert (
                package in sys.stdlib_module_names
                or (package == "diffugts" and rest.split(".")[0] in ("protocol", "errors"))
                or (package == "DiffuGTSSlicerLib" and rest in own)
            ), name


def test_the_search_finds_what_it_is_for():
    """It would be of no use if it passed everything."""
    text = """
def f():
    "A docstring that is left alone."
    raise ScanError(f"'{name}' holds no image.")
def g():
    return dict(a=_("A sentence that is translated."), b="A sentence that is not.")
"""
    assert [found for _line, found in literals(ast.parse(text)) if is_prose(found)] == [
        "'…' holds no image.",
        "A sentence that is not.",
    ]
