"""Cases with a known answer: a scan, what is marked in it, and what is asked of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from diffugts.errors import RequestError, ScanError
from diffugts.evaluation.lesionwise import GLIOMA_RULES, LesionRules
from diffugts.scans.reading import read_scan
from diffugts.scans.scan import Geometry, Scan


@dataclass(frozen=True)
class EvaluationCase:
    """One scan and what is marked in it.

    `folder` is the group that means are taken over; `tumour_labels` the label values that count, every one above 0 where
    it is None; `channel` the volume to take of a four-dimensional file. Without a `label` nothing is marked, and nothing
    is to be found.
    """

    name: str
    folder: str
    image: Path
    label: Path | None
    modality: str | None
    sequence: str | None
    description: str
    tumour_labels: tuple[int, ...] | None = None
    channel: int | None = None
    rules: LesionRules = GLIOMA_RULES

    def scan(self) -> Scan:
        """The scan as a user's command would read it. Raises ScanError."""
        if self.channel is None:
            return read_scan(self.image, self.modality, self.sequence)
        image = _channel(self.image, self.channel)
        voxels = sitk.GetArrayFromImage(image)
        if not np.isfinite(voxels).all():
            raise ScanError(f"'{self.image.name}' holds values that are no numbers in its volume {self.channel}.")
        return Scan(voxels, Geometry.of(image), self.modality or "MR", self.sequence, self.name)

    def truth(self, scan: Scan) -> np.ndarray:
        """The marked tumour, bool (k, j, i) on the scan's grid; nothing where nothing is marked. Raises ScanError."""
        if self.label is None:
            return np.zeros(scan.voxels.shape, bool)
        if not self.label.is_file():
            raise ScanError(f"The label '{self.label}' does not exist. Check the data set's list of cases.")
        image = sitk.ReadImage(str(self.label))
        if image.GetDimension() != 3 or not Geometry.of(image).same_as(scan.geometry):
            raise ScanError(
                f"The label '{self.label.name}' does not lie on the grid of its scan '{self.image.name}': size, spacing, "
                "origin or axes differ. Resample it onto the scan first."
            )
        labels = sitk.GetArrayFromImage(image)
        return labels > 0 if self.tumour_labels is None else np.isin(labels, self.tumour_labels)

    def fingerprint(self) -> str:
        """What a finished result was computed for, as one text: another question or other files are another case."""
        facts = asdict(self) | {"image": str(self.image.resolve()), "label": str(self.label and self.label.resolve())}
        facts["changed"] = [_changed(path) for path in (self.image, self.label)]
        return json.dumps(facts, sort_keys=True)


def require_distinct(cases: list[EvaluationCase]) -> list[EvaluationCase]:
    """The same cases; raises RequestError where there are none, or two of one name would overwrite each other."""
    if not cases:
        raise RequestError("No case was found there. See docs/evaluation.md for the layouts that are read.")
    seen: set[str] = set()
    for case in cases:
        if case.name in seen:
            raise RequestError(f"Two cases are called '{case.name}'. Give one of them another name.")
        seen.add(case.name)
    return cases


def _changed(path: Path | None) -> list[int] | None:
    if path is None or not path.exists():
        return None
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns]


def _channel(path: Path, channel: int) -> sitk.Image:
    """One volume of a four-dimensional file, without reading the others where the format allows it."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetOutputPixelType(sitk.sitkFloat32)
    try:
        reader.ReadImageInformation()
        size = reader.GetSize()
        if len(size) != 4 or not channel < size[3]:
            raise ScanError(f"'{path.name}' holds no volume number {channel}; its size is {size}.")
        reader.SetExtractSize([*size[:3], 0])
        reader.SetExtractIndex([0, 0, 0, channel])
        return reader.Execute()
    except RuntimeError as error:
        raise ScanError(f"'{path.name}' cannot be read. It may be damaged: get it again.") from error
