"""The speed report: what it says was timed was done, for the second description as for the first."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from command_line import call
from diffugts.evaluation import speed
from diffugts.evaluation.speed import FIRST, SECOND, enlarged, measure_speed
from diffugts.findings.finding import Segmentation
from diffugts.models import load_pipeline
from diffugts.pipeline import DiffuGTSPipeline
from diffugts.scans.reading import read_scan
from job_folders import write_scan

PROMISED = {
    "first_s", "second_s", "encode_s", "attend_s", "inpaint_s", "refine_s", "plain_loop_s", "peak_rss_mb", "machine",
}  # fmt: skip
"""What scripts may rely on in `diffugts bench --json`."""

COMPACT = Path(__file__).resolve().parents[2] / "Resources" / "Models" / "compact"


def test_both_descriptions_are_painted_at_standard_and_the_kept_scan_has_its_further_views(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, str, bool, float, Segmentation]] = []
    usual = DiffuGTSPipeline.__call__

    def watched(pipeline: DiffuGTSPipeline, scan: Any, texts: list[str], quality: str, **named: Any) -> Segmentation:
        result = usual(pipeline, scan, texts, quality, **named)
        done.append((quality, texts[0], bool(scan.further), result.findings[0].threshold, result))
        return result

    monkeypatch.setattr(DiffuGTSPipeline, "__call__", watched)
    monkeypatch.setattr(speed, "_plain_loop", lambda *_: 8.0)
    scan = enlarged(read_scan(write_scan(tmp_path / "scan.nrrd"), "MR"), (26, 26, 26))
    report = measure_speed(load_pipeline(COMPACT), scan, plain_steps=1)
    assert [entry[:3] for entry in done] == [
        ("fast", FIRST, False),
        ("fast", SECOND, False),
        ("standard", FIRST, True),
        ("standard", SECOND, True),
        ("thorough", FIRST, True),
    ]
    for *_, threshold, result in done[2:]:
        assert threshold < result.findings[0].highest_score and result.pseudo_healthy is not None
    assert report.first_standard_s > report.encode_s > 0 and min(report.first_thorough_s, report.second_standard_s) > 0
    assert report.inpaint_s > 0
    assert {
        "second_to_first_fast",
        "second_to_first_standard",
        "plain_loop_to_ours",
        "encode_s",
    } <= report.as_json().keys()
    assert report.size == "26x26x26" and report.plain_loop_s == 8.0


def test_the_command_prints_json_with_every_figure_that_is_promised_and_nothing_else(tmp_path: Path) -> None:
    scan = write_scan(tmp_path / "scan T1.nrrd")
    asked = ("bench", "--model", COMPACT, "--scan", scan, "--size", "24x24x24", "--plain-steps", "1", "--json")
    done = call(*asked)
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    assert PROMISED <= figures.keys()
    assert all(figures[name] > 0 for name in PROMISED - {"machine"}) and figures["machine"]


def test_peak_memory_is_known_on_windows_too(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 10 < speed.peak_memory_mb() < 1e6
    monkeypatch.setitem(sys.modules, "resource", None)  # as on Windows: importing it fails
    monkeypatch.setattr(sys, "platform", "win32")
    told = SimpleNamespace(memory_info=lambda: SimpleNamespace(peak_wset=123_000_000))
    monkeypatch.setattr(speed.psutil, "Process", lambda: told)
    assert speed.peak_memory_mb() == 123.0
