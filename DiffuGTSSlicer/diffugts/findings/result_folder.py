"""The folder of a result: it appears as a whole or not at all, and nothing of anybody else's is lost.

A result is written into a hidden folder beside its place and moved there at the end. An earlier result in that place is
replaced only if it is whole and unchanged: a segmentation that somebody corrected and saved there is work.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from diffugts.errors import ResultError
from diffugts.protocol import ResultManifest
from diffugts.protocol.manifest import FILE_NAME

LEFT_BY_THE_SYSTEM = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file browsers put into any folder."""


def require_result_folder(folder: Path) -> ResultManifest | None:
    """Make sure that a result may be written to `folder`; to be called before the work starts, too.

    Returns the earlier result that would be replaced, None where there is none. Raises ResultError where the folder is
    a file or a mount point, holds anything that is not of an earlier result, or an earlier result was changed since.
    """
    if not os.path.exists(folder):  # unlike pathlib's, it takes a name too long for any disk
        return None
    if not folder.is_dir():
        raise ResultError(f"The result cannot be written to '{folder}': it is a file. Give a folder.")
    if os.path.ismount(folder):
        raise ResultError(f"The result cannot replace '{folder}': it is a mount point. Give a folder inside it.")
    held = {entry.name for entry in folder.iterdir()} - LEFT_BY_THE_SYSTEM
    if not held:
        return None
    if FILE_NAME not in held:
        raise ResultError(
            f"The folder '{folder}' holds files that are not a result of this program; they are not touched. "
            "Give another folder."
        )
    try:
        earlier = ResultManifest.load(folder, cancelled_too=True)
    except ResultError as error:
        raise ResultError(
            f"The folder '{folder}' holds an earlier result that was changed since, and is not touched: {error} "
            "Or give another folder, or move this one away."
        ) from error
    strange = sorted(held - {record.name for record in earlier.files} - {FILE_NAME})
    if strange:
        raise ResultError(
            f"The folder '{folder}' holds '{strange[0]}', which is not of the earlier result there; it is not touched. "
            "Give another folder, or move the file away."
        )
    return earlier


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder to write into, which takes the place of `folder` when the block ends without an exception.

    After an exception nothing of it is left, and `folder` is as it was. Raises OSError.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(folder)
    temporary = _beside(folder, "part")
    temporary.mkdir()
    try:
        yield temporary
        _move_into_place(temporary, folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _move_into_place(temporary: Path, folder: Path) -> None:
    if not folder.exists():
        os.replace(temporary, folder)
        return
    earlier = _beside(folder, "old")
    os.replace(folder, earlier)
    try:
        os.replace(temporary, folder)
    except BaseException:
        os.replace(earlier, folder)
        raise
    # Where that fails, as with a file that is open on Windows, the next writing comes back for it.
    shutil.rmtree(earlier, ignore_errors=True)


def _beside(folder: Path, kind: str) -> Path:
    """A hidden place beside `folder`, named so that a later process can tell whose it is."""
    return folder.with_name(f".{folder.name}.{kind}-{os.getpid()}-{uuid.uuid4().hex[:12]}")


def _remove_abandoned(folder: Path) -> None:
    """Remove what killed processes left beside `folder`; an earlier result only where there is a newer one."""
    kinds = "part|old" if folder.exists() else "part"
    abandoned = re.compile(re.escape(f".{folder.name}.") + rf"({kinds})-(\d+)-\w+")
    for entry in folder.parent.iterdir():
        match = abandoned.fullmatch(entry.name)
        if match and not psutil.pid_exists(int(match.group(2))):
            shutil.rmtree(entry, ignore_errors=True)
