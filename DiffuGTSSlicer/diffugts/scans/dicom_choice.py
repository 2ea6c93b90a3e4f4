"""Which of a folder's DICOM series is meant: the only volume there, or the one that is named.

Several volumes may share one series (phases of a contrast agent, echoes, b-values). Where one property of the images
sets them apart, they can be chosen too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffugts.errors import ScanError
from diffugts.scans.dicom_headers import PART_TAGS, Folder, Series, Slice

MINIMUM_SLICES = 8
MOST_LISTED = 20


def choose_series(folder: Folder, wanted: str | None, single_file: Path | None) -> tuple[Series, tuple[str, ...]]:
    """The one series to read, and notes on what was passed over.

    `wanted` is a series' UID or number, with "/2" behind it for the second volume of a series that holds several;
    `single_file` an image that the user named instead of its folder. Without either there must be exactly one volume of
    at least 8 acquired CT or MR images. Raises ScanError otherwise, listing the series by number of images, modality
    and UID (no description: it may name the patient).
    """
    volumes = [part for series in folder.series for part in volumes_of(series)]
    if wanted is not None:
        return require_acquired(_wanted(volumes, wanted.strip())), ()
    if single_file is not None:
        holding = [each for each in volumes if any(image.path == single_file for image in each.slices)]
        if not holding:
            raise ScanError(f"'{single_file.name}' is not a DICOM image that can be read.")
        if len(holding) > 1:
            raise ScanError(f"'{single_file.name}' holds {len(holding)} volumes: {_listed(holding)}. {_HOW_TO_CHOOSE}")
        return require_acquired(holding[0]), ()
    usable = [each for each in volumes if _is_volume(each)]
    if len(usable) == 1:
        others = len(volumes) - 1
        noun = "series was" if others == 1 else "series were"
        note = (f"{others} other DICOM {noun} in the folder and passed over.",) if others else ()
        return usable[0], note
    if len(usable) > 1:
        raise ScanError(
            f"The folder holds {len(usable)} DICOM series or volumes: {_listed(usable)}. {_HOW_TO_CHOOSE} Or give the "
            "path of any one image of it instead of the folder, or move it to a folder of its own."
        )
    if len(volumes) == 1:
        return require_acquired(volumes[0]), ()  # the checks that follow say what is wrong with it
    raise ScanError(
        f"None of the DICOM series in the folder is an acquired CT or MR volume of at least {MINIMUM_SLICES} images: "
        f"{_listed(volumes)}. Choose another folder."
    )


_HOW_TO_CHOOSE = "Say which one is meant by its number or UID as listed here (--series on the command line)."


def volumes_of(series: Series) -> tuple[Series, ...]:
    """The volumes of a series: itself, or its parts where places repeat and one property sets the images apart."""
    if not _places_repeat(series.slices):
        return (series,)
    for number, words in enumerate(PART_TAGS.values()):
        groups: dict[str, list[Slice]] = {}
        for image in series.slices:
            groups.setdefault(image.marks[number], []).append(image)
        large = [group for group in groups.values() if len(group) >= MINIMUM_SLICES]
        if len(large) > 1 and not any(_places_repeat(group) for group in groups.values()):
            ordered = sorted(groups, key=_by_number)
            return tuple(
                replace(series, slices=tuple(groups[mark]), part=part, part_words=f"{words} {_short(mark)}")
                for part, mark in enumerate(ordered, start=1)
            )
    return (series,)


def _places_repeat(slices: Sequence[Slice]) -> bool:
    """Whether different images lie at one place, in one direction."""
    seen: dict[tuple[float, ...], str] = {}
    for image in slices:
        place = tuple(round(value, 2) for value in (*image.position_mm, *image.orientation))
        if image.position_mm and seen.setdefault(place, image.instance_uid) != image.instance_uid:
            return True
    return False


def _by_number(mark: str) -> tuple[float, str]:
    try:
        return float(mark), mark
    except ValueError:
        return float("inf"), mark


def _short(mark: str) -> str:
    """The mark for a list: only what a header's code or number can hold, no free text."""
    return "".join(sign for sign in mark[:48] if sign.isalnum() or sign in ".-+_/\\") or "not stated"


def _is_volume(series: Series) -> bool:
    return series.modality in ("CT", "MR") and len(series.slices) >= MINIMUM_SLICES and not series.synthetic


def _wanted(volumes: Sequence[Series], wanted: str) -> Series:
    named, _, part = wanted.partition("/")
    chosen = [each for each in volumes if each.uid == named] or [each for each in volumes if each.number == named != ""]
    if part:
        chosen = [each for each in chosen if str(each.part) == part]
    if not chosen:
        raise ScanError(f"The folder holds no DICOM series {wanted:.80}. It holds: {_listed(volumes)}.")
    if len(chosen) > 1:
        raise ScanError(f"'{wanted:.80}' names {len(chosen)} DICOM volumes: {_listed(chosen)}. {_HOW_TO_CHOOSE}")
    return chosen[0]


def require_acquired(series: Series) -> Series:
    """The series. Raises ScanError where its headers say that a program made it."""
    if series.synthetic:
        raise ScanError(
            "The DICOM series is marked as synthetic in its headers (0008,001C): a program made it, no scanner. "
            "Choose the acquired series."
        )
    return series


def _listed(volumes: Sequence[Series]) -> str:
    parts = [_line(each) for each in volumes[:MOST_LISTED]]
    if len(volumes) > MOST_LISTED:
        parts.append(f"and {len(volumes) - MOST_LISTED} more")
    return "; ".join(parts)


def _line(series: Series) -> str:
    uid = series.uid or "without UID"
    number = f"series {series.number}, " if series.number else ""
    part = f"/{series.part} ({series.part_words})" if series.part is not None else ""
    kind = "synthetic" if series.synthetic else (series.modality or "without modality")
    return f"{number}{len(series.slices)} images {kind} {uid}{part}, like '{series.slices[0].path.name}'"
