"""The part of Setup on another machine that computes: address, token, certificate, Test; and the question before the first scan."""

from __future__ import annotations

from pathlib import Path

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.device_options import OTHER_MACHINE
from DiffuGTSSlicerLib.job import Order
from DiffuGTSSlicerLib.other_machine import OtherMachine


class OtherMachineSection:
    """Shows an OtherMachine and changes it.

    Args:
        container: where the widgets go, with a layout.
        ui_path: of OtherMachineSection.ui.
        machine: what is shown and changed.
    """

    def __init__(self, container: qt.QWidget, ui_path: str, machine: OtherMachine) -> None:
        self._machine = machine
        widget = slicer.util.loadUI(ui_path)
        container.layout().addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self.ui.otherMachineGroup.collapsed = not machine.settings.server_address
        self.ui.certificateEdit.filters = ctk.ctkPathLineEdit.Files
        self.ui.serverEdit.connect("editingFinished()", lambda: machine.set_address(self.ui.serverEdit.text))
        self.ui.tokenEdit.connect("editingFinished()", lambda: machine.set_token(self.ui.tokenEdit.text))
        self.ui.certificateEdit.connect("currentPathChanged(QString)", self._take_certificate)
        self.ui.testButton.connect("clicked()", self._test)
        self.ui.askAgainButton.connect("clicked()", machine.withdraw)
        machine.listeners.append(self.show)
        self.show()

    def cleanup(self) -> None:
        """The module ends."""
        if self.show in self._machine.listeners:
            self._machine.listeners.remove(self.show)
        self._machine.close()

    def show(self) -> None:
        """Show the machine as it is set now."""
        machine, ui = self._machine, self.ui
        for edit, text in ((ui.serverEdit, machine.settings.server_address), (ui.tokenEdit, machine.token)):
            if edit.text != text:
                edit.text = text
        if ui.certificateEdit.currentPath != machine.settings.server_certificate:
            ui.certificateEdit.currentPath = machine.settings.server_certificate
        secure = machine.address is None or machine.address.secure
        for part in (ui.certificateLabel, ui.certificateEdit):
            part.visible = secure
        ui.tokenEdit.enabled = machine.address is not None
        ui.testButton.enabled = machine.address is not None and not machine.testing
        ui.askAgainButton.visible = machine.agreed
        ui.serverStateLabel.text = "\n".join(self._sentences())
        ui.serverStateLabel.visible = bool(ui.serverStateLabel.text)

    def agreed_to(self, order: Order) -> bool:
        """Whether an order may leave this machine, if it is to; asks before the first one to an address."""
        machine = self._machine
        if order.device != OTHER_MACHINE or machine.agreed:
            return True
        if machine.problem():
            return False
        question = machine.what_leaves() + "\n\n" + _("You are asked once for each address. Send it?")
        if slicer.util.confirmOkCancelDisplay(question, _("Compute on another machine")):
            machine.agree()
        return machine.agreed

    def _sentences(self) -> list[str]:
        machine = self._machine
        said = [_("Asking {address}…").format(address=machine.address)] if machine.testing else [machine.outcome]
        if machine.settings.server_address and machine.problem():
            said = [machine.problem()]
        if machine.token and not machine.tokens.safe:
            said.append(_("⚠ There is no keyring that keeps the token: it lies readable in Slicer's settings."))
        if machine.address is not None and not machine.address.secure and not machine.address.on_this_machine:
            said.append(_("⚠ Without https:// scans and token can be read on the way."))
        if machine.agreed:
            said.append(_("You have agreed to send scans there when you choose it as the device."))
        return [sentence for sentence in said if sentence]

    def _take_certificate(self, path: str) -> None:
        if not path or Path(path).exists():
            self._machine.set_certificate(path)

    def _test(self) -> None:
        self._machine.set_address(self.ui.serverEdit.text)
        self._machine.set_token(self.ui.tokenEdit.text)
        self._machine.test()
