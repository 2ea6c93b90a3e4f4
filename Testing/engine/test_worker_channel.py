"""The pipes of the worker, as pipes."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diffugts.protocol import Event, parse_event
from diffugts.protocol.events import LONGEST_LINE
from diffugts.worker.channel import Channel


@pytest.fixture
def outgoing() -> Iterator[tuple[Channel, int]]:
    read, write = os.pipe()
    yield Channel(-1, write), read
    for end in (read, write):
        try:
            os.close(end)
        except OSError:
            pass  # a test closed it


def lines_of(*pieces: bytes) -> list[str]:
    """What a channel makes of bytes that arrive in these pieces."""
    read, write = os.pipe()
    lines = Channel(read, -1).lines()
    found: list[str] = []
    for piece in pieces:
        os.write(write, piece)
    os.close(write)
    found += lines
    os.close(read)
    return found


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.binary(min_size=1, max_size=300), max_size=20))
def test_lines_do_not_depend_on_the_pieces_they_arrive_in(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    *lines, rest = whole.split(b"\n")
    expected = [line.decode("utf-8", "replace") for line in [*lines, *([rest] if rest else [])]]
    assert lines_of(*pieces) == expected


def test_a_character_split_between_two_reads_is_whole() -> None:
    euro = "€".encode()
    assert lines_of(euro[:1], euro[1:] + b"\n") == ["€"]


def test_a_flood_is_bounded_and_recognisable(tmp_path) -> None:
    path = tmp_path / "flood"
    path.write_bytes(b"x" * (10 * LONGEST_LINE) + b"\nhello\n")
    descriptor = os.open(path, os.O_RDONLY)
    flood, hello = Channel(descriptor, -1).lines()
    os.close(descriptor)
    assert LONGEST_LINE < len(flood) < 3 * LONGEST_LINE
    assert hello == "hello"


def test_an_event_is_one_line(outgoing: tuple[Channel, int]) -> None:
    channel, read = outgoing
    event = Event("log", {"message": "two\nlines — und Umlaute äöü"})
    channel.send(event)
    data = os.read(read, 1000)
    assert data.count(b"\n") == 1 and data.isascii()
    assert parse_event(data.decode()) == event


def test_a_closed_reader_is_an_error_the_worker_can_see(outgoing: tuple[Channel, int]) -> None:
    channel, read = outgoing
    os.close(read)
    with pytest.raises(OSError):
        channel.send(Event("log", {"message": "anybody?"}))
