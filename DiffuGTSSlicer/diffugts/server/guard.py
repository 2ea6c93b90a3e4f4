"""Outermost: sizes held, foreign pages kept out, and no exception's text in a log."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from diffugts.protocol.remote import API
from diffugts.server.settings import ServerSettings

Message = MutableMapping[str, Any]
OWN_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
DEFECT = "Something went wrong on the server that it did not foresee. Try again; tell whoever runs the server if it stays so."
log = logging.getLogger("diffugts.server")


class _TooLarge(Exception):
    """More came than may; the application may take it for a body that cannot be read."""


class Guard:
    """An ASGI layer around the application."""

    def __init__(self, app: Callable[..., Awaitable[None]], settings: ServerSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if not self._settings.tokens and not _is_own_name(headers.get("host", "")):
            # A page of another site may have its name point to this machine; where there is no token, this keeps it out.
            await _refuse(send, 421, "host", "The server answers to localhost only, because it has no tokens.")
            return
        is_scan = (
            scope["method"] == "PUT" and scope["path"].startswith(f"{API}/jobs/") and scope["path"].endswith("/scan")
        )
        most = self._settings.limits.scan_bytes + 4096 if is_scan else self._settings.limits.body_bytes
        told = headers.get("content-length", "")
        if told.isdigit() and len(told) < 20 and int(told) > most:
            await _refuse(send, 413, "too large", f"The request has more than the {most} bytes that are taken.")
            return
        await self._watched(scope, receive, send, most)

    async def _watched(
        self,
        scope: Message,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
        most: int,
    ) -> None:
        arrived, answered, too_large = 0, False, False

        async def counted() -> Message:
            nonlocal arrived, too_large
            message = await receive()
            arrived += len(message.get("body", b""))
            if arrived > most:
                too_large = True
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal answered
            if answered or not too_large:
                answered = True
                await send(message)

        try:
            await self._app(scope, counted, noted)
        except _TooLarge:
            pass  # refused below
        except Exception as error:  # noqa: BLE001 - its text may quote a description, so only its kind and place are logged
            last = traceback.extract_tb(error.__traceback__)[-1]
            log.error("%s in %s, line %s", type(error).__name__, last.filename, last.lineno)
            if not answered:
                await _refuse(send, 500, "error", DEFECT)
        if too_large and not answered:
            await _refuse(send, 413, "too large", f"The request has more than the {most} bytes that are taken.")


def _is_own_name(host: str) -> bool:
    name = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    return name.lower() in OWN_NAMES


async def _refuse(send: Callable[[Message], Awaitable[None]], status: int, code: str, sentence: str) -> None:
    body = json.dumps({"code": code, "message": sentence}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
