"""How many inputs damaged at random a test reads, and how bytes are damaged."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

FUZZED = os.environ.get("DIFFUGTS_FUZZED")
"""The variable that asks for a long run, of as many for each test; docs/robustness.md has such runs."""


def fuzzed(usually: int, **more: Any) -> settings:
    """Settings of a test that draws so many inputs, always the same ones, or as many others as a long run asks for."""
    return settings(
        max_examples=int(FUZZED or usually),
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=FUZZED is None,
        database=None,
        **more,
    )


KINDS = st.sampled_from(["replace", "flip", "take out", "put in", "repeat"])
BYTES = st.binary(min_size=1, max_size=8) | st.sampled_from([b"0", b"9", b"-", b".", b"e9", b" ", b"\n", b",", b"nan"])
DAMAGE = st.lists(
    st.tuples(KINDS, st.floats(0, 0.999), BYTES), min_size=1, max_size=4
)  # (what, where as a part of the header, bytes)


def damaged(content: bytes, steps: list[tuple[str, float, bytes]], begin: int, end: int) -> bytes:
    """The content with bytes between `begin` and `end` replaced, flipped, taken out, put in or repeated."""
    changed = bytearray(content)
    for kind, where, new in steps:
        at = begin + int(where * (end - begin))
        if kind == "replace":
            changed[at : at + len(new)] = new
        elif kind == "flip" and at < len(changed):
            changed[at] ^= 1 << (new[0] % 8)
        elif kind == "take out":
            del changed[at : at + len(new)]
        elif kind == "put in":
            changed[at:at] = new
        else:
            changed[at:at] = changed[at : at + 8 * len(new)]
    return bytes(changed)
