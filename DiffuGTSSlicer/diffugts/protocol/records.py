"""Dataclasses from JSON, every value checked against the field's annotation.

What another program wrote, or what a disk lost half of, is never trusted: a text where a number belongs would
otherwise surface in the middle of Slicer's user interface.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from typing import Any, TypeVar

Record = TypeVar("Record")

WORDS: dict[type, str] = {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}


def record_of(kind: type[Record], facts: object, place: str = "") -> Record:
    """A dataclass of `kind` from parsed JSON; `place` is where it stands, for the message. Fields it lacks are passed over.

    Raises ValueError naming the place, what was expected and what was met.
    """
    if not isinstance(facts, dict):
        raise ValueError(f"{place or 'it'} is {facts!r:.60}, expected an object")
    annotations = typing.get_type_hints(kind)
    values = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        inner = f"{place}.{field.name}" if place else field.name
        if field.name in facts:
            values[field.name] = _value_of(annotations[field.name], facts[field.name], inner)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{inner} is missing")
    return kind(**values)


def _value_of(annotation: Any, value: object, place: str) -> object:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        if value is None and type(None) in arguments:
            return None
        return _value_of(next(a for a in arguments if a is not type(None)), value, place)
    if origin is tuple:
        return _tuple_of(arguments, value, place)
    if origin is dict:
        if not isinstance(value, dict):
            raise ValueError(f"{place} is {value!r:.60}, expected an object")
        return {key: _value_of(arguments[1], item, f"{place}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(annotation):
        return record_of(annotation, value, place)  # type: ignore[arg-type]
    if annotation is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    if type(value) is not annotation or (isinstance(value, float) and not math.isfinite(value)):
        raise ValueError(f"{place} is {value!r:.60}, expected {WORDS[annotation]}")
    return value


def _tuple_of(arguments: tuple[Any, ...], value: object, place: str) -> tuple[object, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{place} is {value!r:.60}, expected a list")
    if arguments[-1] is Ellipsis:
        arguments = (arguments[0],) * len(value)
    if len(value) != len(arguments):
        raise ValueError(f"{place} has {len(value)} entries, expected {len(arguments)}")
    return tuple(_value_of(a, item, f"{place}[{n}]") for n, (a, item) in enumerate(zip(arguments, value)))
