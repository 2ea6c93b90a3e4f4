"""`diffugts evaluate`: every validation case of a data folder, as the tables of docs/benchmarks.md."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    data: Annotated[Path, typer.Argument(help="Data folder with INDEX.tsv.")],
    output: Annotated[Path, typer.Option(help="Folder for report.md and report.json.")] = Path("runs/evaluation"),
    model: Annotated[str, typer.Option(help="Model name or folder.")] = "compact",
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N.")] = "cpu",
    quality: Annotated[list[str] | None, typer.Option(help="Quality levels to run; all where none is given.")] = None,
) -> None:
    """Measure masks, pseudo-healthy scans and words on scans with a known answer."""
    from diffugts.allocation import keep_freed_memory
    from diffugts.evaluation.report import write_report
    from diffugts.evaluation.validation import QUALITIES
    from diffugts.evaluation.validation import evaluate as run
    from diffugts.models import find_model, load_pipeline

    keep_freed_memory()
    folder = find_model(model)
    pipeline = load_pipeline(folder, device)
    report = run(pipeline, data, tuple(quality or QUALITIES), say=typer.echo)
    typer.echo(f"Written: {write_report(report, pipeline, output)}")
