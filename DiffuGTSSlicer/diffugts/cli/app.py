"""The command `diffugts`: its subcommands, and how errors become sentences and exit codes (docs/architecture.md)."""

from __future__ import annotations

import io
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from diffugts import __version__, interrupts
from diffugts.cli import (
    baseline,
    bench,
    cohort,
    demo,
    dicom,
    doctor,
    evaluate,
    models,
    segment,
    serve,
    train,
    worker,
)
from diffugts.errors import Cancelled, DiffuGTSError

DEFECT = "Something went wrong that the program did not foresee. Please report it with the lines above."


class CommandLine(TyperGroup):
    """Commands whose errors are told on standard error and returned as exit codes."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("Cancelled. Nothing half-written was left.")
            raise typer.Exit(Cancelled.exit_code) from None
        except DiffuGTSError as error:
            say(str(error))
            raise typer.Exit(error.exit_code) from error
        except (typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except Exception as error:
            if _knows_its_words(error):  # a wrong option: typer tells it best
                raise
            traceback.print_exc()
            say(DEFECT)
            raise typer.Exit(DiffuGTSError.exit_code) from error


app = typer.Typer(
    name="diffugts",
    cls=CommandLine,
    help="Find tumours in CT and MR scans by description. Research use only, not a medical device.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(segment.segment)
app.command()(segment.run)
app.command()(cohort.cohort)
app.command()(dicom.dicom)
app.command()(demo.demo)
app.command()(doctor.doctor)
app.add_typer(models.app, name="models")
app.command()(worker.worker)
app.command()(serve.serve)
app.add_typer(train.app, name="train")
app.command()(bench.bench)
app.add_typer(evaluate.app, name="evaluate")
app.add_typer(baseline.app, name="baseline")


def show_version(asked: bool) -> None:
    """Print the version and end, if it was asked for."""
    if asked:
        typer.echo(__version__)
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself; `show_version` has answered them."""


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A description in any alphabet must not end the program on a terminal that lacks it.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    interrupts.listen()
    app()


def say(sentence: str) -> None:
    """A sentence on standard error."""
    typer.echo(sentence, err=True)


def _knows_its_words(error: Exception) -> bool:
    """Whether typer shows this exception itself: its usage errors, whichever library it takes them from."""
    return any(kind.__name__ == "ClickException" for kind in type(error).__mro__)
