"""The extension's own files: in step with each other, and as Slicer's Extensions Index checks them.

The index checks every entry with scripts/check_description_files.py of github.com/Slicer/ExtensionsIndex, against the
schema of github.com/Slicer/Slicer; what needs no network of that is asked here. Left to a person: that the repository
on GitHub has the topic 3d-slicer-extension, and that the addresses answer (docs/manual-check.md).
"""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CMAKE = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
ENTRY = json.loads((ROOT / "DiffuGTS.json").read_text(encoding="utf-8"))

ENTRY_FIELDS = {
    "$schema": str,
    "category": str,
    "scm_url": str,
    "scm_revision": str,
    "scm_type": str,
    "build_dependencies": list,
    "build_subdirectory": str,
    "enabled": bool,
    "tier": int,
}
"""The fields of schema 1.0.1 and their types; the first three are required, others than these forbidden."""

SLICER_SIDE = sorted(
    [*(ROOT / "DiffuGTSSlicer").glob("*.py"), *(ROOT / "DiffuGTSSlicer" / "DiffuGTSSlicerLib").rglob("*.py")]
)

LARGEST_CHECKOUT_MB = 100
"""The index refuses more than this."""

LARGEST_CLONE_MB = 200
"""Files and history together, by our own choice: the index clones all of it, and every generation of weights stays in it."""

AT_FILE_SCOPE = {"slicer", "qt", "ctk", "vtk", "numpy", "DiffuGTSSlicerLib", "diffugts"}
"""What the module may import when Slicer starts, besides the standard library: all of it comes with Slicer or is ours."""


def cmake_value(name: str) -> str:
    found = re.search(rf'set\(EXTENSION_{name} "([^"]+)"\)', CMAKE)
    assert found is not None, f"the index looks for set(EXTENSION_{name} ...) in one quoted string"
    return found.group(1)


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def test_the_description_files_are_in_step_with_cmake() -> None:
    subprocess.run([sys.executable, ROOT / "Resources" / "public_address.py", "--check"], check=True)


def test_a_new_public_address_reaches_every_file(tmp_path: Path) -> None:
    (tmp_path / "Resources").mkdir()
    shutil.copy(ROOT / "Resources" / "public_address.py", tmp_path / "Resources")
    old = re.search(r'DIFFUGTS_PUBLIC_ADDRESS "https://github.com/([^"]+)"', CMAKE)
    assert old is not None
    (tmp_path / "CMakeLists.txt").write_text(
        CMAKE.replace(
            f'ADDRESS "https://github.com/{old[1]}"', 'ADDRESS "https://github.com/somebody/SlicerDiffuGTS.git"'
        )
    )
    subprocess.run([sys.executable, tmp_path / "Resources" / "public_address.py"], check=True, capture_output=True)
    for name in ("CMakeLists.txt", "DiffuGTS.json", "DiffuGTS.s4ext"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "somebody/SlicerDiffuGTS" in text and old[1] not in text, name


def test_the_catalog_entry_follows_the_index_s_schema() -> None:
    assert {"$schema", "category", "scm_url"} <= ENTRY.keys()
    for name, value in ENTRY.items():
        assert name in ENTRY_FIELDS and type(value) is ENTRY_FIELDS[name], name
    assert ENTRY["$schema"].endswith("/Schemas/slicer-extension-catalog-entry-schema-v1.0.1.json#")
    assert 1 <= ENTRY["tier"] <= 5
    assert ENTRY["category"] == cmake_value("CATEGORY") == "Segmentation", "a category that the index knows"


def test_the_names_are_as_the_index_wants_them() -> None:
    address = urlsplit(ENTRY["scm_url"])
    assert address.scheme == "https" and Path(address.path).stem.startswith("Slicer"), "the repository: Slicer..."
    project = re.search(r"project\s*\(\s*([^\s)]+)", CMAKE)
    assert project is not None and (ROOT / f"{project[1]}.json").is_file(), "the entry is named after the project"
    assert not project[1].lower().startswith("slicer"), "the extension: not Slicer..."


def test_what_the_entry_depends_on_is_what_cmake_says() -> None:
    depends = cmake_value("DEPENDS")
    assert ENTRY["build_dependencies"] == ([] if depends == "NA" else depends.split())


def test_description_and_homepage_are_given() -> None:
    assert 40 < len(cmake_value("DESCRIPTION")) < 300 and "research" in cmake_value("DESCRIPTION")
    assert cmake_value("HOMEPAGE").startswith(ENTRY["scm_url"].removesuffix(".git"))
    assert cmake_value("CONTRIBUTORS")


def test_text_files_have_line_feeds_only() -> None:
    with_carriage_return = [
        path.name
        for path in tracked_files()
        if path.suffix in {".json", ".py", ".md", ".txt", ".ui", ".cmake", ".s4ext", ".toml", ".tsv"}
        and path.is_file()
        and b"\r" in path.read_bytes()
    ]
    assert not with_carriage_return


def test_icon_and_screenshots_are_pictures_of_this_repository() -> None:
    raw = ENTRY["scm_url"].removesuffix(".git").replace("https://github.com/", "https://raw.githubusercontent.com/")
    urls = [cmake_value("ICONURL"), *cmake_value("SCREENSHOTURLS").split()]
    assert len(urls) >= 2, "an icon and at least one screenshot"
    for url in urls:
        assert url.startswith(f"{raw}/main/"), url
        with Image.open(ROOT / url.removeprefix(f"{raw}/main/")) as picture:
            assert picture.format in ("PNG", "JPEG"), url


@pytest.mark.parametrize(
    ("name", "pixels"), [("Resources/DiffuGTS.png", 128), ("DiffuGTSSlicer/Resources/Icons/DiffuGTSSlicer.png", 64)]
)
def test_the_icons_have_slicer_s_sizes(name: str, pixels: int) -> None:
    with Image.open(ROOT / name) as icon:
        assert icon.format == "PNG" and icon.size == (pixels, pixels) and icon.mode == "RGBA"


def test_the_licence_lies_in_the_root() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_a_clone_is_small_enough() -> None:
    files = sum(path.stat().st_size for path in tracked_files() if path.is_file())
    history = subprocess.run(
        ["git", "rev-list", "--disk-usage", "--objects", "HEAD"], cwd=ROOT, capture_output=True, text=True
    )
    assert files / 1e6 < LARGEST_CHECKOUT_MB, f"the files are {files / 1e6:.0f} MB"
    megabytes = (files + int(history.stdout or 0)) / 1e6
    assert megabytes < LARGEST_CLONE_MB, f"files and history together are {megabytes:.0f} MB"


def modules_imported_at_file_scope(path: Path) -> set[str]:
    """The top-level packages that importing the file imports, whatever if or try surrounds it."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(ast.parse(path.read_text(encoding="utf-8")).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: relative imports do not survive Slicer's reload"
            found.add(str(node.module).partition(".")[0])
        elif not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
    return found


@pytest.mark.parametrize("path", SLICER_SIDE, ids=lambda path: path.name)
def test_the_module_imports_only_what_slicer_brings(path: Path) -> None:
    foreign = modules_imported_at_file_scope(path) - set(sys.stdlib_module_names) - AT_FILE_SCOPE
    assert not foreign, f"{path.name} imports {foreign} at file scope"


@pytest.mark.parametrize("path", SLICER_SIDE, ids=lambda path: path.name)
def test_slicer_s_process_knows_only_protocol_and_errors_of_the_engine(path: Path) -> None:
    """The rest of the engine needs packages that Slicer lacks, and belongs in the worker process."""
    text = path.read_text(encoding="utf-8")
    imported = re.findall(r"^\s*(?:from|import)\s+(diffugts[\w.]*)", text, re.MULTILINE)
    assert all(re.fullmatch(r"diffugts\.(protocol|errors)(\.\w+)*", name) for name in imported), imported


def test_the_module_file_runs_nothing_when_it_is_imported() -> None:
    module = ast.parse((ROOT / "DiffuGTSSlicer" / "DiffuGTSSlicer.py").read_text(encoding="utf-8"))
    plain = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.Assign, ast.AnnAssign, ast.If, ast.Try)
    for statement in module.body:
        is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
        assert isinstance(statement, plain) or is_text, f"line {statement.lineno} runs at import"
