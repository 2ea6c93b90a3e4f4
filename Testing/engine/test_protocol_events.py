"""The lines between Slicer and the worker: each comes back as it was sent, and nothing else is taken for one."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffugts.errors import RequestError
from diffugts.protocol.events import COMMANDS, EVENTS, LONGEST_LINE, Command, Event, parse_command, parse_event
from fuzzing import fuzzed

EXAMPLES: dict[str, dict[str, Any]] = {
    "hello": {"protocol": 1, "version": "1.0.0", "pid": 4711},
    "queued": {"job": "a", "position": 1},
    "progress": {"job": "a", "stage": "encoding", "done": 3, "total": 8, "message": "Encoding", "eta_s": 12.5},
    "done": {"job": "a", "result": "/scans of/ö 1/result.json", "sha256": "ab" * 32},
    "failed": {"job": None, "code": "request", "message": "The line is not JSON.", "details": "Traceback\n  …"},
    "cancelled": {"job": "a"},
    "released": {"message": "One model and two scans."},
    "log": {"message": "two\nlines and a \u2028 third 😀"},
}

TEXTS = st.text(min_size=1, max_size=30)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_an_event_comes_back_from_its_line(name: str) -> None:
    event = Event(name, EXAMPLES[name])
    line = event.to_line()
    assert line.isascii() and len(line.splitlines()) == 1
    assert parse_event(line) == event == parse_event(line + "\r\n")


def test_a_cancelled_job_may_tell_of_what_was_finished() -> None:
    event = Event("cancelled", {"job": "a", "result": "/ö/result.json", "sha256": "ab" * 32})
    assert parse_event(event.to_line()) == event
    with pytest.raises(RequestError, match="'cancelled' has the 'result' 5, expected a text"):
        Event("cancelled", {"job": "a", "result": 5, "sha256": "ab" * 32})


@pytest.mark.parametrize(
    "command", [Command("hello"), Command("run", "a", "/ö 1/request.json"), Command("cancel", "a"), Command("quit")]
)
def test_a_command_comes_back_from_its_line(command: Command) -> None:
    line = command.to_line()
    assert line.isascii() and len(line.splitlines()) == 1 and parse_command(line + "\n") == command


@fuzzed(60)
@given(TEXTS, TEXTS)
def test_a_job_and_a_path_of_any_signs_come_back(job: str, path: str) -> None:
    try:
        command = Command("run", job, path)
    except RequestError:
        assert not job.strip() or not path.strip() or "\x00" in job + path
    else:
        assert parse_command(command.to_line()) == command and "\n" not in command.to_line()


@pytest.mark.parametrize(
    "name, field", [(name, field) for name in EVENTS for field in EVENTS[name]], ids=lambda value: str(value)
)
def test_an_event_without_a_field_says_which(name: str, field: str) -> None:
    facts = {key: value for key, value in EXAMPLES[name].items() if key != field}
    with pytest.raises(RequestError, match=f"'{name}' has no '{field}'"):
        parse_event(json.dumps({"event": name, **facts}))


@pytest.mark.parametrize("name, field", [(name, field) for name in COMMANDS for field in COMMANDS[name]])
@pytest.mark.parametrize("met", [None, "", "  ", 5, ["a"], {}, "a\x00b", "left out"])
def test_a_command_with_a_bad_field_says_which(name: str, field: str, met: object) -> None:
    facts: dict[str, object] = {"command": name, "job": "a", "request": "r.json", field: met}
    if met == "left out":
        del facts[field]
    with pytest.raises(RequestError, match=f"'{name}' needs a text '{field}'"):
        parse_command(json.dumps(facts))


@pytest.mark.parametrize(
    "name, field, met, expected",
    [
        ("queued", "position", -1, "a whole number from 0"),
        ("queued", "position", 1.5, "a whole number from 0"),
        ("queued", "position", True, "a whole number from 0"),
        ("queued", "job", None, "a text that is not empty"),
        ("queued", "job", "", "a text that is not empty"),
        ("progress", "stage", "dreaming", "a stage's name"),
        ("progress", "stage", ["encoding"], "a stage's name"),
        ("progress", "eta_s", float("nan"), "a number from 0, or null"),
        ("progress", "eta_s", float("inf"), "a number from 0, or null"),
        ("progress", "eta_s", -1, "a number from 0, or null"),
        ("done", "result", {"path": "x"}, "a text"),
        ("failed", "message", None, "a text"),
        ("hello", "protocol", "1", "a whole number from 0"),
    ],
)
def test_an_event_with_a_value_of_another_kind_says_what_was_expected(
    name: str, field: str, met: object, expected: str
) -> None:
    with pytest.raises(RequestError, match=f"'{name}' has the '{field}' .*, expected {expected}"):
        parse_event(json.dumps({"event": name, **EXAMPLES[name], field: met}))


def test_what_a_newer_worker_says_more_is_passed_over() -> None:
    event = parse_event(json.dumps({"event": "cancelled", "job": "a", "reason": "asked to"}))
    assert event.name == "cancelled" and event.fields["job"] == "a"
    assert parse_command('{"command": "quit", "job": 5, "haste": true}') == Command("quit")


def test_the_estimate_may_be_unknown() -> None:
    assert parse_event(Event("progress", {**EXAMPLES["progress"], "eta_s": None}).to_line()).fields["eta_s"] is None


@pytest.mark.parametrize("name", ["dance", "", None, 5, ["run"], {"run": 1}, "RUN"])
def test_an_unknown_name_is_answered_with_the_known_ones(name: object) -> None:
    with pytest.raises(RequestError, match="expected one of hello, run, cancel, release, quit"):
        parse_command(json.dumps({"command": name}))
    with pytest.raises(RequestError, match="expected one of hello, queued, progress, done"):
        parse_event(json.dumps({"event": name}))


@pytest.mark.parametrize("line", ["", "\n", "{", "run", "[" * 100_000, '{"command": ' + "9" * 5000 + "}", "\ufeff{}"])
def test_a_line_that_is_no_json_is_repeated_in_short(line: str) -> None:
    for parse in (parse_command, parse_event):
        with pytest.raises(RequestError, match="The line is not JSON") as caught:
            parse(line)
        assert len(str(caught.value)) < 300


@pytest.mark.parametrize("line", ["[]", "5", "null", '"run"', "NaN"])
def test_a_line_that_is_no_object_names_the_key(line: str) -> None:
    with pytest.raises(RequestError, match="not a JSON object with the key 'command'"):
        parse_command(line)


@pytest.mark.parametrize("field", ["command", "event", "job", "details"])
def test_a_line_nested_ever_deeper_is_a_request_error(field: str) -> None:
    facts = {"command": "cancel", "event": "failed", **EXAMPLES["failed"], field: "@"}
    parse = parse_command if field in ("command", "job") else parse_event
    limit = sys.getrecursionlimit()
    for depth in (50, *range(limit - 120, limit + 1), 100_000):  # where reading still works and showing does not
        with pytest.raises(RequestError) as caught:
            parse(json.dumps(facts).replace('"@"', "[" * depth + "]" * depth))
        assert len(str(caught.value)) < 500


def test_a_line_without_end_is_refused_unread() -> None:
    with pytest.raises(RequestError, match="1000001 characters"):
        parse_command(" " * (LONGEST_LINE + 1))


def test_numbers_that_json_lacks_are_not_sent() -> None:
    with pytest.raises(RequestError, match="eta_s"):
        Event("progress", {**EXAMPLES["progress"], "eta_s": float("inf")})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["encoding"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
KEYS = st.sampled_from(["command", "event", "job", "request", "position", "stage", "done", "total", "message", "eta_s"])
NEARLY = st.dictionaries(KEYS, ANYTHING | st.sampled_from([*COMMANDS, *EVENTS]), max_size=8).map(json.dumps)


@fuzzed(300)
@given(st.text(max_size=80) | ANYTHING.map(json.dumps) | NEARLY)
def test_any_line_is_a_command_an_event_or_a_request_error(line: str) -> None:
    for parse in (parse_command, parse_event):
        try:
            message = parse(line)
        except RequestError as error:
            assert str(error).endswith(".") and len(str(error)) < 600
        else:
            if isinstance(message, Event):  # what it carries more may be a number that JSON lacks
                message = Event(message.name, {field: message.fields[field] for field in EVENTS[message.name]})
            assert parse(message.to_line()) == message
