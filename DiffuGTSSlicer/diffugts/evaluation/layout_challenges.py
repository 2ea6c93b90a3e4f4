"""Public challenges as they are unpacked: the Medical Segmentation Decathlon, KiTS23 and BraTS 2023.

Only cases with labels are read: the challenges keep those of their test scans. Which labels count as tumour and what is
asked of each task stands in `protocols.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from diffugts.descriptions.description import parse_descriptions
from diffugts.errors import RequestError
from diffugts.evaluation.cases import EvaluationCase
from diffugts.evaluation.protocols import BRATS_TASKS, KITS, MSD_TASKS, Task
from diffugts.protocol.modality import sequence_from_words

WITHOUT_TUMOURS = ("Task02", "Task04", "Task05", "Task09")
"""The Decathlon's heart, hippocampus, prostate and spleen."""

TUMOUR_WORDS = ("tumour", "tumor", "cancer", "edema", "oedema", "lesion", "metasta")
"""In the label names of a Decathlon task that is not one of ours: what counts as tumour."""

KITS_LABELS = {1: "kidney", 2: "tumour", 3: "cyst"}

BRATS_SEQUENCES = {"T1": "t1n", "T1c": "t1c", "T2": "t2w", "FLAIR": "t2f"}
"""BraTS 2023's endings of file names."""

BRATS_CASE = re.compile(r"BraTS-([A-Z]{3})-\d{5}-\d{3}")


def decathlon_folders(data: Path) -> list[Path]:
    """Task folders (with a dataset.json) at `data`, or directly below it those that may hold tumours."""
    if (data / "dataset.json").is_file():
        return [data]
    return sorted(f.parent for f in data.glob("*/dataset.json") if not f.parent.name.startswith(WITHOUT_TUMOURS))


def decathlon_cases(folder: Path, sequence: str | None = None, description: str | None = None) -> list[EvaluationCase]:
    """The labelled cases of one Decathlon task. Raises RequestError where its list is not one, or names no tumour."""
    facts = _dataset(folder)
    key = next((key for key in MSD_TASKS if folder.resolve().name.startswith(key)), None)
    task = MSD_TASKS[key] if key else _unlisted_task(folder, facts, description)
    names = {int(value): str(name) for value, name in facts.get("labels", {}).items()}
    strange = [value for value in task.tumour_labels if not _names_tumour(names.get(value, ""))]
    if strange:
        raise RequestError(
            f"In '{folder.name}' the label {strange[0]} is '{names.get(strange[0], 'not listed')}', but a tumour was "
            "expected there. Is this the Decathlon's own dataset.json?"
        )
    channels = [sequence_from_words(str(name)) for _, name in sorted(facts.get("modality", {}).items(), key=_number)]
    wanted = sequence or task.sequence
    channel = None
    if len(channels) > 1:
        if wanted not in channels:
            raise RequestError(
                f"'{folder.name}' has the sequences {', '.join(c or 'unknown' for c in channels)}, not {wanted}. "
                "Give one of them with --sequence."
            )
        channel = channels.index(wanted)
    cases = []
    for pair in facts["training"]:
        image, label = (folder / str(pair[kind]) for kind in ("image", "label"))
        if image.name.startswith("."):  # macOS's own files in the archives
            continue
        cases.append(
            EvaluationCase(
                name=image.name.removesuffix(".gz").removesuffix(".nii"),
                folder=task.title,
                image=image,
                label=label,
                modality=task.modality,
                sequence=wanted if channel is not None else (channels[0] if channels else None),
                description=description or task.description,
                tumour_labels=task.tumour_labels,
                channel=channel,
                rules=task.rules,
            )
        )
    return cases


def labelled_organs(case: EvaluationCase) -> dict[int, str]:
    """Label values of a challenge's case that mark an organ, and the organs; empty where none is known.

    The Decathlon's lists name them, such as "1": "liver"; a tumour's own label names none.
    """
    listed = case.image.parent.parent / "dataset.json"
    if case.folder == KITS.title:
        names = dict(KITS_LABELS)
    elif listed.is_file():
        names = {int(value): str(name) for value, name in _dataset(listed.parent).get("labels", {}).items()}
    else:
        return {}
    organs = {
        value: parse_descriptions(name)[0].organ for value, name in names.items() if name and not _names_tumour(name)
    }
    return {value: organ for value, organ in organs.items() if organ and value}


def kits_folder(data: Path) -> Path | None:
    """The folder with KiTS23's `case_00000`, at `data` or below it as the download script makes it; None without one."""
    return next((f for f in (data, data / "dataset") if any(f.glob("case_*/imaging.nii.gz"))), None)


def kits_cases(folder: Path, description: str | None = None) -> list[EvaluationCase]:
    """KiTS23's cases that have both their scan and their segmentation."""
    return [
        EvaluationCase(
            name=case.name,
            folder=KITS.title,
            image=case / "imaging.nii.gz",
            label=case / "segmentation.nii.gz",
            modality=KITS.modality,
            sequence=None,
            description=description or KITS.description,
            tumour_labels=KITS.tumour_labels,
        )
        for case in sorted(folder.glob("case_*"))
        if (case / "imaging.nii.gz").is_file() and (case / "segmentation.nii.gz").is_file()
    ]


def brats_folders(data: Path) -> list[Path]:
    """BraTS 2023's case folders with a segmentation, at `data` or one folder below it."""
    found = [*data.glob("BraTS-*-*-*"), *data.glob("*/BraTS-*-*-*")]
    return sorted(f for f in found if BRATS_CASE.fullmatch(f.name) and any(f.glob("*-seg.nii*")))


def brats_cases(
    folders: list[Path], sequence: str | None = None, description: str | None = None
) -> list[EvaluationCase]:
    """The cases in `folders`, one sequence of each. Raises RequestError for a challenge or a sequence that is not there."""
    cases = []
    for folder in folders:
        match = BRATS_CASE.fullmatch(folder.name)
        task = BRATS_TASKS.get(match[1]) if match else None
        if task is None:
            raise RequestError(
                f"'{folder.name}' is of no challenge that is known here ({', '.join(BRATS_TASKS)}). "
                "Take it out, or list the cases in a table."
            )
        wanted = sequence or task.sequence or ""
        ending = BRATS_SEQUENCES.get(wanted)
        images = sorted(folder.glob(f"*-{ending}.nii*")) if ending else []
        if not images:
            raise RequestError(
                f"'{folder.name}' has no {wanted or 'known'} scan (*-{ending}.nii.gz). Give another sequence with "
                f"--sequence: {', '.join(BRATS_SEQUENCES)}."
            )
        cases.append(
            EvaluationCase(
                name=folder.name,
                folder=task.title,
                image=images[0],
                label=sorted(folder.glob("*-seg.nii*"))[0],
                modality=task.modality,
                sequence=wanted,
                description=description or task.description,
                tumour_labels=task.tumour_labels,
                rules=task.rules,
            )
        )
    return cases


def _dataset(folder: Path) -> dict[str, Any]:
    path = folder / "dataset.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(facts["training"], list) and all({"image", "label"} <= set(pair) for pair in facts["training"]):
            return facts
    except (ValueError, KeyError, TypeError):
        pass
    raise RequestError(
        f"'{path}' is not a list of cases as the Medical Segmentation Decathlon writes it ('training' with 'image' and "
        "'label'). List the cases in a table instead (docs/evaluation.md)."
    )


def _unlisted_task(folder: Path, facts: dict[str, Any], description: str | None) -> Task:
    values = tuple(int(v) for v, name in facts.get("labels", {}).items() if int(v) > 0 and _names_tumour(str(name)))
    if not values or not description:
        raise RequestError(
            f"'{folder.name}' is none of the Decathlon's tumour tasks ({', '.join(MSD_TASKS)}). Its dataset.json must "
            "name a label as tumour, cancer, lesion or metastasis, and --description must say what is asked."
        )
    modality = "CT" if "ct" in str(facts.get("modality", {}).get("0", "")).lower() else "MR"
    return Task(folder.name, str(facts.get("name", folder.name)), "", modality, description, values)


def _names_tumour(name: str) -> bool:
    return any(word in name.lower() for word in TUMOUR_WORDS)


def _number(item: tuple[str, Any]) -> int:
    return int(item[0])
