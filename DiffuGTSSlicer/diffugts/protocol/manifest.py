"""`result.json`: what a finished job left, how it was made, and the checksums that prove it whole.

It is written last. A folder without a readable manifest, or with a file that does not match it, holds no result.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from diffugts.errors import ResultError
from diffugts.protocol.request import replace_text

RESULT_SCHEMA = "diffugts-result/1"
FILE_NAME = "result.json"


@dataclass(frozen=True)
class FileRecord:
    """One file of the result: its role, its name in the folder, bytes and checksum.

    Roles: "segmentation", "label", "score map", "pseudo-healthy", "residual", "hole", "lesion table", "picture".
    `description` is the number of the description it belongs to, None where it belongs to all.
    """

    role: str
    name: str
    size: int
    sha256: str
    description: int | None = None


@dataclass(frozen=True)
class LesionRecord:
    """One lesion, as `findings.finding.Lesion`."""

    label: int
    volume_ml: float
    longest_axial_diameter_mm: float
    centroid_ras_mm: tuple[float, float, float]
    mean_intensity: float
    mean_score: float
    highest_score: float


@dataclass(frozen=True)
class FindingRecord:
    """One description's outcome; `segment_id` names its segment in the segmentation file."""

    description: str
    verdict: str
    highest_score: float
    anomaly_score: float
    threshold: float
    volume_ml: float
    lesions: tuple[LesionRecord, ...]
    notes: tuple[str, ...]
    segment_id: str
    colour: tuple[float, float, float]


@dataclass(frozen=True)
class ResultManifest:
    """All of `result.json`. `provenance` holds texts, model, checksum, seed, device, versions, timings and time of creation;
    `geometry` the grid every volume lies on (size, spacing_mm, origin_mm and direction in LPS)."""

    findings: tuple[FindingRecord, ...]
    files: tuple[FileRecord, ...]
    provenance: dict[str, Any]
    geometry: dict[str, Any]
    notes: tuple[str, ...] = ()
    folder: Path = field(default=Path("."), compare=False)

    def file(self, role: str, description: int | None = None) -> Path | None:
        """Path of the file with a role, None where the result has none."""
        for record in self.files:
            if record.role == role and record.description == description:
                return self.folder / record.name
        return None

    def write(self, folder: Path) -> Path:
        """Write `result.json` as the last file of `folder`."""
        facts = {"schema": RESULT_SCHEMA, "status": "done", **asdict(self)}
        del facts["folder"]
        path = folder / FILE_NAME
        replace_text(path, json.dumps(facts, indent=2, ensure_ascii=False))
        return path

    @classmethod
    def load(cls, folder: Path, verify: bool = True) -> ResultManifest:
        """Read a result folder's manifest, and check every file against it.

        Raises ResultError where the manifest is missing, damaged or of another version, or a file does not match.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise ResultError(f"'{folder}' holds no finished result: there is no {FILE_NAME}. Run the request again.")
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            if facts["schema"] != RESULT_SCHEMA:
                raise ResultError(
                    f"'{path}' is of version '{facts['schema']}', expected '{RESULT_SCHEMA}'. Run it again."
                )
            manifest = cls(
                findings=tuple(_finding(f) for f in facts["findings"]),
                files=tuple(FileRecord(**f) for f in facts["files"]),
                provenance=dict(facts["provenance"]),
                geometry=dict(facts["geometry"]),
                notes=tuple(facts["notes"]),
                folder=folder,
            )
        except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
            raise ResultError(
                f"'{path}' is damaged ({type(error).__name__}: {error}). Run the request again."
            ) from error
        if verify:
            manifest.verify()
        return manifest

    def verify(self) -> None:
        """Check that every file is there with its size and checksum. Raises ResultError naming the first that is not."""
        for record in self.files:
            path = self.folder / record.name
            if Path(record.name).name != record.name:
                raise ResultError(
                    f"The result lists '{record.name}', which is not a file of its own folder. Run it again."
                )
            if not path.is_file():
                raise ResultError(f"The result lists '{record.name}', but the file is missing. Run the request again.")
            if path.stat().st_size != record.size or sha256_of(path) != record.sha256:
                raise ResultError(
                    f"'{record.name}' is not as it was written: size or checksum differ. Run the request again."
                )


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _finding(facts: dict[str, Any]) -> FindingRecord:
    lesions = tuple(
        LesionRecord(**{**lesion, "centroid_ras_mm": tuple(lesion["centroid_ras_mm"])}) for lesion in facts["lesions"]
    )
    return FindingRecord(
        **{**facts, "lesions": lesions, "notes": tuple(facts["notes"]), "colour": tuple(facts["colour"])}
    )
