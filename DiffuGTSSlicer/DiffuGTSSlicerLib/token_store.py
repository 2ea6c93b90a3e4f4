"""Where the token of a server is kept: in the system's keyring where Python's package `keyring` is there, else in settings."""

from __future__ import annotations

import importlib
import logging
from typing import Any

from DiffuGTSSlicerLib.setup_settings import SetupSettings

SERVICE = "DiffuGTS server"
LEAST_PRIORITY = 1
"""Of a system's own keyrings (keyring.core.recommended); those below are files, plain or asking on a terminal (keyrings.alt)."""


class TokenStore:
    """A token for each address. In Slicer's settings, readable by whoever reads the user's files, only without a keyring."""

    def __init__(self, settings: SetupSettings) -> None:
        self._settings = settings
        self._known: dict[str, str] = {}

    @property
    def safe(self) -> bool:
        """Whether there is a keyring, and it took the token: one that is locked leaves it in the settings."""
        return _keyring() is not None and not self._settings.server_token

    def token_of(self, address: str) -> str:
        """The token for an address, empty where there is none. The keyring is asked once: it may ask the user."""
        if address not in self._known:
            self._known[address] = self._read(address)
        return self._known[address]

    def keep(self, address: str, token: str) -> None:
        """Keep a token, or with an empty one forget it."""
        self._known[address] = token
        keyring = _keyring()
        self._settings.server_token = "" if keyring else _with_address(address, token)
        if keyring is None:
            return
        try:
            if token:
                keyring.set_password(SERVICE, address, token)
            elif keyring.get_password(SERVICE, address) is not None:
                keyring.delete_password(SERVICE, address)
        except Exception as error:  # noqa: BLE001 - each system's keyring has errors of its own
            logging.warning("DiffuGTS: the keyring does not keep the token (%s)", type(error).__name__)
            self._settings.server_token = _with_address(address, token)

    def _read(self, address: str) -> str:
        keyring = _keyring()
        if keyring is not None:
            try:
                return keyring.get_password(SERVICE, address) or self._from_settings(address)
            except Exception as error:  # noqa: BLE001 - see keep
                logging.warning("DiffuGTS: the keyring does not answer (%s)", type(error).__name__)
        return self._from_settings(address)

    def _from_settings(self, address: str) -> str:
        """The token in the settings, if it is of this address: another server is never shown it."""
        of_address, _, token = self._settings.server_token.partition(" ")
        return token if of_address == address else ""


def _with_address(address: str, token: str) -> str:
    return f"{address} {token}" if token else ""


def _keyring() -> Any | None:
    """The package keyring with the system's keyring behind it; None where either is missing. Nothing is installed for it."""
    try:
        keyring = importlib.import_module("keyring")
        behind = keyring.get_keyring()
        # Several are a chain, which writes into its first.
        first = next(iter(getattr(behind, "backends", ())), behind)
        return keyring if first.priority >= LEAST_PRIORITY else None
    except Exception:  # noqa: BLE001 - a broken installation is as good as none
        return None
