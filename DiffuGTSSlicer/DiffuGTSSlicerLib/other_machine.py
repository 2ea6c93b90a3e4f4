"""The other machine that may compute: its address, whether it was agreed to send scans there, and what a test of it said."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from slicer.i18n import tr as _

from diffugts.errors import InstallationError, RequestError
from DiffuGTSSlicerLib.background_program import BackgroundProgram
from DiffuGTSSlicerLib.device_options import OTHER_MACHINE, DeviceOption
from DiffuGTSSlicerLib.server_address import TOKEN_VARIABLE, ServerAddress, server_address
from DiffuGTSSlicerLib.setup_settings import SetupSettings
from DiffuGTSSlicerLib.slicer_python import slicer_python
from DiffuGTSSlicerLib.ticker import Ticker
from DiffuGTSSlicerLib.token_store import TokenStore
from DiffuGTSSlicerLib.worker_command import LIBRARY_FOLDER, WorkerCommand

ARGUMENTS = ("-m", "DiffuGTSSlicerLib.remote_worker")


class OtherMachine:
    """See the module's text. `listeners` are called at every change.

    Args:
        own_python: Slicer's own Python, which carries the scans over; looked for where left out.
    """

    def __init__(self, own_python: Path | None = None) -> None:
        self.settings = SetupSettings()
        self.tokens = TokenStore(self.settings)
        self.listeners: list[Callable[[], None]] = []
        self.models: tuple[str, ...] = ()
        """The server's models, as the last test found them."""
        self._own_python = own_python
        self._test: BackgroundProgram | None = None
        self._answer: dict[str, Any] | None = None
        self._outcome: tuple[str, bool] = ("", False)
        self._ticker = Ticker(self.tick)

    # -- what is set -------------------------------------------------------------------------------------------------

    @property
    def address(self) -> ServerAddress | None:
        """Where it is; None where no usable address is set."""
        try:
            return server_address(self.settings.server_address) if self.settings.server_address else None
        except RequestError:
            return None

    @property
    def token(self) -> str:
        """The token for the address."""
        return self.tokens.token_of(str(self.address)) if self.address is not None else ""

    def set_address(self, text: str) -> None:
        """Take an address as typed; it is kept as it is understood. One that cannot be is kept too, to be corrected."""
        try:
            text = str(server_address(text)) if text.strip() else ""
        except RequestError:
            text = text.strip()
        if text != self.settings.server_address:
            self.settings.server_address = text
            self._forget_test()

    def set_token(self, token: str) -> None:
        """Keep the token for the address that is set."""
        if self.address is not None and token.strip() != self.token:
            self.tokens.keep(str(self.address), token.strip())
            self._forget_test()

    def set_certificate(self, path: str) -> None:
        """Trust the certificate, or the authority, in a PEM file; empty for those that the system trusts."""
        if path != self.settings.server_certificate:
            self.settings.server_certificate = path
            self._forget_test()

    def devices(self) -> tuple[DeviceOption, ...]:
        """The device to choose, where an address is set."""
        if self.address is None:
            return ()
        label = _("Other machine ({host})").format(host=self.address.host)
        return (DeviceOption(OTHER_MACHINE, label, self._outcome[1]),)

    def problem(self) -> str:
        """What is missing before it can be used, in a sentence; empty where nothing is."""
        if self.address is not None:
            return ""
        if not self.settings.server_address:
            return _("Give the address of the other machine in Setup.")
        return _(
            "'{typed}' is not the address of a server, expected a name or number such as gpu-server or "
            "https://gpu-server:8765. Ask whoever runs the server."
        ).format(typed=self.settings.server_address[:100])

    # -- agreeing ----------------------------------------------------------------------------------------------------

    @property
    def agreed(self) -> bool:
        """Whether the user has agreed to send scans to just this address."""
        return self.address is not None and self.settings.server_agreed == str(self.address)

    def agree(self) -> None:
        """The user has read `what_leaves` and said yes. Also for scripts, whose author says it."""
        self.settings.server_agreed = str(self.address) if self.address is not None else ""
        self._notify()

    def withdraw(self) -> None:
        """Nothing more is sent before the user is asked anew."""
        self.settings.server_agreed = ""
        self._notify()

    def what_leaves(self) -> str:
        """What is sent, to where, and what becomes of it, in sentences."""
        text = _(
            "To compute there, this leaves your computer and is sent to {address}: the voxels of the volume, its geometry "
            "(size, spacing, position, axes), your descriptions, and the choices in this panel (quality, model, region, kind of "
            "scan, threshold, smallest lesion, seed). With them go the access token, the program's version, and what every "
            "connection shows: your network address and the time. Nothing else: no patient's name, number or date, no file "
            "name, no DICOM data. Text that you type into a description is sent as it is, and a head can be recognised by its "
            "face."
        ).format(address=self.address)
        if self.address is not None and not self.address.secure and not self.address.on_this_machine:
            text += " " + _("The way there is NOT encrypted: whoever is on the network can read all of it.")
        return (
            text
            + " "
            + _(
                "The server deletes the scan when the job is over, and the result when it has been fetched or after a time limit."
            )
        )

    def worker_command(self) -> WorkerCommand:
        """What carries jobs over. Raises InstallationError where nobody has agreed to that, or the address is missing."""
        if self.problem():
            raise InstallationError(self.problem())
        if not self.agreed:
            raise InstallationError(
                _("Nobody has agreed yet to send scans to {address}. Press Segment in the panel, which asks.").format(
                    address=self.address
                )
            )
        return self._command()

    # -- testing -----------------------------------------------------------------------------------------------------

    @property
    def testing(self) -> bool:
        """Whether a test runs."""
        return self._test is not None

    @property
    def outcome(self) -> str:
        """What the last test found, in a sentence; empty where none was made."""
        return self._outcome[0]

    def test(self) -> None:
        """Ask the server who it is. No scan and no text is sent, only the token."""
        if self.testing:
            return
        if self.problem():
            return self._tested(self.problem(), False)
        try:
            command = self._command("--test")
            self._answer = None
            self._test = BackgroundProgram(
                command.line, command.environment(), self._heard, lambda line: None, self._test_ended
            )
            self._test.start()
        except (OSError, ValueError, InstallationError) as error:
            return self._tested(str(error), False)
        self._ticker.start()
        self._notify()

    def tick(self) -> None:
        """Hand on news of the test. Called by the timer."""
        if self._test is not None:
            self._test.drain()

    def close(self) -> None:
        """End a test that runs: the module, or Slicer, ends."""
        self._ticker.stop()
        if self._test is not None:
            self._test.kill()
            self._test = None

    def _command(self, *more: str) -> WorkerCommand:
        python = self._own_python or slicer_python()
        if python is None:
            raise InstallationError(
                _("Slicer's own Python (PythonSlicer) was not found beside Slicer. Reinstall Slicer.")
            )
        certificate = self.settings.server_certificate
        arguments = (*ARGUMENTS, str(self.address), *(("--certificate", certificate) if certificate else ()), *more)
        environment = {**os.environ, TOKEN_VARIABLE: self.token}
        return WorkerCommand(python, LIBRARY_FOLDER, environment, keep_python_variables=True, arguments=arguments)

    def _heard(self, line: str) -> None:
        try:
            facts = json.loads(line)
        except ValueError:
            return
        self._answer = facts if isinstance(facts, dict) else None

    def _test_ended(self, code: int) -> None:
        self._ticker.stop()
        self._test, answer = None, self._answer
        if answer is None:
            return self._tested(_("The test ended without an answer. Try again."), False)
        if "message" in answer:
            return self._tested(str(answer["message"]), False)
        self.models = tuple(str(name) for name in answer.get("models", ()))
        text = _("It answers: DiffuGTS {version}, models {models}, {waiting} jobs wait there.").format(
            version=answer.get("version"), models=", ".join(self.models), waiting=answer.get("waiting", 0)
        )
        self._tested(text, True)

    def _tested(self, text: str, works: bool) -> None:
        self._outcome = (text, works)
        self._notify()

    def _forget_test(self) -> None:
        self.models = ()
        self._tested("", False)

    def _notify(self) -> None:
        for listener in list(self.listeners):
            listener()
