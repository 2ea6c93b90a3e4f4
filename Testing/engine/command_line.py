"""Calling `diffugts`: in this process for what it prints, in one of its own for how it starts and ends."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from typer.testing import CliRunner

from diffugts.cli.app import app
from worker_process import environment


@dataclass(frozen=True)
class Call:
    """What a call gave."""

    code: int
    out: str
    err: str


def call(*arguments: str | Path) -> Call:
    """Run the command in this process; its streams are no terminal."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return Call(result.exit_code, result.stdout, result.stderr)


def call_process(*arguments: str | Path, **env: str) -> Call:
    """Run the command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "diffugts", *map(str, arguments)],
        capture_output=True,
        env=environment(**env),
        timeout=120,
    )
    return Call(done.returncode, done.stdout.decode(), done.stderr.decode())
