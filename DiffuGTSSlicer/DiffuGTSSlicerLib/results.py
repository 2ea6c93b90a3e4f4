"""A finished job brought into the scene: segments, score maps, the pseudo-healthy volume, the residual.

Everything is read and verified first; then nodes are added, never changed. A second run on the same volume adds a
second set beside the first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import slicer
import vtk
from slicer.i18n import tr as _

from diffugts.protocol import ResultManifest
from DiffuGTSSlicerLib import colour_tables
from DiffuGTSSlicerLib.finding_colours import VolumeColours, segment_name
from DiffuGTSSlicerLib.job import Job
from DiffuGTSSlicerLib.provenance import RESULT, ROLE, VOLUME_REFERENCE, ResultRecord
from DiffuGTSSlicerLib.result_files import ReadResult, greatest_distance_from_zero, read_result
from DiffuGTSSlicerLib.segment_masks import add_segment
from DiffuGTSSlicerLib.terminology import set_terminology
from DiffuGTSSlicerLib.volume_geometry import VolumeGeometry

SEGMENTATION, SCORE_MAP, PSEUDO_HEALTHY, RESIDUAL = "segmentation", "score map", "pseudo-healthy", "residual"
FOLDER_ATTRIBUTE = "DiffuGTS.Volume"
LOWEST_SHOWN_SHARE = 0.5
"""Scores below this share of the threshold are transparent: what is nearly found stays visible."""

NAME_WIDTH = 60


@dataclass(frozen=True)
class ImportedResult:
    """The IDs of the nodes of one result; empty where the result has no such volume. `folder_item` in the hierarchy."""

    segmentation_id: str
    score_map_ids: tuple[str, ...]
    pseudo_healthy_id: str
    residual_id: str
    folder_item: int
    record: ResultRecord


def import_result(
    job: Job, manifest: ResultManifest, scene: slicer.vtkMRMLScene, content: ReadResult | None = None
) -> ImportedResult:
    """Bring a checked result into the scene, beside everything that is there.

    `content` is what its files hold, where that was read already. The volume itself may have been deleted meanwhile: its
    grid was frozen. Raises ResultError where a file cannot be read or lies on another grid; nothing was added then.
    """
    result = content or read_result(manifest, job.order.geometry)
    volume = scene.GetNodeByID(job.order.volume_id)
    deleted = _("The volume '{name}' was deleted while the job ran.").format(name=job.order.volume_name)
    notes = () if volume else (deleted,)
    record = _coloured(ResultRecord.of(manifest, job.name, job.order.volume_name, notes), scene, job.order.volume_id)
    importing = _Import(scene, job, record, volume)
    try:
        imported = importing.all_of(result)
    except Exception:
        importing.take_back()
        raise
    job.notes += notes
    return imported


def nodes_of_result(scene: slicer.vtkMRMLScene, result: str) -> dict[str, list[slicer.vtkMRMLNode]]:
    """The nodes of a result by role, found by their attributes: it works in a scene that was loaded from a file."""
    found: dict[str, list[slicer.vtkMRMLNode]] = {}
    for kind in ("vtkMRMLSegmentationNode", "vtkMRMLScalarVolumeNode"):
        for node in slicer.util.getNodesByClass(kind, scene):
            if node.GetAttribute(RESULT) == result:
                found.setdefault(node.GetAttribute(ROLE), []).append(node)
    return found


def colours_on(scene: slicer.vtkMRMLScene, volume_id: str) -> VolumeColours:
    """The colours that the findings on a volume have now."""
    return VolumeColours.of(
        node
        for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode", scene)
        if node.GetAttribute(ROLE) == SEGMENTATION and node.GetNodeReferenceID(VOLUME_REFERENCE) == volume_id
    )


class _Import:
    """One import, which can be taken back if it fails half-way."""

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        job: Job,
        record: ResultRecord,
        volume: slicer.vtkMRMLScalarVolumeNode | None,
    ) -> None:
        self._scene, self._job, self._record, self._volume = scene, job, record, volume
        self._added: list[slicer.vtkMRMLNode] = []
        self._folder = 0
        self._geometry: VolumeGeometry = job.order.geometry
        self._hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
        self._run = self._next_run()

    def all_of(self, result: ReadResult) -> ImportedResult:
        folder = self._folder = self._add_folder()
        segmentation = self._add_segmentation(result)
        maps = []
        for number, (image, finding) in enumerate(zip(result.score_maps, self._record.findings)):
            name = _("score: {description}").format(description=_short(finding.description))
            node = self._add_volume(image, SCORE_MAP, name, number)
            self._show_score(node, finding.threshold)
            maps.append(node)
        healthy = self._add_optional(result.pseudo_healthy, PSEUDO_HEALTHY, self._show_as_input)
        residual = self._add_optional(result.residual, RESIDUAL, self._show_signed)
        for node in (segmentation, *maps, *(n for n in (healthy, residual) if n)):
            self._put_into(folder, node)
        return ImportedResult(
            segmentation.GetID(),
            tuple(node.GetID() for node in maps),
            healthy.GetID() if healthy else "",
            residual.GetID() if residual else "",
            folder,
            self._record,
        )

    def take_back(self) -> None:
        """Remove what was added so far."""
        for node in reversed(self._added):
            self._scene.RemoveNode(node)
        if self._folder:
            self._hierarchy.RemoveItem(self._folder, False, False)

    def _put_into(self, folder: int, node: slicer.vtkMRMLNode) -> None:
        item = self._hierarchy.GetItemByDataNode(node)
        if item:
            self._hierarchy.SetItemParent(item, folder)
        else:  # the application makes the item when a node is added; without it, it is made here
            self._hierarchy.CreateItem(folder, node)

    def _items(self) -> list[int]:
        """All items of the hierarchy that are there now."""
        items = vtk.vtkIdList()
        self._hierarchy.GetItemChildren(self._hierarchy.GetSceneItemID(), items, True)
        return [items.GetId(n) for n in range(items.GetNumberOfIds())]

    def _next_run(self) -> int:
        """Which run on this volume this is, from 1: names must tell them apart, the nodes' own IDs do anyway."""
        name = self._job.order.volume_name
        of_this = [item for item in self._items() if self._hierarchy.GetItemAttribute(item, FOLDER_ATTRIBUTE) == name]
        runs = [int(self._hierarchy.GetItemAttribute(item, "DiffuGTS.Run") or 0) for item in of_this]
        return max(runs, default=0) + 1

    def _named(self, text: str) -> str:
        run = f" ({self._run})" if self._run > 1 else ""
        return f"{self._job.order.volume_name} {text}{run}"

    def _add_folder(self) -> int:
        """A folder beside the volume, under its study; under the scene where the study is gone."""
        parent = self._job.order.parent_item
        if self._volume is not None:
            item = self._hierarchy.GetItemByDataNode(self._volume)
            parent = self._hierarchy.GetItemParent(item) if item else 0
        if parent not in self._items():
            parent = self._hierarchy.GetSceneItemID()
        folder = int(self._hierarchy.CreateFolderItem(parent, self._named("DiffuGTS")))
        self._hierarchy.SetItemAttribute(folder, FOLDER_ATTRIBUTE, self._job.order.volume_name)
        self._hierarchy.SetItemAttribute(folder, "DiffuGTS.Run", str(self._run))
        return folder

    def _add(self, kind: str, name: str, role: str, number: int | None = None) -> slicer.vtkMRMLNode:
        node = self._scene.AddNewNodeByClass(kind, name)
        self._added.append(node)
        self._record.mark(node, role, number)
        if self._volume is not None:
            node.SetNodeReferenceID(VOLUME_REFERENCE, self._volume.GetID())
        return node

    def _add_segmentation(self, result: ReadResult) -> slicer.vtkMRMLSegmentationNode:
        node = self._add("vtkMRMLSegmentationNode", self._named("findings"), SEGMENTATION)
        node.CreateDefaultDisplayNodes()
        _set_reference_geometry(node, self._geometry, self._volume)
        for finding, mask in zip(self._record.findings, result.masks):
            name = segment_name(finding.description)
            segment = add_segment(node, finding.segment_id, name, finding.colour, mask, self._geometry)
            set_terminology(segment, finding.description)
            segment.SetTag("DiffuGTS.Threshold", repr(finding.threshold))
            segment.SetTag("DiffuGTS.SmallestLesionMl", repr(self._record.provenance.smallest_lesion_ml))
        return node

    def _add_volume(
        self, image: vtk.vtkImageData, role: str, name: str, number: int | None = None
    ) -> slicer.vtkMRMLScalarVolumeNode:
        node = self._add("vtkMRMLScalarVolumeNode", self._named(name), role, number)
        node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(self._geometry.ijk_to_ras))
        # The display node comes first and without automatic window and level: to find these takes a second of a large volume.
        display = self._scene.AddNewNodeByClass("vtkMRMLScalarVolumeDisplayNode")
        self._added.append(display)
        display.SetDefaultColorMap()
        display.AutoWindowLevelOff()
        display.AutoThresholdOff()
        node.SetAndObserveDisplayNodeID(display.GetID())
        node.SetAndObserveImageData(image)
        return node

    def _add_optional(
        self, image: vtk.vtkImageData | None, role: str, show: Callable[[slicer.vtkMRMLNode], None]
    ) -> slicer.vtkMRMLNode | None:
        if image is None:
            return None
        node = self._add_volume(image, role, role)
        show(node)
        return node

    def _show_score(self, node: slicer.vtkMRMLScalarVolumeNode, threshold: float) -> None:
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(colour_tables.inferno(self._scene).GetID())
        display.SetWindowLevelMinMax(0.0, 1.0)
        display.SetThreshold(LOWEST_SHOWN_SHARE * threshold, 1.0)
        display.ApplyThresholdOn()

    def _show_as_input(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        """The same grey values mean the same in both: the input's own window, level and colours."""
        source = self._volume.GetScalarVolumeDisplayNode() if self._volume is not None else None
        display = node.GetDisplayNode()
        if source is None:
            display.AutoWindowLevelOn()
            return
        display.SetWindowLevel(source.GetWindow(), source.GetLevel())
        display.SetAndObserveColorNodeID(source.GetColorNodeID())
        display.SetInterpolate(source.GetInterpolate())

    def _show_signed(self, node: slicer.vtkMRMLScalarVolumeNode) -> None:
        """Colours around 0, as far as the greatest differences, but no wider than the grey values the scan is read in: where
        bone was painted over, soft tissue's differences would be invisible beside it."""
        source = self._volume.GetScalarVolumeDisplayNode() if self._volume is not None else None
        display = node.GetDisplayNode()
        display.SetAndObserveColorNodeID(colour_tables.diverging(self._scene).GetID())
        farthest = greatest_distance_from_zero(node.GetImageData())
        if source is not None and source.GetWindow() > 0:
            farthest = min(farthest, source.GetWindow() / 2)
        display.SetWindowLevelMinMax(-farthest, farthest)


def _coloured(record: ResultRecord, scene: slicer.vtkMRMLScene, volume_id: str) -> ResultRecord:
    """With the colours that the findings get in this scene, where the volume may have others already."""
    colours = colours_on(scene, volume_id).take(finding.description for finding in record.findings)
    findings = tuple(replace(finding, colour=colour) for finding, colour in zip(record.findings, colours))
    return replace(record, findings=findings)


def _set_reference_geometry(
    node: slicer.vtkMRMLSegmentationNode, geometry: VolumeGeometry, volume: slicer.vtkMRMLScalarVolumeNode | None
) -> None:
    """The frozen grid, not the volume's present one: a transform may have been put on the volume in between."""
    i, j, k = geometry.dimensions
    matrix = slicer.util.vtkMatrixFromArray(geometry.ijk_to_ras)
    converter = slicer.vtkSegmentationConverter
    text = converter.SerializeImageGeometry(matrix, [0, i - 1, 0, j - 1, 0, k - 1])
    node.GetSegmentation().SetConversionParameter(converter.GetReferenceImageGeometryParameterName(), text)
    if volume is not None:
        node.SetNodeReferenceID(node.GetReferenceImageGeometryReferenceRole(), volume.GetID())


def _short(text: str, width: int = NAME_WIDTH) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
