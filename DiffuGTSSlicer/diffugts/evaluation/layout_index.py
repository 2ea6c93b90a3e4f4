"""Data folders with an INDEX.tsv (docs/training.md): marked scans below `validation/`, and tumour-free ones."""

from __future__ import annotations

import csv
from pathlib import Path

from diffugts.errors import RequestError
from diffugts.evaluation.cases import EvaluationCase
from diffugts.protocol.modality import sequence_from_words

INDEX = "INDEX.tsv"

DESCRIPTIONS = {"sarcoma": "soft tissue sarcoma", "brain-mr": "glioma", "lung-ct": "lung cancer"}
"""What is asked of each folder of validation scans."""

TUMOUR_FREE = ("MS_patient", "chris_", "MR_Gd", "M2208", "test_scan", "example_mr")
"""Scans of `train/mr` in which no tumour is known, by name prefix; some hold white-matter lesions, which are not tumours."""

TUMOUR_FREE_FOLDER = "tumour-free"


def index_cases(data: Path) -> list[EvaluationCase]:
    """Every marked validation scan, then the tumour-free ones."""
    return validation_cases(data) + tumour_free_cases(data)


def validation_cases(data: Path) -> list[EvaluationCase]:
    """Every marked scan below `validation/`. Raises RequestError where there is no INDEX.tsv."""
    return [
        _case(data, row, _folder(row), DESCRIPTIONS.get(_folder(row), "tumour"))
        for row in _rows(data)
        if row["image"].startswith("validation/")
    ]


def tumour_free_cases(data: Path, description: str = "tumour") -> list[EvaluationCase]:
    """Scans of `train/mr` without a known tumour, asked a general description."""
    rows = [
        r for r in _rows(data) if r["image"].startswith("train/mr/") and Path(r["image"]).name.startswith(TUMOUR_FREE)
    ]
    return [_case(data, {**row, "label": ""}, TUMOUR_FREE_FOLDER, description) for row in rows]


def _rows(data: Path) -> list[dict[str, str]]:
    index = data / INDEX
    if not index.is_file():
        raise RequestError(f"'{data}' holds no {INDEX}, which lists the scans and their labels. Give another folder.")
    with index.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _folder(row: dict[str, str]) -> str:
    return Path(row["image"]).parent.name


def _case(data: Path, row: dict[str, str], folder: str, description: str) -> EvaluationCase:
    modality = "CT" if row["modality"].startswith("CT") else "MR"
    return EvaluationCase(
        name=Path(row["image"]).name.removesuffix(".nii.gz"),
        folder=folder,
        image=data / row["image"],
        label=data / row["label"] if row["label"] else None,
        modality=modality,
        sequence=sequence_from_words(row["modality"]) if modality == "MR" else None,
        description=description,
    )
