"""`result.json`: what a job left, how it was made, and the checksums that prove it whole.

It is written last. A folder without a readable manifest, or with a file that does not match it, holds no result. A job
that was cancelled leaves the descriptions that were finished, if there are any, and says which were not: its status is
another one, so that a reader who does not expect that refuses it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from diffugts.errors import RequestError, ResultError
from diffugts.protocol.files import as_json, read_text, replace_text, sha256_of
from diffugts.protocol.records import record_of
from diffugts.protocol.request import Region

RESULT_SCHEMA = "diffugts-result/1"
FILE_NAME = "result.json"
DONE, CANCELLED = "done", "cancelled"
"""The status of a whole result, and of one that holds only what was finished before the job was cancelled."""


@dataclass(frozen=True)
class FileRecord:
    """One file of the result: its role, its name in the folder, bytes and checksum.

    Roles: "segmentation", "label", "score map", "pseudo-healthy", "residual", "hole", "lesion table", "picture".
    `description` is the number of the description it belongs to, from 0; None where it belongs to all.
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
    """One description's outcome; `segment_id` names its segment in the segmentation file, `colour` is (r, g, b) 0..1."""

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
class Grid:
    """The grid that every volume of the result lies on, the scan's own: (x, y, z) order, LPS millimetres.

    `direction` is row-major; its columns are the unit vectors of the i, j and k axes.
    """

    size: tuple[int, int, int]
    spacing_mm: tuple[float, float, float]
    origin_mm: tuple[float, float, float]
    direction: tuple[float, float, float, float, float, float, float, float, float]


@dataclass(frozen=True)
class MaskRecord:
    """The rough mask that findings were limited to, inside the region where there was one too: its volume and its voxels.

    `sha256` is of one byte per voxel of the scan's grid, 1 where marked and else 0, i fastest and k slowest: the same for
    every file format and label.
    """

    volume_ml: float
    sha256: str


@dataclass(frozen=True)
class Provenance:
    """How a result was made, enough to make it again. No path is in it, not the scan's nor the mask's: folder names often
    hold a patient's.

    `descriptions` as they were asked; `thresholds` one per finding; `timings_s` seconds per stage; `versions` of Python
    and the libraries; `created_utc` in ISO 8601.
    """

    program_version: str
    descriptions: tuple[str, ...]
    model: str
    weights_sha256: str
    quality: str
    thresholds: tuple[float, ...]
    smallest_lesion_ml: float
    region: Region | None
    modality: str
    sequence: str | None
    seed: int
    device: str
    timings_s: dict[str, float]
    versions: dict[str, str]
    created_utc: str
    program: str = "DiffuGTS"
    research_use_only: bool = True
    mask: MaskRecord | None = None


@dataclass(frozen=True)
class ResultManifest:
    """All of `result.json`. `notes` are sentences on the whole run; `folder` is where it was read from or written to.

    `status` is `DONE` or `CANCELLED`; `unfinished` are the descriptions without a finding, the last ones of those asked.
    Of a cancelled job the pseudo-healthy volume and the residual may be missing though every description is finished.
    """

    findings: tuple[FindingRecord, ...]
    files: tuple[FileRecord, ...]
    provenance: Provenance
    geometry: Grid
    notes: tuple[str, ...] = ()
    status: str = DONE
    unfinished: tuple[str, ...] = ()
    folder: Path = field(default=Path("."), compare=False)

    def file(self, role: str, description: int | None = None) -> Path | None:
        """Path of the file with a role, None where the result has none."""
        for record in self.files:
            if record.role == role and record.description == description:
                return self.folder / record.name
        return None

    def write(self, folder: Path) -> Path:
        """Write `result.json` as the last file of `folder`. Raises OSError."""
        facts = {"schema": RESULT_SCHEMA, "status": self.status, **asdict(self)}
        del facts["folder"]
        path = folder / FILE_NAME
        replace_text(path, as_json(facts))
        return path

    @classmethod
    def load(cls, folder: Path, verify: bool = True, cancelled_too: bool = False) -> ResultManifest:
        """Read a result folder's manifest, and check every file against it.

        Raises ResultError where the manifest is missing, damaged or of another version, a file does not match, or the
        job was cancelled and the caller does not say `cancelled_too`.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise ResultError(f"'{folder}' holds no finished result: there is no {FILE_NAME}. Run the request again.")
        try:
            facts = json.loads(read_text(path))
            if not isinstance(facts, dict):
                raise ValueError("it is not a JSON object")
            schema, status = facts.pop("schema", None), facts.get("status")
            if schema != RESULT_SCHEMA:
                raise ResultError(
                    f"'{path}' is of version {schema!r:.60}, expected '{RESULT_SCHEMA}'. Run the request again."
                )
            if status not in ((DONE, CANCELLED) if cancelled_too else (DONE,)):
                raise ResultError(f"'{path}' is of status {status!r:.60}, expected '{DONE}'. Run the request again.")
            facts.pop("folder", None)
            manifest = replace(record_of(cls, facts), folder=folder)
            manifest._require_listed_findings()
            manifest._require_status()
        except (ValueError, OSError, RecursionError, RequestError) as error:
            raise ResultError(f"'{path}' is damaged ({error}). Run the request again.") from error
        if verify:
            manifest.verify()
        return manifest

    def verify(self) -> None:
        """Check that every file is there with its size and checksum. Raises ResultError naming the first that is not."""
        for record in self.files:
            if not _is_plain_name(record.name):
                raise ResultError(
                    f"The result lists {record.name!r:.80}, which is not a file of its own folder. Run the request again."
                )
            path = self.folder / record.name
            if not os.path.isfile(path):  # unlike pathlib's, it takes a name too long for any disk
                raise ResultError(
                    f"The result lists '{record.name:.80}', but the file is missing. Run the request again."
                )
            try:
                as_written = path.stat().st_size == record.size and sha256_of(path) == record.sha256
            except OSError as error:
                raise ResultError(
                    f"'{record.name}' cannot be read ({error.strerror}). Run the request again."
                ) from error
            if not as_written:
                raise ResultError(
                    f"'{record.name}' is not as it was written: size or checksum differ. Run the request again."
                )

    def _require_listed_findings(self) -> None:
        for record in self.files:
            if record.description is not None and not 0 <= record.description < len(self.findings):
                raise ValueError(f"'{record.name}' belongs to finding {record.description}, which is not listed")

    def _require_status(self) -> None:
        if self.status == DONE and self.unfinished:
            raise ValueError(f"it is '{DONE}', but {len(self.unfinished)} descriptions are not finished")
        if self.status == CANCELLED and not self.findings:
            raise ValueError(f"it is '{CANCELLED}' without any finished description")


def _is_plain_name(name: str) -> bool:
    """Whether a name means a file of the folder itself on every system: no separator, drive or parent."""
    return name not in ("", ".", "..") and not any(sign in name for sign in "/\\:\x00")
