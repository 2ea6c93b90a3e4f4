"""What may import what, and what may appear nowhere in the engine."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "DiffuGTSSlicer" / "diffugts"
SOURCES = sorted(PACKAGE.rglob("*.py"))

SLICER_SIDE = {"slicer", "qt", "vtk", "ctk", "mrml", "PythonQt", "vtkmodules", "DiffuGTSSlicer", "DiffuGTSSlicerLib"}
NETWORK = {"requests", "urllib", "http", "socket", "ftplib", "httpx", "aiohttp", "fastapi", "starlette", "uvicorn"}
MAY_CONNECT = "maisi/download.py"
"""The one file that opens a connection, called by `diffugts models fetch` alone, after the user has agreed."""

LISTENS = "server/"
"""The one part that answers on a network, started by `diffugts serve` alone. It connects to nothing: no client is imported."""

SERVING = {"fastapi", "starlette", "uvicorn"}

PICKLING = {"pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}

LAYERS = (
    {"errors", "protocol", "allocation", "interrupts", "stage_progress", "views"},
    {"scans", "descriptions"},
    {"generated", "foundation"},
    {"encoded", "attention", "appearance", "appearance_fusion", "inpainting", "refinement", "calibration"},
    {"findings", "preset", "pseudo_healthy"},
    {"pipeline", "described_search", "models", "marked_region", "maisi", "dicom"},
    {"worker", "training", "evaluation", "baselines", "server", "cohort"},
    {"cli", "__main__"},
)
"""Parts of the engine from the bottom up (docs/architecture.md): a part knows its own layer and those below it."""

CROSSES_THE_PROCESS_BOUNDARY = ("errors", "protocol")
"""What Slicer's process imports of the engine: each a file or a folder of files."""


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names of every module that is imported anywhere in the tree, type-checking blocks left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names if node.module == "diffugts")
        else:
            yield from imported(node)


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_the_engine_has_sources() -> None:
    assert len(SOURCES) > 10


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_the_engine_knows_nothing_of_slicer_networks_or_pickles(path: Path) -> None:
    roots = {name.split(".")[0] for name in imported(parsed(path))}
    assert not roots & SLICER_SIDE
    if name_of(path).startswith(LISTENS):
        roots -= SERVING
    assert not roots & NETWORK or name_of(path) == MAY_CONNECT, "nothing at run time may need a network"
    assert not roots & PICKLING, "a pickle runs code of whoever wrote it"


def test_only_the_command_that_fetches_models_can_reach_the_network() -> None:
    module = "diffugts." + MAY_CONNECT.removesuffix(".py").replace("/", ".")
    users = [name_of(path) for path in SOURCES if module in imported(parsed(path))]
    assert users == ["cli/models.py"]
    command = next(
        node for node in parsed(PACKAGE / "cli/models.py").body if getattr(node, "name", "") == "_fetch_shown"
    )
    assert module in imported(command), "it is imported where it is called, not when the program starts"


def test_only_the_command_that_serves_can_listen() -> None:
    users = {
        name_of(path)
        for path in SOURCES
        if not name_of(path).startswith(LISTENS)
        and any(name.startswith("diffugts.server") for name in imported(parsed(path)))
    }
    assert users == {"cli/serve.py"}
    loaded_with_the_program = parsed(PACKAGE / "cli/serve.py").body
    at_start = {name for node in loaded_with_the_program if isinstance(node, ast.ImportFrom) for name in [node.module]}
    assert not any(name and name.startswith("diffugts.server") for name in at_start)


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_weights_are_never_loaded_in_a_way_that_runs_code(path: Path) -> None:
    for node in ast.walk(parsed(path)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        assert "trust_remote_code" not in keywords
        assert called not in ("eval", "exec")
        if called == "torch.load":
            safe = keywords.get("weights_only")
            assert isinstance(safe, ast.Constant) and safe.value is True
        if called.endswith("load") and "allow_pickle" in keywords:
            assert ast.unparse(keywords["allow_pickle"]) == "False"


@pytest.mark.parametrize("name", CROSSES_THE_PROCESS_BOUNDARY)
def test_what_both_processes_import_needs_the_standard_library_only(name: str) -> None:
    paths = [path for path in SOURCES if path.relative_to(PACKAGE).parts[0].removesuffix(".py") == name]
    assert paths, f"there is no diffugts.{name}"
    allowed = sys.stdlib_module_names | {"diffugts"}
    for path in paths:
        for module in imported(parsed(path)):
            parts = module.split(".")
            assert parts[0] in allowed, f"{path.name} needs {module}"
            inside = {*CROSSES_THE_PROCESS_BOUNDARY, "__version__"}
            assert parts[0] != "diffugts" or set(parts[1:2]) <= inside, f"{path.name} needs {module}"
    module = f"import sys; sys.path.insert(0, {str(PACKAGE.parent)!r}); import diffugts.{name}"
    without_any_package = [sys.executable, "-I", "-S", "-c", module]
    assert subprocess.run(without_any_package).returncode == 0


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_imports_point_one_way(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if own == "__init__":
        assert not [name for name in imported(parsed(path)) if name.startswith("diffugts")]
        return
    rank = {part: layer for layer, parts in enumerate(LAYERS) for part in parts}
    assert own in rank, f"give '{own}' its place in LAYERS and in docs/architecture.md"
    for name in imported(parsed(path)):
        parts = name.split(".")
        if parts[0] == "diffugts" and len(parts) > 1 and parts[1] in rank:
            assert rank[parts[1]] <= rank[own], f"{own} may not know {parts[1]}"
