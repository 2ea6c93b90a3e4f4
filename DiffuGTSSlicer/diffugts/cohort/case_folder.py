"""A case's folder, and what proves that it is finished: request, scan and result, each by its checksum.

DIR/cases/<name>/request.json    the request, as `diffugts run` takes it
DIR/cases/<name>/result/         the result, as `diffugts run` leaves it
DIR/cases/<name>/finished.json   checksums of the request, the scan and result.json; written last
"""

from __future__ import annotations

import json
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from diffugts.cohort.table import Case
from diffugts.errors import ResultError
from diffugts.protocol import ResultManifest, sha256_of
from diffugts.protocol.files import as_json, read_text, replace_text
from diffugts.protocol.job_folder import JobFolder
from diffugts.protocol.manifest import FILE_NAME
from diffugts.worker.scan_key import scan_key

CASES, FINISHED_FILE = "cases", "finished.json"


class CaseFolder(JobFolder):
    """Where a case of the cohort in `output` is carried out."""

    def __init__(self, output: Path, case: Case) -> None:
        self.case = case
        self.folder = output / CASES / case.name

    def prepare(self) -> None:
        """Write the request. Raises OSError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / FINISHED_FILE).unlink(missing_ok=True)
        self.case.request.save(self.request_path)

    def finished(self) -> ResultManifest | None:
        """The result where this very request on this very scan is done and every file is as written; None otherwise."""
        try:
            facts = json.loads(read_text(self.folder / FINISHED_FILE))
            if facts != self._facts():
                return None
            return ResultManifest.load(self.result_folder)
        except (OSError, ValueError, RecursionError, ResultError):
            return None

    def finish(self) -> ResultManifest:
        """Check the result and record that the case is finished. Raises ResultError or OSError."""
        manifest = ResultManifest.load(self.result_folder)
        replace_text(self.folder / FINISHED_FILE, as_json(self._facts()))
        return manifest

    def _facts(self) -> dict[str, object]:
        key = scan_key(self.case.request)
        return {
            "request": sha256(self.case.request.to_json().encode("utf-8", "surrogatepass")).hexdigest(),
            "scan": asdict(key) if key is not None else None,
            "result": sha256_of(self.result_folder / FILE_NAME),
        }
