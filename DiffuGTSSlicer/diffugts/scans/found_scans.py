"""Which scans lie in a folder and the folders inside it: image files and DICOM series, looked at by their headers alone.

What looks like a scan and cannot be one is named with the reason: who asks for a whole archive has to know what was left out.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from diffugts.errors import DiffuGTSError, RequestError, ScanError
from diffugts.protocol.manifest import FILE_NAME
from diffugts.protocol.modality import words
from diffugts.scans.dicom import Series, read_folder
from diffugts.scans.dicom_choice import require_acquired, volumes_of
from diffugts.scans.modality import MODALITIES
from diffugts.scans.reading import IMAGE_READERS, file_ending, require_scan_header, scan_name, series_volume

SEGMENTATION_WORDS = frozenset(
    "seg segs segmentation segmentations label labels labelmap labelstr labelsts mask masks gt groundtruth".split()
)
"""Words of a file's name, or of its folder's, that say it is drawn on a scan and none itself."""


@dataclass(frozen=True)
class FoundScan:
    """A scan as `read_scan` takes it.

    `series` names the volume in a folder of DICOM images, None for a file; `modality` is what the DICOM headers state, None
    where the file is not DICOM; `name` is its path below the folder that was looked through, without the ending.
    """

    place: Path
    name: str
    series: str | None = None
    modality: str | None = None


@dataclass(frozen=True)
class PassedOver:
    """What was met and is not segmented, and the sentence why; `name` is a path below the folder."""

    name: str
    reason: str


@dataclass(frozen=True)
class FoundScans:
    """All that a folder holds, in the order of the paths; `other_files` counts what is no image and no DICOM."""

    scans: tuple[FoundScan, ...]
    passed_over: tuple[PassedOver, ...]
    other_files: int = 0


def find_scans(folder: Path, leave_out: Iterable[Path] = ()) -> FoundScans:
    """Look through `folder` and the folders inside it, but for `leave_out`, hidden ones and results of this program.

    Links to folders are not followed. Raises RequestError where there is no such folder.
    """
    if not folder.is_dir():
        raise RequestError(f"'{folder}' is no folder. Check the path.")
    search = _Search(folder.resolve(), {path.resolve() for path in leave_out})
    search.look_through()
    return FoundScans(tuple(search.scans), tuple(search.passed_over), search.other_files)


class _Search:
    """One walk through a folder."""

    def __init__(self, root: Path, leave_out: set[Path]) -> None:
        self._root, self._leave_out = root, leave_out
        self.scans: list[FoundScan] = []
        self.passed_over: list[PassedOver] = []
        self.other_files = 0
        self._seen: dict[str, tuple[FoundScan, frozenset[str]]] = {}
        """Every DICOM volume met so far: where, and the UIDs of its images."""

    def look_through(self) -> None:
        for place, folders, names in os.walk(self._root, onerror=self._unreadable):
            here = Path(place)
            if FILE_NAME in names:
                folders.clear()
                self._pass_over(here, "It holds a result of this program, not scans.")
                continue
            folders[:] = sorted(self._entered(here, folders))
            self._look_at(here, [here / name for name in sorted(names) if not name.startswith(".")])

    def _entered(self, here: Path, folders: list[str]) -> Iterator[str]:
        for name in folders:
            if name.startswith(".") or (here / name).resolve() in self._leave_out:
                continue
            if (here / name).is_symlink():
                self._pass_over(
                    here / name, "It is a link to a folder, which is not followed. Give that folder itself."
                )
                continue
            yield name

    def _look_at(self, here: Path, files: list[Path]) -> None:
        images = [path for path in files if file_ending(path) in IMAGE_READERS]
        for path in images:
            try:
                _require_no_segmentation(path, "" if here == self._root else here.name)
                require_scan_header(path)
            except (ScanError, OSError) as error:
                self._pass_over(path, str(error))
            else:
                self.scans.append(FoundScan(path, self._name(path.with_name(scan_name(path)))))
        others = [path for path in files if path not in images]
        if not others:
            return
        try:
            held = read_folder(here)
        except (DiffuGTSError, OSError) as error:
            self._pass_over(here, str(error))
            return
        self.other_files += held.other_files - len(images)
        for series in held.series:
            for volume in volumes_of(series):
                self._take(here, volume)

    def _take(self, here: Path, volume: Series) -> None:
        number = volume.number or volume.uid.rpartition(".")[2]
        part = "" if volume.part is None else f"/{volume.part}"
        scan = FoundScan(here, f"{self._name(here)}/{number}{part}", f"{volume.uid}{part}" or None, volume.modality)
        try:
            require_acquired(volume)
            if volume.modality not in MODALITIES:
                raise ScanError(
                    f"The series' modality is {volume.modality or 'not stated'}; only CT and MR can be segmented."
                )
            self._require_first(scan, frozenset(image.instance_uid for image in volume.slices))
            series_volume(volume)
        except ScanError as error:
            self.passed_over.append(PassedOver(scan.name, str(error)))
        else:
            self.scans.append(scan)

    def _require_first(self, scan: FoundScan, images: frozenset[str]) -> None:
        """Raise ScanError for a volume that lies in another folder, too; one whose images are parted is none at all."""
        if not scan.series:
            return
        earlier, its_images = self._seen.setdefault(scan.series, (scan, images))
        if earlier is scan:
            return
        if images <= its_images:
            raise ScanError(f"The same series lies in '{self._name(earlier.place)}', too.")
        reason = "Images of this series lie in several folders. Put them into one, so that the scan is whole."
        if earlier in self.scans:
            self.scans.remove(earlier)
            self.passed_over.append(PassedOver(earlier.name, reason))
        raise ScanError(reason)

    def _unreadable(self, error: OSError) -> None:
        self._pass_over(Path(error.filename), f"The folder cannot be read ({error.strerror}). Check its rights.")

    def _pass_over(self, place: Path, reason: str) -> None:
        self.passed_over.append(PassedOver(self._name(place), reason))

    def _name(self, place: Path) -> str:
        return place.relative_to(self._root).as_posix() if place != self._root else self._root.name


def _require_no_segmentation(path: Path, folder: str) -> None:
    """Raise ScanError where a name says that a file is a segmentation: its voxels might pass for those of an MR."""
    said = {*words(scan_name(path)), folder.lower()} & SEGMENTATION_WORDS
    if said:
        raise ScanError(
            f"The name says that it is a segmentation ('{min(said)}'), not a scan. Give it in a table if it is one."
        )
