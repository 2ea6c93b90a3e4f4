"""Whether a result is whole and answers what was asked, before anything of it enters the scene.

Reads files only and touches no node, so it may run beside the main thread.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from slicer.i18n import tr as _

from diffugts.errors import ResultError
from diffugts.protocol import ResultManifest, sha256_of
from diffugts.protocol.manifest import CANCELLED, FILE_NAME
from DiffuGTSSlicerLib.regions import load_scipy
from DiffuGTSSlicerLib.result_files import ReadResult, read_result
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry


@dataclass(frozen=True)
class CheckedResult:
    """A result that was found whole, and what its files hold."""

    manifest: ResultManifest
    content: ReadResult


def checked_and_read(
    folder: Path,
    stated_path: str,
    stated_sha256: str,
    status: str,
    descriptions: tuple[str, ...],
    geometry: VolumeGeometry,
) -> CheckedResult:
    """The result in `folder`, checked as by `checked_result` and read. Raises ResultError.

    What a first cut of it needs is loaded beside the main thread, too.
    """
    load_scipy()
    manifest = checked_result(folder, stated_path, stated_sha256, status, descriptions, geometry)
    return CheckedResult(manifest, read_result(manifest, geometry))


def checked_result(
    folder: Path,
    stated_path: str,
    stated_sha256: str,
    status: str,
    descriptions: tuple[str, ...],
    geometry: VolumeGeometry,
) -> ResultManifest:
    """The manifest of the result in `folder`, everything in it verified.

    `stated_path` and `stated_sha256` are from the worker's `done` or `cancelled`, whose name is `status`. Raises
    ResultError where the manifest is not the one that the worker told of, a file does not match its checksum, it answers
    other descriptions, or it lies elsewhere than the scan that was exported.
    """
    path = folder / FILE_NAME
    if not _is_same_place(stated_path, path):
        raise ResultError(
            _(
                "The worker put its result at '{place}' instead of '{expected}'. Nothing was imported; segment again."
            ).format(place=stated_path[:200], expected=path)
        )
    manifest = ResultManifest.load(folder, cancelled_too=status == CANCELLED)
    if sha256_of(path) != stated_sha256:
        raise ResultError(
            _(
                "The result's list of files is not the one that the worker wrote (its checksum differs). "
                "Nothing was imported; segment again."
            )
        )
    if (*(finding.description for finding in manifest.findings), *manifest.unfinished) != descriptions:
        raise ResultError(
            _("The result answers other descriptions than were asked. Nothing was imported; segment again.")
        )
    difference = geometry.difference_from(VolumeGeometry.of_grid(manifest.geometry))
    if difference:
        raise ResultError(
            _(
                "The result does not lie on the scan's own grid: {difference}. Nothing was imported, because it would "
                "appear in the wrong place. Please report it with the details."
            ).format(difference=difference)
        )
    return manifest


def _is_same_place(stated: str, expected: Path) -> bool:
    try:
        return os.path.realpath(stated) == os.path.realpath(expected)
    except ValueError:  # a NUL or half a character in it: no path of this system
        return False
