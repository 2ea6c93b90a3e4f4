"""Lines between Slicer and the worker: JSON objects, one per line, UTF-8.

To the worker (stdin), key "command": hello; run with job and request (a path); cancel with job; release; quit. The first
`cancel` has the job stop and keep the descriptions that are finished; a second one has it keep nothing.
From the worker (stdout), key "event":

    hello      protocol, version, pid
    queued     job, position              1 is next
    progress   job, stage, done, total, message, eta_s
    done       job, result (path of result.json), sha256 (of that file)
    failed     job, code, message, details    job is null for a line that was no command
    cancelled  job; and result, sha256 as of `done`, where descriptions were finished and are kept
    released   message                    what was let go, in words
    log        message

An event may carry more than is listed: a newer worker says more, and an older reader passes over it.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from diffugts.errors import RequestError
from diffugts.protocol.request import Stage, shown

COMMANDS: dict[str, tuple[str, ...]] = {
    "hello": (),
    "run": ("job", "request"),
    "cancel": ("job",),
    "release": (),
    "quit": (),
}
"""Every command with the fields it needs, all texts."""

TEXT, COUNT, SECONDS = "a text", "a whole number from 0", "a number from 0, or null"
JOB, JOB_OR_NULL, STAGE = "a text that is not empty", "a text that is not empty, or null", "a stage's name"

EVENTS: dict[str, dict[str, str]] = {
    "hello": {"protocol": COUNT, "version": TEXT, "pid": COUNT},
    "queued": {"job": JOB, "position": COUNT},
    "progress": {"job": JOB, "stage": STAGE, "done": COUNT, "total": COUNT, "message": TEXT, "eta_s": SECONDS},
    "done": {"job": JOB, "result": TEXT, "sha256": TEXT},
    "failed": {"job": JOB_OR_NULL, "code": TEXT, "message": TEXT, "details": TEXT},
    "cancelled": {"job": JOB},
    "released": {"message": TEXT},
    "log": {"message": TEXT},
}
"""Every event with its fields and what each must be."""

OPTIONAL: dict[str, dict[str, str]] = {"cancelled": {"result": TEXT, "sha256": TEXT}}
"""Fields that an event may have."""

CLOSING = frozenset({"done", "failed", "cancelled"})
"""Events that a job ends with."""

LONGEST_LINE = 1_000_000
LONGEST_FIELD = 100_000
"""Characters of a command's field: paths are shorter, and so is any name of a job."""


@dataclass(frozen=True)
class Command:
    """One command to the worker. Raises RequestError for an unknown name or a field that it needs and lacks."""

    name: str
    job: str = ""
    request: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name not in COMMANDS:
            raise RequestError(f"The line's command is {shown(self.name)}, expected one of {', '.join(COMMANDS)}.")
        for field in COMMANDS[self.name]:
            value = getattr(self, field)
            if not isinstance(value, str) or not value.strip() or "\x00" in value or len(value) > LONGEST_FIELD:
                raise RequestError(
                    f"The command '{self.name}' needs a text '{field}' of at most {LONGEST_FIELD} characters, "
                    f"met {shown(value)}."
                )

    def to_line(self) -> str:
        """The command as one line of JSON, without the line's end."""
        return json.dumps({"command": self.name, **{field: getattr(self, field) for field in COMMANDS[self.name]}})


@dataclass(frozen=True)
class Event:
    """One event from the worker: its name and its fields, as `EVENTS` lists them.

    Raises RequestError where a field is missing or not what it must be: a worker cannot tell what is not an event.
    """

    name: str
    fields: dict[str, Any]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or self.name not in EVENTS:
            raise RequestError(f"The worker's line is of kind {shown(self.name)}, expected one of {', '.join(EVENTS)}.")
        for field, expected in EVENTS[self.name].items():
            if field not in self.fields:
                raise RequestError(f"The worker's line '{self.name}' has no '{field}'.")
            if not _fits(self.fields[field], expected):
                raise RequestError(
                    f"The worker's line '{self.name}' has the '{field}' {shown(self.fields[field])}, expected {expected}."
                )
        for field, expected in OPTIONAL.get(self.name, {}).items():
            if field in self.fields and not _fits(self.fields[field], expected):
                raise RequestError(
                    f"The worker's line '{self.name}' has the '{field}' {shown(self.fields[field])}, expected {expected}."
                )

    def to_line(self) -> str:
        """The event as one line of JSON, without the line's end."""
        return json.dumps({"event": self.name, **self.fields}, allow_nan=False)


def parse_command(line: str) -> Command:
    """Read a command. Raises RequestError saying what is wrong with the line."""
    facts = _object(line, "command")
    name = facts.get("command")
    needed = COMMANDS.get(name, ()) if isinstance(name, str) else ()
    return Command(name, **{field: facts.get(field) for field in needed})  # type: ignore[arg-type]


def parse_event(line: str) -> Event:
    """Read an event. Raises RequestError where the line is not one the protocol knows."""
    facts = _object(line, "event")
    return Event(facts.pop("event", None), facts)


def _fits(value: object, expected: str) -> bool:
    if value is None:
        return expected in (SECONDS, JOB_OR_NULL)
    if expected in (TEXT, JOB, JOB_OR_NULL):
        return isinstance(value, str) and (expected == TEXT or bool(value))
    if expected == STAGE:
        return value in [stage.value for stage in Stage]
    if isinstance(value, bool) or not isinstance(value, int if expected == COUNT else (int, float)):
        return False
    return 0 <= value < math.inf


def _object(line: str, kind: str) -> dict[str, Any]:
    if len(line) > LONGEST_LINE:
        raise RequestError(f"A line of {len(line)} characters is no {kind}; at most {LONGEST_LINE} are read.")
    try:
        facts = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"The line is not JSON: {line.strip()[:80]!r}. Send one {kind} per line.") from error
    if not isinstance(facts, dict):
        raise RequestError(f"The line is not a JSON object with the key '{kind}': {line.strip()[:80]!r}.")
    return facts
