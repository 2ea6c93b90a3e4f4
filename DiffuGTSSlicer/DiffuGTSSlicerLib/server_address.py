"""The address of another machine as a user types it, made the one that is connected to. Standard library only."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from diffugts.errors import RequestError

USUAL_PORT = 8765
TOKEN_VARIABLE = "DIFFUGTS_SERVER_TOKEN"
"""Of the environment in which `remote_worker` gets the token: command lines can be read by every user of a machine."""


@dataclass(frozen=True)
class ServerAddress:
    """A server that computes; `secure` where the way to it is encrypted (TLS)."""

    host: str
    port: int
    secure: bool

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.secure else 'http'}://{host}:{self.port}"

    @property
    def on_this_machine(self) -> bool:
        """Whether it is the loopback address: nothing leaves this machine."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def server_address(text: str) -> ServerAddress:
    """What a user typed, made whole: "gpu-server" is "https://gpu-server:8765".

    Without http:// or https:// it is TLS, but for this machine itself. Raises RequestError with a sentence.
    """
    typed = text.strip()
    scheme, sign, rest = typed.partition("://")
    if not sign:
        scheme, rest = "", typed
    try:
        parts = urlsplit(f"//{rest}")
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError as error:
        raise _unusable(typed) from error
    known_scheme = scheme.lower() in ("", "http", "https")
    if not known_scheme or parts.username or parts.path.strip("/") or parts.query or parts.fragment:
        raise _unusable(typed)
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9a-f:.]+", host) or port == 0:
        raise _unusable(typed)
    address = ServerAddress(host, port or USUAL_PORT, scheme.lower() != "http")
    if not scheme and address.on_this_machine:
        return ServerAddress(address.host, address.port, False)
    return address


def _unusable(typed: str) -> RequestError:
    return RequestError(
        f"'{typed:.100}' is not the address of a server, expected a name or number such as gpu-server or "
        "https://gpu-server:8765. Ask whoever runs the server."
    )
