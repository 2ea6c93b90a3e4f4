"""Small data sets of generated thighs with a lesion, laid out as the public ones are."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.generated.phantom import demo_case, draw_phantom
from diffugts.scans.scan import Scan

SPACING_MM, SIDE = 6.0, 18
"""Coarse and small: on the working grid of 2 mm 54 voxels along each axis."""

ORGAN, TUMOUR, CYST = 1, 2, 3


@lru_cache(maxsize=8)
def thigh(seed: int = 0) -> tuple[Scan, np.ndarray]:
    """A part of a CT thigh with a lesion, and the lesion (bool, k, j, i)."""
    scan, mask, _ = demo_case(seed, "thigh", SPACING_MM)
    centre = np.argwhere(mask).mean(0).astype(int)
    starts = [int(min(max(0, c - SIDE // 2), n - SIDE)) for c, n in zip(centre, mask.shape)]
    box = (slice(starts[0], starts[0] + SIDE), slice(starts[1], starts[1] + SIDE), slice(starts[2], starts[2] + SIDE))
    voxels = np.ascontiguousarray(scan.voxels[box])
    return replace(scan, voxels=voxels, geometry=scan.geometry.part(box)), np.ascontiguousarray(mask[box])


@lru_cache(maxsize=8)
def healthy_thigh(seed: int = 0) -> Scan:
    """A part of one without a lesion."""
    return draw_phantom(seed, "thigh", "CT", SPACING_MM, (SIDE,) * 3).scan


@lru_cache(maxsize=1)
def head() -> Scan:
    """The middle of a head, FLAIR."""
    return draw_phantom(0, "head", "MR", SPACING_MM, (SIDE,) * 3).scan


def labels(seed: int = 0, tumour: int = TUMOUR) -> np.ndarray:
    """Label values (uint8, k, j, i): the body, the lesion in it, and a cyst beside it."""
    scan, mask = thigh(seed)
    values = np.where(scan.voxels > -200, ORGAN, 0).astype(np.uint8)
    values[:3, :, :] = CYST
    values[mask] = tumour
    return values


def write(image: sitk.Image, path: Path) -> Path:
    """Write an image and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path))
    return path


def write_scan(path: Path, seed: int = 0) -> Path:
    """A thigh with a lesion."""
    return write(thigh(seed)[0].image(), path)


def write_labels(path: Path, seed: int = 0, tumour: int = TUMOUR) -> Path:
    """Its labels."""
    return write(thigh(seed)[0].geometry.image(labels(seed, tumour)), path)


def write_mask(path: Path, seed: int = 0) -> Path:
    """Its lesion alone, as 1."""
    scan, mask = thigh(seed)
    return write(scan.geometry.image(mask), path)


def decathlon(folder: Path, cases: int = 2, label_names: dict[str, str] | None = None) -> Path:
    """A task of the Medical Segmentation Decathlon with one channel; macOS's file beside the first scan, as in the archives."""
    training = []
    for number in range(cases):
        name = f"liver_{number}.nii.gz"
        write_scan(folder / "imagesTr" / name, number)
        write_labels(folder / "labelsTr" / name, number)
        training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    training.insert(0, {"image": "./imagesTr/._liver_0.nii.gz", "label": "./labelsTr/._liver_0.nii.gz"})
    facts = {
        "name": "Liver",
        "modality": {"0": "CT"},
        "labels": label_names or {"0": "background", "1": "liver", "2": "cancer"},
        "training": training,
        "test": ["./imagesTs/liver_9.nii.gz"],
    }
    (folder / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def decathlon_brain(folder: Path) -> Path:
    """Its brain task: four sequences in one file, told apart here by their values."""
    scan = head()
    volumes = [scan.with_voxels(scan.voxels + 100 * number).image() for number in range(4)]
    write(sitk.JoinSeries(volumes), folder / "imagesTr" / "BRATS_001.nii.gz")
    values = np.zeros(scan.voxels.shape, np.uint8)
    values[8:14, 8:14, 8:14], values[10:12, 10:12, 10:12] = 1, 3
    write(scan.geometry.image(values), folder / "labelsTr" / "BRATS_001.nii.gz")
    facts = {
        "name": "BRATS",
        "modality": {"0": "FLAIR", "1": "T1w", "2": "t1gd", "3": "T2w"},
        "labels": {"0": "background", "1": "edema", "2": "non-enhancing tumor", "3": "enhancing tumour"},
        "training": [{"image": "./imagesTr/BRATS_001.nii.gz", "label": "./labelsTr/BRATS_001.nii.gz"}],
    }
    (folder / "dataset.json").write_text(json.dumps(facts), encoding="utf-8")
    return folder


def kits(folder: Path, cases: int = 2) -> Path:
    """KiTS23 as its download script leaves it, with one case whose scan was not fetched."""
    for number in range(cases):
        case = folder / "dataset" / f"case_{number:05d}"
        write_scan(case / "imaging.nii.gz", number)
        write_labels(case / "segmentation.nii.gz", number)
    write_labels(folder / "dataset" / "case_00099" / "segmentation.nii.gz", 0)
    return folder


def brats(folder: Path, challenge: str = "GLI", sequences: tuple[str, ...] = ("t1c", "t2f")) -> Path:
    """One case of a BraTS 2023 challenge."""
    name = f"BraTS-{challenge}-00000-000"
    scan = head()
    for sequence in sequences:
        write(scan.image(), folder / name / f"{name}-{sequence}.nii.gz")
    values = np.zeros(scan.voxels.shape, np.uint8)
    values[8:14, 8:14, 8:14], values[9:12, 9:12, 9:12], values[10, 10, 10] = 2, 3, 1
    write(scan.geometry.image(values), folder / name / f"{name}-seg.nii.gz")
    return folder


def table(folder: Path, cases: int = 3, healthy: int = 1) -> Path:
    """A table of thighs with a lesion and of healthy ones, with paths relative to it."""
    lines = ["image,label,description,modality,group"]
    for number in range(cases):
        write_scan(folder / "scans" / f"thigh{number}.nii.gz", number)
        write_mask(folder / "scans" / f"thigh{number}_truth.nii.gz", number)
        lines.append(f"scans/thigh{number}.nii.gz,scans/thigh{number}_truth.nii.gz,liver tumour,CT,thighs")
    for number in range(healthy):
        write(healthy_thigh(number).image(), folder / "scans" / f"healthy{number}.nii.gz")
        lines.append(f"scans/healthy{number}.nii.gz,,liver tumour,CT,healthy")
    path = folder / "cases.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def data_folder(folder: Path) -> Path:
    """A data folder with an INDEX.tsv: one marked sarcoma to validate on, one tumour-free scan."""
    write_scan(folder / "validation" / "sarcoma" / "STS_034_CT.nii.gz")
    write_mask(folder / "validation" / "sarcoma" / "STS_034_CT_label.nii.gz")
    write(head().image(), folder / "train" / "mr" / "MS_patient07_FLAIR.nii.gz")
    lines = [
        "image\tlabel\tmodality\tbody_part",
        "validation/sarcoma/STS_034_CT.nii.gz\tvalidation/sarcoma/STS_034_CT_label.nii.gz\tCT\textremity",
        "train/mr/MS_patient07_FLAIR.nii.gz\t\tMR FLAIR\tbrain",
    ]
    (folder / "INDEX.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder
