"""`diffugts doctor`: does the installation work, and what to do if not. To be copied into a report of a problem."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    folders: Annotated[
        list[Path] | None, typer.Option("--models", help="A folder with more models. Can be given several times.")
    ] = None,
) -> None:
    """Check the installation, the device and the models. Exit code 0 where jobs can be run, 1 where not."""
    from rich.text import Text

    from diffugts.cli.display import output_console
    from diffugts.models import shelves
    from diffugts.worker.installation import State, examine

    checks = examine(shelves=(*shelves(), *(folders or ())))
    works = all(check.state is not State.PROBLEM for check in checks)
    if as_json:
        typer.echo(json.dumps({"works": works, "checks": [check.as_json() for check in checks]}, indent=2))
        raise typer.Exit(0 if works else 1)
    styles = {State.OK: "green", State.WARNING: "yellow", State.PROBLEM: "bold red"}
    console = output_console()
    for check in checks:
        line = Text.assemble(
            (f"{check.state.value:8}", styles[check.state]), f" {check.topic:9} {check.name}: {check.found}"
        )
        console.print(line, soft_wrap=True)
        if check.advice:
            console.print(Text(f"{'':19}{check.advice}"), soft_wrap=True)
    console.print(Text("Jobs can be run." if works else "Jobs cannot be run before the problems are solved.", "bold"))
    raise typer.Exit(0 if works else 1)
