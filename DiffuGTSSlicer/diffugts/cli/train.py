"""`diffugts train`: autoencoder, denoiser, attention, and putting them together into a model folder.

In that order: each needs the ones before it. Every command can be stopped and started again with the same options.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from diffugts.errors import RequestError

app = typer.Typer(help="Train the compact model's parts on a data folder, one after the other.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="Data folder with INDEX.tsv; only its train/ part is read.")]
Runs = Annotated[Path, typer.Option(help="Where runs, packed volumes and checkpoints are kept.")]
Minutes = Annotated[float, typer.Option(help="Minutes of optimisation in all, resumed runs included.")]
Threads = Annotated[int, typer.Option(help="CPU threads; 0 leaves the choice to torch.")]
Encoders = Annotated[
    int, typer.Option(help="Processes that draw and encode cases beside the training; 0: the training does.")
]
Seed = Annotated[int, typer.Option(help="Seed of weights and draws.")]
Batch = Annotated[int, typer.Option(help="What a step learns from at once; more on a GPU.")]
Processes = Annotated[int, typer.Option(help="Processes that draw beside the training; 0: the training does.")]
Initial = Annotated[Path | None, typer.Option(help="A trained one to go on from.")]
ValidateEvery = Annotated[float, typer.Option(help="Minutes between two validations.")]
Patience = Annotated[
    int, typer.Option(help="End after so many validations in a row that were no better than the best; 0: never.")
]

VOLUMES = "volumes"
ATTENTION_PRECISION = "no"
"""On a CPU without bfloat16 tiles single precision is quicker here, and gives no NaN (docs/decisions.md)."""


@app.command()
def autoencoder(
    data: Data,
    runs: Runs = Path("runs"),
    minutes: Minutes = 24.0,
    threads: Threads = 0,
    seed: Seed = 0,
    batch: Batch = 3,
    processes: Processes = 0,
    initial: Initial = None,
    validate_every: ValidateEvery = 5.0,
    patience: Patience = 0,
) -> None:
    """Train the autoencoder: scans to latents and back. `--batch` counts crops of 40 voxels cubed."""
    from diffugts.training.autoencoder import AutoencoderTask, train_autoencoder
    from diffugts.training.run import RunSettings

    settings = RunSettings(
        minutes,
        1e-3,
        weight_decay=1e-4,
        threads=threads,
        seed=seed,
        validate_every_minutes=validate_every,
        watched="psnr_ct_db",
        patience=patience,
    )
    task = AutoencoderTask(batch=batch, processes=processes)
    train_autoencoder(_packed(data, runs), runs / "autoencoder", settings, task, initial)


@app.command()
def denoiser(
    data: Data,
    runs: Runs = Path("runs"),
    minutes: Minutes = 27.0,
    threads: Threads = 0,
    seed: Seed = 0,
    batch: Batch = 28_000,
    copies: Annotated[int, typer.Option(help="Times every scan is encoded, all but one with varied intensities.")] = 2,
    bodies: Annotated[int, typer.Option(help="Generated bodies among the scans.")] = 27,
    processes: Processes = 0,
    initial: Initial = None,
    validate_every: ValidateEvery = 5.0,
    patience: Patience = 0,
) -> None:
    """Train the denoiser: healthy tissue into holes of the latents. `--batch` counts cells of the latents."""
    from diffugts.training.denoiser import DenoiserTask, train_denoiser
    from diffugts.training.run import RunSettings

    settings = RunSettings(
        minutes,
        5e-4,
        betas=(0.9, 0.98),
        warmup_steps=100,
        threads=threads,
        seed=seed,
        validate_every_minutes=validate_every,
        watched="-expected_l1",
        patience=patience,
    )
    task = DenoiserTask(cells=batch, copies=copies, processes=processes, bodies=bodies)
    train_denoiser(_packed(data, runs), runs / "autoencoder" / "last", runs / "denoiser", settings, task, initial)


@app.command()
def attention(
    data: Data,
    runs: Runs = Path("runs"),
    minutes: Minutes = 90.0,
    threads: Threads = 0,
    seed: Seed = 0,
    encoders: Encoders = 0,
    batch: Annotated[int, typer.Option(help="Cases a step learns from at once, on a GPU.")] = 8,
    bodies: Annotated[int, typer.Option(help="Generated bodies among the scans.")] = 36,
    initial: Annotated[
        Path | None, typer.Option(help="A trained attention to go on from, of the same autoencoder and denoiser.")
    ] = None,
    validate_every: ValidateEvery = 5.0,
    patience: Patience = 0,
    leave_out: Annotated[
        list[str], typer.Option(help="A category whose tumours are never shown, such as brain; several: say it again.")
    ] = [],  # noqa: B006
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls in the second half.")] = 1e-3,
) -> None:
    """Train the attention: where in the frozen features is what the words say?"""
    from diffugts.training.attention import AttentionTask, train_attention
    from diffugts.training.cases import CATEGORIES
    from diffugts.training.run import RunSettings

    unknown = [name for name in leave_out if name not in CATEGORIES]
    if unknown:
        raise RequestError(f"There is no category '{unknown[0]}' to leave out; there are {', '.join(CATEGORIES)}.")

    settings = RunSettings(
        minutes,
        learning_rate,
        weight_decay=1e-3,
        threads=threads,
        seed=seed,
        mixed_precision=ATTENTION_PRECISION,
        validate_every_minutes=validate_every,
        watched="dice_0.5",
        patience=patience,
    )
    train_attention(
        _packed(data, runs),
        runs / "autoencoder" / "last",
        runs / "denoiser" / "last",
        runs / "attention",
        settings,
        AttentionTask(encoders=encoders, batch=batch, bodies=bodies, left_out=tuple(leave_out)),
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
