"""Lines between Slicer and the worker: JSON objects, one per line, UTF-8.

To the worker (stdin), key "command": hello; run with job and request (a path); cancel with job; release; quit.
From the worker (stdout), key "event":

    hello      protocol, version, pid
    queued     job, position              1 is next
    progress   job, stage, done, total, message, eta_s
    done       job, result (path of result.json), sha256 (of that file)
    failed     job, code, message, details    job is null for a line that was no command
    cancelled  job
    released   what was let go, in words
    log        message
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from diffugts.errors import RequestError

COMMANDS: dict[str, tuple[str, ...]] = {
    "hello": (),
    "run": ("job", "request"),
    "cancel": ("job",),
    "release": (),
    "quit": (),
}
"""Every command with the fields it needs, all texts."""

EVENTS: dict[str, tuple[str, ...]] = {
    "hello": ("protocol", "version", "pid"),
    "queued": ("job", "position"),
    "progress": ("job", "stage", "done", "total", "message", "eta_s"),
    "done": ("job", "result", "sha256"),
    "failed": ("job", "code", "message", "details"),
    "cancelled": ("job",),
    "released": ("message",),
    "log": ("message",),
}
"""Every event with its fields."""

LONGEST_LINE = 1_000_000


@dataclass(frozen=True)
class Command:
    """One command to the worker."""

    name: str
    job: str = ""
    request: str = ""

    def to_line(self) -> str:
        """The command as one line of JSON, without the line's end."""
        return json.dumps({"command": self.name, **{field: getattr(self, field) for field in COMMANDS[self.name]}})


@dataclass(frozen=True)
class Event:
    """One event from the worker: its name and its fields, as `EVENTS` lists them."""

    name: str
    fields: dict[str, Any]

    def to_line(self) -> str:
        """The event as one line of JSON, without the line's end."""
        return json.dumps({"event": self.name, **self.fields}, ensure_ascii=True)


def parse_command(line: str) -> Command:
    """Read a command. Raises RequestError saying what is wrong with the line."""
    facts = _object(line, "command")
    name = facts.get("command")
    if name not in COMMANDS:
        raise RequestError(f"The line's command is {name!r:.80}, expected one of {', '.join(COMMANDS)}.")
    values = {}
    for field in COMMANDS[name]:
        value = facts.get(field)
        if not isinstance(value, str) or not value:
            raise RequestError(f"The command '{name}' needs a text '{field}', met {value!r:.80}.")
        values[field] = value
    return Command(name, **values)


def parse_event(line: str) -> Event:
    """Read an event. Raises RequestError where the line is not one the protocol knows."""
    facts = _object(line, "event")
    name = facts.pop("event", None)
    if name not in EVENTS:
        raise RequestError(f"The worker's line is of kind {name!r:.80}, expected one of {', '.join(EVENTS)}.")
    missing = [field for field in EVENTS[name] if field not in facts]
    if missing:
        raise RequestError(f"The worker's line '{name}' has no '{missing[0]}'.")
    return Event(name, facts)


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
