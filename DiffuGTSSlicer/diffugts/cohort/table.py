"""The cases of a cohort, from a table (CSV): what to look for in which scan."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from diffugts.errors import RequestError
from diffugts.protocol import Region, Request
from diffugts.protocol.files import read_text
from diffugts.protocol.job_folder import RESULT_FOLDER

COLUMNS = ("image", "descriptions", "roi", "modality", "series", "name")
REQUIRED = ("image", "descriptions")
BETWEEN_DESCRIPTIONS = "|"


@dataclass(frozen=True)
class Case:
    """One row: its name, which is the name of its folder, and its request; `output` is relative to that folder."""

    name: str
    request: Request


def read_table(path: Path, options: Mapping[str, object]) -> list[Case]:
    """The cases of a table with the columns image and descriptions, and perhaps roi, modality, series and name.

    Images are taken from the table's folder, several descriptions are parted by "|", a roi is two corners in RAS mm.
    `options` are fields of every request. Raises RequestError naming the row that cannot be understood.
    """
    try:
        text = read_text(path)
    except (OSError, ValueError) as error:
        raise RequestError(f"The table '{path}' cannot be read: {error}. Check the path.") from error
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    cases: dict[str, Case] = {}
    try:
        found = [column.strip().lower() for column in rows.fieldnames or ()]
        rows.fieldnames = found
        _require_columns(path, found)
        for row in rows:
            if any(isinstance(value, str) and value.strip() for value in row.values()):
                case = _case(row, rows.line_num, path.resolve().parent, options)
                if case.name.casefold() in cases:  # some disks do not tell them apart
                    raise RequestError(
                        f"Line {rows.line_num} of '{path.name}' gives the name '{case.name}' a second time. Give every "
                        "case a name of its own, in the column 'name'."
                    )
                cases[case.name.casefold()] = case
    except csv.Error as error:
        raise RequestError(f"Line {rows.line_num} of '{path.name}' is not valid CSV ({error}). Correct it.") from error
    if not cases:
        raise RequestError(f"The table '{path}' has no rows. Give one row per scan.")
    return list(cases.values())


def _require_columns(path: Path, found: list[str]) -> None:
    missing = [column for column in REQUIRED if column not in found]
    unknown = [column for column in found if column not in COLUMNS]
    if missing or unknown or len(set(found)) < len(found):
        raise RequestError(
            f"The first line of '{path.name}' names the columns {', '.join(found) or '(none)'}; expected are image and "
            "descriptions, and perhaps roi, modality, series and name, each once, parted by commas."
        )


def _case(row: dict[str, str | None], line: int, folder: Path, options: Mapping[str, object]) -> Case:
    if None in row or None in row.values():
        raise RequestError(f"Line {line} of the table has not as many fields as the first line. Correct it.")
    cells = {column: (value or "").strip() for column, value in row.items()}
    if not cells["image"]:
        raise RequestError(f"Line {line} of the table names no image. Correct it.")
    texts = [text.strip() for text in cells["descriptions"].split(BETWEEN_DESCRIPTIONS)]
    try:
        request = Request(
            **{
                **options,
                "scan": str(folder / cells["image"]),
                "descriptions": tuple(text for text in texts if text),
                "output": RESULT_FOLDER,
                "region": Region.from_text(cells["roi"], "the roi") if cells.get("roi") else None,
                "modality": cells.get("modality", "").upper() or options.get("modality"),
                "series": cells.get("series") or None,
            }  # type: ignore[arg-type]
        )
    except RequestError as error:
        raise RequestError(f"Line {line} of the table: {error}") from error
    # "." names the table's own folder, and a file may be called ".nrrd": no case's folder may be that of all cases.
    name = cells.get("name") or _stem(cells["image"]) or os.path.basename(os.path.abspath(request.scan)) or "scan"
    return Case(folder_name(name), request)


def folder_name(name: str) -> str:
    """`name` where any disk takes it as a folder's name; otherwise its letters and its checksum."""
    plain = re.sub(r"[^\w.+-]", "_", name).strip(".")
    if plain == name and len(name) <= 100:
        return name
    return f"{plain[:60]}-{sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def _stem(image: str) -> str:
    return re.sub(r"\.(nii\.gz|nii|nrrd|nhdr|mha|mhd)$", "", Path(image).name, flags=re.IGNORECASE)
