"""Training volumes: scans and labels of a data folder on the working grid, packed once.

The folder holds an `INDEX.tsv` (image, label, modality, body_part, tumour_label, organ_labels, licence ...).
Only rows below `train/` are ever read here: `validation/` is for evaluation alone.

Some scans hold real tumours that nobody marked. Where the patient's disease tells in which part of the body
they lie, the rest of the scan may still teach what healthy tissue looks like; `HEALTHY_PARTS` says which.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import RequestError
from diffugts.protocol.modality import sequence_from_words
from diffugts.scans.scan import Geometry, Scan
from diffugts.scans.working_grid import oriented
from diffugts.training.grid import TrainingGrid

SPACING_MM = 2.0
"""The compact model's."""

Part = tuple[float, float, float, float, float, float]

WHOLE: Part = (0, 1, 0, 1, 0, 1)
NOTHING: Part = (0, 0, 0, 0, 0, 0)

HEALTHY_PARTS: dict[str, Part] = {
    "HCC_": (0, 1, 0, 1, 0.66, 1),
    "CRLM-": (0, 1, 0, 1, 0.66, 1),
    "LIDC-IDRI-0314": (0, 1, 0, 1, 0.55, 1),
    "Lung_Dx-": NOTHING,
    "CPTAC-": NOTHING,
    "CMB-": NOTHING,
    "TCGA-": NOTHING,
    "HN-CHUS": (0, 0.55, 0, 1, 0, 1),
    "CCTH-": (0.35, 1, 0, 1, 0, 1),
    "ACRIN-FLT-Breast": (0, 1, 0.35, 1, 0, 1),
    "UCSF-BR": NOTHING,
    "Prostate": NOTHING,
}
"""By name prefix: the part of the body's box, as fractions (k0, k1, j0, j1, i0, i1) from feet, front and right, in
which no unmarked tumour is to be expected. Liver patients: the left flank; head and neck patients: below the
shoulders; cervix: above the pelvis; breast: behind the chest wall. Others without a sure place: nothing."""


@dataclass(frozen=True)
class Volume:
    """One training volume on the working grid, model intensities.

    `tumour` marks what a person marked as tumour; `lesion_mimic` what looks like one and is not (multiple
    sclerosis); `healthy` where tissue may be taught as normal; `organs` small integers, whose names `tumours_by_place.ORGANS` holds.
    All arrays (k, j, i).

    A scan from elsewhere (`described_volumes`) says in `description` what its marks are called, in `organ` which organ is 1 in
    `organs` ("" where none is), and whether it is `held_out` of training; `is_ill` where anything is marked.
    """

    name: str
    modality: str
    sequence: str | None
    body_part: str
    tissue: str
    intensities: np.ndarray
    tumour: np.ndarray
    lesion_mimic: np.ndarray
    healthy: np.ndarray
    organs: np.ndarray
    spacing_mm: float = SPACING_MM
    description: str = ""
    organ: str = ""
    held_out: bool = False
    is_ill: bool = False

    @property
    def is_sarcoma(self) -> bool:
        return self.name.startswith("STS_")

    @property
    def patient(self) -> str:
        """What the volumes of one patient share: for splits that never put one patient on both sides."""
        return self.name[:7] if self.is_sarcoma else self.name.rsplit("_", 1)[0]


def pack_volumes(data: Path, folder: Path, grid: TrainingGrid | None = None) -> int:
    """Bring every `train/` volume of `data` to the working grid and store it below `folder`; returns how many.

    `grid` is the compact model's where none is given; scans of a kind that its model does not know are left out. Already
    packed volumes are kept. Raises RequestError where `data` has no INDEX.tsv, or `folder` holds volumes on another grid.
    """
    grid = grid or TrainingGrid()
    index = data / "INDEX.tsv"
    if not index.is_file():
        raise RequestError(f"'{data}' holds no INDEX.tsv. Give the folder of the training data with --data.")
    grid.claim(folder, others="*/facts.json")
    with index.open(encoding="utf-8") as rows:
        train = [row for row in csv.DictReader(rows, delimiter="\t") if row["image"].startswith("train/")]
    train = [row for row in train if _modality(row) in grid.modalities]
    for row in train:
        target = folder / (Path(row["image"]).name.removesuffix(".nii.gz") + ".npz")
        if not target.exists():
            _store(_volume(data, row, grid), target)
    return len(train)


def read_volumes(folder: Path) -> Iterator[Volume]:
    """The packed volumes of a data folder with INDEX.tsv, in order of their names."""
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as arrays:
            facts = json.loads(str(arrays["facts"]))
            fields = {key: arrays[key] for key in ("intensities", "tumour", "lesion_mimic", "healthy", "organs")}
        yield Volume(**facts, **fields)


def _modality(row: dict[str, str]) -> str:
    return "CT" if row["modality"].startswith("CT") else "MR"


def _volume(data: Path, row: dict[str, str], grid: TrainingGrid) -> Volume:
    name = Path(row["image"]).name.removesuffix(".nii.gz")
    image = sitk.ReadImage(str(data / row["image"]), sitk.sitkFloat32)
    modality = _modality(row)
    sequence = sequence_from_words(row["modality"]) if modality == "MR" else None
    scan = Scan(sitk.GetArrayFromImage(image), Geometry.of(image), modality, sequence, name)
    on_grid = grid.scan(scan)
    shape = on_grid.geometry.shape
    label = np.zeros(shape, np.uint8)
    if row["label"]:
        label = label_on(on_grid.geometry, sitk.ReadImage(str(data / row["label"]), sitk.sitkUInt8))
    is_tumour = row["tumour_label"].startswith("yes")
    is_mimic = name.startswith("MS_")
    tumour = (label > 0) if is_tumour else np.zeros(shape, bool)
    healthy = _healthy_part(name, shape) & ~tumour
    return Volume(
        name=name,
        modality=modality,
        sequence=sequence,
        body_part=row["body_part"],
        tissue=row["tissue"],
        intensities=on_grid.intensities.astype(np.float16),
        tumour=tumour,
        lesion_mimic=(label > 0) if is_mimic else np.zeros(shape, bool),
        healthy=healthy,
        organs=label if not (is_tumour or is_mimic) else np.zeros(shape, np.uint8),
        spacing_mm=grid.spacing_mm,
    )


def label_on(geometry: Geometry, label: sitk.Image) -> np.ndarray:
    """A label map on another grid (k, j, i): the nearest voxel's, 0 outside."""
    label = oriented(label)
    reference = geometry.image(np.zeros(geometry.shape, np.uint8))
    return sitk.GetArrayFromImage(sitk.Resample(label, reference, sitk.Transform(), sitk.sitkNearestNeighbor, 0))


def _healthy_part(name: str, shape: tuple[int, int, int]) -> np.ndarray:
    part = next((part for prefix, part in HEALTHY_PARTS.items() if name.startswith(prefix)), WHOLE)
    healthy = np.zeros(shape, bool)
    bounds = [round(fraction * shape[axis // 2]) for axis, fraction in enumerate(part)]
    healthy[bounds[0] : bounds[1], bounds[2] : bounds[3], bounds[4] : bounds[5]] = True
    return healthy


def _store(volume: Volume, target: Path) -> None:
    fields = asdict(volume)
    arrays = {key: fields.pop(key) for key in ("intensities", "tumour", "lesion_mimic", "healthy", "organs")}
    np.savez_compressed(target, facts=np.array(json.dumps(fields)), **arrays)
