"""`diffugts train`: autoencoder, denoiser, attention, and putting them together into a model folder.

In that order: each needs the ones before it. Every command can be stopped and started again with the same options.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffugts.errors import RequestError

if TYPE_CHECKING:
    from diffugts.training.run import RunSettings

app = typer.Typer(
    help="Train the compact model's parts, one after the other, or the heads alone on another model's foundation.",
    no_args_is_help=True,
)

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

HeadsOf = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="The heads alone, on the foundation of this model (its name or folder); its runs lie below --runs, in its name.",
    ),
]
LeaveOut = Annotated[
    list[str], typer.Option(help="A category whose tumours are never shown, such as brain; several: say it again.")
]
Copies = Annotated[int, typer.Option(help="Times every scan is encoded, all but one with varied intensities.")]
Bodies = Annotated[int, typer.Option(help="Generated bodies among the scans.")]

VOLUMES = "volumes"


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
    train_autoencoder(_packed(data, runs), runs / "autoencoder", settings, task, initial, data=data)


@app.command()
def denoiser(
    data: Data,
    runs: Runs = Path("runs"),
    minutes: Minutes = 27.0,
    threads: Threads = 0,
    seed: Seed = 0,
    batch: Batch = 28_000,
    copies: Copies = 2,
    bodies: Bodies = 27,
    processes: Processes = 0,
    initial: Initial = None,
    validate_every: ValidateEvery = 5.0,
    patience: Patience = 0,
) -> None:
    """Train the denoiser: healthy tissue into holes of the latents. `--batch` counts cells of the latents."""
    from diffugts.training.denoiser import DenoiserTask, train_denoiser

    settings = _denoiser_settings(minutes, 5e-4, threads, seed, validate_every, patience)
    task = DenoiserTask(cells=batch, copies=copies, processes=processes, bodies=bodies)
    train_denoiser(
        _packed(data, runs), runs / "autoencoder" / "last", runs / "denoiser", settings, task, initial, data=data
    )


@app.command()
def inpainter(
    data: Data,
    runs: Runs = Path("runs"),
    minutes: Minutes = 60.0,
    threads: Threads = 0,
    seed: Seed = 0,
    batch: Batch = 28_000,
    copies: Copies = 2,
    bodies: Bodies = 27,
    processes: Processes = 0,
    initial: Initial = None,
    validate_every: ValidateEvery = 5.0,
    patience: Patience = 0,
) -> None:
    """Train the denoiser further, to fill holes and nothing else; without --initial from RUNS/denoiser/last, which stays as it is."""
    from diffugts.training.denoiser import FILLING_SHARES, DenoiserTask, train_denoiser

    settings = _denoiser_settings(minutes, 4e-4, threads, seed, validate_every, patience)
    task = DenoiserTask(cells=batch, copies=copies, processes=processes, bodies=bodies, shares=FILLING_SHARES)
    before = initial or runs / "denoiser" / "last"
    train_denoiser(
        _packed(data, runs), runs / "autoencoder" / "last", runs / "inpainter", settings, task, before, data=data
    )


@app.command()
def attention(
    data: Annotated[
        Path,
        typer.Option(
            help="Data folder with INDEX.tsv, of which only train/ is read; with --model also a public challenge, a table or a "
            "folder of marked scans, as `diffugts evaluate` reads them."
        ),
    ],
    runs: Runs = Path("runs"),
    model: HeadsOf = None,
    description: Annotated[
        str | None, typer.Option(help="What is marked in --data, in words, instead of what each case says of itself.")
    ] = None,
    sequence: Annotated[str | None, typer.Option(help="The sequence to read of cases that have several.")] = None,
    hold_out: Annotated[
        list[str],
        typer.Option(
            help="Keep cases from training whose names begin so; say it again for several. [default: one patient in five]"
        ),
    ] = [],  # noqa: B006
    minutes: Minutes = 90.0,
    threads: Threads = 0,
    seed: Seed = 0,
    encoders: Encoders = 0,
    batch: Annotated[int, typer.Option(help="Cases a step learns from at once, on a GPU.")] = 8,
    bodies: Bodies = 36,
    initial: Annotated[
        Path | None, typer.Option(help="A trained attention to go on from, of the same autoencoder and denoiser.")
    ] = None,
    validate_every: ValidateEvery = 5.0,
    patience: Patience = 0,
    leave_out: LeaveOut = [],  # noqa: B006
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls in the second half.")] = 1e-3,
) -> None:
    """Train the attention: where in the frozen features is what the words say?"""
    from diffugts.descriptions.encoder import load_text_encoder
    from diffugts.preset import ModelPreset
    from diffugts.training.attention import AttentionTask, precision_on, train_attention
    from diffugts.training.run import RunSettings, device_type

    left_out = _known(leave_out)
    settings = RunSettings(
        minutes,
        learning_rate,
        weight_decay=1e-3,
        threads=threads,
        seed=seed,
        mixed_precision=precision_on(device_type()),
        validate_every_minutes=validate_every,
        watched="dice_0.5",
        patience=patience,
    )
    task = AttentionTask(encoders=encoders, batch=batch, bodies=bodies, left_out=left_out)
    if model is None:
        if description or sequence or hold_out:
            raise RequestError("--description, --sequence and --hold-out belong to the heads of a model: give --model.")
        parts = runs / "autoencoder" / "last", runs / "denoiser" / "last"
        train_attention(_packed(data, runs), *parts, runs / "attention", settings, task, initial, data=data)
        return
    folder, own_runs = _foundation(model, runs)
    volumes = _packed_for(folder, data, own_runs / VOLUMES, sequence, description, hold_out)
    texts_of = load_text_encoder(ModelPreset.load(folder).text_encoder)
    parts = folder / "autoencoder", folder / "denoiser"
    train_attention(volumes, *parts, own_runs / "attention", settings, task, initial, texts_of, data)


@app.command()
def appearance(
    data: Data,
    runs: Runs = Path("runs"),
    minutes: Minutes = 60.0,
    threads: Threads = 0,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(help="Patches of 64 voxels cubed that a step learns from.")] = 2,
    bodies: Bodies = 36,
    processes: Processes = 0,
    initial: Annotated[
        Path | None, typer.Option(help="A trained one to begin with, or the `last` of RUNS/baseline-nnunet.")
    ] = None,
    validate_every: ValidateEvery = 8.0,
    patience: Patience = 0,
    leave_out: LeaveOut = [],  # noqa: B006
    learning_rate: Annotated[float, typer.Option(help="At the start; it falls in the second half.")] = 6e-4,
) -> None:
    """Train the appearance network: does the scan itself look like a tumour, whatever the words?"""
    from diffugts.training.appearance import AppearanceTask, train_appearance
    from diffugts.training.run import RunSettings

    settings = RunSettings(
        minutes,
        learning_rate,
        weight_decay=1e-3,
        threads=threads,
        seed=seed,
        validate_every_minutes=validate_every,
        watched="held_out_dice",
        patience=patience,
    )
    task = AppearanceTask(batch=batch, processes=processes, bodies=bodies, left_out=_known(leave_out))
    train_appearance(_packed(data, runs), runs / "appearance", settings, task, initial)


@app.command()
def ablation(
    data: Data,
    runs: Runs = Path("runs"),
    steps: Annotated[int, typer.Option(min=1, help="Steps of every training.")] = 300,
    cases: Annotated[int, typer.Option(min=1, help="Cases that all of them learn from, some 16 MB each.")] = 200,
    threads: Threads = 0,
    seed: Seed = 0,
    only: Annotated[str | None, typer.Option(help="Only what has this text in its name, beside the whole.")] = None,
) -> None:
    """Train the attention for a short while with one thing taken away after another: what limits it?

    The foundation is that of --runs. Nothing is kept but the table that is printed and `ablation.json` in --runs.
    """
    import torch

    from diffugts.training.ablation import VARIANTS, AblationSettings, run_ablation, table

    if threads:
        torch.set_num_threads(threads)
    volumes = _packed(data, runs)
    variants = [v for v in VARIANTS if only is None or only in v.title or v is VARIANTS[0]]
    settings = AblationSettings(steps, cases, seed=seed)
    measured = []
    autoencoder, denoiser = runs / "autoencoder" / "last", runs / "denoiser" / "last"
    for variant, figures in run_ablation(volumes, autoencoder, denoiser, settings, variants, typer.echo):
        measured.append((variant, figures))
        report = {"settings": asdict(settings), "reached": {each.title: reached for each, reached in measured}}
        (runs / "ablation.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    typer.echo(table(measured))


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
    output: Annotated[Path, typer.Option(help="Model folder to write; with --model it must not exist, or be empty.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Data folder with INDEX.tsv. Not asked for with --model: what was packed is read."),
    ] = None,
    runs: Runs = Path("runs"),
    model: HeadsOf = None,
    device: Annotated[str, typer.Option(help="With --model: cpu, cuda or cuda:N.")] = "cpu",
) -> None:
    """Put the trained parts together: threshold and fusion weights from held-out training patients, embedding bank, preset.

    With --model: a copy of that model with the trained heads.
    """
    from diffugts.training.assembly import assemble_model
    from diffugts.training.heads import assemble_heads

    if model is not None:
        folder, own_runs = _foundation(model, runs)
        assemble_heads(folder, own_runs / VOLUMES, own_runs / "attention" / "last", output, device)
        typer.echo(
            f"The model is in '{output}': diffugts segment SCAN --model {output} --prompt 'tumour' --output RESULT"
        )
        return
    if data is None:
        raise RequestError(
            "Give the folder of the training data with --data, or a model whose heads were trained with --model."
        )
    assemble_model(_packed(data, runs), runs, output)


def _foundation(model: str, runs: Path) -> tuple[Path, Path]:
    """The folder of the model whose heads are trained, and that of its runs. Raises ModelError, for random weights too."""
    from diffugts.models import find_model, require_trained

    folder = find_model(model)
    require_trained(folder)
    return folder, runs / folder.resolve().name


def _packed_for(
    folder: Path, data: Path, volumes: Path, sequence: str | None, description: str | None, hold_out: list[str]
) -> Path:
    """`data`, packed to the grid of the model in `folder`."""
    from diffugts.evaluation.layouts import Layout, read_cases, recognise
    from diffugts.training.described_volumes import pack_cases
    from diffugts.training.grid import TrainingGrid
    from diffugts.training.volumes import pack_volumes

    grid = TrainingGrid.of_model(folder)
    if recognise(data) is Layout.INDEX:
        if description or sequence or hold_out:
            raise RequestError(
                f"'{data}' has an INDEX.tsv, which says what is marked; its held-out patients are fixed. Leave out "
                "--description, --sequence and --hold-out."
            )
        count = pack_volumes(data, volumes, grid)
    else:
        cases = read_cases(data, None, sequence, description)
        count = pack_cases(cases, volumes, grid, hold_out, typer.echo)
    typer.echo(f"{count} training volumes packed in {volumes}, at {grid.spacing_mm:g} mm")
    return volumes


def _denoiser_settings(
    minutes: float, learning_rate: float, threads: int, seed: int, validate_every: float, patience: int
) -> RunSettings:
    from diffugts.training.run import RunSettings

    return RunSettings(
        minutes,
        learning_rate,
        betas=(0.9, 0.98),
        warmup_steps=100,
        threads=threads,
        seed=seed,
        validate_every_minutes=validate_every,
        watched="-decoded_l1",
        patience=patience,
    )


def _known(categories: list[str]) -> tuple[str, ...]:
    """Categories that are left out, each once. Raises RequestError for one that there is none of."""
    from diffugts.training.tumours_by_place import CATEGORIES

    unknown = [name for name in categories if name not in CATEGORIES]
    if unknown:
        raise RequestError(f"There is no category '{unknown[0]}' to leave out; there are {', '.join(CATEGORIES)}.")
    return tuple(sorted(set(categories)))


def _packed(data: Path, runs: Path) -> Path:
    from diffugts.training.volumes import pack_volumes

    typer.echo(f"{pack_volumes(data, runs / VOLUMES)} training volumes packed in {runs / VOLUMES}")
    return runs / VOLUMES
