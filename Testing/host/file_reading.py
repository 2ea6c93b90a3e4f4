"""The stand-in for Slicer's IO manager: `slicer.util.load*`, `save*` and `exportNode` end here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import slicer
from PySide6 import QtCore

from host.stand_in_classes import STAND_INS

_SCENE_SUFFIXES = (".mrml", ".mrb")


@STAND_INS.add
class qSlicerCoreIOManager(QtCore.QObject):
    """Reads and writes volumes, label maps, segmentations, tables and scenes with MRML's own storage nodes."""

    def fileType(self, path: str) -> str:
        name = Path(path).name.lower()
        if name.endswith(_SCENE_SUFFIXES):
            return "SceneFile"
        if ".seg." in name:
            return "SegmentationFile"
        return "TableFile" if name.endswith((".csv", ".tsv")) else "VolumeFile"

    def registeredFileReaderCount(self, file_type: str) -> int:
        return int(file_type in ("SceneFile", "SegmentationFile", "VolumeFile", "TableFile"))

    def fileWriterFileType(self, node: Any) -> str:
        return node.GetClassName()

    def fileWriterExtensions(self, node: Any) -> list[str]:
        storage = node.CreateDefaultStorageNode()
        if storage.IsA("vtkMRMLVolumeArchetypeStorageNode"):  # its formats are whatever ITK writes
            types = slicer.vtkDataFileFormatHelper().GetITKSupportedWriteFileFormats()
        else:
            types = storage.GetSupportedWriteFileTypes()
        return [types.GetValue(index) for index in range(types.GetNumberOfValues())]

    def extractKnownExtension(self, path: str, node: Any) -> str:
        formats = self.fileWriterExtensions(node)
        suffixes = [slicer.vtkDataFileFormatHelper.GetFileExtensionFromFormatString(each) for each in formats]
        fitting = [each for each in suffixes if path.lower().endswith(each)]
        return max(fitting, key=len, default="")

    def loadNodes(self, file_type: str, properties: dict[str, Any], nodes: Any, messages: Any = None) -> bool:
        path = properties["fileName"]
        if file_type == "SceneFile":
            return self._load_scene(path, bool(properties.get("clear", False)), messages)
        name = properties.get("name") or re.split(r"\.(?:seg\.)?\w+(?:\.gz)?$", Path(path).name)[0]
        if file_type == "VolumeFile":
            volumes = slicer.modules.volumes.logic()
            node = volumes.AddArchetypeVolume(path, name, int(bool(properties.get("labelmap"))))
        elif file_type == "SegmentationFile":
            node = self._read_with_storage("vtkMRMLSegmentationNode", "vtkMRMLSegmentationStorageNode", path, name)
        elif file_type == "TableFile":
            node = self._read_with_storage("vtkMRMLTableNode", "vtkMRMLTableStorageNode", path, name)
        else:
            raise NotImplementedError(f"this host does not read files of type {file_type}")
        if node is not None:
            nodes.AddItem(node)
        return node is not None

    @staticmethod
    def _load_scene(path: str, clear: bool, messages: Any) -> bool:
        scene = slicer.mrmlScene
        if path.endswith(".mrb"):
            return bool(scene.ReadFromMRB(path, clear, messages))
        scene.SetURL(path)
        return bool(scene.Connect(messages) if clear else scene.Import(messages))

    @staticmethod
    def _read_with_storage(node_class: str, storage_class: str, path: str, name: str) -> Any:
        scene = slicer.mrmlScene
        storage = scene.AddNewNodeByClass(storage_class)
        storage.SetFileName(path)
        node = scene.AddNewNodeByClass(node_class, name)
        node.SetAndObserveStorageNodeID(storage.GetID())
        if not storage.ReadData(node):
            scene.RemoveNode(node)
            scene.RemoveNode(storage)
            return None
        node.CreateDefaultDisplayNodes()
        return node

    def saveNodes(self, file_type: str, properties: dict[str, Any], messages: Any = None) -> bool:
        path = str(properties["fileName"])
        if "nodeID" not in properties:
            scene = slicer.mrmlScene
            if path.endswith(".mrb"):
                return bool(scene.WriteToMRB(path, None, messages))
            if path.endswith(".mrml"):
                return bool(scene.Commit(path, messages))
            Path(path).mkdir(parents=True, exist_ok=True)
            return bool(scene.SaveSceneToSlicerDataBundleDirectory(path, None, messages))
        node = slicer.mrmlScene.GetNodeByID(properties["nodeID"])
        if node.GetStorageNode() is None:
            node.AddDefaultStorageNode()
        storage = node.GetStorageNode()
        storage.SetFileName(path)
        storage.SetUseCompression(int(properties.get("useCompression", storage.GetUseCompression())))
        return bool(storage.WriteData(node))

    def exportNodes(
        self, node_ids: list[str], paths: list[str], properties: dict[str, Any], harden: bool, messages: Any = None
    ) -> bool:
        """Write copies of the nodes, so that neither node nor storage changes; `harden` applies parent transforms."""
        for node_id, path in zip(node_ids, paths):
            node = slicer.mrmlScene.GetNodeByID(node_id)
            copy = slicer.mrmlScene.AddNewNodeByClass(node.GetClassName(), node.GetName())
            copy.CopyContent(node)
            if harden and node.GetParentTransformNode() is not None:
                copy.SetAndObserveTransformNodeID(node.GetTransformNodeID())
                copy.HardenTransform()
            storage = copy.CreateDefaultStorageNode()
            slicer.mrmlScene.AddNode(storage)
            storage.SetFileName(str(path))
            storage.SetUseCompression(int(properties.get("useCompression", True)))
            written = bool(storage.WriteData(copy))
            slicer.mrmlScene.RemoveNode(storage)
            slicer.mrmlScene.RemoveNode(copy)
            if not written:
                return False
        return True


@STAND_INS.add
class qSlicerIOManager(qSlicerCoreIOManager):
    """As the core IO manager; the dialogs are left out."""
