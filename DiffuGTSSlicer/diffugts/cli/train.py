"""`diffugts train`: autoencoder, denoiser, attention, and putting them together into a model folder.

In that order: each needs the ones before it. Every command can be stopped and started again with the same options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Train the compact model's parts on a data folder, one after the other.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="Data folder with INDEX.tsv; only its train/ part is read.")]
Runs = Annotated[Path, typer.Option(help="Where runs, packed volumes and checkpoints are kept.")]
Minutes = Annotated[float, typer.Option(help="Minutes of optimisation in all, resumed runs included.")]
Threads = Annotated[int, typer.Option(help="CPU threads; 0 leaves the choice to torch.")]
Encoders = Annotated[
    int, typer.Option(help="Processes that draw and encode cases beside the training; 0: the training does.")
]
Seed = Annotated[int, typer.Option(help="Seed of weights and draws.")]

VOLUMES = "volumes"
ATTENTION_PRECISION = "no"
"""On a CPU without bfloat16 tiles single precision is quicker here, and gives no NaN (docs/decisions.md)."""


@app.command()
def autoencoder(
    data: Data, runs: Runs = Path("runs"), minutes: Minutes = 24.0, threads: Threads = 0, seed: Seed = 0
) -> None:
    """Train the autoencoder: scans to latents and back."""
    from diffugts.training.autoencoder import AutoencoderTask, train_autoencoder
    from diffugts.training.run import RunSettings

    settings = RunSettings(minutes, 1e-3, weight_decay=1e-4, threads=threads, seed=seed)
    train_autoencoder(_packed(data, runs), runs / "autoencoder", settings, AutoencoderTask())


@app.command()
def denoiser(
    data: Data, runs: Runs = Path("runs"), minutes: Minutes = 27.0, threads: Threads = 0, seed: Seed = 0
) -> None:
    """Train the denoiser: healthy tissue into holes of the latents."""
    from diffugts.training.denoiser import DenoiserTask, train_denoiser
    from diffugts.training.run import RunSettings

    settings = RunSettings(minutes, 5e-4, betas=(0.9, 0.98), warmup_steps=100, threads=threads, seed=seed)
    train_denoiser(_packed(data, runs), runs / "autoencoder" / "last", runs / "denoiser", settings, DenoiserTask())


@app.command()
def attention(
    data: Data,
    runs: Runs = Path("runs"),
    minutes: Minutes = 90.0,
    threads: Threads = 0,
    seed: Seed = 0,
    encoders: Encoders = 0,
    initial: Annotated[
        Path | None, typer.Option(help="A trained attention to go on from, of the same autoencoder and denoiser.")
    ] = None,
) -> None:
    """Train the attention: where in the frozen features is what the words say?"""
    from diffugts.training.attention import AttentionTask, train_attention
    from diffugts.training.run import RunSettings

    settings = RunSettings(
        minutes, 1e-3, weight_decay=1e-3, threads=threads, seed=seed, mixed_precision=ATTENTION_PRECISION
    )
    train_attention(
        _packed(data, runs),
        runs / "autoencoder" / "last",
        runs / "denoiser" / "last",
        runs / "attention",
        settings,
        AttentionTask(encoders=encoders),
        initial,
    )


@app.command()
def average(
    components: Annotated[list[Path], typer.Argument(help="Trained attentions that went on from the same weights.")],
    output: Annotated[Path, typer.Option(help="Folder of the attention to write.")],
) -> None:
    """Average the weights of several attentions."""
    from diffugts.training.averaging import average_attention

    average_attention(components, output)


@app.command()
def assemble(
    data: Data,
    output: Annotated[Path, typer.Option(help="Model folder to write.")],
    runs: Runs = Path("runs"),
) -> None:
    """Put the trained parts together: threshold and fusion weights from held-out training patients, embedding bank, preset."""
    from diffugts.training.assembly import assemble_model

    assemble_model(_packed(data, runs), runs, output)


def _packed(data: Path, runs: Path) -> Path:
    from diffugts.training.volumes import pack_volumes

    typer.echo(f"{pack_volumes(data, runs / VOLUMES)} training volumes packed in {runs / VOLUMES}")
    return runs / VOLUMES
