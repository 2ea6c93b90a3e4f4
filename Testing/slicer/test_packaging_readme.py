"""The README's promises that can be tried: its script runs as written, its pictures and links are there."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import slicer
from opened_module import environment, module  # noqa: F401 - fixtures
from test_lib_worker_process import gone

from DiffuGTSSlicerLib import sample_data
from DiffuGTSSlicerLib.job_runner import JobRunner

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def anchors_of(markdown: str) -> set[str]:
    """The names that headings can be linked by, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
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


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_row_of_a_table_stands_in_a_table(page: Path, host) -> None:
    """A blank line ends a Markdown table; the rows behind it would be shown as raw text."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for block in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        rule = [*block.splitlines(), ""][1]
        assert re.fullmatch(r"\|(\s*:?-+:?\s*\|)+", rule), f"{page.name}: no header above {block.splitlines()[0]!r}"


def script_of_the_readme() -> str:
    (script,) = re.findall(r"```python\n(import slicer\n.*?)```", README, re.DOTALL)
    return script


def last_line_of_a_file() -> str:
    """What the README adds to the script where it is a file for the command line."""
    (line,) = re.findall(r"```python\n(slicer\.util\.exit.*?)```", README, re.DOTALL)
    return line


@pytest.mark.parametrize(("mode", "status"), [("well", 0), ("failed", 1)])
def test_the_script_runs_without_a_window_and_ends_slicer_afterwards(
    mode: str,
    status: int,
    module,  # noqa: F811
    environment,  # noqa: F811
    tmp_path: Path,
    monkeypatch,
) -> None:
    environment.mode = mode
    workers: list[int] = []
    wait = JobRunner.wait

    def wait_and_note(jobs: JobRunner, job) -> None:
        wait(jobs, job)
        workers.append(jobs.worker_pid)

    monkeypatch.setattr(JobRunner, "wait", wait_and_note)
    monkeypatch.setattr(module, "Environment", lambda: environment)
    # What `--no-main-window` leaves of these.
    monkeypatch.setattr(slicer.util, "mainWindow", lambda: None)
    monkeypatch.setattr(type(slicer.app), "layoutManager", lambda app: None)
    ended: list[int] = []
    monkeypatch.setattr(slicer.util, "exit", ended.append)
    shutil.copy(sample_data.SAMPLE_FILE, tmp_path / "liver.nrrd")
    monkeypatch.chdir(tmp_path)
    said: list[tuple] = []
    script = script_of_the_readme() + last_line_of_a_file()
    exec(compile(script, "README.md", "exec"), {"print": lambda *what: said.append(what)})
    assert ended == [status]
    assert [words for words, *_ in said[1:]] == (
        ["hypodense liver metastasis", "renal cell carcinoma"] if mode == "well" else []
    )
    assert (tmp_path / "findings.seg.nrrd").exists() == (mode == "well")
    assert len(workers) == 1 and gone(workers[0]), "a worker was left behind"


@pytest.mark.slow
def test_the_script_of_the_readme_runs_as_written(host, scene, tmp_path: Path, monkeypatch) -> None:
    if not hasattr(slicer.modules, "diffugtsslicer"):
        host.load_module(ROOT / "DiffuGTSSlicer" / "DiffuGTSSlicer.py")
    shutil.copy(sample_data.SAMPLE_FILE, tmp_path / "liver.nrrd")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DIFFUGTS_WORKER_PYTHON", sys.executable)
    said: list[tuple] = []
    exec(compile(script_of_the_readme(), "README.md", "exec"), {"print": lambda *what: said.append(what)})
    assert [words for words, *_ in said[1:]] == ["hypodense liver metastasis", "renal cell carcinoma"]
    assert all(verdict in ("found", "not found", "uncertain") and 0 <= score <= 1 for _, verdict, score, _ in said[1:])
    assert (tmp_path / "findings.seg.nrrd").stat().st_size > 0
