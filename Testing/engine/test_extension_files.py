"""The extension's own files: in step with each other, and installed where the engine looks for its models."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def test_the_description_files_are_in_step_with_cmake() -> None:
    subprocess.run([sys.executable, ROOT / "Resources" / "public_address.py", "--check"], check=True)


def test_a_new_public_address_reaches_every_file(tmp_path: Path) -> None:
    (tmp_path / "Resources").mkdir()
    shutil.copy(ROOT / "Resources" / "public_address.py", tmp_path / "Resources")
    cmake = (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    old = re.search(r'DIFFUGTS_PUBLIC_ADDRESS "([^"]+)"', cmake)
    assert old is not None
    (tmp_path / "CMakeLists.txt").write_text(
        cmake.replace(f'ADDRESS "{old.group(1)}"', 'ADDRESS "https://github.com/somebody/SlicerDiffuGTS.git"')
    )
    subprocess.run([sys.executable, tmp_path / "Resources" / "public_address.py"], check=True, capture_output=True)
    for name in ("CMakeLists.txt", "DiffuGTS.json", "DiffuGTS.s4ext"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "somebody/SlicerDiffuGTS" in text and old.group(1) not in text, name


def test_the_catalog_entry_has_the_index_s_fields() -> None:
    content = (ROOT / "DiffuGTS.json").read_bytes()
    assert b"\r" not in content
    entry = json.loads(content)
    assert {"$schema", "category", "scm_url"} <= entry.keys()
    optional = {"scm_revision", "scm_type", "build_dependencies", "build_subdirectory", "enabled", "tier"}
    assert entry.keys() <= {"$schema", "category", "scm_url"} | optional
    assert entry["scm_url"].rsplit("/", 1)[-1].startswith("Slicer"), "the index wants the repository named Slicer..."
    assert re.search(r"^project\(DiffuGTS\)$", (ROOT / "CMakeLists.txt").read_text(), re.MULTILINE)


def test_the_icon_is_a_128_pixel_png() -> None:
    with Image.open(ROOT / "Resources" / "DiffuGTS.png") as icon:
        assert icon.format == "PNG" and icon.size == (128, 128)


SLICER_STUB = """
set(Slicer_USE_FILE ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_GENERATE_CONFIG ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_EXTENSION_CPACK ${CMAKE_CURRENT_LIST_DIR}/nothing.cmake)
set(Slicer_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
set(Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR lib/Slicer-5.12/qt-scripted-modules)
"""


@pytest.mark.skipif(shutil.which("cmake") is None, reason="cmake is not installed")
def test_cmake_lays_engine_and_models_where_the_engine_finds_them(tmp_path: Path) -> None:
    """With a stand-in for Slicer's own CMake files, which set the same variables to the same kind of values."""
    stub = tmp_path / "stub"
    stub.mkdir()
    (stub / "SlicerConfig.cmake").write_text(SLICER_STUB)
    (stub / "nothing.cmake").write_text("")
    build, prefix = tmp_path / "build", tmp_path / "installed extension"
    cmake(f"-DSlicer_DIR={stub}", "-DCMAKE_C_COMPILER_WORKS=1", "-DCMAKE_CXX_COMPILER_WORKS=1", "-S", ROOT, "-B", build)
    cmake("--build", build)
    cmake("--install", build, "--prefix", prefix)
    for tree in (prefix, build):
        modules = tree / "lib" / "Slicer-5.12" / "qt-scripted-modules"
        sources = {
            path.relative_to(ROOT / "DiffuGTSSlicer") for path in (ROOT / "DiffuGTSSlicer").glob("diffugts/**/*.py")
        }
        assert all((modules / path).is_file() for path in sources)
        assert (modules / "diffugts" / "shipped_models" / "README.md").is_file()
    code = "import diffugts.models as m; print(m.__file__, *[s for s in m.shelves() if s.is_dir()], sep='\\n')"
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=modules_of(prefix), capture_output=True, text=True, check=True
    )
    engine, *shelves = found.stdout.splitlines()
    assert Path(engine).is_relative_to(prefix)
    assert shelves == [str(modules_of(prefix) / "diffugts" / "shipped_models")]


def modules_of(prefix: Path) -> Path:
    return prefix / "lib" / "Slicer-5.12" / "qt-scripted-modules"


def cmake(*arguments: str | Path) -> None:
    done = subprocess.run(["cmake", *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
