"""Who asks, and how often: tokens compared without telling by the time how far they fit, and rates."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence

EVERYBODY = "local"
"""The owner of all jobs where no token is set."""

MOST_KEYS = 10_000


class Tokens:
    """The tokens of a server. A token's owner is a digest of it: jobs and logs bear that, never the token."""

    def __init__(self, tokens: Sequence[str]) -> None:
        self._digests = [hashlib.sha256(token.encode()).digest() for token in tokens]

    def owner_of(self, authorization: str | None) -> str | None:
        """Whose request it is by its header Authorization, None where it is nobody's."""
        if not self._digests:
            return EVERYBODY
        scheme, _, token = (authorization or "").partition(" ")
        asked = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        found = False
        for digest in self._digests:  # all of them: the time must not tell which one nearly fits
            found |= hmac.compare_digest(digest, asked)
        return hashlib.sha256(b"owner" + asked).hexdigest()[:16] if found and scheme.lower() == "bearer" else None


class Rate:
    """At most `per_minute` for each key, in bursts of as many."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._left: dict[str, tuple[float, float]] = {}

    def allows(self, key: str, cost: int = 1) -> bool:
        """Whether one more is allowed now; with `cost` 0 it is asked and not counted."""
        now = self._clock()
        left, since = self._left.get(key, (float(self._per_minute), now))
        left = min(float(self._per_minute), left + (now - since) * self._per_minute / 60)
        if left < 1:
            return False
        if len(self._left) >= MOST_KEYS:  # those that wait longest have their full number again
            self._left.pop(next(iter(self._left)))
        self._left[key] = (left - cost, now)
        return True
