"""The section Describe: which volume, what to look for, how; and what is worth knowing before it starts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from diffugts.errors import DiffuGTSError
from DiffuGTSSlicerLib.advanced_choices import AdvancedChoices, chosen_fields
from DiffuGTSSlicerLib.choices import ModalityChoice
from DiffuGTSSlicerLib.description_colours import DescriptionColours
from DiffuGTSSlicerLib.description_examples import examples_by_region
from DiffuGTSSlicerLib.description_history import forget_descriptions, remember_descriptions, used_descriptions
from DiffuGTSSlicerLib.device_options import OTHER_MACHINE, DeviceOption
from DiffuGTSSlicerLib.expected_cost import ExpectedCost
from DiffuGTSSlicerLib.finding_colours import Colour
from DiffuGTSSlicerLib.job import Job, Order
from DiffuGTSSlicerLib.model_folders import ModelOption
from DiffuGTSSlicerLib.preflight import ModelLimits, warnings_about
from DiffuGTSSlicerLib.results import colours_on
from DiffuGTSSlicerLib.scan_kind import KnownKinds
from DiffuGTSSlicerLib.scans_in_scene import red_view, shown_volume
from DiffuGTSSlicerLib.segmentation_inputs import SegmentationInputs, orders_of
from DiffuGTSSlicerLib.several_preflight import SeveralPreflight
from DiffuGTSSlicerLib.several_volumes import SeveralVolumes
from DiffuGTSSlicerLib.watched_nodes import WatchedNodes

AUTOMATIC_DEVICE = "auto"
SHARE_OF_VOLUME_FOR_NEW_REGION = 0.5
"""Of each edge: a region that the user adds begins in the middle of the volume, where it can be grasped and moved."""


class Environment(Protocol):
    """What this section needs to know of the worker's environment."""

    listeners: list[Callable[[], None]]

    def readiness(self) -> tuple[bool, str]: ...
    def devices(self) -> tuple[DeviceOption, ...]: ...
    def models(self) -> tuple[ModelOption, ...]: ...


class Costs(Protocol):
    """What this section needs to know of the jobs."""

    @property
    def unfinished(self) -> tuple[Job, ...]: ...
    def expected(self, *orders: Order) -> ExpectedCost: ...
    def keeps_scan_of(self, order: Order) -> bool: ...


class DescribeSection:
    """The inputs of a job, kept in the parameter node.

    Args:
        ui: the widgets of DiffuGTSSlicer.ui.
        environment: devices and models to choose from, and whether a worker can be started.
        costs: what a job will take.
        changed: called when anything was chosen, typed or became available.
    """

    def __init__(self, ui: Any, environment: Environment, costs: Costs, changed: Callable[[], None]) -> None:
        self._ui, self._environment, self._costs, self._changed = ui, environment, costs, changed
        self._parameters: Any = None
        self._gui_tag: int | None = None
        self._observer_tag: int | None = None
        self._showing = False
        self._warnings: tuple[Any, tuple[str, ...]] = (None, ())
        self._ready, self._state = False, ""
        self._models: dict[str, ModelOption] = {}
        self._devices: dict[str, DeviceOption] = {}
        self._kinds = KnownKinds()
        self._nodes, self._red_view = WatchedNodes(self.refresh), WatchedNodes(self._take_shown_volume)
        self._colours = DescriptionColours(ui.descriptionsEdit, ui.coloursLabel, self._colours_of)
        self._advanced = AdvancedChoices(ui)
        self._several = SeveralVolumes(ui, slicer.mrmlScene, self._volumes_ticked)
        self._several_preflight = SeveralPreflight(self._found_warnings, self.refresh)
        self._history_menu, self._examples_menu = qt.QMenu(ui.historyButton), qt.QMenu(ui.examplesButton)
        self._submenus = [self._region_menu(region, texts) for region, texts in examples_by_region()]
        ui.examplesButton.setMenu(self._examples_menu)
        ui.historyButton.setMenu(self._history_menu)
        self._history_menu.connect("aboutToShow()", self._fill_history)
        ui.descriptionsEdit.connect("textChanged()", self._descriptions_typed)
        ui.modelSelector.connect("currentIndexChanged(int)", self._model_chosen)
        ui.deviceSelector.connect("currentIndexChanged(int)", self._device_chosen)
        ui.roiSelector.connect("nodeAddedByUser(vtkMRMLNode*)", self._place_region)
        environment.listeners.append(self.look_at_environment)
        self.look_at_environment()

    def cleanup(self) -> None:
        """Let go of the parameter node and the environment."""
        self._environment.listeners.remove(self.look_at_environment)
        self.set_parameters(None)
        self._several.cleanup()
        self._several_preflight.cleanup()

    def look_at_environment(self) -> None:
        """Ask anew what can be chosen and whether a worker can be started: both look at the disk, so not at every key."""
        self._ready, self._state = self._environment.readiness()
        self._models = _by_key(self._environment.models())
        self._devices = {option.value: option for option in self._environment.devices()}
        self.refresh()

    def set_parameters(self, parameters: Any) -> None:
        """Show another parameter node, or none while the scene is closed."""
        same = _same_node(self._parameters, parameters)
        if self._parameters is not None and not same:
            self._parameters.disconnectGui(self._gui_tag)
            self._parameters.RemoveObserver(self._observer_tag)
            self._nodes.watch()
            self._red_view.watch()
        if not same:
            self._parameters = parameters
        if parameters is not None and not same:
            self._gui_tag = parameters.connectParametersToGui(self._connected_widgets())
            self._observer_tag = parameters.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda *_: self.refresh())
        if parameters is not None:
            self._red_view.watch(red_view(slicer.mrmlScene))
        self._take_shown_volume()
        self.refresh()

    def _take_shown_volume(self) -> None:
        """Where no volume is chosen, it is the one that is shown; also one that is loaded while the panel is open."""
        if self._parameters is not None and self._parameters.volume is None:
            self._parameters.volume = shown_volume(slicer.mrmlScene)

    def _connected_widgets(self) -> dict[str, Any]:
        """The widgets that Slicer itself keeps in step with the parameter node. Not the descriptions: its connector writes
        the whole text at every key, which takes the cursor to the start."""
        ui = self._ui
        chosen = (ui.volumeSelector, ui.roiSelector, ui.qualitySelector, ui.modalitySelector)
        widgets = (*chosen, *self._advanced.widgets)
        return {widget.property("SlicerParameterName"): widget for widget in widgets}

    def take_typed(self) -> None:
        """Take what is being typed in a field whose value counts only when the typing is over."""
        self._advanced.take_typed()

    def inputs(self) -> SegmentationInputs:
        """What is chosen now."""
        if self._parameters is None:
            return SegmentationInputs(None, ())
        chosen = self._parameters
        return SegmentationInputs(
            chosen.volume,
            chosen.descriptions.splitlines(),
            chosen.roi,
            chosen.quality.value,
            self._model_of(chosen.model),
            chosen.device if chosen.device in self._devices else AUTOMATIC_DEVICE,
            chosen.modality.value,
            chosen_fields(chosen),
            find_kind=self._kinds.of,
        )

    def ticked(self) -> tuple[slicer.vtkMRMLScalarVolumeNode, ...]:
        """The volumes that are ticked under Several volumes; where there are any, they count instead of the chosen one."""
        ticked = self._parameters.volumes if self._parameters is not None else ()
        # A reference to a volume that was deleted may linger in what the parameter node remembers.
        return tuple(node for node in ticked if node is not None and node.GetScene() is slicer.mrmlScene)

    def missing(self) -> tuple[str, ...]:
        """A sentence for everything that is missing before a job can start; empty when it can."""
        inputs = self.inputs()
        missing = self._several_preflight.missing if self.ticked() else inputs.missing()
        if inputs.device == OTHER_MACHINE:  # nothing has to be installed here for that
            return missing
        return (*(() if self._ready else (self._state,)), *missing)

    def shown_orders(self) -> tuple[Order, ...]:
        """The orders of what is chosen, for showing; empty where something is missing. Of several volumes, those of the
        last look: to make thirty orders anew at every sign of a job takes too long."""
        if self.ticked():
            return self._several_preflight.orders
        try:
            return (self.inputs().order(),)
        except DiffuGTSError:
            return ()

    def orders(self) -> tuple[Order, ...]:
        """An order for each volume that is to be segmented, as it is now. Raises RequestError or ScanError."""
        inputs, ticked = self.inputs(), self.ticked()
        return orders_of(inputs.for_each(ticked) if ticked else (inputs,))

    def remember(self, descriptions: Iterable[str]) -> None:
        """Put descriptions that are being used into the history."""
        remember_descriptions(descriptions)

    def refresh(self) -> None:
        """Show what the parameter node, the environment and the scene say now.

        Not in the middle of loading or closing a scene: looking for a volume's DICOM data then would have Slicer merge the
        subject hierarchies before all nodes are there.
        """
        if slicer.mrmlScene.IsImporting() or slicer.mrmlScene.IsClosing():
            return
        self._showing = True
        try:
            self._show_choices()
            if self._parameters is not None:
                text = self._parameters.descriptions
                if self._ui.descriptionsEdit.toPlainText() != text:  # written only then: the cursor would jump
                    self._ui.descriptionsEdit.setPlainText(text)
        finally:
            self._showing = False
        self._look_at_several()
        chosen = (self._parameters.volume, self._parameters.roi) if self._parameters is not None else ()
        self._nodes.watch(*dict.fromkeys((*chosen, *self.ticked())))
        self.show_preflight()
        self._changed()

    def show_preflight(self) -> None:
        """Say what does not do, what does not fit, and what the job will take; and show what colours it will bring."""
        self._colours.draw()
        several = self.ticked()
        if several:
            lines = self._several_preflight.lines()
        else:
            lines = [f"⚠ {sentence}" for sentence in (*self.inputs().problems(), *self._current_warnings())]
        orders = self.shown_orders()  # what is missing is said at the button
        if orders:
            cost = self._costs.expected(*orders).in_words()
            if several:
                count = _("{count} volumes, one after the other.").format(count=len(orders))
                cost = f"{count} {cost}".rstrip()
            elif self._costs.keeps_scan_of(orders[0]):
                cost = _("The worker still knows this scan: a further description is quick.") + f" {cost}"
            lines += [cost] if cost else []
            if orders[0].device == OTHER_MACHINE:
                one = _("It is computed on another machine: the volume and the descriptions are sent there.")
                all_of_them = _(
                    "They are computed on another machine: the volumes and the descriptions are sent there."
                )
                lines.append(all_of_them if several else one)
        self._ui.preflightLabel.text = "\n".join(lines)
        self._ui.preflightLabel.visible = bool(lines)

    # -- several volumes ---------------------------------------------------------------------------------------------

    def _volumes_ticked(self, volumes: list[slicer.vtkMRMLScalarVolumeNode]) -> None:
        if self._parameters is not None:
            self._parameters.volumes = volumes

    def _look_at_several(self) -> None:
        inputs, ticked = self.inputs(), self.ticked()
        self._several_preflight.look(inputs.for_each(ticked), inputs)
        self._several.show(ticked, self._several_preflight.said)

    # -- volume and warnings -----------------------------------------------------------------------------------------

    def _current_warnings(self) -> tuple[str, ...]:
        """Warnings on the volume, found once for each state of it: this is called at every key."""
        inputs = self.inputs()
        volume = inputs.volume
        image = volume.GetImageData() if volume is not None else None
        if volume is None or image is None:
            return ()
        seen = (volume.GetID(), volume.GetMTime(), image.GetMTime(), inputs.modality, inputs.model)
        if self._warnings[0] != seen:
            self._warnings = (seen, self._found_warnings(inputs))
        return self._warnings[1]

    def _found_warnings(self, inputs: SegmentationInputs) -> tuple[str, ...]:
        try:
            kind = inputs.kind()
            geometry = inputs.geometry()
        except DiffuGTSError:
            return ()  # said at the button: it is missing, not unusual
        limits = ModelLimits.of(Path(inputs.model))
        return warnings_about(inputs.volume, geometry, kind, limits)

    def _place_region(self, roi: slicer.vtkMRMLMarkupsROINode) -> None:
        """A new region is put where it can be seen: into the middle of the volume."""
        volume = self._parameters.volume if self._parameters is not None else None
        if volume is None or volume.GetImageData() is None:
            return
        bounds = [0.0] * 6
        volume.GetRASBounds(bounds)
        roi.SetCenterWorld([(low + high) / 2 for low, high in zip(bounds[::2], bounds[1::2])])
        roi.SetSizeWorld([SHARE_OF_VOLUME_FOR_NEW_REGION * (b - a) for a, b in zip(bounds[::2], bounds[1::2])])
        roi.CreateDefaultDisplayNodes()
        self.refresh()

    # -- descriptions ------------------------------------------------------------------------------------------------

    def _descriptions_typed(self) -> None:
        if self._parameters is not None and not self._showing:
            self._parameters.descriptions = self._ui.descriptionsEdit.toPlainText()

    def _colours_of(self, descriptions: Sequence[str]) -> tuple[Colour, ...]:
        """The colours of their segments on the volume, the first one of several, once the jobs in line have theirs."""
        volume = next(iter(self.ticked()), self.inputs().volume)
        volume_id = volume.GetID() if volume is not None else ""
        colours = colours_on(slicer.mrmlScene, volume_id)
        for job in self._costs.unfinished:
            if job.order.volume_id == volume_id:
                colours.take(job.order.descriptions)
        return colours.take(descriptions)

    def add_description(self, text: str) -> None:
        """Put a description on a line of its own, if it is not there."""
        lines = [line for line in self._ui.descriptionsEdit.toPlainText().splitlines() if line.strip()]
        if text not in (line.strip() for line in lines):
            self._ui.descriptionsEdit.setPlainText("\n".join([*lines, text]))

    def _region_menu(self, region: str, texts: tuple[str, ...]) -> qt.QMenu:
        menu = self._examples_menu.addMenu(region)
        for text in texts:
            menu.addAction(text).connect("triggered()", partial(self.add_description, text))
        return menu

    def _fill_history(self) -> None:
        self._history_menu.clear()
        used = used_descriptions()
        for text in used:
            shown = text if len(text) <= 80 else text[:79] + "…"
            self._history_menu.addAction(shown.replace("&", "&&")).connect(
                "triggered()", partial(self.add_description, text)
            )
        if used:
            self._history_menu.addSeparator()
            self._history_menu.addAction(_("Clear history")).connect("triggered()", forget_descriptions)
        else:
            self._history_menu.addAction(_("Nothing was used yet")).enabled = False

    # -- model and device --------------------------------------------------------------------------------------------

    def _show_choices(self) -> None:
        models = [(key, key) for key in self._models]
        devices = [(option.value, option.label) for option in self._devices.values()]
        model = self._parameters.model if self._parameters is not None else ""
        device = self._parameters.device if self._parameters is not None else ""
        _fill(self._ui.modelSelector, models, model)
        _fill(self._ui.deviceSelector, devices, device)
        chosen_model = self._models.get(self._ui.modelSelector.itemData(self._ui.modelSelector.currentIndex))
        self._ui.modelSelector.toolTip = chosen_model.title if chosen_model is not None else _("No model was found")
        self._ui.deviceSelector.toolTip = self._device_in_words()
        self._ui.modalitySelector.setItemText(0, self._automatic_modality())
        self._advanced.show(self._parameters, self._model_of(model))

    def _device_in_words(self) -> str:
        device = self._devices.get(self._ui.deviceSelector.itemData(self._ui.deviceSelector.currentIndex))
        if device is None:
            return _("No device was found")
        if device.value == OTHER_MACHINE:
            return _("{device}: set up and tested in Setup. Scans are sent there.").format(device=device.label)
        if device.proven:
            return _("{device}: a computation on it came out right in the last check.").format(device=device.label)
        return _("{device}: not tried yet. Press Check in Setup.").format(device=device.label)

    def _automatic_modality(self) -> str:
        """The first entry of the modality says what will be taken."""
        word = ModalityChoice.AUTOMATIC.label()
        if self._parameters is None or self._parameters.volume is None:
            return word
        try:
            kind = replace(self.inputs(), modality=None).kind()
        except DiffuGTSError:
            return word
        return f"{word}: {kind.modality}" + (f" {kind.sequence}" if kind.sequence else "")

    def _model_chosen(self, index: int) -> None:
        if self._parameters is not None and not self._showing and index >= 0:
            self._parameters.model = self._ui.modelSelector.itemData(index)

    def _device_chosen(self, index: int) -> None:
        if self._parameters is not None and not self._showing and index >= 0:
            self._parameters.device = self._ui.deviceSelector.itemData(index)

    def _model_of(self, key: str) -> str:
        """What a request names a model by: its folder. One that is not here any more gives way to the first."""
        chosen = self._models.get(key) or next(iter(self._models.values()), None)
        return str(chosen.folder) if chosen is not None else key


def _by_key(models: Iterable[ModelOption]) -> dict[str, ModelOption]:
    """Models by what the parameter node names them: their name, which means the same on another computer; the folder
    for a second one of that name."""
    found: dict[str, ModelOption] = {}
    for model in models:
        found[model.name if model.name not in found else str(model.folder)] = model
    return found


def _same_node(one: Any, other: Any) -> bool:
    return one is not None and other is not None and one.parameterNode is other.parameterNode


def _fill(selector: qt.QComboBox, entries: list[tuple[str, str]], chosen: str) -> None:
    """List (value, label) pairs in a combo box and select a value, the first where it is not among them."""
    if [(selector.itemData(n), selector.itemText(n)) for n in range(selector.count)] != entries:
        selector.clear()
        for value, label in entries:
            selector.addItem(label, value)
    if entries:
        selector.currentIndex = max(0, selector.findData(chosen))
