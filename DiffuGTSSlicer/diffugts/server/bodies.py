"""What travels in JSON, for the OpenAPI document; the engine's own `Request` has the last word on a request."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from diffugts.protocol.remote import MASK_STAYS

Corner = tuple[float, float, float]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)


class RegionBody(_Strict):
    """An axis-aligned box in RAS millimetres."""

    minimum_ras_mm: Corner
    maximum_ras_mm: Corner


class RequestBody(_Strict):
    """What to look for and how; no path, no device: those are the server's own."""

    descriptions: Annotated[list[str], Field(min_length=1, max_length=200)]
    model: Annotated[str, Field(min_length=1, max_length=200)] = "compact"
    quality: Literal["fast", "standard", "thorough"] = "standard"
    modality: Literal["CT", "MR"] | None = None
    sequence: Annotated[str, Field(max_length=20)] | None = None
    region: RegionBody | None = None
    threshold: Annotated[float, Field(ge=0, le=1)] | None = None
    smallest_lesion_ml: Annotated[float, Field(ge=0, le=1e6)] = 0.1
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    mask: Annotated[None, Field(description="Always null: a mask would be a file. Give a box as region.")] = None

    @field_validator("mask", mode="before")
    @classmethod
    def _no_mask(cls, met: object) -> None:
        if met is not None:
            raise ValueError(MASK_STAYS)


class ScanBody(_Strict):
    """The upload that follows: its bytes and their SHA-256."""

    bytes: Annotated[int, Field(ge=1, le=2**53)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class JobBody(_Strict):
    """A new job."""

    request: RequestBody
    scan: ScanBody


class JobAnswer(BaseModel):
    """A job's name on the server."""

    job: str


class StateAnswer(BaseModel):
    """Where a job stands; `ending` is done, failed or cancelled once it is over."""

    job: str
    state: Literal["uploading", "accepted", "over"]
    ending: str
    message: str
    sha256: str


class HelloAnswer(BaseModel):
    """Who answers: version, models by name, and what is accepted."""

    program: str
    version: str
    protocol: int
    models: list[str]
    scan_bytes: int
    kept_hours: float
    running: int
    waiting: int


class Problem(BaseModel):
    """A refusal: a word for programs, a sentence for people."""

    code: str
    message: str
