"""The benchmark of the Slicer side, on a small volume: it measures what the panel does, too."""

from __future__ import annotations

import time

import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("scipy", reason="scipy, which Slicer brings, is not installed")
import benchmark  # noqa: E402
from opened_module import *  # noqa: E402, F403

from DiffuGTSSlicerLib.findings_section import FindingsSection  # noqa: E402

SMALL = (48, 40, 32)
HELD_UP_S = 0.4


def test_what_the_panel_does_with_a_result_and_with_a_cut_is_in_the_figures(host, module, monkeypatch):
    show_result, refresh = FindingsSection.show_result, FindingsSection.refresh

    def slow_to_show(section: FindingsSection, result: str) -> None:
        time.sleep(HELD_UP_S)
        show_result(section, result)
        monkeypatch.setattr(FindingsSection, "refresh", slow_to_read)

    def slow_to_read(section: FindingsSection) -> None:
        time.sleep(HELD_UP_S / 4)
        refresh(section)

    monkeypatch.setattr(FindingsSection, "show_result", slow_to_show)
    figures = benchmark.main_thread(host, SMALL)
    assert figures["voxels"] == "48 x 40 x 32"
    turns = figures["main_thread_longest_turn"]["wall_ms"]
    assert set(turns) == {"waiting", "exporting", "running", "importing"}
    assert turns["importing"] > 1000 * HELD_UP_S
    assert figures["lesions_after_a_cut"]["median_wall_ms"] > 1000 * HELD_UP_S / 4
    assert figures["reject_a_lesion"]["wall_ms"] > 0
    assert figures["longest_turn_of_the_event_loop_afterwards"]["wall_ms"] >= 0
    for what in ("recut", "choose_a_finding_first", "choose_a_finding_again"):
        assert figures[what]["longest_wall_ms"] >= figures[what]["median_wall_ms"] > 0
