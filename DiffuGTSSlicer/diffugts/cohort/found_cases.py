"""The cases of a cohort, from a folder: the same descriptions looked for in every scan in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from diffugts.cohort.table import Case, folder_name
from diffugts.errors import RequestError
from diffugts.protocol import Request
from diffugts.protocol.job_folder import RESULT_FOLDER
from diffugts.scans.found_scans import FoundScan, PassedOver, find_scans

SHOWN_REASONS = 5


@dataclass(frozen=True)
class FoundCases:
    """The cases of a folder, and what in it is not segmented."""

    cases: tuple[Case, ...]
    passed_over: tuple[PassedOver, ...]
    other_files: int = 0


def find_cases(folder: Path, descriptions: Sequence[str], output: Path, options: Mapping[str, object]) -> FoundCases:
    """A case for every scan in `folder` and the folders inside it, `output` left out.

    `options` are fields of every request; a modality among them is that of files that do not say it, and leaves out DICOM
    series of the other one. Names of cases come from the scans' paths. Raises RequestError where there is no scan, or the
    descriptions are none.
    """
    found = find_scans(folder, [output])
    passed_over, chosen = list(found.passed_over), []
    asked = options.get("modality")
    for scan in found.scans:
        if asked and scan.modality and scan.modality != asked:
            passed_over.append(PassedOver(scan.name, f"The series is {scan.modality}; {asked} was asked for."))
        else:
            chosen.append(scan)
    if not chosen:
        reasons = [f"{each.name}: {each.reason}" for each in passed_over[:SHOWN_REASONS]]
        more = (
            [f"({len(passed_over) - SHOWN_REASONS} more were passed over.)"] if len(passed_over) > SHOWN_REASONS else []
        )
        raise RequestError("\n".join([f"'{folder}' holds no scan that can be segmented.", *reasons, *more]))
    cases = [Case(name, _request(scan, descriptions, options)) for name, scan in zip(_names(chosen), chosen)]
    return FoundCases(tuple(cases), tuple(passed_over), found.other_files)


def _request(scan: FoundScan, descriptions: Sequence[str], options: Mapping[str, object]) -> Request:
    facts = {
        **options,
        "scan": str(scan.place),
        "series": scan.series,
        "modality": scan.modality or options.get("modality"),
        "descriptions": tuple(descriptions),
        "output": RESULT_FOLDER,
    }
    return Request(**facts)  # type: ignore[arg-type]


def _names(scans: Sequence[FoundScan]) -> list[str]:
    """A name for each, from its own path alone wherever that is unique: another scan beside it must not rename it."""
    plain = [folder_name(scan.name.replace("/", "-")) for scan in scans]
    often = Counter(name.casefold() for name in plain)
    return [
        name if often[name.casefold()] == 1 else f"{name}-{_digest(f'{scan.name}/{scan.place.name}/{scan.series}')}"
        for name, scan in zip(plain, scans)
    ]


def _digest(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
