"""The section Setup of the panel: what is installed, whether it works, and the clicks that change it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import ctk
import qt
import slicer
from slicer.i18n import tr as _

from DiffuGTSSlicerLib.environment import Environment
from DiffuGTSSlicerLib.package_install import UNPACKED_PER_WHEEL
from DiffuGTSSlicerLib.setup_activity import CHECK
from DiffuGTSSlicerLib.setup_report import device_warnings, fill_report_table, report_as_text
from DiffuGTSSlicerLib.setup_sentences import sentence_of, size_in_words
from DiffuGTSSlicerLib.setup_settings import OTHER_PYTHON, OWN_FOLDER
from DiffuGTSSlicerLib.torch_builds import advice, chosen_build, nvidia_driver_found, torch_builds

INDEX, WHEELS = "index", "wheels"


class SetupSection:
    """Shows an Environment and asks before it changes anything.

    Args:
        container: a ctkCollapsibleButton with a QVBoxLayout; its title shows the state.
        ui_path: of SetupSection.ui.
        environment: what is shown and changed.
    """

    def __init__(self, container: qt.QWidget, ui_path: str, environment: Environment) -> None:
        self._container, self._environment = container, environment
        widget = slicer.util.loadUI(ui_path)
        container.layout().addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        self._showing = False
        self._driver = nvidia_driver_found()
        self._was_ready: bool | None = None
        self._shown_report: Any = None
        self._fill_choices()
        for button, action in (
            (self.ui.installButton, self._install),
            (self.ui.repairButton, self._repair),
            (self.ui.resumeButton, environment.resume),
            (self.ui.discardButton, environment.discard),
            (self.ui.removeButton, self._remove),
            (self.ui.checkButton, environment.check),
            (self.ui.cancelButton, environment.cancel),
            (self.ui.copyButton, self._copy_report),
        ):
            button.connect("clicked()", action)
        environment.listeners.append(self.show)
        self.show()

    def enter(self) -> None:
        """The module was opened: go on with what a restart interrupted, else check what was never checked."""
        if self._environment.go_on_after_restart():
            self._container.collapsed = False  # what begins without a click is seen, with its Cancel
        else:
            self._environment.check_if_unknown()
        self.show()

    def exit(self) -> None:
        """The module was left; what runs goes on."""

    def cleanup(self) -> None:
        """The module ends: what runs is ended, an installation can be resumed later."""
        if self.show in self._environment.listeners:
            self._environment.listeners.remove(self.show)
        self._environment.close()

    # -- showing -----------------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Show the environment as it is now."""
        self._showing = True
        try:
            ready, line = self._environment.readiness()
            self._container.text = _("Setup: {state}").format(state=line.split(". ")[0].rstrip("."))
            self._show_state(ready, line)
            self._show_choices()
            self._show_details()
        finally:
            self._showing = False
        if self._environment.activity is None and ready is not self._was_ready:
            self._was_ready = ready
            self._container.collapsed = ready
            self.ui.sourceGroup.collapsed = ready

    def _show_state(self, ready: bool, line: str) -> None:
        environment, activity = self._environment, self._environment.activity
        fault = environment.fault
        sentences = [line] if activity or fault is None else list(dict.fromkeys([sentence_of(fault), line]))
        if activity is None and ready:
            sentences += device_warnings(environment.report)
        if activity is None and ready and environment.folder.interrupted is not None and environment.uses_own_folder:
            sentences.append(
                _(
                    "A repair was interrupted; the present packages stay in use. Press Resume to go on with it, or Discard."
                )
            )
        if activity is not None and activity.by_itself:
            sentences.append(_("The installation that you had started goes on after the restart. Cancel stops it."))
        if activity is not None and activity.task != CHECK:
            sentences.append(_("You can go on working meanwhile."))
        self.ui.stateLabel.text = "\n".join(sentences)
        share = environment.progress
        self.ui.progressBar.visible = activity is not None
        self.ui.progressBar.setRange(0, 0 if share is None else 100)
        self.ui.progressBar.setValue(int(100 * (share or 0.0)))
        idle, own = activity is None, environment.uses_own_folder
        whole, begun = environment.folder.record is not None, environment.folder.interrupted is not None
        for button, shown in (
            (self.ui.installButton, idle and own and not whole and not begun),
            (self.ui.resumeButton, idle and own and begun),
            (self.ui.discardButton, idle and own and begun),
            (self.ui.checkButton, idle and (whole or not own)),
            (self.ui.repairButton, idle and own and whole),
            (self.ui.removeButton, idle and own and (whole or environment.folder.leftover is not None)),
            (self.ui.cancelButton, not idle),
        ):
            button.visible = shown
        self.ui.modelsLabel.visible = self.ui.modelsEdit.visible = ready
        self.ui.cancelButton.enabled = activity is not None and not activity.stopping
        for choices in (self.ui.placeSelector, self.ui.pythonEdit, self.ui.modelsEdit):
            choices.enabled = idle

    def _show_choices(self) -> None:
        environment, settings = self._environment, self._environment.settings
        own, offline = environment.uses_own_folder, settings.package_source == WHEELS
        build = chosen_build(settings.torch_build, settings.torch_index)
        self._select(self.ui.placeSelector, OWN_FOLDER if own else OTHER_PYTHON)
        self._select(self.ui.fromSelector, WHEELS if offline else INDEX)
        self._select(self.ui.buildSelector, build.name)
        self._set_path(self.ui.pythonEdit, str(environment.other_python or settings.other_python))
        self._set_path(self.ui.modelsEdit, settings.models_folder)
        self._set_path(self.ui.wheelsEdit, settings.wheels_folder)
        self._set_path(self.ui.folderEdit, str(environment.folder.path.parent))
        if self.ui.addressEdit.text != settings.torch_index:
            self.ui.addressEdit.text = settings.torch_index
        self.ui.buildSelector.toolTip = build.explanation
        for label, field, shown in (
            (self.ui.pythonLabel, self.ui.pythonEdit, not own),
            (self.ui.wheelsLabel, self.ui.wheelsEdit, offline),
            (self.ui.buildLabel, self.ui.buildSelector, not offline),
            (self.ui.addressLabel, self.ui.addressEdit, not offline and build.needs_address),
        ):
            label.visible = field.visible = shown
        self.ui.sourceGroup.visible = own and environment.activity is None
        self.ui.sizeLabel.text = self._size_in_words()

    def _show_details(self) -> None:
        report = self._environment.report
        if report != self._shown_report:
            self._shown_report = report
            fill_report_table(self.ui.reportTable, report)
        self.ui.reportTable.visible = report is not None
        self.ui.detailsGroup.visible = report is not None or bool(self._environment.log)
        if self.ui.detailsGroup.collapsed:
            return  # thousands of lines are laid out only for somebody who reads them
        text = "\n".join(self._environment.log)
        if self.ui.logEdit.plainText != text:
            self.ui.logEdit.plainText = text
            bar = self.ui.logEdit.verticalScrollBar()
            bar.value = bar.maximum

    def _size_in_words(self) -> str:
        settings = self._environment.settings
        free = size_in_words(self._free_bytes())
        if settings.package_source == WHEELS:
            return _(
                "No network is used. Fill the folder on a computer that has one, as docs/installation.md tells. "
                "{free} are free at the destination."
            ).format(free=free)
        build = chosen_build(settings.torch_build, settings.torch_index)
        explanation = " ".join(filter(None, (build.explanation, advice(build, self._driver))))
        return _("{explanation}\nAbout {download} to download, {disk} on disk; {free} are free there.").format(
            explanation=explanation,
            download=size_in_words(int(build.download_bytes)),
            disk=size_in_words(int(build.disk_bytes)),
            free=free,
        )

    def _free_bytes(self) -> int:
        """On the disk that the packages would lie on; 0 where it cannot be told."""
        folder = self._environment.folder.path.parent
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        try:
            return shutil.disk_usage(folder).free
        except OSError:
            return 0

    # -- choosing ----------------------------------------------------------------------------------------------------

    def _fill_choices(self) -> None:
        self.ui.placeSelector.addItem(_("In a folder of the extension's own"), OWN_FOLDER)
        self.ui.placeSelector.addItem(_("In another Python on this computer"), OTHER_PYTHON)
        self.ui.fromSelector.addItem(_("A package index, over the network"), INDEX)
        self.ui.fromSelector.addItem(_("A folder of wheels, without a network"), WHEELS)
        for build in torch_builds():
            self.ui.buildSelector.addItem(build.title, build.name)
        for selector, setting in (
            (self.ui.placeSelector, "python_source"),
            (self.ui.fromSelector, "package_source"),
            (self.ui.buildSelector, "torch_build"),
        ):
            selector.connect("activated(int)", self._chooser(selector, setting))
        directories = ctk.ctkPathLineEdit.Dirs
        for edit, setting, filters in (
            (self.ui.pythonEdit, "other_python", ctk.ctkPathLineEdit.Files),
            (self.ui.modelsEdit, "models_folder", directories),
            (self.ui.wheelsEdit, "wheels_folder", directories),
            (self.ui.folderEdit, "parent_folder", directories),
        ):
            edit.filters = filters
            edit.connect("currentPathChanged(QString)", self._path_taker(setting))
        self.ui.addressEdit.connect("editingFinished()", self._take_address)
        self.ui.detailsGroup.collapsed = True
        for group in (self.ui.sourceGroup, self.ui.detailsGroup):
            group.connect("toggled(bool)", lambda opened: self.show())

    def _chooser(self, selector: qt.QComboBox, setting: str) -> Any:
        return lambda index: self._environment.choose(**{setting: str(selector.itemData(index))})

    def _path_taker(self, setting: str) -> Any:
        def take(path: str) -> None:
            # Typed paths come letter by letter: only what is there counts, or nothing.
            if not self._showing and (not path or Path(path).exists()):
                self._environment.choose(**{setting: path})

        return take

    def _take_address(self) -> None:
        if not self._showing:
            self._environment.choose(torch_index=self.ui.addressEdit.text.strip())

    @staticmethod
    def _select(selector: qt.QComboBox, data: str) -> None:
        selector.setCurrentIndex(selector.findData(data))

    @staticmethod
    def _set_path(edit: ctk.ctkPathLineEdit, path: str) -> None:
        if edit.currentPath != path and (not edit.currentPath or Path(edit.currentPath).exists() or path):
            edit.currentPath = path

    # -- asking ------------------------------------------------------------------------------------------------------

    def _install(self) -> None:
        first = _(
            "DiffuGTS needs these packages once. They are used by its background process only; Slicer is not changed."
        )
        self._ask_and_install(first, _("Install packages for DiffuGTS"))

    def _repair(self) -> None:
        first = _(
            "The packages are installed afresh; the present ones stay in use until the new ones have proven to work."
        )
        self._ask_and_install(first, _("Repair the packages of DiffuGTS"))

    def _ask_and_install(self, first: str, title: str) -> None:
        missing = self._missing_choice()
        if missing:
            self.ui.sourceGroup.collapsed = False
            self.ui.stateLabel.text = missing
            return
        if slicer.util.confirmOkCancelDisplay(f"{first}\n\n{self._plan_in_words()}", title):
            self._environment.install()

    def _missing_choice(self) -> str:
        settings = self._environment.settings
        if settings.package_source == WHEELS:
            return "" if settings.wheels_folder else _("Choose the folder of wheels first.")
        build = chosen_build(settings.torch_build, settings.torch_index)
        if build.needs_address and not settings.torch_index:
            return _("Give the address of the index for PyTorch first.")
        return ""

    def _plan_in_words(self) -> str:
        environment, settings = self._environment, self._environment.settings
        build = chosen_build(settings.torch_build, settings.torch_index)
        free = size_in_words(self._free_bytes())
        if settings.package_source == WHEELS:
            source = _("the folder '{folder}'; no network is used").format(folder=settings.wheels_folder)
            wheels = sum(path.stat().st_size for path in Path(settings.wheels_folder).glob("*.whl"))
            size = _("about {disk} on disk; {free} are free").format(
                disk=size_in_words(int(UNPACKED_PER_WHEEL * wheels)), free=free
            )
        else:
            usual = _("the Python Package Index (PyPI), or the index that pip is set up with on this computer")
            source = usual
            if build.needs_address:
                source = _("PyTorch from {address}; the others from {usual}").format(
                    address=settings.torch_index, usual=usual
                )
            size = _("about {download} to download, {disk} on disk; {free} are free").format(
                download=size_in_words(int(build.download_bytes)),
                disk=size_in_words(int(build.disk_bytes)),
                free=free,
            )
        offline = settings.package_source == WHEELS
        torch = _("as in the folder") if offline else build.title
        return _(
            "What: PyTorch ({build}), MONAI, diffusers, transformers, SimpleITK and what they need\n"
            "From: {source}\n"
            "Size: {size}\n"
            "To: {folder}\n\n"
            "It runs in the background, can be cancelled and resumed, and can be removed here. Nothing is sent "
            "anywhere: no image, no name, no usage data."
        ).format(build=torch, source=source, size=size, folder=environment.folder.path)

    def _remove(self) -> None:
        record = self._environment.folder.record or self._environment.folder.leftover
        question = _(
            "Delete the packages of DiffuGTS in '{folder}'? This frees {size}. Scans, results and Slicer itself stay as "
            "they are; a segmentation that is running is ended. To segment again, the packages have to be installed again."
        ).format(folder=self._environment.folder.path, size=size_in_words(record.size_bytes if record else 0))
        if slicer.util.confirmOkCancelDisplay(question, _("Remove the packages of DiffuGTS")):
            self._environment.remove()

    def _copy_report(self) -> None:
        line = self._environment.readiness()[1]
        text = report_as_text(line, self._environment.report, self._environment.log)
        slicer.app.clipboard().setText(text)
