"""Cases with a known answer, from a data folder's INDEX.tsv."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import RequestError
from diffugts.protocol.modality import sequence_from_words
from diffugts.scans.reading import read_scan
from diffugts.scans.scan import Scan

DESCRIPTIONS = {"sarcoma": "soft tissue sarcoma", "brain-mr": "glioma", "lung-ct": "lung cancer"}
"""What is asked of each folder of validation scans."""

TUMOUR_FREE = ("MS_patient", "chris_", "MR_Gd", "M2208", "test_scan", "example_mr")
"""Scans of `train/mr` in which no tumour is known, by name prefix; some hold white-matter lesions, which are not tumours."""


@dataclass(frozen=True)
class EvaluationCase:
    """One scan and what is marked in it. `folder` is the folder's name below `validation/` or `train/`."""

    name: str
    folder: str
    image: Path
    label: Path | None
    modality: str
    sequence: str | None
    description: str

    def scan(self) -> Scan:
        """The scan as a user's command would read it."""
        return read_scan(self.image, self.modality, self.sequence)

    def truth(self, scan: Scan) -> np.ndarray:
        """The marked tumour, bool (k, j, i) on the scan's grid; nothing where nothing is marked."""
        if self.label is None:
            return np.zeros(scan.voxels.shape, bool)
        return sitk.GetArrayFromImage(sitk.ReadImage(str(self.label))) > 0


def validation_cases(data: Path) -> list[EvaluationCase]:
    """Every marked scan below `validation/`. Raises RequestError where there is no INDEX.tsv."""
    return [
        _case(data, row, DESCRIPTIONS[_folder(row)]) for row in _rows(data) if row["image"].startswith("validation/")
    ]


def tumour_free_cases(data: Path, description: str = "tumour") -> list[EvaluationCase]:
    """Scans of `train/mr` without a known tumour, asked a general description."""
    rows = [
        r for r in _rows(data) if r["image"].startswith("train/mr/") and Path(r["image"]).name.startswith(TUMOUR_FREE)
    ]
    return [_case(data, {**row, "label": ""}, description) for row in rows]


def _rows(data: Path) -> list[dict[str, str]]:
    index = data / "INDEX.tsv"
    if not index.is_file():
        raise RequestError(f"'{data}' holds no INDEX.tsv, which lists the scans and their labels. Give another folder.")
    with index.open(encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def _folder(row: dict[str, str]) -> str:
    return Path(row["image"]).parent.name


def _case(data: Path, row: dict[str, str], description: str) -> EvaluationCase:
    modality = "CT" if row["modality"].startswith("CT") else "MR"
    return EvaluationCase(
        name=Path(row["image"]).name.removesuffix(".nii.gz"),
        folder=_folder(row),
        image=data / row["image"],
        label=data / row["label"] if row["label"] else None,
        modality=modality,
        sequence=sequence_from_words(row["modality"]) if modality == "MR" else None,
        description=description,
    )
