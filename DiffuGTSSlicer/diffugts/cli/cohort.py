"""`diffugts cohort`: many scans, from a table or from a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from diffugts.cli.segment import Modality, ModelOption, QualityOption
from diffugts.errors import DiffuGTSError, InstallationError, RequestError, ResultError
from diffugts.protocol import Quality

if TYPE_CHECKING:
    from diffugts.cohort.found_cases import FoundCases
    from diffugts.cohort.run import Outcome
    from diffugts.scans.found_scans import PassedOver
    from diffugts.worker.link import Link

MOST_TOLD = 20
"""Of the scans that were passed over; the rest is in the table."""


def cohort(
    scans: Annotated[
        Path,
        typer.Argument(
            help="CSV table: image, descriptions (parted by |), and perhaps roi, modality, series, name. Or a folder, of which "
            "every image file and every DICOM series is taken."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Folder of the cohort; what is finished in it is kept.")],
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="With a folder: what to look for in every scan; may be given several times."),
    ] = None,
    modality: Annotated[Modality | None, typer.Option(help="Of scans that do not say it.")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=4096,
            help="Processes at once, each with a model of its own. [default: one on each GPU, or one; with --ray one on each machine]",
        ),
    ] = None,
    quality: QualityOption = Quality.STANDARD,
    device: Annotated[
        str, typer.Option(help="auto: every GPU that works, or the processor; cpu; mps; cuda:0,cuda:1: these GPUs.")
    ] = "auto",
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="auto|ADDRESS", help="Compute on the machines of a Ray cluster; auto: the one of this machine."
        ),
    ] = None,
    model: ModelOption = "compact",
    parquet: Annotated[
        bool | None, typer.Option(help="Write the findings as Parquet, too. [default: where pyarrow is installed]")
    ] = None,
) -> None:
    """Segment many scans; started again, it goes on where it was stopped (docs/cohorts.md)."""
    from diffugts.cli.cohort_display import cohort_shown
    from diffugts.cli.display import printable
    from diffugts.cohort.findings_parquet import MISSING, parquet_is_possible, require_parquet
    from diffugts.cohort.run import carry_out_cohort

    if parquet:
        require_parquet()
    if Path(model).is_dir():
        model = str(Path(model).resolve())
    options = {"quality": quality, "model": model, "modality": modality.value if modality else None}
    with _workers(ray, device, workers) as staff:
        found = _cases(scans, prompt or [], output, {**options, "device": staff.device})
        for note in (*staff.notes, *_said_of(found)):
            typer.echo(printable(note), err=True)
        links = staff.links(len(found.cases))
        with cohort_shown(len(found.cases), len(links)) as display:
            outcomes = carry_out_cohort(found.cases, output.resolve(), links, display)
    with_parquet = parquet if parquet is not None else parquet_is_possible()
    table, sheet = _write_reports(outcomes, output, found.passed_over, with_parquet)
    failed = [outcome for outcome in outcomes if outcome.manifest is None]
    typer.echo(f"{len(outcomes) - len(failed)} of {len(outcomes)} cases are finished; the findings are in {table}.")
    typer.echo(f"To look through them: {sheet}")
    if parquet is None and not parquet_is_possible():
        typer.echo(MISSING, err=True)
    for outcome in failed:
        typer.echo(f"{outcome.case.name}: {outcome.failure}", err=True)
    if failed:
        raise typer.Exit(DiffuGTSError.exit_code)


class _Staff(NamedTuple):
    """The device that requests ask for, what makes the links to so many workers at most, and what to know of them."""

    device: str
    links: Callable[[int], Sequence[Link]]
    notes: tuple[str, ...]


@contextmanager
def _workers(ray: str | None, device: str, workers: int | None) -> Iterator[_Staff]:
    """The workers of this machine, or of a Ray cluster while it is connected. Raises RequestError, InstallationError."""
    if ray is None:
        from diffugts.cohort.devices import workplaces
        from diffugts.cohort.run import WORKER
        from diffugts.worker.link import WorkerLink

        places = workplaces(device, workers)
        yield _Staff(
            places.device, lambda most: [WorkerLink(WORKER, each) for each in places.variables[:most]], places.notes
        )
        return
    try:
        from diffugts.cohort.on_ray import cluster, links, share_of
    except ImportError as error:
        raise InstallationError(
            f"--ray needs '{error.name}', which is not installed. Install it on every machine: pip install 'diffugts[ray]'"
        ) from error
    with cluster(ray) as machines:
        share = share_of(machines, device, workers)
        each = "a GPU" if share.gpus else f"{share.cores} processor cores"
        note = f"Ray cluster of {len(machines)} machines: {share.workers} workers with {each} each."
        yield _Staff(device, lambda most: links(share, most), (note,))


def _said_of(found: FoundCases) -> Iterator[str]:
    """What of a folder is not segmented."""
    for each in found.passed_over[:MOST_TOLD]:
        yield f"Passed over: {each.name}: {each.reason}"
    if len(found.passed_over) > MOST_TOLD:
        yield f"{len(found.passed_over)} were passed over; all are in the table of findings."
    if found.other_files:
        yield f"{found.other_files} files in the folder are neither images nor DICOM."


def _cases(scans: Path, prompts: list[str], output: Path, options: Mapping[str, object]) -> FoundCases:
    """The cases of a table or of a folder. Raises RequestError."""
    from diffugts.cohort.found_cases import FoundCases, find_cases
    from diffugts.cohort.table import read_table

    if scans.is_dir():
        if not prompts:
            raise RequestError(f"'{scans}' is a folder: say with --prompt what to look for in its scans.")
        typer.echo(f"Looking through '{scans}'.", err=True)
        return find_cases(scans, prompts, output, options)
    if prompts:
        raise RequestError("With a table its column 'descriptions' says what to look for: leave --prompt out.")
    return FoundCases(tuple(read_table(scans, options)), ())


def _write_reports(
    outcomes: Sequence[Outcome], output: Path, passed_over: Sequence[PassedOver], parquet: bool
) -> tuple[Path, Path]:
    """The findings as CSV, as Parquet, and the contact sheet; the paths of the first and the last. Raises ResultError."""
    from diffugts.cohort.contact_sheet import write_contact_sheet
    from diffugts.cohort.findings_parquet import write_findings_parquet
    from diffugts.cohort.findings_table import write_findings_table

    writers = {"findings.csv": write_findings_table, "contact-sheet.html": write_contact_sheet}
    if parquet:
        writers["findings.parquet"] = write_findings_parquet
    for name, write in writers.items():
        try:
            write(outcomes, output / name, passed_over)
        except OSError as error:  # a spreadsheet on Windows holds the file it shows
            raise ResultError(
                f"'{output / name}' cannot be written: {error}. Close it elsewhere and start the cohort again."
            ) from error
    return output / "findings.csv", output / "contact-sheet.html"
