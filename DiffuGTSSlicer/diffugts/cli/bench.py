"""`diffugts bench`: times and memory of one run, or the errors of its shortcuts, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffugts.errors import InstallationError, RequestError
from diffugts.protocol import Quality

if TYPE_CHECKING:
    from diffugts.pipeline import DiffuGTSPipeline
    from diffugts.scans.scan import Scan

FULL_SIZE = "512x512x256"
FULL_SIZE_SPACING = (0.8, 0.8, 1.5)
"""Millimetres x, y, z of a scan of `FULL_SIZE`, a usual CT of the trunk; smaller ones get the model's own spacing."""


def bench(
    scan: Annotated[
        Path | None, typer.Option(help="Scan to time; a generated CT of the chest where none is given.")
    ] = None,
    size: Annotated[str, typer.Option(help="Voxels x, y, z the scan is enlarged to.")] = "512x512x111",
    model: Annotated[str, typer.Option(help="Model name or folder.")] = "compact",
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="Time a published model (maisi-ct, ...) without its files.")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    low_memory: Annotated[bool, typer.Option("--low-memory", help="Smaller tiles, for cards of 8 GB.")] = False,
    quality: Annotated[
        Quality, typer.Option(help="Whose number of steps is timed (with --random-weights).")
    ] = Quality.STANDARD,
    plain_loop: Annotated[bool, typer.Option(help="Also time the plain 50-step loop over the whole volume.")] = True,
    plain_steps: Annotated[
        int,
        typer.Option(min=1, max=50, help="Steps of the plain loop that are timed; the others count as long as these."),
    ] = 50,
    equivalence: Annotated[
        bool, typer.Option(help="Measure how far every shortcut is from the exact way, instead of times.")
    ] = False,
    json_only: Annotated[bool, typer.Option("--json", help="Print nothing but JSON.")] = False,
) -> None:
    """Time encode, attend, inpaint and refine, first and second description, and the plain loop, in one run."""
    from diffugts.allocation import keep_freed_memory
    from diffugts.evaluation.equivalence import measure_equivalence
    from diffugts.evaluation.foundation_speed import measure_foundation_speed
    from diffugts.evaluation.speed import enlarged, measure_speed
    from diffugts.worker.device import slow_convolutions

    problem = slow_convolutions()
    if problem:
        raise InstallationError(f"{problem} Figures from it would mislead.")
    voxels = _voxels(size)
    if not json_only:
        typer.echo(f"Timing {model} on {device}, {size}; the plain loop takes the longest.", err=True)
    keep_freed_memory()
    pipeline = _pipeline(model, random_weights, device)
    pipeline.low_memory = low_memory
    source = _scan(scan)
    if equivalence:
        whole = _stretched(source, voxels, pipeline.preset.spacing_mm) if random_weights else source
        typer.echo(json.dumps(asdict(measure_equivalence(pipeline, whole)), indent=2))
        return
    if not random_weights:
        typer.echo(
            json.dumps(
                measure_speed(pipeline, enlarged(source, voxels), plain_steps if plain_loop else 0).as_json(), indent=2
            )
        )
        return
    steps = pipeline.preset.qualities[quality.value].steps
    whole = _stretched(source, voxels, pipeline.preset.spacing_mm)
    report = measure_foundation_speed(pipeline, whole, steps, plain_steps if plain_loop else 0).as_json()
    typer.echo(json.dumps({"model": model, "random_weights": True, "steps": steps, **report}, indent=2))
    if not json_only and device == "cpu":
        typer.echo(
            "On a GPU, at full size: "
            f"diffugts bench --model {model} --random-weights --size {FULL_SIZE} --device cuda --json",
            err=True,
        )


def _voxels(size: str) -> tuple[int, int, int]:
    try:
        voxels = tuple(int(n) for n in size.lower().split("x"))
    except ValueError:
        voxels = ()
    if len(voxels) != 3 or min(voxels) < 16:
        raise RequestError(f"--size is '{size}', expected three numbers of at least 16 such as 512x512x111.")
    return voxels  # type: ignore[return-value]


def _scan(path: Path | None) -> Scan:
    from diffugts.generated.phantom import draw_phantom
    from diffugts.scans.reading import read_scan

    return read_scan(path) if path is not None else draw_phantom(0, "thorax", "CT").scan


def _stretched(source: Scan, voxels: tuple[int, int, int], spacing_mm: float) -> Scan:
    from diffugts.evaluation.foundation_speed import filled_scan

    full_size = voxels[0] >= 384
    return filled_scan(source, voxels, FULL_SIZE_SPACING if full_size else (spacing_mm,) * 3)


def _pipeline(model: str, random_weights: bool, device: str) -> DiffuGTSPipeline:
    from diffugts.models import find_model, load_pipeline

    if not random_weights:
        pipeline = load_pipeline(find_model(model), device)
        if pipeline.attention is None:
            raise RequestError(
                f"The model '{model}' has no attention to time. Its speed does not depend on its weights: use "
                "--random-weights with the published model's name."
            )
        return pipeline
    from diffugts.descriptions.bank import EmbeddingBank
    from diffugts.maisi.assembly import with_random_weights
    from diffugts.maisi.published import published_model
    from diffugts.pipeline import BANK_FILE

    pipeline = with_random_weights(published_model(model))
    # The compact model reads texts by the same encoder; its bank spares loading that for two well-known ones.
    pipeline.reader.bank = EmbeddingBank.load(find_model("compact") / BANK_FILE)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)
