"""What the setup panel remembers between sessions, in Slicer's settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import qt

OWN_FOLDER, OTHER_PYTHON = "own", "other"


class _Text:
    """A text in the settings, empty where nothing was set."""

    def __init__(self, key: str) -> None:
        self._key = f"DiffuGTS/{key}"

    def __get__(self, instance: object, owner: type | None = None) -> str:
        value = qt.QSettings().value(self._key)
        return str(value) if value is not None else ""

    def __set__(self, instance: object, value: str) -> None:
        if value:
            qt.QSettings().setValue(self._key, value)
        else:
            qt.QSettings().remove(self._key)


class SetupSettings:
    """Each field is read from and written to Slicer's settings at once."""

    python_source = _Text("pythonSource")
    """OWN_FOLDER, OTHER_PYTHON, or empty while the user has chosen nothing."""
    other_python = _Text("otherPython")
    parent_folder = _Text("packagesParentFolder")
    package_source = _Text("packageSource")
    """ "wheels" where packages shall come from a folder, else from an index."""
    wheels_folder = _Text("wheelsFolder")
    torch_build = _Text("torchBuild")
    torch_index = _Text("torchIndex")
    models_folder = _Text("modelsFolder")
    goes_on = _Text("installationGoesOn")
    """The installation that was under way when Slicer was closed, so that it goes on by itself; else empty."""
    server_address = _Text("serverAddress")
    """Of the other machine that computes, as it was typed."""
    server_certificate = _Text("serverCertificate")
    server_agreed = _Text("serverAgreed")
    """The address that the user has agreed to send scans to."""
    server_token = _Text("serverToken")
    """Only where the system has no keyring."""
    _last_check = _Text("lastCheck")

    def remember_check(self, what: str, report: Mapping[str, Any]) -> None:
        """Keep a check's report; `what` tells which Python with which packages it was of."""
        self._last_check = json.dumps({"what": what, "report": report})

    def last_check_of(self, what: str) -> Mapping[str, Any] | None:
        """The report of the last check, if it was of the same."""
        try:
            facts = json.loads(self._last_check)
            return facts["report"] if facts["what"] == what else None
        except (ValueError, KeyError, TypeError):
            return None

    def forget_check(self) -> None:
        """The last check no longer holds."""
        self._last_check = ""
