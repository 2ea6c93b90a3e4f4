"""A user's own cases: a table (CSV or TSV) of image, label and description, or a folder of scans with their labels."""

from __future__ import annotations

import csv
from pathlib import Path

from diffugts.errors import RequestError
from diffugts.evaluation.cases import EvaluationCase
from diffugts.scans.reading import IMAGE_READERS

COLUMNS = ("image", "label", "description", "modality", "sequence", "group", "tumour_labels", "name")
LABEL_MARKS = ("_label", "_labels", "_seg", "_segmentation", "_mask", "-label", "-seg", "-mask", ".seg", ".label")
"""What is added to a scan's name for the file of its labels."""


def table_cases(table: Path, description: str | None = None) -> list[EvaluationCase]:
    """The rows of a table; its paths are taken from its own folder.

    Columns: `image`; `label`, empty for a tumour-free scan; `description`, unless one is given for all; and, where they
    are wanted, `modality` (CT, MR), `sequence`, `group`, `tumour_labels` (such as "2" or "1 3") and `name`.
    Raises RequestError for a missing column or cell, with the number of the line.
    """
    with table.open(encoding="utf-8-sig", newline="") as file:
        separator = "\t" if table.suffix.lower() == ".tsv" else ("," if "," in file.readline() else ";")
        file.seek(0)
        reader = csv.DictReader(file, delimiter=separator)
        head = {name.strip().lower() for name in reader.fieldnames or ()}
        missing = {"image", "label"} - head
        if missing or not ("description" in head or description):
            wanted = ", ".join(sorted(missing)) or "description"
            raise RequestError(f"'{table.name}' has no column {wanted}. Its first line names the columns: {COLUMNS}.")
        rows = [{str(k).strip().lower(): (v or "").strip() for k, v in row.items()} for row in reader]
    return [_row_case(table, number, row, description) for number, row in enumerate(rows, start=2)]


def folder_cases(folder: Path, description: str | None) -> list[EvaluationCase]:
    """Scans with a label beside them (`scan.nii.gz`, `scan_label.nii.gz`), or of one name in `images` and `labels`.

    A scan without a label is tumour-free. Raises RequestError without a description, or without any scan.
    """
    if not description:
        raise RequestError(
            "What is asked of the scans in this folder? Say it with --description, such as 'liver tumour'."
        )
    images, labels = folder / "images", folder / "labels"
    if images.is_dir():
        if not labels.is_dir():
            raise RequestError(f"'{folder}' has a folder 'images' but none called 'labels'. Add one, empty if need be.")
        by_name = {_stem(path): path for path in _volumes(labels)}
        pairs = [(path, by_name.get(_stem(path)) or _beside(path, by_name)) for path in _volumes(images)]
    else:
        by_name = {_stem(path): path for path in _volumes(folder)}
        scans = [path for stem, path in by_name.items() if not stem.lower().endswith(LABEL_MARKS)]
        pairs = [(path, _beside(path, by_name)) for path in scans]
    return [EvaluationCase(_stem(image), folder.name, image, label, None, None, description) for image, label in pairs]


def _row_case(table: Path, number: int, row: dict[str, str], description: str | None) -> EvaluationCase:
    where = f"line {number} of '{table.name}'"
    if not row["image"]:
        raise RequestError(f"In {where} the image is missing.")
    image = table.parent / row["image"]
    label = table.parent / row["label"] if row["label"] else None
    for path in (image, label):
        if path is not None and not path.exists():
            raise RequestError(f"In {where} '{path}' does not exist. Paths are taken from the table's own folder.")
    asked = row.get("description") or description
    if not asked:
        raise RequestError(f"In {where} the description is missing.")
    modality = row.get("modality", "").upper() or None
    if modality not in (None, "CT", "MR"):
        raise RequestError(f"In {where} the modality is '{row['modality']}', expected CT or MR.")
    try:
        values = tuple(int(v) for v in row.get("tumour_labels", "").replace(";", " ").split()) or None
    except ValueError:
        raise RequestError(
            f"In {where} tumour_labels are '{row['tumour_labels']}', expected numbers such as '1 3'."
        ) from None
    return EvaluationCase(
        name=row.get("name") or _stem(image),
        folder=row.get("group") or table.stem,
        image=image,
        label=label,
        modality=modality,
        sequence=row.get("sequence") or None,
        description=asked,
        tumour_labels=values,
    )


def _volumes(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.name.lower().endswith(tuple(IMAGE_READERS)))
    return [path for path in found if not path.name.startswith(".")]


def _beside(image: Path, by_name: dict[str, Path]) -> Path | None:
    return next((by_name[_stem(image) + mark] for mark in LABEL_MARKS if _stem(image) + mark in by_name), None)


def _stem(path: Path) -> str:
    ending = next((e for e in sorted(IMAGE_READERS, key=len, reverse=True) if path.name.lower().endswith(e)), "")
    return path.name[: len(path.name) - len(ending)] if ending else path.name
