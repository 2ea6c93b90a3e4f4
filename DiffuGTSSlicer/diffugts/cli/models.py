"""`diffugts models`: which models are on this machine, and what each is."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from diffugts.models import ModelCard

app = typer.Typer(help="The models on this machine.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CARD = "model_card.md"


@app.command("list")
def list_all(as_json: AsJson = False) -> None:
    """List the shipped models."""
    from rich.table import Table

    from diffugts.cli.display import output_console
    from diffugts.errors import ModelError
    from diffugts.models import list_models

    cards = list_models()
    if as_json:
        typer.echo(json.dumps([_facts(card) for card in cards], indent=2))
        return
    if not cards:
        raise ModelError("No model is installed. Install the program again, or give --model a model folder.")
    table = Table("Name", "Title", "MB", "Weights (SHA-256)")
    for card in cards:
        table.add_row(card.name, card.title, f"{card.size_mb:.0f}", card.weights_sha256[:16])
    output_console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A shipped model's name, or a model folder.")], as_json: AsJson = False
) -> None:
    """Show a model's card: data, licences, accuracy, limits."""
    from rich.markdown import Markdown

    from diffugts.cli.display import output_console
    from diffugts.models import describe_model, find_model

    card = describe_model(find_model(name))
    path = card.folder / CARD
    text = path.read_text(encoding="utf-8") if path.is_file() else None
    if as_json:
        typer.echo(json.dumps({**_facts(card), "card": text}, indent=2))
        return
    typer.echo(f"{card.name}: {card.title}\nFolder: {card.folder}\nSize: {card.size_mb:.1f} MB")
    typer.echo(f"Weights (SHA-256): {card.weights_sha256}\n")
    console = output_console()
    if text is None:
        typer.echo("It has no model card.")
    elif console.is_terminal:
        console.print(Markdown(text))
    else:
        typer.echo(text)


def _facts(card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "title": card.title,
        "folder": str(card.folder),
        "size_mb": round(card.size_mb, 1),
        "weights_sha256": card.weights_sha256,
    }
