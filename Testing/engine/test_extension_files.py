"""The extension's own files: in step with each other, and as the Extensions Index checks them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

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
