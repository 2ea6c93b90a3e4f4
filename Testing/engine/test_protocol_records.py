"""Dataclasses from JSON: what fits comes back, what does not is named with its place."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from diffugts.protocol.records import record_of


@dataclass(frozen=True)
class Inner:
    label: int
    place: tuple[float, float, float]


@dataclass(frozen=True)
class Outer:
    name: str
    volume_ml: float
    inner: tuple[Inner, ...]
    box: Inner | None
    timings_s: dict[str, float]
    flag: bool = True
    notes: tuple[str, ...] = field(default_factory=tuple)


FACTS = {
    "name": "mass",
    "volume_ml": 2,
    "inner": [{"label": 1, "place": [0, 1.5, -2]}],
    "box": None,
    "timings_s": {"read_s": 1},
}


def test_a_record_is_made_of_what_fits() -> None:
    record = record_of(Outer, {**FACTS, "box": {"label": 2, "place": [1, 2, 3]}, "of a newer version": 5})
    assert record == Outer("mass", 2.0, (Inner(1, (0.0, 1.5, -2.0)),), Inner(2, (1.0, 2.0, 3.0)), {"read_s": 1.0})
    assert type(record.volume_ml) is float and type(record.inner[0].place[0]) is float


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"name": 5}, "name is 5, expected a text"),
        ({"name": None}, "name is None, expected a text"),
        ({"volume_ml": "2"}, "volume_ml is '2', expected a finite number"),
        ({"volume_ml": True}, "volume_ml is True, expected a finite number"),
        ({"volume_ml": float("nan")}, "volume_ml is nan, expected a finite number"),
        ({"volume_ml": 10**400}, "volume_ml is 1000.*expected a finite number"),
        ({"inner": {}}, "inner is {}, expected a list"),
        ({"inner": [5]}, r"inner\[0\] is 5, expected an object"),
        ({"inner": [{"label": 1.0, "place": [0, 0, 0]}]}, r"inner\[0\]\.label is 1\.0, expected a whole number"),
        ({"inner": [{"label": True, "place": [0, 0, 0]}]}, r"inner\[0\]\.label is True, expected a whole number"),
        ({"inner": [{"label": 1, "place": [0, 0]}]}, r"inner\[0\]\.place has 2 entries, expected 3"),
        ({"inner": [{"place": [0, 0, 0]}]}, r"inner\[0\]\.label is missing"),
        ({"box": []}, r"box is \[\], expected an object"),
        ({"timings_s": []}, r"timings_s is \[\], expected an object"),
        ({"timings_s": {"read_s": "1"}}, r"timings_s\.read_s is '1', expected a finite number"),
        ({"flag": 1}, "flag is 1, expected true or false"),
        ({"notes": "a note"}, "notes is 'a note', expected a list"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(changed: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        record_of(Outer, {**FACTS, **changed})


@pytest.mark.parametrize("facts", [None, [], "text", 5])
def test_what_is_no_object_is_no_record(facts: object) -> None:
    with pytest.raises(ValueError, match="expected an object"):
        record_of(Outer, facts)
