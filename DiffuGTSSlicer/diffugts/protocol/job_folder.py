"""What lies where in the folder of one job: the same for Slicer, for a cohort and on a server."""

from __future__ import annotations

from pathlib import Path

REQUEST_FILE, SCAN_FILE, RESULT_FOLDER = "request.json", "scan.nrrd", "result"


class JobFolder:
    """Gives whoever has a `folder` the places in it."""

    folder: Path

    @property
    def request_path(self) -> Path:
        """The request that the worker reads; the same file runs by `diffugts run`."""
        return self.folder / REQUEST_FILE

    @property
    def scan_path(self) -> Path:
        """The volume that was written for the job, whole or not at all."""
        return self.folder / SCAN_FILE

    @property
    def result_folder(self) -> Path:
        """Where the worker puts its result; it does not exist before the result is whole."""
        return self.folder / RESULT_FOLDER
