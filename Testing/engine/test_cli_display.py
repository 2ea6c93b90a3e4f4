"""What a person sees: on a terminal, in a log, without colours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffugts.protocol import FindingRecord
from worker_process import environment

SHOW = """
import sys
from pathlib import Path
from diffugts.cli.display import print_findings, shown
from diffugts.protocol import FindingRecord, Quality, Stage
from diffugts.worker.progress import ProgressTracker

class Manifest:
    folder = Path("/results/1")
    files = ()
    notes = ("Read with a gap.",)
    findings = (FindingRecord("[red]tumour\\x1b[2J in the Leber\\u2014肝", "not found", 0.31, 0.2, 0.5, 0.0, (),
        ("Nothing above 0.50 for it; highest score 0.31.",), "finding_1", (1.0, 0.0, 0.0)),)

for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(errors="backslashreplace")
with shown(as_json=False) as display:
    tracker = ProgressTracker(Quality.FAST, display.progress)
    for stage in Stage:
        tracker(stage, 0, 1)
    display.done(Manifest())
"""


def on_a_terminal(**env: str) -> str:
    """All that the program writes to a terminal."""
    pty = pytest.importorskip("pty", reason="terminals of POSIX")
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", SHOW], stdout=theirs, stderr=theirs, stdin=theirs, env=environment(**env)
    ) as process:
        os.close(theirs)
        output = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # Linux says so that the other side closed
                break
            if not piece:
                break
            output += piece
        os.close(ours)
        assert process.wait(30) == 0, output.decode(errors="replace")
    return output.decode("utf-8", "replace")


def in_a_log(**env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-c", SHOW], capture_output=True, env=environment(**env), check=True)


def test_a_terminal_gets_a_bar_and_a_coloured_table() -> None:
    shown = on_a_terminal(TERM="xterm-256color", COLUMNS="100")
    assert "\x1b[" in shown and "━" in shown
    assert "\x1b[32mnot found" in shown
    assert "Research use only. Not a medical device." in shown


def test_no_color_is_respected() -> None:
    shown = on_a_terminal(TERM="xterm-256color", COLUMNS="100", NO_COLOR="1")
    assert "not found" in shown and "\x1b[32m" not in shown and "\x1b[31m" not in shown


def test_a_dumb_terminal_gets_plain_lines() -> None:
    shown = on_a_terminal(TERM="dumb")
    assert "Reading the scan" in shown and "\x1b" not in shown


def test_a_log_gets_neither_colours_nor_bars() -> None:
    done = in_a_log()
    assert b"\x1b" not in done.stdout + done.stderr
    assert done.stderr.decode().splitlines()[0] == "Reading the scan"


def test_a_description_can_neither_colour_nor_clear_the_screen() -> None:
    shown = in_a_log().stdout.decode()
    assert "[red]tumour" in shown and "\x1b" not in shown


def test_a_terminal_without_the_alphabet_is_no_reason_to_fail() -> None:
    shown = in_a_log(PYTHONIOENCODING="ascii:strict").stdout
    assert b"not found" in shown and rb"\u809d" in shown


def test_notes_and_the_folder_follow_the_table() -> None:
    shown = in_a_log().stdout.decode()
    assert shown.index("Highest score") < shown.index("Read with a gap.") < shown.index(str(Path("/results/1")))


def test_the_records_of_the_manifest_are_those_shown() -> None:
    assert {"description", "verdict", "highest_score", "volume_ml", "lesions", "notes"} <= set(
        FindingRecord.__annotations__
    )
