"""The collapsed group Several volumes of Describe: the scans of the scene, to be ticked and segmented one after the other.

Nothing is seen of it while the scene holds a single scan. Results of earlier runs are not listed: they are no scans.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import qt
import slicer
from slicer.i18n import tr as _
from slicer.util import VTKObservationMixin

from DiffuGTSSlicerLib.findings_table import tooltip
from DiffuGTSSlicerLib.scans_in_scene import scans_of
from DiffuGTSSlicerLib.watched_nodes import WatchedNodes

FILL_AFTER_MS = 100
"""Nodes come and go in groups: the list follows once, afterwards."""

ROWS_SHOWN, ROW_SPACE_PX = 6, 8


class SeveralVolumes(VTKObservationMixin):
    """Keeps the list in step with the scene.

    Args:
        ui: the widgets of DiffuGTSSlicer.ui.
        scene: the scene.
        ticked: called with all volumes that are ticked when the user has ticked or unticked any.
    """

    def __init__(
        self, ui: Any, scene: slicer.vtkMRMLScene, ticked: Callable[[list[slicer.vtkMRMLScalarVolumeNode]], None]
    ) -> None:
        super().__init__()
        self._ui, self._scene, self._ticked = ui, scene, ticked
        self._listed: list[tuple[str, str]] = []
        self._chosen: tuple[str, ...] = ()
        self._tips: dict[str, str] = {}
        self._names = WatchedNodes(self.fill)
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(FILL_AFTER_MS)
        self._timer.connect("timeout()", self.fill)
        for event in (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndImportEvent, scene.EndCloseEvent):
            self.addObserver(scene, event, self._scene_changed)
        ui.severalGroup.collapsed = True
        ui.volumesList.connect("itemChanged(QListWidgetItem*)", self._item_changed)
        ui.tickAllButton.connect("clicked()", self._tick_all)
        ui.tickNoneButton.connect("clicked()", self._tick_none)
        self.fill()

    def cleanup(self) -> None:
        """Follow the scene no more."""
        self.removeObservers()
        self._names.watch()
        self._timer.stop()

    def show(
        self, chosen: Sequence[slicer.vtkMRMLScalarVolumeNode], said: Mapping[str, Sequence[str]] | None = None
    ) -> None:
        """Tick these volumes. `said` are sentences on volumes by their IDs, read where the mouse is held over one."""
        self._chosen = tuple(node.GetID() for node in chosen)
        self._tips = {identifier: "\n".join(sentences) for identifier, sentences in (said or {}).items()}
        self._show_ticks()  # never another list from here: this is called while Qt is telling of a tick in this one

    def fill(self) -> None:
        """List the scans that are in the scene now."""
        if self._scene.IsImporting() or self._scene.IsClosing():
            return
        nodes = list(scans_of(self._scene))
        self._names.watch(*nodes)
        listed = [(node.GetID(), node.GetName()) for node in nodes]
        if listed != self._listed:
            self._listed = listed
            volumes = self._ui.volumesList
            volumes.blockSignals(True)
            volumes.clear()
            for _identifier, name in listed:
                item = qt.QListWidgetItem(name, volumes)
                item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsUserCheckable)
            volumes.blockSignals(False)
            row_px = volumes.fontMetrics().height() + ROW_SPACE_PX
            volumes.setFixedHeight(min(max(len(listed), 1), ROWS_SHOWN) * row_px + 2 * volumes.frameWidth)
        self._show_ticks()

    def _show_ticks(self) -> None:
        volumes = self._ui.volumesList
        volumes.blockSignals(True)
        for number, (identifier, name) in enumerate(self._listed):
            item = volumes.item(number)
            item.setCheckState(qt.Qt.Checked if identifier in self._chosen else qt.Qt.Unchecked)
            item.setToolTip(tooltip("\n".join(filter(None, (name, self._tips.get(identifier, ""))))))
        volumes.blockSignals(False)
        count = sum(identifier in self._chosen for identifier, _name in self._listed)
        self._ui.severalGroup.visible = len(self._listed) > 1 or count > 0
        title = _("Several volumes: {count} ticked").format(count=count)
        self._ui.severalGroup.title = title if count else _("Several volumes")

    def _item_changed(self, item: qt.QListWidgetItem) -> None:
        number = self._ui.volumesList.row(item)
        if 0 <= number < len(self._listed):
            identifier = self._listed[number][0]
            others = [each for each in self._chosen if each != identifier]
            self._tell([*others, identifier] if item.checkState() == qt.Qt.Checked else others)

    def _tick_all(self) -> None:
        self._tell([identifier for identifier, _name in self._listed])

    def _tick_none(self) -> None:
        self._tell([])

    def _tell(self, ticked: list[str]) -> None:
        """The volumes in the order of the scene, whatever the order they were ticked in."""
        nodes = [self._scene.GetNodeByID(each) for each, _name in self._listed if each in ticked]
        self._ticked([node for node in nodes if node is not None])

    def _scene_changed(self, caller: object, event: str) -> None:
        self._timer.start()
