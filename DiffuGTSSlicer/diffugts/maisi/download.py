"""Fetching NVIDIA's files: the one place in the engine that opens a network connection, and only when it is called.

`diffugts models fetch` calls it after it has said what comes from where, how large it is and under which licence, and the
user has agreed. Nothing of the user's goes out: the requests carry a file's address and where to go on.

A download goes to `<file>.part` and is taken up where it broke off. huggingface.co names the size and the SHA-256 of a
large file in its answer; the finished file is held against both before it gets its name.
"""

from __future__ import annotations

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from diffugts.errors import ModelError
from diffugts.maisi.checkpoints import sha256_of_file
from diffugts.maisi.published import PublishedFile

BLOCK = 1 << 20
TIMEOUT_S = 30
PART = ".part"
HOSTS = ("huggingface.co", ".huggingface.co", ".hf.co")
"""Where the files, and what huggingface.co leads on to, may lie."""

Progress = Callable[[PublishedFile, int, int], None]
"""(file, bytes there, bytes in all) -> None; may raise Cancelled."""


@dataclass(frozen=True)
class Announcement:
    """What the server says of a file before it is sent."""

    size: int
    sha256: str


class _Announced(Exception):
    """A redirection that was not followed, with its headers."""

    def __init__(self, headers: http.client.HTTPMessage) -> None:
        super().__init__()
        self.headers = headers


class _ToKnownHosts(urllib.request.HTTPRedirectHandler):
    """Follows redirections to huggingface.co's own hosts only, and only encrypted ones where the first was."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        old, new = urlsplit(req.full_url), urlsplit(newurl)
        if new.hostname != old.hostname and not is_known_host(new.hostname or ""):
            raise ModelError(
                f"The server leads on to '{new.hostname}', which is not NVIDIA's publisher. Nothing was fetched."
            )
        if old.scheme == "https" and new.scheme != "https":
            raise ModelError("The server leads on to an unencrypted address. Nothing was fetched.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _NotFollowed(urllib.request.HTTPRedirectHandler):
    """The first answer tells size and checksum; where it leads on to is of no interest yet."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        raise _Announced(headers)


def is_known_host(host: str) -> bool:
    """Whether a host belongs to huggingface.co."""
    return any(host == known or (known.startswith(".") and host.endswith(known)) for known in HOSTS)


def fetch(file: PublishedFile, folder: Path, url: str | None = None, progress: Progress | None = None) -> Path:
    """Download one file into `folder`, laid out as published; returns its path.

    A whole file that is there already is only checked. `url` replaces the published address, for a mirror of the
    institution's own. Raises ModelError, in a sentence, where there is no network, no such file, no room, or where
    what arrived is not what was announced; what arrived so far is kept and taken up again.
    """
    address = url or file.url
    announced = _announcement(address)
    target = folder / file.path
    if target.is_file():
        if target.stat().st_size == announced.size and sha256_of_file(target) == announced.sha256:
            return target
        raise ModelError(
            f"'{target}' is there already and is another file than the published one. Remove it or rename it."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + PART)
    _receive(address, part, announced.size, lambda there: progress(file, there, announced.size) if progress else None)
    found = sha256_of_file(part)
    if found != announced.sha256:
        part.unlink()
        raise ModelError(
            f"'{file.name}' arrived damaged: its SHA-256 is {found[:16]}..., announced was {announced.sha256[:16]}.... "
            "It was removed; fetch it again."
        )
    part.replace(target)
    return target


def _announcement(address: str) -> Announcement:
    opener = urllib.request.build_opener(_NotFollowed)
    try:
        with opener.open(urllib.request.Request(address, method="HEAD"), timeout=TIMEOUT_S) as answer:
            headers = answer.headers
    except _Announced as announced:
        headers = announced.headers
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise ModelError(_no_connection(address, error)) from error
    size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
    checksum = (headers.get("X-Linked-ETag") or headers.get("ETag") or "").strip('W/"').lower()
    if not size.isdigit() or not re.fullmatch("[0-9a-f]{64}", checksum):
        raise ModelError(
            f"The server does not name size and SHA-256 of '{address}', so what arrives could not be checked. Download the "
            "file by hand from its page, and use `diffugts models convert`."
        )
    return Announcement(int(size), checksum)


def _receive(address: str, part: Path, size: int, tell: Callable[[int], None]) -> None:
    there = part.stat().st_size if part.is_file() else 0
    if there > size:
        part.unlink()
        there = 0
    if there == size:
        return
    request = urllib.request.Request(address, headers={"Range": f"bytes={there}-"} if there else {})
    opener = urllib.request.build_opener(_ToKnownHosts)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            if there and answer.status != 206:  # the server does not go on in the middle
                there = 0
            with part.open("ab" if there else "wb") as out:
                tell(there)
                while block := answer.read(BLOCK):
                    out.write(block)
                    there += len(block)
                    tell(there)
    except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as error:
        raise ModelError(_no_connection(address, error)) from error
    except OSError as error:
        raise ModelError(
            f"'{part}' cannot be written: {error.strerror or error}. Make room, or choose another folder."
        ) from error
    if there != size:
        raise ModelError(
            f"The download broke off after {there / 1e6:.0f} of {size / 1e6:.0f} MB. Run the same command again; it goes on "
            "from there."
        )


def _no_connection(address: str, error: Exception) -> str:
    host = urlsplit(address).hostname
    if isinstance(error, urllib.error.HTTPError):
        return (
            f"'{host}' answers {error.code} ({error.reason}) for '{urlsplit(address).path}'. The file may have moved, or need an "
            "account there. Download it by hand from its page, and use `diffugts models convert`."
        )
    reason = getattr(error, "reason", None) or error
    return (
        f"There is no connection to '{host}' ({reason}). Where this machine has no network, download the files elsewhere, bring "
        "them here in a folder, and use `diffugts models convert`. If a download was under way, the same command goes on with it."
    )
