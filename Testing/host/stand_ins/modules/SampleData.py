"""Stand-in for the module Sample Data: keeps what modules register, and loads samples that lie on this machine.

Its names and parameters are those of Slicer's module. Nothing is downloaded: an address that is no file is refused.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import slicer
from slicer.ScriptedLoadableModule import ScriptedLoadableModule


class SampleData(ScriptedLoadableModule):
    """The module."""

    def __init__(self, parent):
        super().__init__(parent)
        parent.title = "Sample Data"
        slicer.modules.sampleDataSources = {}


@dataclass
class SampleDataSource:
    """One registered sample; every field but the first three is a list with one entry for each file."""

    sampleName: str
    thumbnailFileName: str | None
    customDownloader: object
    uris: list[str]
    fileNames: list[str]
    nodeNames: list[str]
    checksums: list[str | None]


class SampleDataLogic:
    """Registers samples and loads them."""

    @staticmethod
    def registerCustomSampleDataSource(
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        loadFileType=None,
    ):
        if not isinstance(uris, (list, tuple)):
            uris, fileNames, nodeNames, checksums = [uris], [fileNames], [nodeNames], [checksums]
        checksums = [None] * len(uris) if checksums is None else checksums
        if not len(uris) == len(fileNames) == len(nodeNames) == len(checksums):
            raise ValueError("All fields of sample data source must have the same length")
        source = SampleDataSource(
            sampleName,
            thumbnailFileName,
            customDownloader,
            list(uris),
            list(fileNames),
            list(nodeNames),
            list(checksums),
        )
        registered = slicer.modules.sampleDataSources.setdefault(category, [])
        if source not in registered:
            registered.append(source)

    def sourceForSampleName(self, sampleName):
        sources = (source for each in slicer.modules.sampleDataSources.values() for source in each)
        return next((source for source in sources if source.sampleName == sampleName), None)

    def downloadFile(self, uri, destFolderPath, name, checksum=None):
        if urlsplit(uri).scheme != "file":
            raise RuntimeError(f"this host downloads nothing, so not {uri}")
        path = Path(destFolderPath, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(url2pathname(urlsplit(uri).path), path)
        if checksum and checksum != f"SHA256:{hashlib.sha256(path.read_bytes()).hexdigest()}":
            raise ValueError(f"the checksum of {name} is not {checksum}")
        return str(path)

    def downloadSamples(self, sampleName):
        source = self.sourceForSampleName(sampleName)
        nodes = []
        for uri, file_name, node_name, checksum in zip(
            source.uris, source.fileNames, source.nodeNames, source.checksums
        ):
            path = self.downloadFile(uri, slicer.app.temporaryPath + "/cache", file_name, checksum)
            nodes.append(slicer.util.loadVolume(path, {"name": node_name}))
        return nodes

    def downloadSample(self, sampleName):
        return self.downloadSamples(sampleName)[0]


def downloadSample(sampleName):
    return SampleDataLogic().downloadSample(sampleName)
