"""`diffugts models`: which models are on this machine, what each is, and how NVIDIA's are brought here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from diffugts.maisi.published import PublishedFile, PublishedModel
    from diffugts.models import ModelCard

app = typer.Typer(help="The models on this machine.", no_args_is_help=True)

PublishedName = Annotated[str, typer.Argument(help="maisi-ct, maisi-ct-ddpm or maisi-mr-brain.")]
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


@app.command()
def fetch(
    preset: PublishedName,
    output: Annotated[Path, typer.Option(help="Folder for NVIDIA's files; a broken download in it goes on.")],
    yes: Annotated[
        bool, typer.Option("--yes", help="Agree to the download and its licence without being asked.")
    ] = False,
) -> None:
    """Download NVIDIA's files of a model, after you have agreed to it: the only command that uses a network."""
    from diffugts.errors import Cancelled
    from diffugts.maisi.published import published_model

    model = published_model(preset)
    typer.echo(_what_is_fetched(model, output))
    if not yes and not typer.confirm("Download, and agree to the licence?"):
        raise Cancelled("Nothing was downloaded.")
    try:
        _fetch_shown(model.files, output)
    except KeyboardInterrupt:
        raise Cancelled("Cancelled. What arrived is kept; the same command goes on with it.") from None
    typer.echo(f"Fetched. Next: diffugts models convert {output} --preset {preset} --output {output / preset}")


@app.command("convert")
def convert_files(
    folder: Annotated[Path, typer.Argument(help="Folder with NVIDIA's files, as published or all in one place.")],
    preset: Annotated[str, typer.Option(help="maisi-ct, maisi-ct-ddpm or maisi-mr-brain.")],
    output: Annotated[Path, typer.Option(help="Folder of the model; it must not exist, or be empty.")],
    allow_extra_weights: Annotated[
        bool,
        typer.Option("--allow-extra-weights", help="Pass over weights that have no place, as NVIDIA's scripts do."),
    ] = False,
) -> None:
    """Make NVIDIA's files into a model of this program; needs no network."""
    from diffugts.maisi.conversion import convert
    from diffugts.maisi.published import published_model

    written = convert(folder, published_model(preset), output, allow_extra_weights)
    typer.echo(
        f"The model is in '{written}'. It has no trained attention: it examines a region that you mark, for example\n"
        f"  diffugts segment SCAN --model {written} --prompt 'tumour' --roi x0,y0,z0,x1,y1,z1 --output RESULT\n"
        "or, with a rough mask instead of a box, --mask ROUGH.nii.gz. To search by words, train its heads on marked scans:\n"
        f"  diffugts train attention --model {written} --data DATA"
    )


def _what_is_fetched(model: PublishedModel, output: Path) -> str:
    """What comes from where, how large it is and what its licence allows: read before anyone agrees."""
    rows = "\n".join(f"  {file.url}  (about {file.megabytes} MB)" for file in model.files)
    total = sum(file.megabytes for file in model.files)
    return (
        f"{model.preset.title}\n\nThis downloads about {total} MB to '{output}':\n{rows}\n\n"
        f"Licence of the weights: {model.licence.name}\n  {model.licence.url}\n  {model.licence.allows}\n"
        f"{model.training}\n"
    )


def _fetch_shown(files: tuple[PublishedFile, ...], output: Path) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from diffugts.maisi.download import fetch as fetch_file

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        tasks = {file: bar.add_task(file.name, total=None) for file in files}

        def show(file: PublishedFile, there: int, size: int) -> None:
            bar.update(tasks[file], completed=there, total=size)

        for file in files:
            fetch_file(file, output, progress=show)


def _facts(card: ModelCard) -> dict[str, object]:
    return {
        "name": card.name,
        "title": card.title,
        "folder": str(card.folder),
        "size_mb": round(card.size_mb, 1),
        "weights_sha256": card.weights_sha256,
    }
