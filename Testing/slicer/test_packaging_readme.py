"""The README's promises that can be tried: its script runs as written, its pictures and links are there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import slicer

from DiffuGTSSlicerLib import sample_data

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def anchors_of(markdown: str) -> set[str]:
    """The names that headings can be linked by, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda page: page.name
)
def test_pictures_and_links_lead_somewhere(page: Path, host) -> None:
    text = page.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in targets:
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors_of(linked.read_text(encoding="utf-8")), f"{page.name} links to {target}"


@pytest.mark.slow
def test_the_script_of_the_readme_runs_as_written(host, scene, tmp_path: Path, monkeypatch) -> None:
    (script,) = re.findall(r"```python\n(import slicer\n.*?)```", README, re.DOTALL)
    if not hasattr(slicer.modules, "diffugtsslicer"):
        host.load_module(ROOT / "DiffuGTSSlicer" / "DiffuGTSSlicer.py")
    shutil.copy(sample_data.SAMPLE_FILE, tmp_path / "liver.nrrd")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFUGTS_WORKER_PYTHON", sys.executable)
    said: list[tuple] = []
    exec(compile(script, "README.md", "exec"), {"print": lambda *what: said.append(what)})
    assert [words for words, *_ in said[1:]] == ["hypodense liver metastasis", "renal cell carcinoma"]
    assert all(verdict in ("found", "not found", "uncertain") and 0 <= score <= 1 for _, verdict, score, _ in said[1:])
    assert (tmp_path / "findings.seg.nrrd").stat().st_size > 0
