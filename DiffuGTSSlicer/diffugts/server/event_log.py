"""A job's events for whoever listens, now or after a broken connection."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator

from diffugts.protocol import Event
from diffugts.protocol.events import CLOSING

HEARTBEAT_S = 10.0
LOCAL_FIELDS = frozenset({"job", "result"})
"""Fields that name something of the server's own: not told."""


class EventLog:
    """The events of one job in order. Of progress events that follow each other only the last is kept."""

    def __init__(self) -> None:
        self._series = secrets.token_hex(4)
        """Tells this log from the one that a server before the last restart had."""
        self._events: list[tuple[int, Event]] = []
        self._last = 0
        self._changed = asyncio.Condition()

    async def add(self, event: Event) -> None:
        """Put an event at the end and wake those who wait for it."""
        async with self._changed:
            self._last += 1
            if self._events and self._events[-1][1].name == event.name and event.name not in CLOSING:
                self._events.pop()
            self._events.append((self._last, event))
            self._changed.notify_all()

    async def follow(self, last_event_id: str) -> AsyncIterator[bytes]:
        """Server-sent events after the one named, to the closing one; a remark now and then, that the line is alive."""
        seen = self._number_of(last_event_id)
        while True:
            fresh = [(number, event) for number, event in self._events if number > seen]
            for number, event in fresh:
                seen = number
                yield self._block(number, event)
                if event.name in CLOSING:
                    return
            if not fresh and self._events and self._events[-1][1].name in CLOSING:
                return
            try:
                await asyncio.wait_for(self._wait_beyond(seen), HEARTBEAT_S)
            except asyncio.TimeoutError:
                yield b": still here\n\n"

    async def _wait_beyond(self, seen: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: self._last > seen)

    def _number_of(self, event_id: str) -> int:
        series, _, number = event_id.partition("-")
        known = series == self._series and number.isascii() and number.isdigit() and len(number) < 12
        return int(number) if known else 0

    def _block(self, number: int, event: Event) -> bytes:
        fields = {name: value for name, value in event.fields.items() if name not in LOCAL_FIELDS}
        return f"id: {self._series}-{number}\nevent: {event.name}\ndata: {json.dumps(fields)}\n\n".encode()
