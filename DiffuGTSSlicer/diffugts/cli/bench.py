"""`diffugts bench`: times and memory of one run, as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer


def bench(
    scan: Annotated[
        Path | None, typer.Option(help="Scan to time; a generated CT of the chest where none is given.")
    ] = None,
    size: Annotated[str, typer.Option(help="Voxels x, y, z the scan is enlarged to.")] = "512x512x111",
    model: Annotated[str, typer.Option(help="Model name or folder.")] = "compact",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    plain_loop: Annotated[bool, typer.Option(help="Also time the plain 50-step loop over the whole volume.")] = True,
    equivalence: Annotated[
        bool, typer.Option(help="Measure how far tiles and bfloat16 are from the exact way, instead of times.")
    ] = False,
    json_only: Annotated[bool, typer.Option("--json", help="Print nothing but JSON.")] = False,
) -> None:
    """Time encode, attend, inpaint and refine, first and second description, and the plain loop, in one run."""
    from diffugts.allocation import keep_freed_memory
    from diffugts.errors import RequestError
    from diffugts.evaluation.equivalence import measure_equivalence
    from diffugts.evaluation.speed import enlarged, measure_speed
    from diffugts.generated.phantom import draw_phantom
    from diffugts.models import find_model, load_pipeline
    from diffugts.scans.reading import read_scan

    try:
        voxels = tuple(int(n) for n in size.lower().split("x"))
    except ValueError:
        voxels = ()
    if len(voxels) != 3 or min(voxels) < 16:
        raise RequestError(f"--size is '{size}', expected three numbers of at least 16 such as 512x512x111.")
    if not json_only:
        typer.echo(f"Timing {model} on {device}, {size}; the plain loop takes the longest.", err=True)
    keep_freed_memory()
    source = read_scan(scan) if scan is not None else draw_phantom(0, "thorax", "CT").scan
    pipeline = load_pipeline(find_model(model), device)
    if equivalence:
        typer.echo(json.dumps(asdict(measure_equivalence(pipeline, source)), indent=2))
        return
    report = measure_speed(pipeline, enlarged(source, voxels), plain_loop)
    typer.echo(json.dumps(report.as_json(), indent=2))
