"""`diffugts dicom`: a finished result as DICOM files of the study that was scanned. Nothing is sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diffugts.dicom.packages import require_packages

if TYPE_CHECKING:
    from diffugts.dicom.export import Written

SeriesOption = Annotated[
    str | None, typer.Option(help="UID or number of the series, where the folder holds several DICOM series.")
]


def dicom(
    result: Annotated[Path, typer.Argument(help="Folder of a result, as `diffugts segment` writes it.")],
    scan: Annotated[Path, typer.Argument(help="Folder of the DICOM series that was segmented, or one image of it.")],
    output: Annotated[Path, typer.Option(help="New or empty folder for the DICOM files.")],
    series: SeriesOption = None,
    score_maps: Annotated[bool, typer.Option(help="Write score maps as fractional segmentations.")] = True,
    pseudo_healthy: Annotated[
        bool, typer.Option(help="Write the pseudo-healthy volume as a series, marked as synthetic.")
    ] = True,
) -> None:
    """Write a result as DICOM: segmentation, score maps, pseudo-healthy series (docs/dicom.md). Nothing is sent."""
    require_packages()
    from diffugts.cli.display import RESEARCH_USE, output_console
    from diffugts.dicom.export import export_result

    print_written(export_result(result, scan, output, series, score_maps, pseudo_healthy))
    output_console().print(RESEARCH_USE, style="bold")


def require_dicom_possible(scan: Path, series: str | None, folder: Path, output: Path) -> None:
    """Make sure, before a scan is segmented, that DICOM can be written afterwards.

    Raises InstallationError without the packages, ScanError where the scan is no DICOM series, ResultError where the
    folder cannot take the files.
    """
    require_packages()
    from diffugts.dicom.export import require_free
    from diffugts.dicom.source import read_source
    from diffugts.errors import ResultError

    place, result = folder.expanduser().resolve(), output.expanduser().resolve()
    if place == result or result in place.parents or place in result.parents:
        raise ResultError(f"--dicom and --output are '{folder}' and '{output}'. Give two folders beside each other.")
    require_free(place)
    read_source(scan, series)


def print_written(written: Written) -> None:
    """How many files were written where, and what to know of them."""
    from rich.text import Text

    from diffugts.cli.display import output_console, printable

    console = output_console()
    count = len(written.files)
    console.print(
        Text(printable(f"DICOM: {count} {'file' if count == 1 else 'files'} in {written.folder}")), soft_wrap=True
    )
    for note in written.notes:
        console.print(Text(printable(note)))
