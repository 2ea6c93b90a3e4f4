"""The two pipes between the worker and who started it: commands in, events out, and nothing else on either.

Whatever a library prints goes to standard error, and no child of the worker inherits the pipes: the file descriptors
are moved away before anything else is imported.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator

from diffugts.protocol import Event
from diffugts.protocol.events import LONGEST_LINE

READ_BYTES = 65536


class Channel:
    """Lines in, events out; `send` may be called by several threads. Takes two open file descriptors."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._sending = threading.RLock()

    @classmethod
    def take_standard_streams(cls) -> Channel:
        """Standard input and output as a channel; what is printed from now on goes to standard error."""
        sys.stdout.flush()
        incoming, outgoing = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        if isinstance(sys.stderr, io.TextIOWrapper):
            sys.stderr.reconfigure(encoding="utf-8", errors="backslashreplace")
        sys.stdout = sys.stderr
        return cls(incoming, outgoing)

    def lines(self) -> Iterator[str]:
        """Every line that comes in, until the other side closes.

        Bytes that are no UTF-8 are replaced; of a line longer than any command only the beginning is given, so that
        no flood fills the memory. Reads the descriptor itself: a buffered reader, waiting in a thread of its own,
        would hold a lock that Python asks for when it ends.
        """
        pending = b""
        while chunk := os.read(self._incoming, READ_BYTES):
            *whole, pending = (pending + chunk).split(b"\n")
            for line in whole:
                yield line.decode("utf-8", "replace")
            if len(pending) > 2 * LONGEST_LINE:  # keep it recognisably too long, whatever else comes
                pending = pending[: LONGEST_LINE + READ_BYTES]
        if pending:
            yield pending.decode("utf-8", "replace")

    def send(self, event: Event) -> None:
        """Write one event. Raises OSError when nobody reads any more."""
        line = (event.to_line() + "\n").encode()
        with self._sending:
            while line:
                line = line[os.write(self._outgoing, line) :]
