"""The command as a whole: it starts light, and its errors are sentences with exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import diffugts
from command_line import call, call_process
from diffugts import errors
from diffugts.cli.app import CommandLine
from diffugts.errors import DiffuGTSError
from worker_process import environment

ROOT = Path(__file__).resolve().parents[2]
HEAVY = {"torch", "numpy", "SimpleITK", "scipy", "monai", "diffusers", "transformers", "matplotlib"}
COMMANDS = ["segment", "run", "demo", "doctor", "models", "worker", "train", "bench", "evaluate", "baseline"]


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS)], ids=lambda command: " ".join(command) or "diffugts"
)
def test_help_needs_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys; from diffugts.cli.app import app\n"
        "try: app(sys.argv[1:])\n"
        "finally: print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"], capture_output=True, text=True, env=environment()
    )
    assert done.returncode == 0 and "Usage" in done.stdout
    assert not HEAVY & set(done.stderr.split())


def test_python_dash_m_and_the_version() -> None:
    assert call_process("--version").out.strip() == diffugts.__version__


def test_help_names_every_command_and_what_it_is_not_for() -> None:
    shown = call("--help").out
    assert all(command in shown for command in COMMANDS)
    assert "not a medical device" in " ".join(re.sub(r"[│\n]", " ", shown).split())


@pytest.mark.parametrize(
    "arguments", [["segmemt"], ["segment"], ["segment", "x.nrrd"], ["run"], ["segment", "x", "--quality", "best"]]
)
def test_wrong_options_end_with_two(arguments: list[str]) -> None:
    result = call(*arguments)
    assert result.code == 2 and "Usage" in result.err and not result.out


def every_error(kind: type[DiffuGTSError] = DiffuGTSError) -> list[type[DiffuGTSError]]:
    return [
        kind,
        *(
            below
            for child in kind.__subclasses__()
            if child.__module__ == errors.__name__
            for below in every_error(child)
        ),
    ]


def command_that_raises(error: BaseException) -> typer.Typer:
    app = typer.Typer(cls=CommandLine, pretty_exceptions_enable=False)

    @app.command()
    def fail() -> None:
        raise error

    @app.command()
    def other() -> None:
        """Two commands make a group."""

    return app


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_every_error_ends_with_its_code_and_only_its_sentence(kind: type[DiffuGTSError]) -> None:
    result = typer.testing.CliRunner().invoke(command_that_raises(kind("This is met. Do that.")), ["fail"])
    assert result.exit_code == kind.exit_code != 0
    assert result.stderr == "This is met. Do that.\n" and not result.stdout


def test_exit_codes_are_unlike_each_other_and_documented() -> None:
    codes = {kind.__name__: kind.exit_code for kind in every_error()}
    assert len(set(codes.values())) == len(codes)
    for document in ("README.md", "docs/architecture.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        rows = {
            int(code)
            for code in re.findall(r"^\| (\d+) \||\| (?:`\w+` \| )?(\d+) \|$", text, re.MULTILINE)
            for code in code
            if code
        }
        assert set(codes.values()) <= rows, document


def test_what_nobody_foresaw_ends_with_a_traceback_and_a_sentence() -> None:
    result = typer.testing.CliRunner().invoke(command_that_raises(KeyError("surprise")), ["fail"])
    assert result.exit_code == 1
    assert "Traceback" in result.stderr and "surprise" in result.stderr and "did not foresee" in result.stderr


def test_control_c_ends_with_130() -> None:
    result = typer.testing.CliRunner().invoke(command_that_raises(KeyboardInterrupt()), ["fail"])
    assert result.exit_code == 130 and "Nothing half-written" in result.stderr
