"""How a server is run, and what is refused because it would expose scans."""

from __future__ import annotations

import ipaddress
import os
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

from diffugts.errors import RequestError

SHORTEST_TOKEN = 24
MOST_TOKENS = 1000
WORKER = (sys.executable, "-m", "diffugts", "worker")


@dataclass(frozen=True)
class Limits:
    """What a server gives at most. Sizes in bytes, times in seconds; `jobs_per_token` counts those not deleted yet."""

    scan_bytes: int = 2 << 30
    body_bytes: int = 1 << 20
    requests_per_minute: int = 600
    failed_logins_per_minute: int = 20
    jobs_per_token: int = 20
    keep_s: float = 24 * 3600.0
    upload_within_s: float = 3600.0
    chunk_within_s: float = 60.0
    cancel_within_s: float = 60.0


@dataclass(frozen=True)
class ServerSettings:
    """Everything that is decided when a server starts.

    Args:
        folder: where jobs lie until they are delivered; one server at a time.
        models: names that requests may use, with their folders.
        tokens: who may ask; empty on the loopback address only, where then everybody on this machine may.
        certificate, key: PEM files; none for plain HTTP.
        plain_http: answers beyond this machine without TLS: tokens and scans can be read on the way.
        gpus: CUDA devices, a worker for each; none for one worker that chooses.
        worker: the command line of a worker.
    """

    folder: Path
    models: dict[str, Path]
    host: str = "127.0.0.1"
    port: int = 8765
    tokens: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    plain_http: bool = False
    gpus: tuple[str, ...] = ()
    worker: tuple[str, ...] = WORKER
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise RequestError("TLS needs two files, the certificate and its key. Give both, or neither.")
        for path in (self.certificate, self.key):
            if path is not None and not path.is_file():
                raise RequestError(f"The file '{path}' for TLS is not there. Check the path.")
        if self.beyond_this_machine and not self.tokens:
            raise RequestError(
                f"The address '{self.host}' can be reached from other machines, and no token is set: anybody could use this "
                "server. Give a file of tokens with --tokens, or leave --host at 127.0.0.1."
            )
        if self.beyond_this_machine and self.certificate is None and not self.plain_http:
            raise RequestError(
                f"The address '{self.host}' can be reached from other machines, and without TLS scans and tokens could be "
                "read on the way. Give --certificate and --key, or put a proxy that has TLS in front and leave --host at "
                "127.0.0.1."
            )
        if not self.models:
            raise RequestError("There is no model to serve. Install one, or give a folder of models with --models.")

    @property
    def beyond_this_machine(self) -> bool:
        """Whether other machines can reach the address. A name is taken for one that they can, unless it is localhost."""
        try:
            return not ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"


def read_tokens(path: Path) -> tuple[str, ...]:
    """The tokens in a file, one a line; lines that begin with # are remarks.

    Raises RequestError where it cannot be read, others than its owner may read it, or a token is short.
    """
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise RequestError(f"The file of tokens '{path}' can be read by others. Make it yours alone: chmod 600.")
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise RequestError(f"The file of tokens '{path}' cannot be read: {error}. Check the path.") from error
    tokens = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not tokens or len(tokens) > MOST_TOKENS:
        raise RequestError(f"The file '{path}' holds {len(tokens)} tokens, expected 1 to {MOST_TOKENS}, one a line.")
    for number, token in enumerate(tokens, start=1):
        if len(token) < SHORTEST_TOKEN or not token.isascii() or any(sign.isspace() for sign in token):
            raise RequestError(
                f"Token {number} in '{path}' could be guessed or sent wrongly: expected at least {SHORTEST_TOKEN} letters and "
                "digits without spaces. docs/server.md has a command that makes one."
            )
    return tokens
