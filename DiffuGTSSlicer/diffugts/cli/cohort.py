"""`diffugts cohort`: many scans from one table."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffugts.cli.segment import DeviceOption, ModelOption, QualityOption
from diffugts.errors import DiffuGTSError, ResultError
from diffugts.protocol import Quality

if TYPE_CHECKING:
    from diffugts.cohort.run import Outcome


def cohort(
    table: Annotated[
        Path, typer.Argument(help="CSV: image, descriptions (parted by |), and perhaps roi, modality, name.")
    ],
    output: Annotated[Path, typer.Option(help="Folder of the cohort; what is finished in it is kept.")],
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes at once, each with a model of its own.")] = 1,
    quality: QualityOption = Quality.STANDARD,
    device: DeviceOption = "auto",
    model: ModelOption = "compact",
) -> None:
    """Segment what a table asks for; started again, it goes on where it was stopped."""
    from diffugts.cohort.findings_table import write_findings_table
    from diffugts.cohort.local_worker import LocalWorker
    from diffugts.cohort.run import carry_out_cohort
    from diffugts.cohort.table import read_table

    if Path(model).is_dir():
        model = str(Path(model).resolve())
    cases = read_table(table, {"quality": quality, "device": device, "model": model})
    began, computed, heard = time.monotonic(), 0, 0

    def hear(outcome: Outcome) -> None:
        nonlocal computed, heard
        heard += 1
        computed += not outcome.earlier
        left = (len(cases) - heard) * (time.monotonic() - began) / computed if computed else None
        typer.echo(f"{heard}/{len(cases)} {_told(outcome)}{_left(left)}", err=True)

    outcomes = carry_out_cohort(cases, output.resolve(), [LocalWorker() for _ in range(min(workers, len(cases)))], hear)
    path = output / "findings.csv"
    try:
        write_findings_table(outcomes, path)
    except OSError as error:  # a spreadsheet on Windows holds the file it shows
        raise ResultError(
            f"The table '{path}' cannot be written: {error}. Close it elsewhere and start the cohort again."
        ) from error
    failed = [outcome for outcome in outcomes if outcome.manifest is None]
    typer.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases are finished; the findings are in {path}.")
    for outcome in failed:
        typer.echo(f"{outcome.case.name}: {outcome.failure}", err=True)
    if failed:
        raise typer.Exit(DiffuGTSError.exit_code)


def _told(outcome: Outcome) -> str:
    if outcome.manifest is None:
        return f"{outcome.case.name}: failed"
    if outcome.earlier:
        return f"{outcome.case.name}: done before"
    found = sum(len(finding.lesions) for finding in outcome.manifest.findings)
    return f"{outcome.case.name}: {found} lesions"


def _left(seconds: float | None) -> str:
    return "" if seconds is None else f", about {max(1, round(seconds / 60))} min left"
