"""What a server refuses, as an HTTP status, a word and a sentence."""

from __future__ import annotations

from diffugts.errors import DiffuGTSError

DISK_FULL = "The server's disk is nearly full. Try again later, or tell whoever runs the server."


class Refused(DiffuGTSError):
    """A request that is not carried out: `status` is HTTP's, `code` a word for programs, the text a sentence for people."""

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code = status, code


def no_such_job() -> Refused:
    """The same answer for a job that is not there and for another token's."""
    return Refused(
        404,
        "unknown",
        "There is no such job on the server; it may have been delivered, or kept too long. Segment again.",
    )
