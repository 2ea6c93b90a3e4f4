"""A request: one scan, what to look for, how. The same file serves Slicer, scripts and batches."""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any

from diffugts.errors import RequestError
from diffugts.protocol.files import as_json, read_text, replace_text

REQUEST_SCHEMA = "diffugts-request/1"
LONGEST_DESCRIPTION = 10_000
MOST_DESCRIPTIONS = 200
LONGEST_PATH = 32_767
"""Characters of the longest path of any system (Windows, with its long form)."""

LONGEST_WORD = 200
FARTHEST_MM = 1e5
"""Corners of a region lie within 100 m of the origin: farther out is a mistake, not a patient."""


class Quality(str, Enum):
    """How much is done: one look; two looks and inpainting; inpainting with several seeds."""

    FAST = "fast"
    STANDARD = "standard"
    THOROUGH = "thorough"


class Stage(str, Enum):
    """What a job is busy with, in order."""

    READING = "reading"
    LOADING = "loading"
    ENCODING = "encoding"
    ATTENDING = "attending"
    INPAINTING = "inpainting"
    REFINING = "refining"
    WRITING = "writing"


ProgressCallback = Callable[[Stage, int, int], None]
"""(stage, done, total); may raise `errors.Cancelled`, which is how a job is cancelled."""


@dataclass(frozen=True)
class Region:
    """An axis-aligned box in RAS millimetres; findings outside it are not looked for.

    Raises RequestError where a corner is not three finite numbers, or the box has no inside.
    """

    minimum_ras_mm: tuple[float, float, float]
    maximum_ras_mm: tuple[float, float, float]

    def __post_init__(self) -> None:
        for name in ("minimum_ras_mm", "maximum_ras_mm"):
            corner = getattr(self, name)
            if not isinstance(corner, (list, tuple)) or len(corner) != 3:
                raise _wrong(f"region.{name}", corner, "three numbers (R, A, S) in millimetres")
            for number in corner:
                _number(f"region.{name}", number, -FARTHEST_MM, FARTHEST_MM)
            object.__setattr__(self, name, tuple(float(number) for number in corner))
        if any(low >= high for low, high in zip(self.minimum_ras_mm, self.maximum_ras_mm)):
            expected = "a box whose minimum is below its maximum along R, A and S"
            raise _wrong("region", [list(self.minimum_ras_mm), list(self.maximum_ras_mm)], expected)

    @classmethod
    def from_text(cls, text: str, name: str) -> Region:
        """A box from two opposite corners x0 y0 z0 x1 y1 z1, in any order, parted by commas, semicolons or spaces.

        `name` is what the text was given as. Raises RequestError for anything else, and where the box has no inside.
        """
        try:
            numbers = [float(part) for part in re.split(r"\s*[,;]\s*|\s+", text.strip())]
        except ValueError:
            numbers = []
        if len(numbers) != 6 or not all(abs(number) < FARTHEST_MM for number in numbers):
            raise RequestError(f"{name} is '{text:.80}', expected six numbers x0,y0,z0,x1,y1,z1 in RAS millimetres.")
        pairs = list(zip(numbers[:3], numbers[3:]))
        if any(a == b for a, b in pairs):
            raise RequestError(f"{name} is '{text:.80}': the box has no extent along at least one axis.")
        return cls(tuple(map(min, pairs)), tuple(map(max, pairs)))  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Choices:
    """How a scan is to be segmented, whoever asks. Raises RequestError naming the first field that is not as it must be.

    `model` is a shipped model's name or a folder; `threshold` None means the model's own; `modality` and `sequence` None
    mean that the file tells; findings outside `region` are not looked for.
    """

    model: str = "compact"
    quality: Quality = Quality.STANDARD
    device: str = "auto"
    modality: str | None = None
    sequence: str | None = None
    region: Region | None = None
    threshold: float | None = None
    smallest_lesion_ml: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        _text("model", self.model, LONGEST_PATH)
        object.__setattr__(self, "quality", _quality(self.quality))
        _text("device", self.device, LONGEST_WORD)
        if self.modality not in (None, "CT", "MR"):
            raise _wrong("modality", self.modality, "'CT', 'MR' or null (the file tells)")
        if self.sequence is not None:
            _text("sequence", self.sequence, LONGEST_WORD)
        if self.region is not None and not isinstance(self.region, Region):
            raise _wrong("region", self.region, "a box with minimum_ras_mm and maximum_ras_mm, or null")
        if self.threshold is not None:
            _number("threshold", self.threshold, 0.0, 1.0)
        _number("smallest_lesion_ml", self.smallest_lesion_ml, 0.0, 1e6)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise _wrong("seed", self.seed, "a whole number from 0 to 2147483647")

    def chosen(self) -> dict[str, Any]:
        """The choices by name, without what a subclass adds: to make another subclass of."""
        return {field.name: getattr(self, field.name) for field in fields(Choices)}


@dataclass(frozen=True, kw_only=True)
class Request(Choices):
    """What is asked of the engine. Raises RequestError naming the first field that is not as it must be.

    `scan` and `output` are paths, and so is `mask`: a label map on the scan's own grid, 0 where nothing is to be looked for.
    Where a `region` is given too, only what lies in both counts. `image_format` is "nrrd" or "nifti". `series` is the UID
    or number of the DICOM series that is meant, where the scan's folder holds several.
    """

    scan: str
    descriptions: tuple[str, ...]
    output: str
    image_format: str = "nrrd"
    series: str | None = None
    mask: str | None = None

    def __post_init__(self) -> None:
        for name in ("scan", "output"):
            _text(name, getattr(self, name), LONGEST_PATH)
        object.__setattr__(self, "descriptions", checked_descriptions(self.descriptions))
        super().__post_init__()
        if self.image_format not in ("nrrd", "nifti"):
            raise _wrong("image_format", self.image_format, "'nrrd' or 'nifti'")
        if self.series is not None:
            _text("series", self.series, LONGEST_WORD)
        if self.mask is not None:
            _text("mask", self.mask, LONGEST_PATH)

    def to_json(self) -> str:
        """The request as the text of a request file."""
        return as_json({"schema": REQUEST_SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, text: str, folder: Path | None = None) -> Request:
        """Read a request; relative paths are taken from `folder`.

        Raises RequestError naming field, value met, what was expected and what to do.
        """
        try:
            facts = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RequestError(
                f"The request is not valid JSON ({error}). Write it with this program, or correct it."
            ) from error
        if not isinstance(facts, dict):
            raise RequestError("The request is not a JSON object with fields such as 'scan' and 'descriptions'.")
        schema = facts.pop("schema", None)
        if schema != REQUEST_SCHEMA:
            raise _wrong("schema", schema, f"'{REQUEST_SCHEMA}'", "Another version of the program may have written it.")
        _require_known(facts, [field.name for field in fields(cls)], "The request")
        for name in ("scan", "descriptions", "output"):
            if name not in facts:
                raise RequestError(f"The request has no '{name}'. Every request names scan, descriptions and output.")
        if facts.get("region") is not None:
            facts["region"] = _region(facts["region"])
        request = cls(**facts)
        return request if folder is None else request._placed_in(folder)

    def _placed_in(self, folder: Path) -> Request:
        model = os.path.join(folder, self.model)
        return replace(
            self,
            scan=os.path.join(folder, self.scan),
            output=os.path.join(folder, self.output),
            mask=None if self.mask is None else os.path.join(folder, self.mask),
            model=model if os.path.isdir(model) else self.model,
        )

    def save(self, path: Path) -> None:
        """Write the request file, replacing it as a whole. Raises OSError."""
        replace_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Request:
        """Read a request file; relative paths in it are taken from its folder.

        Raises RequestError where it cannot be read or understood.
        """
        try:
            text = read_text(path)
        except (OSError, ValueError) as error:
            raise RequestError(f"The request file '{path}' cannot be read: {error}. Check the path.") from error
        return cls.from_json(text, path.resolve().parent)


def _wrong(
    name: str, met: object, expected: str, advice: str = "Correct the request and run it again."
) -> RequestError:
    return RequestError(f"The request's '{name}' is {shown(met)}, expected {expected}. {advice}")


def shown(met: object) -> str:
    """A value, cut to what fits into a sentence.

    `repr` refuses whole numbers of thousands of digits, and lists nested almost as deep as the JSON reader goes.
    """
    try:
        text = repr(met)
    except ValueError:
        return "a number of thousands of digits"
    except RecursionError:
        return "nested far too deep"
    return text if len(text) <= 80 else text[:77] + "..."


def _require_known(facts: dict[str, Any], known: list[str], what: str) -> None:
    for name in facts:
        if name not in known:
            near = difflib.get_close_matches(name[:LONGEST_WORD], known, 1)
            hint = f"; did you mean '{near[0]}'?" if near else f". Remove it; known are {', '.join(known)}."
            raise RequestError(f"{what} has an unknown field {shown(name)}{hint}")


def _text(name: str, value: object, longest: int) -> None:
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        raise _wrong(name, value, "a text that is not empty")
    if len(value) > longest:
        raise RequestError(
            f"The request's '{name}' has {len(value)} characters, at most {longest} are taken. Shorten it."
        )


def _number(name: str, value: object, low: float, high: float) -> None:
    # Compared before anything else: NaN compares as False, and a whole number of any size can be compared.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise _wrong(name, value, f"a number from {low:g} to {high:g}")


def _quality(value: Any) -> Quality:
    if not isinstance(value, str) or value not in [member.value for member in Quality]:
        raise _wrong("quality", value, " or ".join(f"'{member.value}'" for member in Quality))
    return Quality(value)


def checked_descriptions(value: Any) -> tuple[str, ...]:
    """Descriptions as a tuple. Raises RequestError where there is none, there are too many, or one is not a usable text."""
    if not isinstance(value, (list, tuple)) or not value:
        raise _wrong("descriptions", value, "a list with at least one text such as 'liver metastasis'")
    if len(value) > MOST_DESCRIPTIONS:
        raise RequestError(
            f"The request has {len(value)} descriptions, at most {MOST_DESCRIPTIONS} are taken at once. "
            "Make several requests of it."
        )
    for number, text in enumerate(value, start=1):
        _text(f"description {number}", text, LONGEST_DESCRIPTION)
        if any("\ud800" <= sign <= "\udfff" for sign in text):
            raise _wrong(f"description {number}", text, "a text in valid Unicode")
    return tuple(value)


def _region(value: Any) -> Region:
    corners = [field.name for field in fields(Region)]
    if not isinstance(value, dict):
        raise _wrong("region", value, "an object with minimum_ras_mm and maximum_ras_mm, or null")
    _require_known(value, corners, "The request's 'region'")
    for name in corners:
        if name not in value:
            raise RequestError(f"The request's 'region' has no '{name}'. A region names {' and '.join(corners)}.")
    return Region(**value)
