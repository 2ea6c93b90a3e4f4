"""Which layout a path has, and its cases."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path

from diffugts.errors import RequestError
from diffugts.evaluation.cases import EvaluationCase, require_distinct
from diffugts.evaluation.layout_challenges import (
    brats_cases,
    brats_folders,
    decathlon_cases,
    decathlon_folders,
    kits_cases,
    kits_folder,
)
from diffugts.evaluation.layout_index import INDEX, index_cases
from diffugts.evaluation.layout_table import folder_cases, table_cases


class Layout(str, Enum):
    """Layouts that are read."""

    INDEX = "index"
    DECATHLON = "msd"
    KITS = "kits23"
    BRATS = "brats23"
    TABLE = "table"
    FOLDER = "folder"


def recognise(data: Path) -> Layout:
    """The layout of a file or folder, by what it holds. Raises RequestError where it does not exist."""
    if data.is_file():
        return Layout.TABLE
    if not data.is_dir():
        raise RequestError(f"'{data}' does not exist. Give a data set's folder, or a table of cases.")
    if (data / INDEX).is_file():
        return Layout.INDEX
    if decathlon_folders(data):
        return Layout.DECATHLON
    if kits_folder(data) is not None:
        return Layout.KITS
    if brats_folders(data):
        return Layout.BRATS
    return Layout.FOLDER


def read_cases(
    data: Path, layout: Layout | None = None, sequence: str | None = None, description: str | None = None
) -> list[EvaluationCase]:
    """The cases at `data`. `sequence` chooses among several; `description` is asked of every case instead of its own.

    Raises RequestError where there is no case, or the layout is another one.
    """
    layout = layout or recognise(data)
    if layout is Layout.INDEX:
        cases = index_cases(data)
    elif layout is Layout.DECATHLON:
        cases = [case for task in decathlon_folders(data) for case in decathlon_cases(task, sequence, description)]
    elif layout is Layout.KITS:
        cases = kits_cases(kits_folder(data) or data, description)
    elif layout is Layout.BRATS:
        cases = brats_cases(brats_folders(data), sequence, description)
    elif layout is Layout.TABLE:
        cases = table_cases(data, description)
    else:
        cases = folder_cases(data, description)
    return require_distinct([replace(case, description=description) for case in cases] if description else cases)
