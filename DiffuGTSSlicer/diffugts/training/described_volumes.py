"""A user's own marked scans, or a public challenge's, as training volumes: any layout that `diffugts evaluate` reads.

What is marked is called by the case's description. Nothing else is known of such a scan, so that nothing else is taught but
that what is not marked is not what the words say. Arrays lie in files of their own and are read where a crop is cut:
hundreds of scans do not fit into memory.

    volumes/<case>/facts.json        name, modality, description, whether held out of training ...
    volumes/<case>/intensities.npy   (k, j, i) float16, model intensities
    volumes/<case>/tumour.npy        (k, j, i) bool
    volumes/<case>/organs.npy        (k, j, i) uint8, 1 in the labelled organ, where there is one
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.descriptions.description import parse_descriptions
from diffugts.errors import RequestError, ScanError
from diffugts.evaluation.cases import EvaluationCase
from diffugts.evaluation.layout_challenges import labelled_organs
from diffugts.scans.scan import Scan
from diffugts.training.grid import TrainingGrid
from diffugts.training.volumes import Volume, label_on

FACTS = "facts.json"
ONE_IN = 5
"""One patient in so many is held out of training."""

BRATS_TIME_POINT = re.compile(r"(BraTS-[A-Z]{3}-\d{5})-\d{3}")


def pack_cases(
    cases: Sequence[EvaluationCase],
    folder: Path,
    grid: TrainingGrid,
    hold_out: Collection[str] = (),
    say: Callable[[str], None] = print,
) -> int:
    """Bring every case to a model's working grid and store it below `folder`; returns how many there are.

    Cases packed before are kept as long as their files and their description stay, and removed when they are no longer among
    the cases; which are held out is decided anew (see `held_out`). A case that cannot be read is told to `say` and left out.

    Raises:
        RequestError: `folder` holds volumes on another grid, no case can be read, or a name in `hold_out` is no case's.
    """
    grid.claim(folder, others="*.npz")
    packed: list[Path] = []
    for case in cases:
        try:
            packed.append(_packed(case, folder, grid))
        except ScanError as error:
            say(f"{case.name} is left out: {error}")
    if not packed:
        raise RequestError("None of the cases can be trained on; the reason stands above for each.")
    for path in {facts.parent for facts in folder.glob(f"*/{FACTS}")} - set(packed):
        shutil.rmtree(path)
    facts = {path: json.loads((path / FACTS).read_text(encoding="utf-8")) for path in packed}
    ill = [fact["volume"]["name"] for fact in facts.values() if fact["volume"]["is_ill"]]
    free = [fact["volume"]["name"] for fact in facts.values() if not fact["volume"]["is_ill"]]
    apart = held_out(ill, hold_out) | held_out(free, hold_out)
    unknown = [name for name in hold_out if not any(case.name.startswith(name) for case in cases)]
    if unknown:
        raise RequestError(f"No case's name begins with '{unknown[0]}', which --hold-out names.")
    for path, fact in facts.items():
        fact["volume"]["held_out"] = fact["volume"]["name"] in apart
        (path / FACTS).write_text(json.dumps(fact, indent=1), encoding="utf-8")
    return len(packed)


def held_out(names: Collection[str], told: Collection[str] = ()) -> set[str]:
    """Which of the cases `names` are kept from training.

    Where `told` names any: those whose names begin so. Otherwise one patient in five, by the SHA-256 of the patient's name, so
    that a case stays on its side whatever is added; the one with the smallest number, where none of several falls to it.
    """
    if told:
        return {name for name in names if name.startswith(tuple(told))}
    numbers = {patient: int(sha256(patient.encode()).hexdigest(), 16) for patient in map(patient_of, names)}
    chosen = {patient for patient, number in numbers.items() if number % ONE_IN == 0}
    if not chosen and len(numbers) > 1:
        chosen = {min(numbers, key=lambda patient: numbers[patient])}
    return {name for name in names if patient_of(name) in chosen} if len(chosen) < len(numbers) else set()


def patient_of(name: str) -> str:
    """What scans of one patient share of a case's name: all of it, but BraTS's time point."""
    match = BRATS_TIME_POINT.fullmatch(name)
    return match[1] if match else name


def read_described(folder: Path) -> Iterator[Volume]:
    """The packed cases, in order of their names; arrays are read from their files where they are looked at."""
    for path in sorted(folder.glob(f"*/{FACTS}")):
        facts = json.loads(path.read_text(encoding="utf-8"))["volume"]
        intensities, tumour = (
            np.load(path.parent / f"{name}.npy", mmap_mode="r") for name in ("intensities", "tumour")
        )
        nowhere = np.broadcast_to(np.False_, tumour.shape)
        organs = np.load(path.parent / "organs.npy", mmap_mode="r") if facts["organ"] else nowhere.view(np.uint8)
        yield Volume(
            **facts,
            intensities=intensities,
            tumour=tumour,
            lesion_mimic=nowhere,
            healthy=nowhere,
            organs=organs,
        )


def _packed(case: EvaluationCase, folder: Path, grid: TrainingGrid) -> Path:
    """The folder of a case, written now unless it is there for the same files and words; it appears as a whole."""
    fingerprint = sha256(case.fingerprint().encode()).hexdigest()
    name = re.sub(r"[^\w.+-]", "_", case.name).strip(".")
    target = folder / (name if name == case.name else f"{name}-{sha256(case.name.encode()).hexdigest()[:8]}")
    if (target / FACTS).is_file():
        if json.loads((target / FACTS).read_text(encoding="utf-8"))["fingerprint"] == fingerprint:
            return target
        shutil.rmtree(target)
    scan = case.scan()
    if scan.modality not in grid.modalities:
        raise ScanError(f"it is {scan.modality}, and the model knows only {' and '.join(grid.modalities)}.")
    on_grid = grid.scan(scan)
    tumour = label_on(on_grid.geometry, _image(scan, case.truth(scan))) > 0
    organ, organs = _organ(case, scan)
    unfinished = folder / f"{target.name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    np.save(unfinished / "intensities.npy", on_grid.intensities.astype(np.float16))
    np.save(unfinished / "tumour.npy", tumour)
    if organ:
        np.save(unfinished / "organs.npy", label_on(on_grid.geometry, _image(scan, organs)))
    volume = {
        "name": case.name,
        "modality": scan.modality,
        "sequence": scan.sequence,
        "body_part": "",
        "tissue": case.folder,
        "spacing_mm": grid.spacing_mm,
        "description": case.description,
        "organ": organ,
        "held_out": False,
        "is_ill": bool(tumour.any()),
    }
    (unfinished / FACTS).write_text(json.dumps({"fingerprint": fingerprint, "volume": volume}), encoding="utf-8")
    unfinished.rename(target)
    return target


def _organ(case: EvaluationCase, scan: Scan) -> tuple[str, np.ndarray]:
    """The organ that the description is about and its voxels (k, j, i), where a label of the case marks it, else ""."""
    organ = parse_descriptions(case.description)[0].organ or ""
    values = tuple(value for value, name in labelled_organs(case).items() if name == organ)
    if not organ or not values:
        return "", np.zeros(0, bool)
    return organ, replace(case, tumour_labels=values).truth(scan)


def _image(scan: Scan, mask: np.ndarray) -> sitk.Image:
    return scan.geometry.image(mask.astype(np.uint8))
