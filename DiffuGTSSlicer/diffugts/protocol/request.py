"""A request: one scan, what to look for, how. The same file serves Slicer, scripts and batches."""

from __future__ import annotations

import difflib
import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from enum import Enum
from pathlib import Path
from typing import Any

from diffugts.errors import RequestError

REQUEST_SCHEMA = "diffugts-request/1"
LONGEST_DESCRIPTION = 10_000
MOST_DESCRIPTIONS = 200


class Quality(str, Enum):
    """How much is done: attention only; inpainting and refinement; several seeds and a mirrored look too."""

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
    """An axis-aligned box in RAS millimetres; findings outside it are not looked for."""

    minimum_ras_mm: tuple[float, float, float]
    maximum_ras_mm: tuple[float, float, float]


@dataclass(frozen=True)
class Request:
    """What is asked of the engine.

    `scan` and `output` are paths; `model` a shipped model's name or a folder; `threshold` None means the model's own;
    `modality` and `sequence` None mean that the file tells. `image_format` is "nrrd" or "nifti".
    """

    scan: str
    descriptions: tuple[str, ...]
    output: str
    model: str = "compact"
    quality: Quality = Quality.STANDARD
    device: str = "auto"
    modality: str | None = None
    sequence: str | None = None
    region: Region | None = None
    threshold: float | None = None
    smallest_lesion_ml: float = 0.1
    seed: int = 0
    image_format: str = "nrrd"

    def __post_init__(self) -> None:
        for name in ("scan", "output", "model", "device"):
            _text(name, getattr(self, name))
        object.__setattr__(self, "descriptions", _descriptions(self.descriptions))
        object.__setattr__(self, "quality", _choice("quality", self.quality, Quality))
        if self.modality not in (None, "CT", "MR"):
            raise _wrong("modality", self.modality, "'CT', 'MR' or nothing")
        if self.sequence is not None:
            _text("sequence", self.sequence)
        if self.threshold is not None:
            _number("threshold", self.threshold, 0.0, 1.0)
        _number("smallest_lesion_ml", self.smallest_lesion_ml, 0.0, 1e6)
        if isinstance(self.seed, bool) or not isinstance(self.seed, int) or not 0 <= self.seed < 2**31:
            raise _wrong("seed", self.seed, "a whole number from 0 to 2147483647")
        if self.image_format not in ("nrrd", "nifti"):
            raise _wrong("image_format", self.image_format, "'nrrd' or 'nifti'")

    def to_json(self) -> str:
        """The request as the text of a request file."""
        return json.dumps({"schema": REQUEST_SCHEMA, **asdict(self)}, indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str, folder: Path | None = None) -> Request:
        """Read a request; relative paths are taken from `folder`. Raises RequestError naming field, value and what was expected."""
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
            raise _wrong("schema", schema, f"'{REQUEST_SCHEMA}'")
        known = [field.name for field in fields(cls)]
        for name in facts:
            if name not in known:
                near = difflib.get_close_matches(name, known, 1)
                hint = f"; did you mean '{near[0]}'?" if near else ". Remove it."
                raise RequestError(f"The request has an unknown field '{name}'{hint}")
        for name in ("scan", "descriptions", "output"):
            if name not in facts:
                raise RequestError(f"The request has no '{name}'. Every request names scan, descriptions and output.")
        if facts.get("region") is not None:
            facts["region"] = _region(facts["region"])
        request = cls(**facts)
        if folder is None:
            return request
        placed = {name: str(folder / getattr(request, name)) for name in ("scan", "output")}
        model = folder / request.model
        return cls(**{**request.__dict__, **placed, "model": str(model) if model.is_dir() else request.model})

    def save(self, path: Path) -> None:
        """Write the request file, replacing it as a whole."""
        replace_text(path, self.to_json())

    @classmethod
    def load(cls, path: Path) -> Request:
        """Read a request file. Raises RequestError where it cannot be read or understood."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise RequestError(f"The request file '{path}' cannot be read: {error}. Check the path.") from error
        return cls.from_json(text, path.resolve().parent)


def replace_text(path: Path, text: str) -> None:
    """Write a text file so that a reader sees the old one or the whole new one, never a part."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)


def _wrong(name: str, met: object, expected: str) -> RequestError:
    shown = repr(met) if len(repr(met)) < 80 else repr(met)[:77] + "..."
    return RequestError(f"The request's '{name}' is {shown}, expected {expected}.")


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or not value.strip() or "\x00" in value:
        raise _wrong(name, value, "a text that is not empty")


def _number(name: str, value: object, low: float, high: float) -> None:
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or not low <= value <= high
    ):
        raise _wrong(name, value, f"a number from {low:g} to {high:g}")


def _choice(name: str, value: Any, kind: type[Quality]) -> Quality:
    try:
        return kind(value)
    except ValueError:
        raise _wrong(name, value, " or ".join(f"'{member.value}'" for member in kind)) from None


def _descriptions(value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not value:
        raise _wrong("descriptions", value, "a list with at least one text such as 'liver metastasis'")
    if len(value) > MOST_DESCRIPTIONS:
        raise RequestError(f"The request has {len(value)} descriptions, at most {MOST_DESCRIPTIONS} are taken at once.")
    for text in value:
        _text("descriptions", text)
        if len(text) > LONGEST_DESCRIPTION:
            raise RequestError(f"A description has {len(text)} characters, at most {LONGEST_DESCRIPTION} are taken.")
    return tuple(value)


def _region(value: Any) -> Region:
    expected = "an object with minimum_ras_mm and maximum_ras_mm, three numbers each"
    if not isinstance(value, dict) or set(value) != {"minimum_ras_mm", "maximum_ras_mm"}:
        raise _wrong("region", value, expected)
    corners = []
    for name in ("minimum_ras_mm", "maximum_ras_mm"):
        corner = value[name]
        if not isinstance(corner, (list, tuple)) or len(corner) != 3:
            raise _wrong("region", value, expected)
        for number in corner:
            _number(f"region.{name}", number, -1e5, 1e5)
        corners.append((float(corner[0]), float(corner[1]), float(corner[2])))
    if any(low >= high for low, high in zip(*corners)):
        raise _wrong("region", value, "a box whose minimum is below its maximum along every axis")
    return Region(corners[0], corners[1])
