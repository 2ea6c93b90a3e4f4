"""`diffugts baseline`: what could be used instead of DiffuGTS, to be measured on the same cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffugts.errors import RequestError

app = typer.Typer(
    help="Baselines: rules that need no training, and networks trained on the same scans without words.",
    no_args_is_help=True,
)

VOLUMES = "volumes"
RECIPES = ("unet", "nnunet")


@app.command("list")
def list_baselines() -> None:
    """Name the baselines; evaluate one with `diffugts evaluate DATA --method NAME`."""
    from diffugts.baselines.regions import REGION_BASELINES

    for name, rule in REGION_BASELINES.items():
        typer.echo(f"{name}: {(rule.__doc__ or '').strip()}")
    typer.echo("unet, nnunet: networks; train one with `diffugts baseline train`, then give its folder.")


@app.command()
def train(
    recipe: Annotated[str, typer.Argument(help="unet, or nnunet: nnU-Net's recipe in small.")],
    data: Annotated[Path, typer.Option(help="Data folder with INDEX.tsv; only its train/ part is read.")],
    runs: Annotated[Path, typer.Option(help="Where packed volumes and runs are kept.")] = Path("runs"),
    minutes: Annotated[float, typer.Option(help="Minutes of optimisation in all, resumed runs included.")] = 30.0,
    threads: Annotated[int, typer.Option(help="CPU threads; 0 leaves the choice to torch.")] = 0,
    seed: Annotated[int, typer.Option(help="Seed of weights and draws.")] = 0,
    processes: Annotated[int, typer.Option(help="Processes that draw beside the training; 0: the training does.")] = 0,
) -> None:
    """Train a baseline network into RUNS/baseline-RECIPE; stopped, it goes on when it is started again."""
    if recipe not in RECIPES:
        raise RequestError(f"There is no recipe '{recipe}'; there are {' and '.join(RECIPES)}.")
    from diffugts.baselines.training import BaselineTask, train_baseline
    from diffugts.training.run import RunSettings
    from diffugts.training.volumes import pack_volumes

    count = pack_volumes(data, runs / VOLUMES)
    typer.echo(f"{count} training volumes packed in {runs / VOLUMES}")
    settings = RunSettings(minutes, 1e-3, threads=threads, seed=seed, mixed_precision="no")
    figures = train_baseline(
        runs / VOLUMES, runs / f"baseline-{recipe}", settings, BaselineTask(recipe, processes=processes)
    )
    for name, value in figures.items():
        typer.echo(f"{name} of held-out training patients: {value:.3f}")
    typer.echo(f"Evaluate it: diffugts evaluate DATA --method {runs / f'baseline-{recipe}'}")
